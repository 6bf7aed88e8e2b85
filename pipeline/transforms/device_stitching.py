"""Device stitching: events before log-in belong to the user who logs in on the device.

Opt-in per source (`[devices]` of its TOML). If more users log in on a device than the source allows, the device is
shared and its events stay with the device. Events keep the pseudonym that they landed with. The owner is computed as of
a day, so that a log-in changes no day before it became known.
"""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from pipeline.sources.schema import Source
from pipeline.transforms.rows import frame_of_rows
from pipeline.transforms.sessions import is_counted

DEVICE = ("source", "device_id")
OWNERS = "source string, device_id string, owner_id string, from_on date, until_on date"


def most_users(sources: Mapping[str, Source]) -> dict[str, int]:
    """Return how many users may share a device, by source, for the sources with `[devices] join`."""
    return {name: source.devices.most_users for name, source in sources.items() if source.devices.join}


def device_users(events: DataFrame, most_users: Mapping[str, int]) -> DataFrame:
    """Return one row per device, user logged in on it, and arrival day; see `sql/ddl/device_users.sql`.

    events: one row per event; needs `source`, `device_id`, `user_id`, `arrival_day`, `known_on`, `event_at`.
    """
    is_logged_in = F.col("device_id") != F.col("user_id")
    return (
        events.where(F.col("source").isin(list(most_users)) & is_logged_in)
        .groupBy(*DEVICE, "user_id", "arrival_day")
        .agg(F.min("known_on").alias("known_on"), F.min("event_at").alias("first_event_at"))
    )


def device_owners(device_users: DataFrame, most_users: Mapping[str, int]) -> DataFrame:
    """Return one row per device and period: `owner_id` owns its events before log-in from `from_on` on and before
    `until_on` (null: unbounded on that side).

    The owner is the known user with the first event on the device. While no user is known, or more than `most_users`,
    the device is its own owner.

    device_users: as the function of that name returns it.
    """
    if not most_users:
        return frame_of_rows(device_users.sparkSession, [], OWNERS)
    pairs = device_users.groupBy(*DEVICE, "user_id").agg(
        F.min("known_on").alias("known_on"), F.min(F.struct("first_event_at", "user_id")).alias("first")
    )
    by_day = pairs.groupBy(*DEVICE, "known_on").agg(F.count("*").alias("users"), F.min("first").alias("first"))
    in_order = Window.partitionBy(*DEVICE).orderBy("known_on")
    allowed = F.create_map(*[F.lit(part) for pair in most_users.items() for part in pair])[F.col("source")]
    owner = F.when(F.sum("users").over(in_order) <= allowed, F.min("first").over(in_order).user_id)
    known = by_day.select(
        *DEVICE,
        F.coalesce(owner, "device_id").alias("owner_id"),
        F.col("known_on").alias("from_on"),
        F.lead("known_on").over(in_order).alias("until_on"),
    )
    before = by_day.groupBy(*DEVICE).agg(F.lit(None).cast("date").alias("from_on"), F.min("known_on").alias("until_on"))
    return known.unionByName(before.withColumn("owner_id", F.col("device_id")))


def under_owners(events: DataFrame, owners: DataFrame) -> DataFrame:
    """Return events once per owner, with the owner as `user_id`; `is_owned(day)` selects the owner of a day.

    events: one row per event; needs `source`, `user_id`, `device_id`. owners: as `device_owners` returns them.
    """
    of_device = owners.withColumnRenamed("device_id", "owned_id").withColumnRenamed("source", "owned_source")
    # An event before log-in landed with the pseudonym of its device as its user.
    is_anonymous = (F.col("user_id") == F.col("device_id")) & (F.col("user_id") == F.col("owned_id"))
    joined = events.join(F.broadcast(of_device), is_anonymous & (F.col("source") == F.col("owned_source")), "left")
    return joined.withColumn("user_id", F.coalesce("owner_id", "user_id")).drop("owned_id", "owned_source", "owner_id")


def is_owned(day: Column) -> Column:
    """Return whether the `user_id` of an event is its owner as of a day; needs `from_on`, `until_on`."""
    is_begun = F.coalesce(F.col("from_on") <= day, F.lit(True))
    return is_begun & F.coalesce(day < F.col("until_on"), F.lit(True))


def owned(events: DataFrame, owners: DataFrame, day: Column) -> DataFrame:
    """Set the `user_id` of each event to its owner as of `day`, and add `is_counted`."""
    return under_owners(events, owners).where(is_owned(day)).withColumn("is_counted", is_counted())


def moved_devices(owners: DataFrame, owners_before: DataFrame, day: Column, day_before: Column) -> DataFrame:
    """Return the devices whose owner as of `day` differs from the owner as of `day_before`."""
    now = owners.where(is_owned(day)).select(*DEVICE, "owner_id")
    before = owners_before.where(is_owned(day_before)).select(*DEVICE, F.col("owner_id").alias("former_id"))
    former = F.coalesce("former_id", "device_id")
    return now.join(before, list(DEVICE), "full").where(F.coalesce("owner_id", "device_id") != former).select(*DEVICE)


def devices_of_users(events: DataFrame) -> DataFrame:
    """Return one row per source, user and UTC day: `device_count` and `event_count`, for the suite `users`.

    events: one row per event; needs `source`, `user_id`, `device_id`, `event_at`. Events without a device are left out.
    """
    return (
        events.where("device_id IS NOT NULL")
        .groupBy("source", "user_id", F.to_date("event_at").alias("day"))
        .agg(F.count_distinct("device_id").alias("device_count"), F.count("*").alias("event_count"))
    )
