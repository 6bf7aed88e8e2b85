"""The steps of a night as command lines, and what runs them in a terminal."""
