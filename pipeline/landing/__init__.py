"""The landing zone: every line that came in, by source and arrival day."""
