"""From log lines to sequences, and from scores to profiles."""
