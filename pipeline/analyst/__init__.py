"""What analysts see: released snapshots, read by PyIceberg and queried by DuckDB. No Spark, no model."""
