"""Interest models, their evaluation and their scores. Reads by PyIceberg, writes Parquet."""
