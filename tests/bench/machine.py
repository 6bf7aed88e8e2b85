"""Description of the machine that a benchmark ran on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from pipeline.local.java import find_java
from pipeline.settings import load_settings
from pipeline.version import code_version


def machine() -> dict[str, object]:
    """Describe processor, memory, load and versions."""
    cpus = [line for line in _read("/proc/cpuinfo") if line.startswith("model name")]
    is_installed = _version("throughline") is not None
    return {
        "processor": cpus[0].split(":", 1)[1].strip() if cpus else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load_average_at_start": [round(load, 1) for load in os.getloadavg()],
        "system": platform.platform(),
        "java": find_java(load_settings()).version if is_installed else None,
        "versions": {name: _version(name) for name in ("pyspark", "duckdb", "pyarrow", "great-expectations", "torch")},
        "python": platform.python_version(),
        "code": code_version() if is_installed else None,
    }


def _version(name: str) -> str | None:
    """Return the version of a package, None if it is not installed: a borrowed machine has only what a bench needs."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _read(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
