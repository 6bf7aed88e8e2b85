"""Iceberg tables, the branch that a run writes to, the lease that lets one run write at a time, and publication."""
