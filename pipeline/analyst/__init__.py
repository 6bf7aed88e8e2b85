"""Reads of released snapshots with PyIceberg and DuckDB, without Spark."""
