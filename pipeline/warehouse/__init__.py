"""Iceberg tables, the branch that a night works on, the lease that lets one night write at a time, and publication."""
