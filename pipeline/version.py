"""Which version of this software wrote a row."""

import subprocess
from importlib.metadata import version

from pipeline.settings import ROOT


def code_version() -> str:
    """Return the package version, with the commit where the checkout knows it."""
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    commit = asked.stdout.strip() if asked.returncode == 0 else ""
    return f"{version('throughline')}+{commit}" if commit else version("throughline")
