"""SQL executions of a step and their times, from the event log of Spark."""

import json
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.settings import ROOT

# Removed from names, since they differ from machine to machine.
PACKAGES = sysconfig.get_path("purelib")
SQL_UI = "org.apache.spark.sql.execution.ui.SparkListenerSQL"


@dataclass
class Execution:
    """One SQL execution of a step: when it ran, the processor time of its tasks, and what they moved."""

    name: str
    plan: str
    started_ms: int
    ended_ms: int = 0
    task_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gc_seconds: float = 0.0
    shuffled_mib: float = 0.0
    spilled_mib: float = 0.0
    tasks: int = 0
    stages: set[int] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        return (self.ended_ms - self.started_ms) / 1000


def executions(event_log: Path) -> list[Execution]:
    """Return the SQL executions of one Spark application, longest first."""
    found: dict[int, Execution] = {}
    owner: dict[int, int] = {}  # execution by stage
    for event in _events(event_log):
        kind = event["Event"]
        if kind == f"{SQL_UI}ExecutionStart":
            name = event["description"].replace(f"{PACKAGES}/", "").replace(f"{ROOT}/", "")
            found[event["executionId"]] = Execution(name, event["physicalPlanDescription"], event["time"])
        elif kind == f"{SQL_UI}AdaptiveExecutionUpdate" and event["executionId"] in found:
            found[event["executionId"]].plan = event["physicalPlanDescription"]
        elif kind == f"{SQL_UI}ExecutionEnd" and event["executionId"] in found:
            found[event["executionId"]].ended_ms = event["time"]
        elif kind == "SparkListenerJobStart":
            execution = (event.get("Properties") or {}).get("spark.sql.execution.id")
            for stage in event["Stage IDs"] if execution is not None else []:
                owner.setdefault(stage, int(execution))
        elif kind == "SparkListenerTaskEnd" and owner.get(event["Stage ID"]) in found:
            _add_task(found[owner[event["Stage ID"]]], event)
    return sorted(found.values(), key=lambda one: -one.task_seconds)


def _add_task(execution: Execution, event: dict[str, Any]) -> None:
    metrics = event.get("Task Metrics") or {}
    execution.tasks += 1
    execution.stages.add(event["Stage ID"])
    execution.task_seconds += metrics.get("Executor Run Time", 0) / 1e3
    execution.cpu_seconds += metrics.get("Executor CPU Time", 0) / 1e9
    execution.gc_seconds += metrics.get("JVM GC Time", 0) / 1e3
    execution.spilled_mib += metrics.get("Disk Bytes Spilled", 0) / 2**20
    execution.shuffled_mib += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0) / 2**20


def _events(event_log: Path) -> Iterator[dict[str, Any]]:
    with event_log.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return  # the unfinished last line of a running application
