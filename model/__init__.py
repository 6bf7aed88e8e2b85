"""Interest models, their evaluation and their scores. Reads by PyIceberg, writes Parquet."""

import os

# Before torch and XGBoost start. Threads of OpenMP that wait for each other stay busy by default: beside one other
# process, two of them took 18 to 84 s for what took 10 s by sleeping instead.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
