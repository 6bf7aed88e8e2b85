"""Replay rejected lines with a corrected TOML, as a whole night that publishes all of its result or none."""

from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from pipeline.analyst.replay_plan import Replay, outcome, plan_replay
from pipeline.landing.zone import SOURCE_FILE, LandingZone
from pipeline.runner.commands import STEPS, TASKS, replace_source_command
from pipeline.runner.process import StepFailed
from pipeline.runner.run import open_catalog, open_lease, run_night
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source


def replay_rejects(
    toml: Path,
    reason: str | None,
    first: date | None,
    is_dry_run: bool,
    console: Console,
    run_id: str | None = None,
) -> None:
    """Run the days with rejected lines again with the corrected TOML, and print what became of these lines.

    The run takes the lease before it counts lines, so no other night comes between. Until publication only this run
    reads the corrected TOML. If it ends earlier, the source keeps its former TOML. A line never doubles, since cleaning
    replaces whole days.

    A run that a gate or a failure stopped before its publication runs again as well. If the source was never run, all
    of its landed days run.

    run_id: the run that does the work; by default one of its own name.

    Raises SourceError if the TOML is wrong, and StepFailed, naming the TOML in force, if a step fails.
    """
    source = load_source(toml)
    catalog = open_catalog(console)
    settings = load_settings()
    zone = LandingZone(settings.home / "landing")
    zone.require_replaceable(source, toml)
    landed = zone.days(source.name)
    if is_dry_run:
        _print_plan(plan_replay(catalog, source.name, reason, first, landed), source.name, "would run", console)
        return

    run_id = run_id or f"replay_{source.name}_{datetime.now(UTC):%Y%m%dT%H%M%S}"
    lease = open_lease(settings, run_id, max(landed, default=datetime.now(UTC).date()))
    lease.take()
    in_force = zone.root / source.name / SOURCE_FILE
    former = in_force.read_bytes()
    try:
        with lease.renewed():
            for leftover in zone.replaced_files(source.name):  # of a killed run: this run holds the lease
                leftover.unlink()
            replay = plan_replay(catalog, source.name, reason, first, landed)
            _print_plan(replay, source.name, "running", console)
            if replay is None:
                return
            before = [replace_source_command(toml, run_id)]
            run_night(STEPS, replay.days, run_id, settings, console, before=before)
    except StepFailed as failure:
        state = (
            f"nothing was published, and {source.name} keeps its former TOML"
            if in_force.read_bytes() == former
            else "the corrected TOML is in force, but its publication did not end: run this command again"
        )
        raise StepFailed(failure.exit_code, f"{failure.reason}\n  {state}") from None
    finally:
        zone.replaced_file(source.name, run_id).unlink(missing_ok=True)
        lease.free()
    console.print(f"{outcome(catalog, replay)}\nLand later logs of {source.name} with {toml}", soft_wrap=True)


def _print_plan(replay: Replay | None, source: str, verb: str, console: Console) -> None:
    if replay is None:
        plan = (
            f"nothing to replay: {source} has no rejected lines but those of its own rules in [reject_when]. "
            f"To replay from the first line of such a rule, add --reason RULE; to replay from a day, add --from DAY"
        )
    else:
        stopped = f"{replay.stopped_run}: its days run again\n" if replay.stopped_run else ""
        plan = (
            f"{stopped}rejected lines of {source} from {replay.days.first} on: {replay.reasons()}\n"
            f"{verb} {', '.join(['replace_source', *TASKS])} for {replay.days}: "
            f"every line of these days is cleaned again, earlier days stay as they are"
        )
    console.print(plan, soft_wrap=True)
