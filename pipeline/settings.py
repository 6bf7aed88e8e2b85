"""All settings, as one typed object.

A value comes from the environment (`THROUGHLINE_<NAME>`), else from `settings.toml` in THROUGHLINE_HOME, else from the
defaults below. An unknown name is an error in both places.
"""

import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from pipeline.errors import UsageError
from throughline.stores import SCHEME, path_of

HORIZON_DAYS = 7
MIN_AUDIENCE = 10
ROOT = Path(__file__).resolve().parents[1]
PREFIX = "THROUGHLINE_"
# Error messages hide their values.
SECRETS = {"pseudonym_key", "lease_url", "registry_url", "catalog", "alert_webhook", "spark_engine"}
# Properties of a catalog that are secrets: a value names the variable that holds it, and Iceberg reads that.
CATALOG_SECRETS = ("credential", "token")
FROM_VARIABLE = "env:"
NOT_IN_HOME = '#?:*"\\'
# Variables that are no settings: tests and `exit_with_message` read the first two; `lease` the last.
OTHER_VARIABLES = {"THROUGHLINE_REAL_DATA", "THROUGHLINE_TRACEBACK", "THROUGHLINE_HOME", "THROUGHLINE_LEASE_TOKEN"}


def home_from_environment() -> Path:
    """Return THROUGHLINE_HOME, by default `.throughline` in the checkout."""
    return Path(os.environ.get("THROUGHLINE_HOME") or ROOT / ".throughline").expanduser().resolve()


class Settings(BaseSettings):
    """Everything that can be configured. The description of a field says what it changes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(default_factory=home_from_environment, description="folder of all state")
    min_free_gib: float = Field(3.0, ge=0, description="least free disk space, GiB; with less, no command starts")

    spark_master: str = Field("local[*]", description="Spark master: local[*], spark://..., yarn, k8s://...")
    spark_deploy_mode: str = Field("client", pattern="^(client|cluster)$", description="where the driver runs")
    spark_driver_memory: str = Field("3g", description="heap of the driver, which does all the work in local mode")
    spark_engine: str = Field(
        "warm",
        pattern="^(warm|submit|sc://.+)$",
        description="what runs Spark jobs. warm: a Spark Connect server of this home, which starts when it is "
        "needed, if spark_master is local; submit: a process of spark-submit per job, as "
        "always with another spark_master; "
        "sc://host:port/;token=...: that Spark Connect server",
    )
    engine_home: Path | None = Field(
        None,
        description="home whose warm engine this one uses, so that homes on one machine share its memory; they need "
        "the same Spark settings; not set: an engine of its own",
    )
    spark_shuffle_partitions: int = Field(
        8, ge=1, description="partitions after a shuffle, before Spark merges small ones"
    )
    spark_options: dict[str, str] = Field(
        default_factory=dict, description="more lines for spark-defaults.conf; they override those made here"
    )

    catalog: dict[str, str] = Field(
        default_factory=dict,
        description="properties of a remote Iceberg catalog as Spark names them, such as type, uri and warehouse; "
        "empty: the local catalog in PostgreSQL. A secret is env:NAME, the variable that holds it; keys of S3 are "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine",
    )
    landing: str = Field(
        "",
        pattern="^(|/.+|s3://.+)$",
        description="folder of the landing zone, or s3://bucket/folder; empty: landing in home. One machine at a time "
        "may land files of a source",
    )
    exchange: str = Field(
        "",
        pattern="^(|/.+|s3://.+)$",
        description="folder through which the model hands over scores, or s3://bucket/folder; empty: exchange in home",
    )
    models: str = Field(
        "",
        pattern="^(|/.+|s3://.+)$",
        description="folder of saved models, or s3://bucket/folder, which needs registry_url; empty: mlruns in home",
    )
    registry_url: SecretStr | None = Field(
        None,
        validate_default=True,
        description="URL of the PostgreSQL that names the saved models; not set: a file in their folder",
    )
    reports: str = Field(
        "",
        pattern="^(|/.+|s3://.+)$",
        description="folder of the pages of nights and erasures, or s3://bucket/folder; empty: reports, data_docs and "
        "erasures in home",
    )
    postgres_port: int = Field(55432, ge=1024, le=65535, description="port of the local PostgreSQL, on 127.0.0.1")
    airflow_port: int = Field(8080, ge=1024, le=65535, description="port of Airflow's web UI, on 127.0.0.1")
    alert_webhook: SecretStr | None = Field(
        None,
        description="URL that receives failed tasks, missed deadlines and sources that were set aside as JSON; empty: "
        "they are logged only",
    )
    lease_url: SecretStr | None = Field(
        None,
        description="URL of the PostgreSQL that keeps the lease; empty: the local one, which serves this home alone",
    )
    lease_silence_seconds: int = Field(
        600, ge=1, description="seconds without a heartbeat after which another run takes the lease"
    )
    lease_wait_seconds: int = Field(7200, ge=0, description="seconds that a night waits for another to end")

    pseudonym_key: SecretStr | None = Field(
        None, description="key of user pseudonyms, 16 characters or more; not set: one is made and kept in home"
    )

    allowed_lateness_days: int = Field(3, ge=0, description="an event more than this many days late is labelled late")
    duplicate_days: int = Field(7, ge=0, description="a copy within this many days of an earlier copy is a duplicate")
    future_days: int = Field(1, ge=0, description="an event this many days or more after its arrival day is rejected")
    failed_source: Literal["set_aside", "stop"] = Field(
        "set_aside",
        description="what a night does with a source of whose lines of a day too many are rejected. set_aside: all of "
        "these lines are kept out until its TOML or its log is corrected, and other sources go on; stop: the night "
        "fails, as always if all sources of the day fail",
    )
    keep_release_days: int = Field(
        90,
        ge=1,
        description="`maintain` keeps the newest release of each of so many last days, for --as-of, and their pages",
    )
    keep_landing_days: int | None = Field(
        None, ge=30, description="`retain` deletes landed lines of older days, which cannot be run again; not set: none"
    )
    keep_rejects_days: int | None = Field(None, ge=1, description="the same for rows of `rejects`; not set: none")
    keep_sequences_days: int | None = Field(
        None, ge=90, description="the same for rows of `sequences`, from which models learn; not set: none"
    )
    keep_profiles_days: int | None = Field(None, ge=1, description="the same for rows of `profiles`; not set: none")
    keep_log_days: int = Field(
        30, ge=1, description="`retain` and `maintain` delete logs that nothing wrote to for longer"
    )
    min_coverage: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a run fails if fewer users with new events are left than this share of the release before",
    )
    max_tag_drift: float = Field(
        0.5,
        ge=0,
        le=1,
        description="a run fails if the tags of the same users move farther in a day (total variation distance of "
        "their shares); 1 if the TOML renames tags",
    )
    sequence_length: int = Field(512, ge=1, description="number of newest events in a sequence")

    horizon_days: int = Field(
        HORIZON_DAYS,
        ge=1,
        le=28,
        description="days after as_of that affinity and return_probability look ahead; a training needs three times as "
        "many days of history, and one more",
    )
    min_audience: int = Field(
        MIN_AUDIENCE,
        ge=1,
        description="smallest group of users about whom views, exports and the report show figures; a "
        "smaller one is 'fewer than 10'",
    )
    transformer_size: Literal["laptop", "server", "gpu"] = Field(
        "laptop", description="size of the Transformer: width 64, 128 or 256 with 2, 4 or 8 blocks"
    )
    score_parts: int = Field(
        1,
        ge=1,
        le=64,
        description="tasks of Airflow that score the users of a night together; each reads all sequences",
    )
    gpu_queue: str = Field(
        "",
        pattern="^[A-Za-z0-9_.-]*$",
        description="Airflow's queue of the tasks that score and train, for workers of their own (CeleryExecutor); "
        "empty: the default queue",
    )
    train_ranks: int = Field(
        1, ge=1, description="processes that train one network together; set it to the number of GPUs"
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
        given = init_settings().get("home")
        file = Path(given or home_from_environment()) / "settings.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @field_validator("home")
    @classmethod
    def _can_be_a_location(cls, home: Path) -> Path:
        """Refuse a home whose path is cut in the location of a file, or split in a class path."""
        if found := [letter for letter in str(home) if letter in NOT_IN_HOME or not letter.isprintable()]:
            raise ValueError(
                f"the path has {found[0]!r}: expected none of {' '.join(NOT_IN_HOME)}; blanks may be in it"
            )
        return home

    @field_validator("catalog")
    @classmethod
    def _has_no_secret(cls, catalog: dict[str, str]) -> dict[str, str]:
        """Refuse secrets, which would be written into the files of Spark and PyIceberg."""
        for name, value in catalog.items():
            if name in CATALOG_SECRETS and not value.startswith(FROM_VARIABLE):
                raise ValueError(f"key {name} holds a secret: expected env:NAME, with the secret in the variable NAME")
            if name in ("s3.access-key-id", "s3.secret-access-key", "s3.session-token"):
                raise ValueError(
                    f"key {name} holds a secret: leave it out, and set the variables AWS_ACCESS_KEY_ID and "
                    f"AWS_SECRET_ACCESS_KEY, or give the machine a role"
                )
        return catalog

    @field_validator("registry_url")
    @classmethod
    def _names_models_in_s3(cls, url: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        """Refuse models in S3 without a database: a night would fail as late as in `score`."""
        models = others.data.get("models", "")
        if url is None and models.startswith(SCHEME):
            raise ValueError(f"models = {models!r}, and models in S3 need a PostgreSQL that names them")
        return url

    @property
    def home_of_engine(self) -> Path:
        """The home whose warm engine runs Spark jobs, by default this one."""
        return (self.engine_home or self.home).expanduser().resolve()

    @property
    def uses_local_catalog(self) -> bool:
        """True if the Iceberg catalog is the one in the local PostgreSQL."""
        return not self.catalog

    @property
    def landing_folder(self) -> Path:
        """The folder of the landing zone; one in S3 has the methods of a path, see `throughline.stores`."""
        return self._folder(self.landing, "landing")

    @property
    def exchange_folder(self) -> Path:
        """The folder through which the model hands over scores, one folder a run; as `landing_folder`."""
        return self._folder(self.exchange, "exchange")

    @property
    def models_folder(self) -> Path:
        """The folder of saved models; as `landing_folder`."""
        return self._folder(self.models, "mlruns")

    @property
    def checkpoints_folder(self) -> Path:
        """The folder of the checkpoints of trainings that machines share; without the setting `models` it is empty."""
        return self.models_folder / "checkpoints"

    @property
    def reports_folder(self) -> Path:
        """The folder of the reports of nights; as `landing_folder`."""
        return self._folder(self.reports, "reports")

    @property
    def receipts_folder(self) -> Path:
        """The folder of the receipts of erasures; as `landing_folder`."""
        return self._folder(self.reports, ".") / "erasures"

    @property
    def data_docs_folder(self) -> Path:
        """The folder of the pages of quality gates; as `landing_folder`."""
        return self._folder(self.reports, ".") / "data_docs"

    def _folder(self, place: str, in_home: str) -> Path:
        """Return the folder that a setting names, else one of the home."""
        return path_of(place) if place else self.home / in_home

    @property
    def uses_s3(self) -> bool:
        """True if tables, landed lines or scores lie in S3, so that Spark needs Amazon's client."""
        folders = (self.landing, self.exchange)
        return any(folder.startswith(SCHEME) for folder in folders) or any(
            "s3://" in value or "S3FileIO" in value for value in self.catalog.values()
        )

    @property
    def needs_local_postgres(self) -> bool:
        """True if a run that writes needs the local PostgreSQL, for the catalog or for the lease.

        With a remote catalog and no `lease_url` the local PostgreSQL keeps the lease alone. Such a lease excludes other
        runs of this home only: set `lease_url` where several machines write to one catalog.
        """
        return self.uses_local_catalog or self.lease_url is None

    def results_hash(self, source_files: list[Path]) -> str:
        """Return a hash of the source TOMLs and of the settings that can change a row of a published table."""
        changes_rows = ["allowed_lateness_days", "duplicate_days", "future_days", "sequence_length", "horizon_days"]
        digest = hashlib.sha256(json.dumps({name: getattr(self, name) for name in changes_rows}).encode())
        for file in sorted(source_files):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Raises UsageError naming the variable or key if one is unknown or has an invalid value.
    """
    overrides.setdefault("home", home_from_environment())
    file = Path(overrides["home"]) / "settings.toml"
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | OTHER_VARIABLES
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise UsageError(f"unknown setting {unknown[0]}: expected one of {', '.join(sorted(known))}")
    try:
        return Settings(**overrides)
    except (SettingsError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"the settings cannot be read: {error}; expected TOML in {file} "
            f"and JSON in a variable that holds a table, such as {PREFIX}SPARK_OPTIONS"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        value = "(hidden)" if first["loc"][0] in SECRETS else repr(first["input"])
        found, place = f"= {value}", "it comes from {} or from {}"
        if first["input"] is None:
            found, place = "is not set", "set it by {} or in {}"
        raise UsageError(
            f"setting {name} {found}: {first['msg']}; {place.format(PREFIX + name.upper(), file)}"
        ) from None
