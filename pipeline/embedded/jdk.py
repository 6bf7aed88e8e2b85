"""Which JDK Spark will use."""

import os
import shutil
from pathlib import Path


def java() -> Path | None:
    """Return the program that starts the JVM, as Spark looks for it; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    found = os.path.join(home, "bin", "java") if home else shutil.which("java")
    return Path(found) if found and os.path.isfile(found) else None
