"""What a run changed in the profiles, in one row: whom it scored, by which model, and how far the tags moved."""

from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.days import DayRange

VERSION_DAY = "[.]([0-9]{8})"  # of a trained model, such as boosting-1.20260131; built-in models have none


def model_output(profiles: DataFrame, sequences: DataFrame, before: DataFrame, days: DayRange) -> DataFrame:
    """Return one row for the suite `model_output`.

    - `as_of`: the last day of the run
    - `scored_count`, `missing_count`: users with new events on a day, with and without a profile of that day. Others
      are scored by turns, or all at the end of a range, so their number says nothing.
    - `count_before`: users with new events on these days in the release before
    - `model_age_days`: days from the end of training and calibration to `as_of`; null for a built-in model
    - `common_user_count`, `tag_drift`: users scored on `as_of` and on the day before, and the total variation distance
      between the shares of their tags, weighed by affinity, on these days: 0 is the same, 1 is all other tags

    profiles, sequences: the tables as the run wrote them. before: `sequences` in the release before.
    """
    key = ["user_id", "as_of"]
    is_of_run = F.col("as_of").between(days.first, days.last)
    scored = profiles.where(is_of_run)
    with_news = sequences.where(is_of_run).select(*key)
    found = with_news.join(scored.select(*key, F.lit(True).alias("is_scored")), key, "left")
    trained = F.to_date(F.regexp_extract("model_version", VERSION_DAY, 1), "yyyyMMdd")
    age = F.max(F.when(F.col("as_of") == days.last, F.date_diff(F.lit(days.last), trained)))
    return (
        found.agg(
            F.count_if("is_scored").alias("scored_count"),
            F.count_if(F.col("is_scored").isNull()).alias("missing_count"),
        )
        .crossJoin(scored.agg(age.alias("model_age_days")))
        .crossJoin(before.where(is_of_run).agg(F.count("*").alias("count_before")))
        .crossJoin(_drift(profiles, days.last))
        .withColumn("as_of", F.lit(days.last))
    )


def _drift(profiles: DataFrame, last: date) -> DataFrame:
    """Return one row: `common_user_count` and `tag_drift`."""
    now = profiles.where(F.col("as_of") == last).select("user_id", "interests")
    day_before = profiles.where(F.col("as_of") == last - timedelta(days=1))
    both = now.join(day_before.select("user_id", F.col("interests").alias("interests_before")), "user_id")
    of_tag = both.select(F.explode("interests").alias("one"), F.lit(True).alias("is_now")).unionAll(
        both.select(F.explode("interests_before"), F.lit(False))
    )
    sums = of_tag.groupBy("one.tag").agg(
        *[
            F.sum(F.when(F.col("is_now") == is_now, F.col("one.affinity")).otherwise(0.0)).alias(name)
            for name, is_now in (("now", True), ("before", False))
        ]
    )
    totals = sums.agg(F.sum("now").alias("all_now"), F.sum("before").alias("all_before"))
    shares = sums.crossJoin(totals).select(
        F.abs(F.col("now") / F.col("all_now") - F.col("before") / F.col("all_before"))
    )
    drift = shares.toDF("distance").agg((F.sum("distance") / 2).alias("tag_drift"))
    return both.agg(F.count("*").alias("common_user_count")).crossJoin(drift)
