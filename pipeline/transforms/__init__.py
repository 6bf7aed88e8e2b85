"""Pure functions from DataFrame to DataFrame, one verb a module."""
