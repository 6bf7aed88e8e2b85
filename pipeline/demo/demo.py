"""`throughline demo`: from a log to profiles in one command, ending with commands to try next."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipeline.analyst.query import query
from pipeline.analyst.render import render
from pipeline.days import DayRange, days_in_words
from pipeline.demo.airflow_nights import run_nights
from pipeline.demo.plan import DemoPlan
from pipeline.demo.write import write_demo_log
from pipeline.errors import InputError
from pipeline.landing.log_days import real_days, stray_days
from pipeline.landing.zone import LandingZone
from pipeline.local import postgres
from pipeline.local.airflow import start_airflow, stop_airflow
from pipeline.local.engine import stop_engine
from pipeline.runner.commands import STEPS, land_command, step_environment, tables_command, train_command
from pipeline.runner.process import StepFailed, run_command
from pipeline.runner.run import airflow_login_info, open_catalog, prepare_environment, run_all, run_night, run_parts
from pipeline.settings import PREFIX, Settings, load_settings
from pipeline.sources.schema import load_source, source_file

TOP_INTERESTS = """
    SELECT left(user_id, 12) AS user,
           string_agg(tag || ' ' || printf('%.2f', affinity), ', ' ORDER BY rank) AS interests
    FROM user_interests
    WHERE rank <= 3 AND user_id IN (SELECT user_id FROM current_profiles ORDER BY session_count DESC, user_id LIMIT 8)
    GROUP BY user_id ORDER BY user_id
"""
TOTALS = """
    SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM rejects) AS rejects,
           (SELECT count(*) FROM sessions) AS sessions, (SELECT count(*) FROM current_profiles) AS profiles
"""


def run_demo(settings: Settings, log: Path | None, source: str, night_count: int, console: Console) -> None:
    """Land a log, run its days, and show profiles. Without a log, one of a made-up shop is written.

    The days before the last `night_count` ones run as one range, and then a model is trained. Airflow backfills the
    last days as nights; without nights the last day is scored again, as a model may have been promoted. The horizon is
    the longest that fits the log, see `keep_horizon`. An earlier home is moved aside first and never deleted; its jars
    are reused.
    """
    toml = source_file(source)
    name = load_source(toml).name
    move_aside(settings, console)
    settings = prepare_environment(console)  # those of the new home
    with _tables_made(settings):
        paths = [log] if log else [_made_up_log(settings.home / "demo-log", console)]
        run_all([land_command(toml, paths, None)], settings, console, "land")

    landed = LandingZone(settings.landing_folder).days(name)
    real = real_days(landed)
    if found := stray_days(landed, real):
        console.print(found, soft_wrap=True)
    history, nights = split_days(real, night_count)
    settings = keep_horizon(history, settings, console)
    console.print(f"running {history} as one range")
    for part in run_parts(history, settings, console):
        run_night(STEPS, part, None, settings, console)
    _print_profiles("First profiles, by the built-in counts", settings, console)
    with ThreadPoolExecutor(1) as beside:  # Airflow starts while the model trains
        airflow = beside.submit(start_airflow, settings, Console(quiet=True)) if nights else None
        is_trained = _train(history.last, settings, console)
        if airflow:
            airflow.result()
    if nights:
        run_nights(nights, settings, console)
    elif is_trained:  # no night follows that would score with a promoted model
        last = DayRange(history.last, history.last)
        run_night(("score", "audit", "publish"), last, None, settings, console, score_all=True)

    console.print("\n[bold]Result[/]", markup=True)
    console.print(render(query(TOTALS, open_catalog(console)), "table"))
    _print_profiles("Profiles", settings, console)
    console.print(_next_steps(nights or history, name), soft_wrap=True, markup=True)
    if nights:
        console.print("[bold]Airflow[/]", markup=True)
        console.print(airflow_login_info(settings), soft_wrap=True, markup=True)


@contextmanager
def _tables_made(settings: Settings) -> Iterator[None]:
    """Start the engine and make the tables beside the block, whose first work needs neither."""
    log = settings.home / "logs" / "setup" / "tables-beside.log"
    with ThreadPoolExecutor(1) as beside:
        command, environment = tables_command(), step_environment(settings)
        made = beside.submit(run_command, command, environment, log, Console(quiet=True))
        yield
        made.result()


def split_days(days: DayRange, night_count: int) -> tuple[DayRange, DayRange | None]:
    """Return the history and the nights after it. A log of too few days is all history."""
    first_night = days.last - timedelta(days=night_count - 1)
    if night_count == 0 or first_night <= days.first:
        return days, None
    return DayRange(days.first, first_night - timedelta(days=1)), DayRange(first_night, days.last)


def _print_profiles(heading: str, settings: Settings, console: Console) -> None:
    console.print(
        f"[bold]{heading}[/]: the top interests of eight users, and the probability that the user returns to each "
        f"within {days_in_words(settings.horizon_days)}",
        soft_wrap=True,
        markup=True,
    )
    console.print(render(query(TOP_INTERESTS, open_catalog(console)), "table"))


def _train(through: date, settings: Settings, console: Console) -> bool:
    """Train a challenger; return whether one was trained. A log that is too short does not stop the demo."""
    if find_spec("torch") is None:  # as in the image of Airflow
        console.print(
            "no model was trained: torch is not installed here; the image of docker/Dockerfile.gpu trains",
            soft_wrap=True,
        )
        return False
    try:
        run_all([train_command(through)], settings, console, f"train-{through}")
    except StepFailed as failure:
        if failure.exit_code != InputError.exit_code:
            raise
        console.print(f"no model was trained: {failure.reason.splitlines()[0]}", markup=False, soft_wrap=True)
        return False
    return True


def move_aside(settings: Settings, console: Console) -> None:
    """Rename an earlier home, so that the demo starts with an empty one; keep the downloaded jars."""
    if not (settings.home / "landing").is_dir() and not (settings.home / "warehouse").is_dir():
        return
    stop_airflow(settings)
    stop_engine(settings)
    postgres.stop(settings)
    aside = settings.home.with_name(f"{settings.home.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    settings.home.rename(aside)
    settings.home.mkdir()
    if (aside / "jars").is_dir():
        (aside / "jars").rename(settings.home / "jars")
    console.print(f"an earlier home was moved to {aside}")


def _made_up_log(folder: Path, console: Console) -> Path:
    columns = (TextColumn("writing the log of a made-up shop"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("log")
        made = write_demo_log(
            folder, DemoPlan(), lambda done, total: progress.update(task, completed=done, total=total)
        )
    console.print(f"wrote {made.lines:,} lines of {made.people:,} people and {made.bots} bots to {folder}")
    return folder


def _next_steps(days: DayRange, source: str) -> str:
    example = "throughline explain user u-116850" if source == "demo" else "throughline explain user ID"
    return f"""
[bold]Next[/] (in this folder, with .venv/bin on the PATH or before the command)
  throughline query "SELECT * FROM tag_audience ORDER BY expected_user_count DESC LIMIT 10"
  {example}   the evidence for a profile
  throughline explain day {days.last}   what became of a day's lines
  throughline doctor   check the installation
  make down   stop Airflow, Spark and PostgreSQL; `make up` starts Airflow again
"""


HORIZONS_DAYS = (7, 1)  # between them the weekday would matter, and the windows of a week would not be full


def training_days(horizon_days: int) -> int:
    """Return how many days of history a training needs; tests/contract compares it with model/data/cutoffs.py."""
    return 1 + 3 * horizon_days


def choose_horizon(history_days: int) -> int:
    """Return the longest usual horizon for which a training has enough days, in days; the shortest if there is none."""
    return next((days for days in HORIZONS_DAYS if training_days(days) <= history_days), HORIZONS_DAYS[-1])


def keep_horizon(history: DayRange, settings: Settings, console: Console) -> Settings:
    """Choose a horizon for the days before the nights, keep it in settings.toml, and return the settings with it.

    A horizon that is set already stays.
    """
    count = sum(1 for _ in history)
    if "horizon_days" in settings.model_fields_set:
        console.print(f"horizon: {days_in_words(settings.horizon_days)}, as set")
        return settings
    chosen = choose_horizon(count)
    file = settings.home / "settings.toml"
    others = file.read_text(encoding="utf-8") if file.is_file() else ""
    file.write_text(f"horizon_days = {chosen}\n{others}", encoding="utf-8")  # before any table of the file
    os.environ[f"{PREFIX}HORIZON_DAYS"] = str(chosen)  # steps in this process have set it to the default
    longest = HORIZONS_DAYS[0]
    why = f"a training for {days_in_words(longest)} needs {training_days(longest)} days, and there are {count}"
    console.print(
        f"horizon: {days_in_words(chosen)}{'' if chosen == longest else f', since {why}'}; kept in {file}",
        soft_wrap=True,
    )
    return load_settings()
