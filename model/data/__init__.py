"""From the table of sequences to flat arrays, and from scores to rows of profiles."""
