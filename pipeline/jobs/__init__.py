"""Spark jobs: each parses its arguments, reads, transforms, writes to the branch and checks. Nothing imports a job."""
