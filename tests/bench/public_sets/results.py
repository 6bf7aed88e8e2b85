"""Results of a benchmark on a public set, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.evaluation.report import Configuration
from model.metrics import Difference


@dataclass(frozen=True)
class MethodResult:
    """The test result of one model with the settings that the validation selected."""

    method: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Difference]  # mean over users with its 95 % interval
    tried: Sequence[Mapping[str, Any]]  # each of the settings, with its figure on the validation
    tuning_seconds: float
    preparing_seconds: float
    scoring_seconds: float  # all users of the test


@dataclass(frozen=True)
class TaskResult:
    """All models on one task."""

    task: str
    input: Mapping[str, Any]  # protocol and counts
    families: Mapping[str, Sequence[Mapping[str, Any]]]  # the grid of settings, by model
    methods: Sequence[MethodResult]


@dataclass(frozen=True)
class SetResult:
    """All tasks of one set."""

    name: str
    title: str
    quick_users: int | None  # maximum of a quick trial; None for all users
    tasks: Sequence[TaskResult]

    def as_json(self) -> dict[str, Any]:
        """Return all results and the hash of the configuration; equal hashes mean equal tasks."""
        results = asdict(self)
        tasks = [{key: task[key] for key in ("task", "input", "families")} for task in results["tasks"]]
        configuration = {"name": self.name, "quick_users": self.quick_users, "tasks": tasks}
        return {"configuration_hash": Configuration(configuration).hash, **results}
