"""The one typed settings object.

Values come from the environment (`THROUGHLINE_<NAME>`), else from `settings.toml` under THROUGHLINE_HOME,
else from the defaults here. A misspelt key is an error in both places.

Which version of this software wrote a row.
"""

import hashlib
import json
import os
import subprocess
import tomllib
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from pipeline.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "THROUGHLINE_"
# Read by tests and by the error printer, not settings of the pipeline.
SECRETS = {
    ("pseudonym_key",),
    ("lease_url",),
    ("catalog",),
    ("alert_webhook",),
}  # never shown, not even when they are wrong
OTHER_VARIABLES = {"THROUGHLINE_REAL_DATA", "THROUGHLINE_TRACEBACK", "THROUGHLINE_HOME"}


def home_from_environment() -> Path:
    """Return THROUGHLINE_HOME, by default `.throughline` in the checkout."""
    return Path(os.environ.get("THROUGHLINE_HOME") or ROOT / ".throughline").expanduser().resolve()


class Settings(BaseSettings):
    """All that can be configured; every field says what it changes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(default_factory=home_from_environment, description="where all state lives")
    min_free_gib: float = Field(3.0, ge=0, description="free disk space below which nothing is started, GiB")

    spark_master: str = Field("local[*]", description="Spark master: local[*], spark://..., yarn, k8s://...")
    spark_deploy_mode: str = Field("client", pattern="^(client|cluster)$", description="where the driver runs")
    spark_driver_memory: str = Field("3g", description="heap of the driver, which in local mode does all the work")
    spark_shuffle_partitions: int = Field(
        8, ge=1, description="partitions after a shuffle, before Spark merges small ones"
    )
    spark_options: dict[str, str] = Field(default_factory=dict, description="further lines for spark-defaults.conf")

    catalog: dict[str, str] = Field(
        default_factory=dict,
        description="Iceberg catalog properties, such as type, uri and warehouse; empty means the embedded one",
    )
    postgres_port: int = Field(55432, ge=1024, le=65535, description="port of the embedded PostgreSQL, on 127.0.0.1")
    airflow_port: int = Field(8080, ge=1024, le=65535, description="port of Airflow's web UI, on 127.0.0.1")
    alert_webhook: SecretStr | None = Field(
        None,
        description="URL to which failed tasks and missed deadlines are posted as JSON; by default they are logged",
    )
    lease_url: SecretStr | None = Field(
        None, description="PostgreSQL that keeps the lease; by default the embedded one"
    )
    lease_silence_seconds: int = Field(600, ge=1, description="a lease silent for so long is taken over")
    lease_wait_seconds: int = Field(7200, ge=0, description="how long a night waits for another to end")

    pseudonym_key: SecretStr | None = Field(None, description="key of user pseudonyms; by default made once, in home")

    allowed_lateness_days: int = Field(3, ge=0, description="days late above which an event is labelled late")
    duplicate_days: int = Field(7, ge=0, description="a copy so many days after an earlier copy is a duplicate")
    future_days: int = Field(1, ge=0, description="an event so many days after its arrival day, or more, is refused")
    sequence_length: int = Field(512, ge=1, description="newest events kept in a sequence")

    transformer_size: Literal["laptop", "server", "gpu"] = Field(
        "laptop", description="the Transformer that training teaches: width 64, 128 or 256, with 2, 4 or 8 blocks"
    )
    train_ranks: int = Field(
        1, ge=1, description="processes of one machine that train a network together: as many as it has GPUs"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = home_from_environment() / "settings.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @cached_property
    def is_embedded(self) -> bool:
        """True where the catalog is the embedded one."""
        return not self.catalog

    def results_hash(self, source_files: list[Path]) -> str:
        """Hash the source TOMLs and the settings that can change a row; goes into profiles and releases."""
        changes_rows = ["allowed_lateness_days", "duplicate_days", "future_days", "sequence_length"]
        digest = hashlib.sha256(json.dumps({name: getattr(self, name) for name in changes_rows}).encode())
        for file in sorted(source_files):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Raises UsageError naming the variable or key if one is misspelt or has a value that it cannot have.
    """
    overrides.setdefault("home", home_from_environment())
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | OTHER_VARIABLES
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise UsageError(f"unknown setting {unknown[0]}: expected one of {', '.join(sorted(known))}")
    try:
        return Settings(**overrides)
    except (SettingsError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"the settings cannot be read: {error}; expected TOML in {home_from_environment() / 'settings.toml'} "
            f"and JSON in variables that hold a table, such as {PREFIX}SPARK_OPTIONS"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        found = "(hidden)" if first["loc"][:1] in SECRETS else repr(first["input"])
        raise UsageError(
            f"setting {name} = {found}: {first['msg']}; "
            f"it comes from {PREFIX}{name.upper()} or from {home_from_environment() / 'settings.toml'}"
        ) from None


def code_version() -> str:
    """Return the package version, with the commit where the checkout knows it."""
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False
    )
    commit = asked.stdout.strip() if asked.returncode == 0 else ""
    return f"{version('throughline')}+{commit}" if commit else version("throughline")
