"""The model registry: versions and their trainings, in MLflow, by default under `THROUGHLINE_HOME/mlruns`.

    mlruns/mlflow.db              runs (one per training or evaluation), versions with the aliases champion, challenger
    mlruns/artifacts/<run>/       report.json of each training, report and page of each evaluation
    mlruns/models/<version>/      what is loaded for scoring

A version is there when its row in the database is, which is written whole and after its folder. Folders are found by
name, so that the home may be moved. Machines share a registry by a store for the files, such as s3://bucket/models, and
a PostgreSQL for what is in mlflow.db. Then `mlruns/models` keeps what this machine has loaded.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.data.days import HORIZON_DAYS
from model.errors import ModelError, UsageError
from model.interfaces import CurvePoint
from model.registry_files import RegistryFiles, address
from throughline.stores import copy, is_remote, path_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROFILES = "interest-profiles"
ITEMS = "top-items"
EXPERIMENT = "interest-training"
CHAMPION = "champion"  # the newest promoted version
CHALLENGER = "challenger"  # the version registered last
CLUSTERS = "clusters_through"  # a tag of a version
STORE_VARIABLE, DATABASE_VARIABLE = "THROUGHLINE_MODELS", "THROUGHLINE_REGISTRY_URL"
POSTGRES = "postgresql://"
LOCK = 20260131  # of PostgreSQL; any number will do


@dataclass(frozen=True)
class Version:
    """A registered model. `number` tells which of two of one day came later, `horizon_days` how far it predicts.

    clusters_through: day of the version of item clusters that it knows; None if it knows none.
    """

    name: str
    kind: str
    trained_through: date
    is_promoted: bool
    sha256: str
    number: int
    horizon_days: int = HORIZON_DAYS
    clusters_through: date | None = None


@dataclass(frozen=True)
class Training:
    """The record of one training, promoted or not."""

    run_id: str  # of Throughline's run
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    trained_through: date
    sequences_snapshot: int
    report: Mapping[str, Any]
    curves: Sequence[CurvePoint] = ()
    horizon_days: int = HORIZON_DAYS
    clusters_through: date | None = None  # as of Version


@dataclass(frozen=True)
class TrackedRun:
    """The record of a run that makes no model. Artifacts are files; they are copied."""

    experiment: str
    run_id: str  # of Throughline's run
    tags: Mapping[str, str]
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    artifacts: Sequence[Path]


@dataclass(frozen=True)
class Registry:
    """The models of a home. Where no training ever ended there is no store, and nothing is imported or made.

    model: what the versions are of, PROFILES or ITEMS; each has a champion of its own. store: a folder outside of the
    home, or s3://bucket/folder, for the files; empty: none. database: URL of a PostgreSQL for the rest; empty: a file
    beside the files. Raises UsageError for another kind of store or database, or if a store in S3 has no database.
    """

    home: Path
    model: str = PROFILES
    store: str = ""
    database: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            is_in_s3 = is_remote(path_of(self.store))
        except ValueError as error:
            raise UsageError(f"{STORE_VARIABLE}: {error}") from None
        if self.database and not self.database.startswith(POSTGRES):
            raise UsageError(f"{DATABASE_VARIABLE}: expected a URL that begins with {POSTGRES}")
        if is_in_s3 and not self.database:
            raise UsageError(
                f"{STORE_VARIABLE}={self.store}, but {DATABASE_VARIABLE} is not set: models in S3 need a PostgreSQL "
                f"that names them; set it to {POSTGRES}user:password@host/database"
            )

    @property
    def files(self) -> RegistryFiles:
        return RegistryFiles(self.home, self.store)

    @property
    def address(self) -> str:
        """Where MLflow keeps its tables. It may hold a password."""
        if self.database:
            return self.database.replace(POSTGRES, "postgresql+psycopg://", 1)
        return f"sqlite:///{self._file.resolve()}"

    def versions(self) -> list[Version]:
        """Return all registered versions, by the day they were trained through."""
        if not self.database and not self._file.is_file():
            return []
        with self._locked():
            return self._versions(self._client())

    def folder_of(self, version: Version) -> Path:
        """Return the files of a version on this machine. Raises InputError if they are not those registered."""
        return self.files.load(version.name, version.sha256)

    def record(self, training: Training) -> str:
        """Keep a training as an MLflow run and return the run's id."""
        from model.mlflow_client import log_curves

        with self._locked():
            client = self._client()
            run = client.create_run(self._experiment(client, EXPERIMENT), run_name=training.run_id)
            run_id = str(run.info.run_id)
            client.set_tag(run_id, "run_id", training.run_id)
            client.set_tag(run_id, "trained_through", str(training.trained_through))
            client.set_tag(run_id, "horizon_days", str(training.horizon_days))
            client.set_tag(run_id, "sequences_snapshot", str(training.sequences_snapshot))
            for name, parameter in training.parameters.items():
                client.log_param(run_id, name, parameter)
            for name, value in training.metrics.items():
                client.log_metric(run_id, name, value)
            log_curves(client, run_id, training.curves)
            report = json.dumps(dict(training.report), indent=2, default=str)
            self.files.artifact(run_id, "report.json").write_text(report, encoding="utf-8")
            client.set_terminated(run_id)
            return run_id

    def track(self, track: TrackedRun) -> str:
        """Keep a run that makes no model as an MLflow run of its own experiment and return the run's id."""
        with self._locked():
            client = self._client()
            run = client.create_run(self._experiment(client, track.experiment), run_name=track.run_id)
            run_id = str(run.info.run_id)
            for name, tag in {"run_id": track.run_id, **track.tags}.items():
                client.set_tag(run_id, name, tag)
            for name, parameter in track.parameters.items():
                client.log_param(run_id, name, parameter)
            for name, value in track.metrics.items():
                client.log_metric(run_id, name, value)
            for artifact in track.artifacts:
                copy(artifact, self.files.artifact(run_id, artifact.name))
            client.set_terminated(run_id)
            return run_id

    def register(
        self, kind: str, training: Training, tracked_as: str, write: Callable[[Path], None], is_promoted: bool
    ) -> Version:
        """Make a version of what `write` puts into the folder it is given, and return it.

        Its name is `<kind>.<day>`; a second one through the same day gets `.2`, as the rows that the first has scored
        keep naming it.

        tracked_as: id of the MLflow run.
        """
        with self._locked():
            client = self._client()
            name = unused_name(kind, training.trained_through, self._versions(client))
            checksum = self.files.keep(name, write)
            made = client.create_model_version(
                self.model,
                address(self.files.kept(name)),
                run_id=tracked_as,
                tags={
                    "version": name,
                    "kind": kind,
                    "trained_through": str(training.trained_through),
                    "horizon_days": str(training.horizon_days),
                    "is_promoted": str(is_promoted).lower(),
                    "sha256": checksum,
                    "sequences_snapshot": str(training.sequences_snapshot),
                    **({CLUSTERS: str(training.clusters_through)} if training.clusters_through else {}),
                },
            )
            client.set_registered_model_alias(self.model, CHALLENGER, made.version)
            champion = newest_promoted(self._versions(client), date.max, training.horizon_days)
            if champion:
                client.set_registered_model_alias(self.model, CHAMPION, str(champion.number))
            return Version(
                name,
                kind,
                training.trained_through,
                is_promoted,
                checksum,
                int(made.version),
                training.horizon_days,
                training.clusters_through,
            )

    @property
    def _file(self) -> Path:
        return self.files.place / "mlflow.db"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time at the store; the lock of a killed one is gone with it."""
        if not self.database:
            with self.files.locked():
                yield
            return
        import psycopg

        try:
            connection = psycopg.connect(self.database)
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{DATABASE_VARIABLE}: PostgreSQL does not answer: {reason}") from None
        with connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            yield

    def _client(self) -> "MlflowClient":
        from model.mlflow_client import client_of

        client = client_of(self.address)
        if not client.search_registered_models(f"name = '{self.model}'"):
            client.create_registered_model(self.model)
        return client

    def _versions(self, client: "MlflowClient") -> list[Version]:
        found, token = [], None
        while True:
            page = client.search_model_versions(f"name = '{self.model}'", page_token=token)
            found += [
                Version(
                    name=one.tags["version"],
                    kind=one.tags["kind"],
                    trained_through=date.fromisoformat(one.tags["trained_through"]),
                    is_promoted=one.tags["is_promoted"] == "true",
                    sha256=one.tags["sha256"],
                    number=int(one.version),
                    horizon_days=int(
                        one.tags.get("horizon_days", HORIZON_DAYS)
                    ),  # versions of earlier releases have none
                    clusters_through=date.fromisoformat(one.tags[CLUSTERS]) if CLUSTERS in one.tags else None,
                )
                for one in page
            ]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: (version.trained_through, version.number))

    def _experiment(self, client: "MlflowClient", name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found:
            return str(found.experiment_id)
        return str(client.create_experiment(name, address(self.files.place / "artifacts")))


def registry_of(home: Path) -> Registry:
    """Return the registry of a home, with the store and the database that the environment names."""
    return Registry(home, store=os.environ.get(STORE_VARIABLE, ""), database=os.environ.get(DATABASE_VARIABLE, ""))


def unused_name(kind: str, trained_through: date, versions: list[Version]) -> str:
    """Name the next version of this kind and day."""
    taken = {version.name for version in versions}
    name, tries = f"{kind}.{trained_through:%Y%m%d}", 1
    while name in taken:
        tries += 1
        name = f"{kind}.{trained_through:%Y%m%d}.{tries}"
    return name


def newest_promoted(versions: list[Version], day: date, horizon_days: int = HORIZON_DAYS) -> Version | None:
    """Return the promoted version trained through the latest day up to `day`, the later one of a day; None for none.

    A version trained for another horizon does not count: it predicts something else.
    """
    allowed = [
        version
        for version in versions
        if version.is_promoted and version.trained_through <= day and version.horizon_days == horizon_days
    ]
    return max(allowed, key=lambda version: (version.trained_through, version.number), default=None)
