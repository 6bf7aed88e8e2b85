"""What a benchmark on a public set found, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.evaluation.report import Configuration
from model.metrics import Difference


@dataclass(frozen=True)
class MethodResult:
    """One method with the settings that the validation chose, on the test."""

    method: str
    settings: Mapping[str, Any]
    metrics: Mapping[str, Difference]  # mean over users with its 95 % interval
    tried: Sequence[Mapping[str, Any]]  # each of the settings, with its figure on the validation
    tuning_seconds: float
    preparing_seconds: float
    scoring_seconds: float  # all users of the test


@dataclass(frozen=True)
class TaskResult:
    """All methods before one question."""

    task: str
    asked: Mapping[str, Any]  # how exactly, and of how many
    families: Mapping[str, Sequence[Mapping[str, Any]]]  # the settings to choose from, by method
    methods: Sequence[MethodResult]


@dataclass(frozen=True)
class SetResult:
    """All tasks of one set."""

    name: str
    title: str
    quick_users: int | None  # how many at most a trial looks at; None for everybody
    tasks: Sequence[TaskResult]

    def as_json(self) -> dict[str, Any]:
        """Return everything, and the hash of what was asked: those of equal hashes were asked the same."""
        told = asdict(self)
        asked = [{key: task[key] for key in ("task", "asked", "families")} for task in told["tasks"]]
        configuration = {"name": self.name, "quick_users": self.quick_users, "tasks": asked}
        return {"configuration_hash": Configuration(configuration).hash, **told}
