"""Runs many commands of `throughline` in one process, which saves its start for each: arguments as JSON on stdin."""

import json
import sys

from pipeline.cli import app

for arguments in json.load(sys.stdin):
    app(arguments, standalone_mode=False)
