"""Replay rejected lines with a corrected TOML, or days with all catalogues, as a whole night: all of it or none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from pipeline.analyst.replay_plan import Replay, outcome, plan_replay
from pipeline.days import DayRange
from pipeline.errors import InputError
from pipeline.landing.zone import SOURCE_FILE, LandingZone
from pipeline.runner.commands import STEPS, TASKS, replace_source_command
from pipeline.runner.process import StepFailed
from pipeline.runner.run import open_catalog, run_night
from pipeline.settings import Settings, load_settings
from pipeline.sources.schema import load_source
from pipeline.warehouse.lease import lease_held
from pipeline.warehouse.names import replay_run_id


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
    zone = LandingZone(settings.landing_folder)
    zone.require_replaceable(source, toml)
    landed = zone.days(source.name)
    if is_dry_run:
        _print_plan(plan_replay(catalog, source.name, reason, first, landed), source.name, "would run", console)
        return

    run_id = run_id or replay_run_id(source.name, datetime.now(UTC))
    in_force = zone.root / source.name / SOURCE_FILE
    former = in_force.read_bytes()

    def state() -> str:
        if in_force.read_bytes() == former:
            return f"nothing was published, and {source.name} keeps its former TOML"
        return "the corrected TOML is in force, but its publication did not end: run this command again"

    with _replaying(zone, source.name, run_id, max(landed, default=None), settings, state):
        replay = plan_replay(catalog, source.name, reason, first, landed)
        _print_plan(replay, source.name, "running", console)
        if replay is None:
            return
        before = [replace_source_command(toml, run_id)]
        run_night(STEPS, replay.days, run_id, settings, console, before=before)
    console.print(f"{outcome(catalog, replay)}\nLand later logs of {source.name} with {toml}", soft_wrap=True)


def replay_items(
    source: str, first: date | None, is_dry_run: bool, console: Console, run_id: str | None = None
) -> None:
    """Apply all landed catalogues of a source to earlier days too, from `first` on, and run these days again.

    first: by default the first landed day of the sources whose items share the id space of this one.

    Raises InputError if the source has no catalogue or nothing has landed, and StepFailed if a step fails.
    """
    catalog = open_catalog(console)
    settings = load_settings()
    zone = LandingZone(settings.landing_folder)
    sources = zone.sources()
    if source not in sources or not zone.catalogue_files(source):
        raise InputError(f"no catalogue of {source!r} has landed: expected one of {_with_catalogues(zone)}")
    landed = {name: zone.days(name) for name, one in sources.items() if one.item_space == sources[source].item_space}
    of_days = [(day, name) for name, days in landed.items() for day in days]
    if not of_days:
        raise InputError(f"no log with items of {source} has landed: land one with `throughline land`")
    earliest, name = min(of_days)
    run_id = run_id or f"items_{source}_{datetime.now(UTC):%Y%m%dT%H%M%S}"
    replay_file = zone.items_replay_file(source, run_id)

    def state() -> str:
        if replay_file.is_file():
            return f"nothing was published, and the catalogues of {source} apply to the same days as before"
        return "the catalogues apply to earlier days, but the publication did not end: run this command again"

    def plan(verb: str) -> DayRange:
        replay = plan_replay(catalog, name, None, first or earliest, landed[name])
        assert replay is not None  # it has a first day
        console.print(f"{verb} {', '.join(TASKS)} for {replay.days} with all catalogues of {source}", soft_wrap=True)
        return replay.days

    if is_dry_run:
        plan("would run")
        return
    with _replaying(zone, source, run_id, max(of_days)[0], settings, state):
        days = plan("running")
        zone.replay_items(source, first, run_id)
        run_night(STEPS, days, run_id, settings, console)
    which = f"days from {first} on" if first else "all days"
    console.print(f"the landed catalogues of {source} apply to {which}", soft_wrap=True)


def _with_catalogues(zone: LandingZone) -> str:
    return ", ".join(name for name in zone.sources() if zone.catalogue_files(name)) or "none: land one with its log"


@contextmanager
def _replaying(
    zone: LandingZone,
    source: str,
    run_id: str,
    newest: date | None,
    settings: Settings,
    state: Callable[[], str],
) -> Iterator[None]:
    """Hold the lease during the block, and remove what was replaced for the run, or left by a killed one.

    state: what is in force after a failure; it is added to the message of StepFailed.
    """
    with lease_held(settings, run_id, newest or datetime.now(UTC).date()):
        try:
            for leftover in zone.replaced_files(source):  # of a killed run: this run holds the lease
                leftover.unlink()
            yield
        except StepFailed as failure:
            raise StepFailed(failure.exit_code, f"{failure.reason}\n  {state()}") from None
        finally:
            for file in (zone.replaced_file(source, run_id), zone.items_replay_file(source, run_id)):
                file.unlink(missing_ok=True)


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
