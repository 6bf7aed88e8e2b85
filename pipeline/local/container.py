"""The entry point of the images: configure Spark and PyIceberg, and become the command of the container.

Usage: python -m pipeline.local.container COMMAND ARGUMENT...

The configuration comes from the environment alone, so a container needs no file of another one.
"""

import os
import sys
from collections.abc import Sequence

from pipeline.errors import UsageError, exit_with_message
from pipeline.local.java import prepare_java
from pipeline.local.spark_config import has_spark, write_configuration
from pipeline.runner.commands import step_environment
from pipeline.settings import Settings, load_settings


def container_environment(settings: Settings) -> dict[str, str]:
    """Write the configuration and return the environment of a step in this container.

    Raises UsageError if the catalog or the lease would lie in the container, which ends with it.
    """
    if settings.uses_local_catalog or settings.lease_url is None:
        missing = "catalog" if settings.uses_local_catalog else "lease_url"
        raise UsageError(f"setting {missing} is empty: a container needs a catalog and a lease outside of it; set both")
    if has_spark():
        prepare_java(settings)
    write_configuration(settings)
    return dict(step_environment(settings))


def main(command: Sequence[str]) -> None:
    """Replace this process by the command. Raises UsageError as `container_environment` does."""
    os.execvpe(command[0], list(command), container_environment(load_settings()))


if __name__ == "__main__":
    with exit_with_message():
        main(sys.argv[1:])
