"""The version of this software."""

import subprocess
from importlib.metadata import version

from pipeline.settings import ROOT


def code_version() -> str:
    """Return the package version, followed by the commit in a git checkout on a machine that has git."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    try:
        head = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return version("throughline")
    commit = head.stdout.strip() if head.returncode == 0 else ""
    return f"{version('throughline')}+{commit}" if commit else version("throughline")
