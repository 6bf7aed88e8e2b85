"""Clusters of Taobao's items, trained without its categories: they agree with the categories better than by chance."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import functions as F
from sklearn.metrics import normalized_mutual_info_score

from pipeline.sources.schema import load_source, source_file
from pipeline.transforms.canonical import canonical_lines
from pipeline.transforms.item_clusters import item_clusters
from pipeline.transforms.sessions import Rules, sessionize

LINES = "source STRING, arrival_day DATE, file STRING, line BIGINT, text STRING, header STRING"
THROUGH = date(2017, 12, 4)


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_clusters_agree_with_categories_beyond_chance(real_data: Path, frame_of) -> None:
    source = load_source(source_file("taobao"))
    texts = (real_data / "taobao" / "UserBehavior.csv").read_text(encoding="utf-8").splitlines()[:-1]
    alike = {"source": "taobao", "arrival_day": THROUGH, "file": "log"}
    lines = frame_of([{**alike, "line": number, "text": text} for number, text in enumerate(texts, 1)], LINES)
    events = canonical_lines(lines, source).withColumns(
        {
            "event_id": F.format_string("%06d", "line"),
            "session_key": F.lit(None).cast("string"),
            "is_counted": F.lit(True),
        }
    )
    cut = sessionize(events, Rules.of({"taobao": source})).localCheckpoint()
    in_order = F.array_sort(F.collect_list(F.struct("event_at", "event_id", "arrival_day", "item_id")))
    sessions = cut.groupBy("session_id", "is_counted").agg(F.min("event_at").alias("started_at"),
                                                           in_order.alias("events"))  # fmt: skip
    categories = {row.item_id: row.category for row in
                  cut.groupBy("item_id").agg(F.max(F.col("tags")[0]).alias("category")).collect()}  # fmt: skip

    no_titles, none_before = frame_of([], "item_id STRING, title STRING"), frame_of([], "item_id STRING, tag STRING")
    found = item_clusters(sessions, no_titles, none_before, THROUGH, 50, 5).collect()
    known, clusters = [categories[row.item_id] for row in found], np.array([row.cluster for row in found])
    random = np.random.default_rng(1)
    by_chance = max(normalized_mutual_info_score(known, random.permutation(clusters)) for _ in range(20))
    agreement = normalized_mutual_info_score(known, clusters)
    print(f"{len(found)} items: mutual information with categories {agreement:.3f}, by chance up to {by_chance:.3f}")
    assert agreement >= by_chance + 0.05
