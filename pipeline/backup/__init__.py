"""Backups of a home, and their restore to any path."""
