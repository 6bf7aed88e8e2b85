"""From landed lines to accepted events, duplicates and rejects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipeline.erasure.tombstones import with_erased
from pipeline.pseudonyms import pseudonym_key
from pipeline.settings import Settings
from pipeline.sources.schema import Source
from pipeline.transforms.bots import BotRules, find_bots, with_declared_bots
from pipeline.transforms.canonical import canonical_lines, with_reason
from pipeline.transforms.deduplicate import deduplicate
from pipeline.transforms.identity import fingerprint_id
from pipeline.transforms.items import with_catalogue_tags
from pipeline.transforms.log_size import broadcast_if_small
from pipeline.transforms.pseudonymize import kept_address, pseudonymize
from pipeline.transforms.union import behind_view, union
from pipeline.warehouse.names import EVENT_KEY


@dataclass(frozen=True)
class Cleaned:
    """The outcomes of a batch of lines. Every line is in exactly one of the first three frames.

    events: one row per new event, as `sql/ddl/events.sql`. rejects: one row per rejected line.
    copies: one row per duplicate line. With `[unfold]` a line may have several rows in each.
    filled: earlier events with columns that a copy filled.
    reclassed: earlier events whose user got another bot class on that day.
    """

    events: DataFrame
    rejects: DataFrame
    copies: DataFrame
    filled: DataFrame
    reclassed: DataFrame


def validate_sources(
    lines: Mapping[str, DataFrame],
    sources: Mapping[str, Source],
    catalogues: Sequence[DataFrame],
    settings: Settings,
) -> DataFrame:
    """Validate the lines of all sources, each by its own TOML, with the tags of the catalogues; see `validate`.

    Their texts stay in the landing zone.
    lines: landed lines by source, of at least one.
    """
    validated = union(
        [behind_view(_with_reasons(of_source, sources[name], settings)) for name, of_source in lines.items()]
    )
    # After the fingerprint, which is of what the line says: a copy may arrive when the catalogue has changed.
    hidden = with_erased(_hidden(validated.drop("text"), pseudonym_key(settings)), settings)
    return with_catalogue_tags(hidden, catalogues)


def validate(lines: DataFrame, source: Source, key: bytes, settings: Settings) -> DataFrame:
    """Return one row per event: canonical columns under pseudonyms, and `reason` and `detail` of a rejected one.

    lines: one row per landed line of one source; needs `source`, `arrival_day`, `file`, `line`, `text`, `header`.
    """
    return _hidden(_with_reasons(lines, source, settings), key)


def _with_reasons(lines: DataFrame, source: Source, settings: Settings) -> DataFrame:
    with_reasons = with_reason(canonical_lines(lines, source), source.event_types, settings.future_days)
    return with_reasons.drop("header", "problem", "rule")


def _hidden(events: DataFrame, key: bytes) -> DataFrame:
    """Replace ids by pseudonyms, and keep of addresses what `[privacy]` of the TOML says.

    An event without an id of its own gets a fingerprint of all that it says, whole addresses included.
    """
    hidden = pseudonymize(events, key).withColumn("event_id", F.coalesce("event_id", fingerprint_id()))
    addresses = {name: kept_address(F.col(name), F.col("kept_of_url")) for name in ("url", "referrer")}
    return hidden.withColumns(addresses).drop("user_space", "kept_of_url")


def clean(validated: DataFrame, known: DataFrame, first_day: date, settings: Settings) -> Cleaned:
    """Split a batch of validated lines into events, duplicates and rejects; label lateness and bots.

    validated: lines of the arrival days from `first_day` on. known: the events of earlier arrival days.
    """
    rejects = validated.where("reason IS NOT NULL").select(*EVENT_KEY, "reason", "detail")
    arrived = validated.where("reason IS NULL").drop("reason", "detail", "text")
    parts = deduplicate(arrived, known, first_day, settings.duplicate_days)

    event_on = F.to_date("event_at")
    lateness = F.greatest(F.date_diff("arrival_day", event_on), F.lit(0))
    dated = parts.owners.withColumns(
        {
            "known_on": F.greatest("arrival_day", event_on),
            "lateness_days": lateness,
            "is_late": lateness > settings.allowed_lateness_days,
        }
    )
    dated = with_declared_bots(dated)
    # Earlier events that become known only now: they are dated after their arrival day.
    waiting = known.where(F.col("known_on") >= F.lit(first_day)).withColumn(
        "is_declared", F.col("bot_class") == "declared"
    )
    columns = ["user_id", "known_on", "event_at", "is_declared"]
    classes = broadcast_if_small(find_bots(dated.select(columns).unionByName(waiting.select(columns)), BotRules()))

    day_of_user = ["user_id", "known_on"]
    classed = dated.join(classes, day_of_user, "left").withColumn("bot_class", F.coalesce("bot_class", F.lit("human")))
    events = classed.drop("user_agent", "ip", "is_declared")
    before = waiting.select(*EVENT_KEY, *day_of_user, F.col("bot_class").alias("class_before"))
    now = before.join(classes, day_of_user, "left").withColumn("bot_class", F.coalesce("bot_class", F.lit("human")))
    reclassed = now.where("bot_class != class_before").drop("class_before")
    return Cleaned(events, rejects, parts.copies, parts.filled, reclassed)
