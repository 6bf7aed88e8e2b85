"""Erasure of people: from the landing zone, the tables, their old snapshots and the files of the home."""
