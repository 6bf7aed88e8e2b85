"""`make bench published`: the published profiles of some days, read back by SQL, against decayed counts.

The truth are the tags that users touched in the horizon after the day, by the events of the home. Decayed counts are
computed from the events too, by no code of the models: own tags by counts, filled up by popularity. Their half-life is
the best one on the judged windows themselves, for each metric. So a lead over them is a lead over each half-life.
Several days are judged together: a user counts once, with the mean over the days after which the user touched a tag.

With `--truth`, the file of that name beside a demo's log, also by the interests that the generator gave each person:
how many of min(3, n) are among the first three. Only people with ten events in two weeks count.

python -m tests.bench.published --as-of 2017-12-01 [2017-11-30 ...]    (of the home in THROUGHLINE_HOME)

Shape letters: U users, P pairs of user and tag, M touches, T tags.
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog

from model.data.arrays import Bools, Floats, Ints, Texts, sum_by_group, top
from model.metrics import RankedHits, expected_calibration_error, mean_of_users, paired_difference
from pipeline.analyst.query import query
from pipeline.local.spark_config import CATALOG, pyiceberg_properties
from pipeline.pseudonyms import pseudonym, pseudonym_key
from pipeline.settings import Settings
from tests.bench.machine import machine

RESULTS = Path(__file__).with_name("results")
HALF_LIVES_DAYS = (0.25, 0.5, 1.0, 2.0, 4.0, 7.0, 14.0, 28.0)
HALF_LIFE_OF_POPULARITY_DAYS = 7.0
PUBLISHED, POPULAR = 10, 20
DEMO = "demo"  # the id space of the demo's users
METRICS = ("ndcg_at_10", "f1_at_5")
PLANTED = "planted_at_3"
RECENT_DAYS, FEWEST_EVENTS = 14, 10
Values = Mapping[str, Floats]  # by metric, one of each user, nan for a user who touched no tag in the window
# The newest profile of each user by the end of the day, as an analyst would have read it then.
INTERESTS = """
    SELECT user_id, horizon_days, model_version, entry.interest.tag AS tag, entry.interest.affinity AS affinity
    FROM (SELECT * FROM profiles WHERE as_of <= DATE '{as_of}'
          QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY as_of DESC) = 1)
    CROSS JOIN unnest(interests) AS entry (interest)"""
TOUCHES = """
    SELECT user_id, unnest(tags) AS tag, weight, known_on <= DATE '{as_of}' AS is_known,
           (epoch(TIMESTAMP '{end}') - epoch(event_at)) / 86400 AS age_days
    FROM events WHERE event_at < TIMESTAMP '{end}' + INTERVAL {horizon_days} DAY"""
ACTIVE = """
    SELECT user_id FROM events
    WHERE event_at < TIMESTAMP '{end}' AND event_at >= TIMESTAMP '{end}' - INTERVAL {recent_days} DAY
    GROUP BY user_id HAVING count(*) >= {fewest_events}"""
Planted = Mapping[str, frozenset[str]]  # the true interests of active users, by user id


@dataclass(frozen=True, eq=False)
class Window:
    """What users did before a day was over, and which tags they touched in the horizon after it."""

    users: int
    tag_T: Texts
    user_M: Ints  # of the touches before the end of the day
    tag_M: Ints
    weight_M: Floats
    age_days_M: Floats
    touched_P: Ints  # user * tags + tag, rising
    touched_U: Ints
    planted_P: Ints  # user * tags + tag, rising; empty without a truth

    def values(self, user_P: Ints, tag_P: Ints, score_P: Floats) -> Values:
        """Return the metrics of a ranking of ten tags at most for each user; equal scores stand by name of the tag."""
        best = top(PUBLISHED, user_P, score_P, tag_P)
        user_P, tag_P, score_P = user_P[best], tag_P[best], score_P[best]
        hits = RankedHits.of_pairs(user_P, score_P, tag_P, self.is_touched(user_P, tag_P), self.touched_U)
        values = {"ndcg_at_10": hits.ndcg_U(10), "f1_at_5": hits.f1_U(5), PLANTED: self._planted_U(user_P, tag_P)}
        return {metric: value_U for metric, value_U in values.items() if not np.isnan(value_U).all()}

    def _planted_U(self, user_P: Ints, tag_P: Ints) -> Floats:
        """Return the recall of min(3, n) true interests in the first three; user_P, tag_P: best first by user."""
        first_P = np.searchsorted(user_P, user_P)
        is_shown_P = np.arange(len(user_P)) - first_P < 3
        is_found_P = np.isin(user_P * len(self.tag_T) + tag_P, self.planted_P) & is_shown_P
        found_U = np.bincount(user_P[is_found_P], minlength=self.users)
        planted_U = np.bincount(self.planted_P // max(len(self.tag_T), 1), minlength=self.users)
        return np.where(planted_U > 0, found_U / np.clip(planted_U, 1, 3), np.nan)

    def is_touched(self, user_P: Ints, tag_P: Ints) -> Bools:
        return np.isin(user_P * len(self.tag_T) + tag_P, self.touched_P)

    def decayed_counts(self, half_life_days: float) -> Values:
        tags = len(self.tag_T)
        key_P, pair_M = np.unique(self.user_M * tags + self.tag_M, return_inverse=True)
        count_P = sum_by_group(self.weight_M * 0.5 ** (self.age_days_M / half_life_days), pair_M, len(key_P))
        newest_P = np.zeros(len(key_P))
        np.maximum.at(newest_P, pair_M, 0.5 ** (self.age_days_M / HALF_LIFE_OF_POPULARITY_DAYS))
        popularity_T = sum_by_group(newest_P, key_P % tags, tags)
        popular = np.argsort(-popularity_T, kind="stable")[:POPULAR]
        filled = np.setdiff1d((np.arange(self.users)[:, None] * tags + popular).ravel(), key_P)
        below_own = popularity_T[filled % tags] / max(popularity_T.max(initial=0.0), 1.0) - 2.0
        all_P = np.concatenate([key_P, filled])
        return self.values(all_P // tags, all_P % tags, np.concatenate([count_P, below_own]))


NO_TRUTH: Planted = {}


def planted_on(day: date, truth: Path, pseudonym_of: Callable[[str], str], active: frozenset[str]) -> Planted:
    """Return the interests that a demo's generator gave to the people among the active users on a day."""
    people = [one for one in map(json.loads, truth.read_text("utf-8").splitlines()) if not one["is_bot"]]
    ids = {one["user"]: pseudonym_of(one["user"]) for one in people}
    return {
        ids[one["user"]]: frozenset(
            each["tag"] for each in one["history"] if (each["from"] or str(day)) <= str(day) <= (each["to"] or str(day))
        )
        for one in people
        if ids[one["user"]] in active
    }


def window_of(touches: pa.Table, user_id_U: Texts, planted: Planted = NO_TRUTH) -> Window:
    """Return the window of some users, in the order of `user_id_U`, which is sorted; its tags are those of all users.

    touches: columns of TOUCHES.
    """
    tag_T = np.unique(touches["tag"].to_numpy(zero_copy_only=False))
    users = touches["user_id"].to_numpy(zero_copy_only=False)
    touches = touches.filter(pa.array(np.isin(users.astype(str), user_id_U.astype(str))))
    user_M = np.searchsorted(user_id_U, touches["user_id"].to_numpy(zero_copy_only=False))
    tag_M = np.searchsorted(tag_T, touches["tag"].to_numpy(zero_copy_only=False))
    age_days_M = touches["age_days"].to_numpy()
    is_before_M = (age_days_M > 0) & touches["is_known"].to_numpy(zero_copy_only=False)
    touched_P = np.unique((user_M * len(tag_T) + tag_M)[age_days_M <= 0])
    code_of = {str(tag): code for code, tag in enumerate(tag_T)}
    # A true interest without any touch has no code, and no model can find it.
    wanted = [
        user * len(tag_T) + code_of[tag]
        for user, user_id in enumerate(user_id_U)
        for tag in planted.get(str(user_id), ())
        if tag in code_of
    ]
    return Window(
        users=len(user_id_U),
        tag_T=tag_T,
        user_M=user_M[is_before_M],
        tag_M=tag_M[is_before_M],
        weight_M=touches["weight"].to_numpy()[is_before_M],
        age_days_M=age_days_M[is_before_M],
        touched_P=touched_P,
        touched_U=np.bincount(touched_P // max(len(tag_T), 1), minlength=len(user_id_U)),
        planted_P=np.array(sorted(wanted), np.int64),
    )


@dataclass(frozen=True, eq=False)
class Day:
    """What was published by the end of a day, and what users did. Columns as in INTERESTS and TOUCHES."""

    interests: pa.Table
    touches: pa.Table
    planted: Planted = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class JudgedDay:
    """The figures of a day's users; `published` and `counts`, by half-life, hold the values of each metric."""

    user_id_U: Texts
    touched_U: Ints
    published: Values
    counts: Mapping[float, Values]
    affinity_P: Floats
    is_touched_P: Bools


def judged_day(day: Day) -> JudgedDay:
    """Return the figures of a day.

    Raises ValueError if a published tag is in no event, as a tag of item clusters is.
    """
    user_id_U, user_P = np.unique(day.interests["user_id"].to_numpy(zero_copy_only=False), return_inverse=True)
    window = window_of(day.touches, user_id_U, day.planted)
    tag, affinity_P = day.interests["tag"].to_numpy(zero_copy_only=False), day.interests["affinity"].to_numpy()
    unknown = sorted(set(tag) - set(window.tag_T))
    if unknown:
        raise ValueError(
            f"events have no tag {unknown[0]!r}, which profiles have: expected a log with tags of its own, not clusters"
        )
    tag_P = np.searchsorted(window.tag_T, tag)
    return JudgedDay(
        user_id_U=user_id_U,
        touched_U=window.touched_U,
        published=window.values(user_P, tag_P, affinity_P),
        counts={half_life_days: window.decayed_counts(half_life_days) for half_life_days in HALF_LIVES_DAYS},
        affinity_P=affinity_P,
        is_touched_P=window.is_touched(user_P, tag_P),
    )


def judge(days: Sequence[Day]) -> dict[str, Any]:
    """Return the figures of published interests and of decayed counts over some days together."""
    judged = [judged_day(day) for day in days]
    every_id = np.concatenate([one.user_id_U for one in judged])
    user_id_U, user_N = np.unique(every_id, return_inverse=True)

    def of_users(value_N: Floats) -> Floats:
        """Return the mean of each user over the days on which there is a value."""
        has_value_N = ~np.isnan(value_N)
        total_U = np.bincount(user_N[has_value_N], value_N[has_value_N], minlength=len(user_id_U))
        days_U = np.bincount(user_N[has_value_N], minlength=len(user_id_U))
        return np.where(days_U > 0, total_U / np.maximum(days_U, 1), np.nan)

    def pooled(of_day: Callable[[JudgedDay], Values]) -> dict[str, Floats]:
        names = dict.fromkeys(metric for one in judged for metric in of_day(one))
        parts = {name: [of_day(one).get(name, np.full(len(one.user_id_U), np.nan)) for one in judged] for name in names}
        return {name: of_users(np.concatenate(values)) for name, values in parts.items()}

    published = pooled(lambda one: one.published)
    counts = {half_life: pooled(lambda one, of=half_life: one.counts[of]) for half_life in HALF_LIVES_DAYS}
    strongest = {metric: max(counts, key=lambda days, of=metric: np.nanmean(counts[days][of])) for metric in published}
    touched_N = np.concatenate([one.touched_U for one in judged])
    affinity_P, is_touched_P = (
        np.concatenate([getattr(one, name) for one in judged]) for name in ("affinity_P", "is_touched_P")
    )
    models = Counter(name for day in days for name in day.interests["model_version"].to_pylist())
    return {
        "models": dict(models),
        "users": len(user_id_U),
        "users_who_touched_a_tag": len(np.unique(user_N[touched_N > 0])),
        # None if the log ends with the day
        "calibration_error": expected_calibration_error(affinity_P, is_touched_P) if touched_N.any() else None,
        "metrics": {
            metric: {
                "published": asdict(mean_of_users(published[metric])),
                "decayed_counts": asdict(mean_of_users(counts[strongest[metric]][metric])),
                "half_life_days": strongest[metric],
                "difference": asdict(paired_difference(published[metric], counts[strongest[metric]][metric])),
            }
            for metric in published
        },
    }


def read_day(catalog: Catalog, settings: Settings, as_of: date, truth: Path | None) -> tuple[int, Day]:
    """Return the horizon of the profiles by the end of a day, and the day.

    Raises SystemExit if they have several horizons.
    """
    interests = query(INTERESTS.format(as_of=as_of), catalog)
    horizons = interests["horizon_days"].unique().to_pylist()
    if len(horizons) != 1:
        raise SystemExit(f"profiles through {as_of} have the horizons {horizons}, expected one: choose another day")
    end = as_of + timedelta(days=1)
    touches = query(TOUCHES.format(as_of=as_of, end=end, horizon_days=horizons[0]), catalog)
    if not truth:
        return horizons[0], Day(interests, touches)
    active = query(ACTIVE.format(end=end, recent_days=RECENT_DAYS, fewest_events=FEWEST_EVENTS), catalog)
    key = pseudonym_key(settings)
    ids = frozenset(active["user_id"].to_pylist())
    return horizons[0], Day(interests, touches, planted_on(as_of, truth, lambda user: pseudonym(DEMO, user, key), ids))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    days_help = "the day of the profiles, or several, which are judged together"
    parser.add_argument("--as-of", type=date.fromisoformat, nargs="+", required=True, help=days_help)
    parser.add_argument("--truth", type=Path, help="truth.jsonl of a demo's log, such as HOME/demo-log/truth.jsonl")
    arguments = parser.parse_args()
    settings = Settings()
    catalog = load_catalog(CATALOG, **pyiceberg_properties(settings))
    read = [read_day(catalog, settings, as_of, arguments.truth) for as_of in arguments.as_of]
    result = {
        "as_of": [str(as_of) for as_of in arguments.as_of],
        "horizon_days": sorted({horizon_days for horizon_days, _ in read}),
        **judge([day for _, day in read]),
        "machine": machine(),
    }
    file = RESULTS / "published.json"
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}, indent=1))


if __name__ == "__main__":
    main()
