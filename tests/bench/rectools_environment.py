"""The environment of RecTools, which needs another NumPy than the project."""

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("rectools_requirements.txt")
FOLDER, UV = Path(".rectools"), Path(".uv", "bin", "uv")


def rectools_python() -> Path:
    """Return the Python that has RecTools; its environment is made on first use and again when the requirements change.

    Exits if uv is missing.
    """
    python, made_from = FOLDER / "bin" / "python", FOLDER / "made-from.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if made_from.exists() and made_from.read_text(encoding="utf-8") == wanted:
        return python
    if not UV.exists():
        sys.exit(f"no {UV}, which makes the environment of RecTools: run `make bench rectools`")
    print(f"setting up {FOLDER} (5.5 GB, most of it torch with CUDA)", file=sys.stderr, flush=True)
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER], check=True)
    subprocess.run([UV, "pip", "sync", "--quiet", "--python", python, REQUIREMENTS], check=True)
    made_from.write_text(wanted, encoding="utf-8")
    return python
