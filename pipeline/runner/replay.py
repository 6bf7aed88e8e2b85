"""Judge refused lines again by a mended TOML: by a whole night, of which nothing shows if it fails."""

from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from pipeline.analyst.release import newest_release
from pipeline.analyst.replay_plan import Replay, outcome, plan_replay
from pipeline.landing.zone import SOURCE_FILE, LandingZone
from pipeline.runner.commands import STEPS, replace_source_command, step_commands
from pipeline.runner.process import StepFailed
from pipeline.runner.run import open_catalog, run_night
from pipeline.settings import load_settings
from pipeline.sources.schema import load_source
from pipeline.warehouse.lease import Lease


def replay_rejects(toml: Path, reason: str | None, first: date | None, is_dry_run: bool, console: Console) -> None:
    """Run the days with refused lines again, by the mended TOML, and tell what became of these lines.

    The lease is taken before a line is counted, so no other night comes between. Until the night is published the
    mended TOML is a file that only this run reads: whatever ends the run earlier, the TOML in force is the former one.
    A moved line moves and never doubles, since cleaning replaces whole days.

    Raises SourceError if the TOML is wrong, and StepFailed, saying which TOML is in force, if a step fails.
    """
    source = load_source(toml)
    catalog = open_catalog(console)
    settings = load_settings()
    zone = LandingZone(settings.home / "landing")
    zone.require_replaceable(source, toml)
    if is_dry_run:
        _tell(plan_replay(catalog, source.name, reason, first), source.name, "would run", console)
        return

    run_id = f"replay_{source.name}_{datetime.now(UTC):%Y%m%dT%H%M%S}"
    lease = Lease(settings, run_id, newest_release(catalog, None).as_of)
    lease.take()
    in_force = zone.root / source.name / SOURCE_FILE
    former = in_force.read_bytes()
    try:
        with lease.renewed():
            for leftover in zone.replaced_files(source.name):  # of a run that was killed: the lease is ours
                leftover.unlink()
            replay = plan_replay(catalog, source.name, reason, first)
            _tell(replay, source.name, "running", console)
            if replay is None:
                return
            run_night(STEPS, replay.days, run_id, settings, console, before=[replace_source_command(toml, run_id)])
    except StepFailed as failure:
        state = (
            f"nothing was published, and {source.name} keeps the TOML that it had"
            if in_force.read_bytes() == former
            else "the mended TOML is in force, but its publication did not end: give this command again"
        )
        raise StepFailed(failure.exit_code, f"{failure.reason}\n  {state}") from None
    finally:
        zone.replaced_file(source.name, run_id).unlink(missing_ok=True)
        lease.free()
    console.print(f"{outcome(catalog, replay)}\nLand further logs of {source.name} with {toml}", soft_wrap=True)


def _tell(replay: Replay | None, source: str, verb: str, console: Console) -> None:
    if replay is None:
        told = (
            f"nothing to replay: no line of {source} is refused, but for what rules of its TOML set aside. "
            f"To begin with these, add --reason RULE; to judge all lines from a day on by this TOML, --from DAY"
        )
    else:
        labels = ["replace_source", *(command.label for step in STEPS for command in step_commands(step, replay.days))]
        told = (
            f"refused lines of {source} from {replay.days.first} on: {replay.reasons()}\n"
            f"{verb} {', '.join(labels)} for {replay.days}: every line of these days is judged again, "
            f"those of earlier days are not"
        )
    console.print(told, soft_wrap=True)
