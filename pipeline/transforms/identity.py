"""Ids of users, devices, events, sessions and items: one text for one id, and null for a placeholder."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from pipeline.sources.rules import Identity
from pipeline.sources.vocabulary import NO_PERSON, NO_VALUES, ZEROS

# One of these as a user would merge all of its visitors into one person. Source: PostHog's list of ids that identify no
# person.
PLACEHOLDERS = frozenset(
    {*NO_VALUES, *NO_PERSON, "anon", "guest", "not_authenticated", "distinct_id", "distinctid", "true", "false"}
)
WHOLE_NUMBER = r"^(-?[0-9]+)[.]0+$"


def id_text(value: Column) -> Column:
    """Return the text of an id, trimmed, null if empty; a whole number has its digits only, whatever type it came in.

    A column of a data frame with a missing value turns 9001 into 9001.0: both are one id.
    """
    is_floating = F.typeof(value).isin("double", "float")
    # Spark writes a large double with an exponent.
    digits = F.when(is_floating, value.cast("decimal(38,6)").cast("string")).otherwise(value.cast("string"))
    return F.nullif(F.regexp_replace(F.trim(digits), WHOLE_NUMBER, "$1"), F.lit(""))


def without_placeholders(text: Column, identity: Identity) -> Column:
    """Return an id, null where it is a placeholder by the rules of the source."""
    texts = PLACEHOLDERS if identity.placeholders else frozenset()
    texts |= {one.strip().lower() for one in identity.more_placeholders}
    if not texts:
        return text
    is_placeholder = F.lower(text).isin(sorted(texts))
    if identity.placeholders:
        is_placeholder |= text.rlike(f"^{ZEROS}$")
    return F.when(~is_placeholder, text)


def item_without_placeholders(text: Column, identity: Identity) -> Column:
    """Return the id of an item, null where it is a text for no value; as an item it would stand for all without one.

    An item may well have the number 0.
    """
    return F.when(~F.lower(text).isin(*NO_VALUES), text) if identity.placeholders else text


def named_tags(tags: Column) -> Column:
    """Return tags, trimmed, each once, without texts for no value; an empty list for null."""
    trimmed = F.transform(tags, lambda tag: F.trim(tag))
    named = F.filter(trimmed, lambda tag: ~F.lower(tag).isin(*NO_VALUES))
    return F.coalesce(F.array_distinct(named), F.array().cast("array<string>"))


def fingerprint_id() -> Column:
    """Return an event id for an event without one: lines that say the same of an event are copies of it.

    All but the times of sending and receipt counts, since a copy may be sent again later. Without a time of its own
    creation, the event time counts.

    The row needs the canonical columns of `pipeline.transforms.canonical`, under pseudonyms.
    """
    at = F.unix_micros(F.coalesce("created_at", "event_at"))
    said = ("user_id", "device_id", "session_key", "event_type", "item_id", "sequence", "dwell_seconds", "url",
            "referrer", "user_agent", "ip", "consent", "part")  # fmt: skip
    parts = [F.coalesce(part.cast("string"), F.lit("")) for part in (at, *[F.col(name) for name in said])]
    tags = F.array_join("tags", "\x1e")
    return F.substring(F.sha2(F.concat_ws("\x1f", *parts, tags), 256), 1, 32)
