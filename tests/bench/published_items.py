"""`make bench published_items`: the published top items of a day, read back by SQL, against simple rankings.

The truth are the items that users touched in the horizon after the day. The rankings are computed from the sessions of
the home: popular items, own items by decayed counts filled up by popular ones, similar sessions (V-SKNN), and items
that follow the last ones (a linear map). Their settings are the best on the judged window itself.

python -m tests.bench.published_items --as-of 2026-01-27    (of the home in THROUGHLINE_HOME)

Shape letters: U users, N events with an item, V items, K listed items (a user's together, best first), P pairs.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyiceberg.catalog import load_catalog

from model.baselines.interactions import Interactions
from model.baselines.transition import Bag, TransitionSettings, fit_transition
from model.baselines.vsknn import VsknnSettings, fit_vsknn
from model.data.arrays import Floats, Ints, Texts, sum_by_group, top
from model.metrics import RankedHits, mean_of_users, paired_difference
from pipeline.analyst.query import query
from pipeline.local.spark_config import CATALOG, pyiceberg_properties
from pipeline.settings import Settings
from tests.bench.machine import machine

RESULTS = Path(__file__).with_name("results")
LISTED = 10
HALF_LIVES_DAYS = (1.0, 2.0, 4.0, 7.0, 14.0, 28.0)
MOST_ITEMS_OF_A_MAP = 5_000  # its fit takes the square of them
CELLS_AT_ONCE = 4_000_000  # scores held in memory
# The newest profile of each user by the end of the day, as an analyst would have read it then.
TOP_ITEMS = """
    SELECT user_id, horizon_days, entry.place, entry.item.item_id AS item, entry.item.score AS score
    FROM (SELECT * FROM profiles WHERE as_of <= DATE '{as_of}'
          QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY as_of DESC) = 1)
    CROSS JOIN (SELECT unnest(range(1, 11)) AS place) AS places
    CROSS JOIN LATERAL (SELECT places.place AS place, top_items[places.place] AS item) AS entry
    WHERE entry.item IS NOT NULL"""
# Events with an item of a user's sessions. An item of two id spaces counts as one: a log of one source has one space.
TOUCHES = """
    SELECT user_id, session_id, event.event_at AS event_at, event.item_id AS item,
           (epoch(TIMESTAMP '{end}') - epoch(event.event_at)) / 86400 AS age_days
    FROM (SELECT user_id, session_id, unnest(events) AS event FROM sessions WHERE is_counted)
    WHERE event.item_id IS NOT NULL AND event.event_at < TIMESTAMP '{end}' + INTERVAL {horizon_days} DAY
      AND (event.arrival_day <= DATE '{as_of}' OR event.event_at >= TIMESTAMP '{end}')"""


@dataclass(frozen=True, eq=False)
class ItemTruth:
    """What users did with items by the end of a day, and which items they touched in the horizon after it."""

    user_id_U: Texts  # sorted
    item_V: Texts  # sorted
    before: Interactions
    age_days_N: Floats
    touched_P: Ints  # user * items + item, rising

    @property
    def items(self) -> int:
        return len(self.item_V)

    def values(self, user_K: Ints, item_K: Ints, score_K: Floats) -> dict[str, Floats]:
        """Return the metrics of each user; nan for a user who touched no item."""
        touched_U = np.bincount(self.touched_P // self.items, minlength=len(self.user_id_U))
        is_hit_K = np.isin(user_K * self.items + item_K, self.touched_P)
        ranked = RankedHits.of_pairs(user_K, score_K, item_K, is_hit_K, touched_U)
        return {"ndcg_at_10": ranked.ndcg_U(LISTED), "recall_at_10": ranked.recall_U(LISTED)}


def truth_of(touches: pa.Table, user_id_U: Texts) -> ItemTruth:
    """touches: columns of TOUCHES. user_id_U: sorted; who is judged. The other users' events count for rankings."""
    all_users = np.unique(np.concatenate([touches["user_id"].to_numpy(zero_copy_only=False), user_id_U]))
    rows = touches.sort_by([("user_id", "ascending"), ("event_at", "ascending"), ("item", "ascending")])
    item_V, item_N = np.unique(rows["item"].to_numpy(zero_copy_only=False), return_inverse=True)
    age_days_N = rows["age_days"].to_numpy()
    user_N = np.searchsorted(all_users, rows["user_id"].to_numpy(zero_copy_only=False))
    session_id, session_N = np.unique(rows["session_id"].to_numpy(zero_copy_only=False), return_inverse=True)
    first_N = np.full(len(session_id), len(rows))
    np.minimum.at(first_N, session_N, np.arange(len(rows)))  # ids of sessions in order of time within a user
    before = Interactions(
        users=len(all_users),
        items=len(item_V),
        user_N=user_N,
        item_N=item_N,
        at_N=np.asarray(rows["event_at"].cast(pa.int64())),
        session_N=first_N[session_N],
    )
    code_U = np.searchsorted(all_users, user_id_U)
    judged = np.full(len(all_users), -1)
    judged[code_U] = np.arange(len(user_id_U))
    is_after_N = (age_days_N <= 0) & (judged[user_N] >= 0)
    touched_P = np.unique(judged[user_N[is_after_N]] * len(item_V) + item_N[is_after_N])
    is_before_N = age_days_N > 0
    return ItemTruth(user_id_U, item_V, before.of_events(is_before_N), age_days_N[is_before_N], touched_P)


def rankings(truth: ItemTruth, user_code_U: Ints) -> Iterator[tuple[str, dict[str, Floats]]]:
    """Yield each simple ranking with its metrics. user_code_U: of the judged users among all."""
    before, items, users = truth.before, truth.items, len(user_code_U)
    judged = np.full(before.users, -1)
    judged[user_code_U] = np.arange(users)
    user_N = judged[before.user_N]
    is_judged_N = user_N >= 0
    for half_life_days in HALF_LIVES_DAYS:
        weight_N = 0.5 ** (truth.age_days_N / half_life_days)
        popularity_V = sum_by_group(weight_N, before.item_N, items)
        popular = np.argsort(-popularity_V, kind="stable")[:LISTED]
        everyone, of_all = np.repeat(np.arange(users), len(popular)), np.tile(popular, users)
        yield f"popular items, {half_life_days:g} days", truth.values(everyone, of_all, popularity_V[of_all])
        key_P, pair_N = np.unique(user_N[is_judged_N] * items + before.item_N[is_judged_N], return_inverse=True)
        count_P = sum_by_group(weight_N[is_judged_N], pair_N, len(key_P))
        filled = np.setdiff1d(everyone * items + of_all, key_P)
        below_own = popularity_V[filled % items] / max(popularity_V.max(), 1.0) - 2.0
        all_P, score_P = np.concatenate([key_P, filled]), np.concatenate([count_P, below_own])
        chosen = top(LISTED, all_P // items, score_P, all_P % items)
        best = (all_P[chosen] // items, all_P[chosen] % items, score_P[chosen])
        yield f"own items, {half_life_days:g} days", truth.values(*best)
    for neighbours, reminder, idf in product((100, 500), (0.0, 0.5), (0.0, 1.0)):
        settings = VsknnSettings(neighbours, 1000, 50, 30, 0.5, idf, reminder, 0.95)
        listed = _best_of(fit_vsknn(before, settings), before, judged)
        yield f"similar sessions, {neighbours} {reminder:g} {idf:g}", truth.values(*listed)
    for fading in (0.8, 0.95) if items <= MOST_ITEMS_OF_A_MAP else ():
        settings_of_map = TransitionSettings((Bag(fading, 50),))
        yield (
            f"following items, {fading:g}",
            truth.values(*_best_of(fit_transition(before, settings_of_map), before, judged)),
        )


def _best_of(ranker: Any, before: Interactions, judged: Ints) -> tuple[Ints, Ints, Floats]:
    users, codes, scores, first = [], [], [], 0
    for batch in before.batches(max(1, CELLS_AT_ONCE // before.items)):
        scores_BV = np.asarray(ranker.scores_BV(batch))
        item_BK = np.argsort(-scores_BV, axis=1, kind="stable")[:, :LISTED]
        users.append(np.repeat(judged[first : first + batch.users], item_BK.shape[1]))
        codes.append(item_BK.ravel())
        scores.append(np.take_along_axis(scores_BV, item_BK, axis=1).ravel())
        first += batch.users
    user_K, item_K, score_K = np.concatenate(users), np.concatenate(codes), np.concatenate(scores)
    return user_K[user_K >= 0], item_K[user_K >= 0], score_K[user_K >= 0]


def judge(published: pa.Table, touches: pa.Table) -> dict[str, Any]:
    """Return the figures of published items and of the best simple ranking of each kind. Columns as in TOP_ITEMS and
    TOUCHES."""
    user_id_U, user_K = np.unique(published["user_id"].to_numpy(zero_copy_only=False), return_inverse=True)
    truth = truth_of(touches, user_id_U)
    item = published["item"].to_numpy(zero_copy_only=False)
    code_K = np.minimum(np.searchsorted(truth.item_V, item), truth.items - 1)
    is_known_K = truth.item_V[code_K] == item
    order_K = np.lexsort((published["place"].to_numpy(), user_K))
    order_K = order_K[is_known_K[order_K]]
    found = truth.values(user_K[order_K], code_K[order_K], -published["place"].to_numpy()[order_K].astype(float))
    all_users = np.unique(np.concatenate([touches["user_id"].to_numpy(zero_copy_only=False), user_id_U]))
    best: dict[str, tuple[str, dict[str, Floats]]] = {}
    for name, values in rankings(truth, np.searchsorted(all_users, user_id_U)):
        kind = name.partition(",")[0]
        if kind not in best or np.nanmean(values["ndcg_at_10"]) > np.nanmean(best[kind][1]["ndcg_at_10"]):
            best[kind] = (name, values)
    return {
        "users": len(user_id_U),
        "users_who_touched_an_item": len(np.unique(truth.touched_P // truth.items)),
        "published": {metric: asdict(mean_of_users(value_U)) for metric, value_U in found.items()},
        "rankings": {
            name: {
                metric: {
                    "value": asdict(mean_of_users(values[metric])),
                    "difference": asdict(paired_difference(found[metric], values[metric])),
                }
                for metric in found
            }
            for name, values in best.values()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="the day of the profiles")
    as_of = parser.parse_args().as_of
    catalog = load_catalog(CATALOG, **pyiceberg_properties(Settings()))
    published = query(TOP_ITEMS.format(as_of=as_of), catalog)
    [horizon_days] = published["horizon_days"].unique().to_pylist()
    end = as_of + timedelta(days=1)
    touches = query(TOUCHES.format(as_of=as_of, end=end, horizon_days=horizon_days), catalog)
    result = {"as_of": str(as_of), "horizon_days": horizon_days, **judge(published, touches), "machine": machine()}
    (RESULTS / "published_items.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "machine"}, indent=1))


if __name__ == "__main__":
    main()
