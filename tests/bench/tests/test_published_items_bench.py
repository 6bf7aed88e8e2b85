"""The bench of published items: figures of lists that are right, and of simple rankings, on a log of three users."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tests.bench.published_items import judge

END = datetime(2026, 2, 1, tzinfo=UTC)
# user, session, item, days before the end of the day; the negative ones are the truth
TOUCHES = [
    ("ann", "s1", "tea", 3.0), ("ann", "s1", "pot", 2.9), ("ann", "s2", "tea", -1.0), ("ann", "s2", "mug", -2.0),
    ("bob", "s3", "pot", 5.0), ("bob", "s4", "pot", -3.0),
    ("cem", "s5", "tea", 1.0), ("cem", "s5", "mug", 0.9),
]  # fmt: skip


def table(lists: dict[str, list[str]]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"user_id": user, "horizon_days": 7, "place": place, "item": item, "score": 1 / place}
            for user, items in lists.items()
            for place, item in enumerate(items, 1)
        ]
    )


@pytest.fixture
def touches() -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"user_id": user, "session_id": session, "event_at": END - timedelta(days=age), "item": item,
             "age_days": age}
            for user, session, item, age in TOUCHES
        ]
    )  # fmt: skip


def test_right_lists_have_full_marks_and_lead_the_rankings(touches: pa.Table) -> None:
    judged = judge(table({"ann": ["tea", "mug"], "bob": ["pot"], "cem": ["tea"]}), touches)
    assert judged["users"] == 3 and judged["users_who_touched_an_item"] == 2
    assert judged["published"]["ndcg_at_10"]["mean"] == pytest.approx(1)
    assert judged["published"]["recall_at_10"]["mean"] == pytest.approx(1)
    kinds = {name.partition(",")[0] for name in judged["rankings"]}
    assert kinds == {"popular items", "own items", "similar sessions", "following items"}
    [popular] = [one for name, one in judged["rankings"].items() if name.startswith("popular")]
    assert popular["ndcg_at_10"]["difference"]["mean"] > 0, "bob's item is not the most popular one"


def test_an_unknown_item_is_a_miss_and_the_order_counts(touches: pa.Table) -> None:
    right = judge(table({"ann": ["tea", "mug"], "bob": ["pot"]}), touches)["published"]["ndcg_at_10"]["mean"]
    late = judge(table({"ann": ["pot", "tea", "mug"], "bob": ["pot"]}), touches)["published"]["ndcg_at_10"]["mean"]
    lost = judge(table({"ann": ["never seen", "tea"], "bob": ["pot"]}), touches)["published"]["recall_at_10"]["mean"]
    assert late < right == pytest.approx(1)
    assert lost == pytest.approx((1 / 2 + 1) / 2)
