"""The horizon of a demo: a week if the log is long enough to train for it, else a day."""

import os

from rich.console import Console

from pipeline.days import DayRange, days_in_words
from pipeline.settings import PREFIX, Settings, load_settings

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
