"""Bots: which users were bots on which day, by their user agents and by their behaviour."""

from dataclasses import dataclass
from functools import cache

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.transforms.log_size import broadcast_if_small

VERSION = "bots-1"


@dataclass(frozen=True)
class BotRules:
    """Thresholds above which behaviour is not human. Each rule needs many events, so a short visit is never classed."""

    events_in_one_hour: int = 600
    regular_from_events: int = 100
    regular_below_variation: float = 0.2  # coefficient of variation of the gaps; people are above 1
    hours_active_in_a_day: int = 21
    hours_active_from_events: int = 200


@cache
def declared_pattern() -> str:
    """Return one regular expression that matches the user agents of declared bots.

    Source: the maintained list of the package `crawler-user-agents`.
    """
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    return "|".join(f"(?:{entry['pattern']})" for entry in CRAWLER_USER_AGENTS_DATA)


def with_declared_bots(events: DataFrame) -> DataFrame:
    """Add `is_declared`: whether the user agent of the event is that of a declared bot.

    The pattern has over a thousand branches, so it is matched once per distinct user agent, not per event.

    events: one row per event; needs `user_agent`.
    """
    # The checkpoint keeps Spark from pushing the match below `distinct`, to every event.
    agents = events.select("user_agent").where("user_agent IS NOT NULL").distinct().localCheckpoint()
    bots = agents.where(F.col("user_agent").rlike(declared_pattern())).withColumn("is_bot", F.lit(True))
    known = events.join(F.broadcast(bots), "user_agent", "left")
    return known.withColumn("is_declared", F.coalesce("is_bot", F.lit(False))).drop("is_bot")


def find_bots(events: DataFrame, rules: BotRules) -> DataFrame:
    """Return one row per user and known_on that is a bot: `bot_class` (declared, behavioural) and `bot_evidence`.

    Only events of that `known_on` count, so later events never change a class.

    events: one row per event; needs `user_id`, `known_on`, `event_at`, `is_declared` (see `with_declared_bots`).
    """
    # Each behavioural rule needs many events, which few users have in a day.
    fewest = min(rules.events_in_one_hour, rules.regular_from_events, rules.hours_active_from_events)
    busy = events.groupBy("user_id", "known_on").agg(F.count("*").alias("n"), F.max("is_declared").alias("named"))
    suspects = broadcast_if_small(busy.where((F.col("n") >= fewest) | F.col("named")).select("user_id", "known_on"))
    events = events.join(suspects, ["user_id", "known_on"], "left_semi")
    in_time = Window.partitionBy("user_id", "known_on").orderBy("event_at")
    gap_seconds = (F.unix_micros("event_at") - F.lag(F.unix_micros("event_at")).over(in_time)) / 1e6
    hours = events.withColumns({"gap_seconds": gap_seconds, "hour": F.date_trunc("hour", "event_at")})
    by_hour = hours.groupBy("user_id", "known_on", "hour").agg(
        F.count("*").alias("events"),
        F.count("gap_seconds").alias("gaps"),
        F.sum("gap_seconds").alias("gap_sum"),
        F.sum(F.col("gap_seconds") * F.col("gap_seconds")).alias("gap_square_sum"),
        F.max("is_declared").alias("is_declared"),
    )
    days = by_hour.groupBy("user_id", "known_on").agg(
        F.sum("events").alias("events"),
        F.max("events").alias("busiest"),
        F.count("*").alias("hours"),
        F.max("is_declared").alias("is_declared"),
        F.sum("gaps").alias("gaps"),
        F.sum("gap_sum").alias("gap_sum"),
        F.sum("gap_square_sum").alias("gap_square_sum"),
    )
    mean = F.try_divide("gap_sum", "gaps")
    deviation = F.sqrt(F.greatest(F.try_divide("gap_square_sum", "gaps") - mean * mean, F.lit(0.0)))
    variation = F.try_divide(deviation, mean)
    evidence = (
        F.when(F.col("is_declared"), F.lit(f"{VERSION}: the user agent names a robot"))
        .when(F.col("busiest") >= rules.events_in_one_hour, _evidence("busiest", "events in one hour"))
        .when(
            (F.col("events") >= rules.regular_from_events) & (variation < rules.regular_below_variation),
            F.concat(F.lit(f"{VERSION}: gaps vary by only "), F.round(variation, 2), F.lit(" of their mean")),
        )
        .when(
            (F.col("events") >= rules.hours_active_from_events) & (F.col("hours") >= rules.hours_active_in_a_day),
            _evidence("hours", "hours of one day active"),
        )
    )
    bot_class = F.when(F.col("is_declared"), "declared").otherwise("behavioural")
    classed = days.select("user_id", "known_on", bot_class.alias("bot_class"), evidence.alias("bot_evidence"))
    return classed.where("bot_evidence IS NOT NULL")


def _evidence(column: str, unit: str) -> Column:
    return F.concat(F.lit(f"{VERSION}: "), F.col(column).cast("string"), F.lit(f" {unit}"))
