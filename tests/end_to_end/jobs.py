"""Runs many jobs in one process of spark-submit, which saves a start of Java for each: modules and words as JSON."""

import json
import sys

from pipeline.runner.process import run_module

for module, words in json.loads(sys.argv[1]):
    run_module(module, words)
