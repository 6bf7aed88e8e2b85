"""What an erasure has to do: whose rows go, which lines, and from which day on rows of others depend on these lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from pipeline.erasure.landed_lines import LINE, lines_of, sources_with_space
from pipeline.erasure.request import Request
from pipeline.landing.zone import LandingZone
from pipeline.settings import Settings
from pipeline.sources.schema import REASONS, SET_ASIDE
from pipeline.transforms.device_stitching import DEVICE, device_owners, is_owned, most_users
from pipeline.transforms.rows import frame_of_rows
from pipeline.transforms.union import union
from pipeline.warehouse.tables import table

MAX_REJECT_SHARE = 0.2  # of the gate by which `clean` sets a day aside
BY_USER = ("sessions", "sequences", "profiles", "device_users")


@dataclass(frozen=True)
class People:
    """Pseudonyms: `users` whose rows go, and `devices` whose lines go whoever was logged in."""

    users: tuple[str, ...]
    devices: tuple[str, ...]

    def user_frame(self, spark: SparkSession) -> DataFrame:
        return frame_of_rows(spark, [(one,) for one in self.users], "user_id string")

    def device_frame(self, spark: SparkSession) -> DataFrame:
        return frame_of_rows(spark, [(one,) for one in self.devices], "device_id string")


@dataclass(frozen=True)
class DayCount:
    """A row of `runs` of the step `clean`, as it is to be. finished_at: by which the row is known."""

    source: str
    day: date
    finished_at: str
    rows_in: int
    rows_out: Mapping[str, int]

    @property
    def is_near_gate(self) -> bool:
        """Return whether the erasure may decide if the day is set aside."""
        considered = self.rows_in - self.rows_out.get("excluded", 0)
        rejected = self.rows_out["rejects"] - self.rows_out.get("excluded", 0)
        return SET_ASIDE in self.rows_out or (considered > 0 and rejected > MAX_REJECT_SHARE * considered)


def people_of(spark: SparkSession, settings: Settings, request: Request) -> People:
    """Return the people of a request. To the users belong the devices whose events before log-in are theirs now."""
    zone = LandingZone(settings.landing_folder)
    sources = zone.sources()
    own = frame_of_rows(spark, [(one,) for one in request.pseudonyms], "owner_id string")
    owners = device_owners(spark.table(table("device_users")), most_users(sources))
    owners = owners.where(F.col("source").isin(sources_with_space(sources, request.space)))
    newest = F.lit(date.max)
    owned = owners.where(is_owned(newest) & (F.col("owner_id") != F.col("device_id"))).join(
        own, "owner_id", "left_semi"
    )
    devices = {row.device_id for row in owned.select("device_id").distinct().collect()}
    return People(tuple(sorted({*request.pseudonyms, *devices})), request.pseudonyms)


def places_of(spark: SparkSession, settings: Settings, people: People, request: Request | None) -> DataFrame:
    """Return the lines to erase, one row each: LINE. Those of the landing zone, and those that made an event.

    A TOML that was corrected since may read a line otherwise than the run that made the event. The device of an event
    does not count, since a copy may have filled it.
    """
    users, devices = people.user_frame(spark), people.device_frame(spark)
    of_users = spark.table(table("events")).join(F.broadcast(users), "user_id", "left_semi").select(*LINE)
    return lines_of(spark, settings, users, devices, request).unionByName(of_users).distinct()


def touched_items(spark: SparkSession, places: DataFrame) -> DataFrame:
    """Return the items of erased events, one row each: ITEM_KEY."""
    erased = (
        spark.table(table("events")).where("item_id IS NOT NULL").join(F.broadcast(places), list(LINE), "left_semi")
    )
    return erased.select(F.col("item_space").alias("space"), "item_id").distinct()


def session_ids(spark: SparkSession, people: People) -> DataFrame:
    """Return the ids of the sessions of these people, one row each: `session_id`."""
    users = F.broadcast(people.user_frame(spark))
    of_sessions = spark.table(table("sessions")).join(users, "user_id", "left_semi").select("session_id")
    of_sequences = spark.table(table("sequences")).join(users, "user_id", "left_semi")
    return of_sessions.unionAll(of_sequences.select(F.explode("session_id"))).distinct()


def rows_to_delete(
    spark: SparkSession, people: People, places: DataFrame
) -> dict[str, tuple[DataFrame, Sequence[str]]]:
    """Return by table the keys of the rows to delete, and the columns of the key.

    places: LINE, one row each.
    """
    users = people.user_frame(spark)
    return {
        "events": (places, LINE),
        "rejects": (places, LINE),
        **dict.fromkeys(BY_USER, (users, ("user_id",))),
    }


def count_rows(spark: SparkSession, people: People, places: DataFrame) -> dict[str, int]:
    """Return how many rows of each table the erasure deletes."""
    keys = rows_to_delete(spark, people, places)
    rows = {name: (name, those, on) for name, (those, on) in keys.items()}
    return _counted(spark, rows)


def day_counts(spark: SparkSession, places: DataFrame) -> list[DayCount]:
    """Return the rows of `runs` whose lines become fewer: for each cleaned day of a source that has erased lines."""
    key = ["source", "arrival_day"]
    events = spark.table(table("events")).join(F.broadcast(places), list(LINE), "left_semi")
    rejects = spark.table(table("rejects")).join(F.broadcast(places), list(LINE), "left_semi")
    accepted = events.groupBy(*LINE).agg(F.count_if("is_collision").alias("collisions"))
    # Of a line with accepted and rejected events the accepted ones count.
    refused = rejects.groupBy(*LINE).agg(F.min("reason").alias("reason")).join(accepted, list(LINE), "left_anti")
    outcomes = (
        places.join(accepted.withColumn("is_accepted", F.lit(True)), list(LINE), "left")
        .join(refused, list(LINE), "left")
        .groupBy(*key)
        .agg(
            F.count("*").alias("lines"),
            F.count_if("is_accepted").alias("accepted"),
            F.sum(F.coalesce("collisions", F.lit(0))).alias("collisions"),
            F.collect_list("reason").alias("reasons"),
        )
    )
    runs = spark.table(table("runs")).where("step = 'clean' AND source != ''")
    joined = runs.join(outcomes, (runs.source == outcomes.source) & (runs.day == outcomes.arrival_day))
    rows = joined.select(
        runs.source, runs.day, F.col("finished_at").cast("string").alias("finished_at"), "rows_in", "rows_out",
        "lines", "accepted", "collisions", "reasons",
    ).collect()  # fmt: skip
    return [_less(row) for row in rows]


def _less(row: Row) -> DayCount:
    gone = row.asDict()
    out = dict(gone["rows_out"])
    reasons = gone["reasons"]
    lost = {
        "accepted": gone["accepted"],
        "rejects": len(reasons),
        "duplicates": gone["lines"] - gone["accepted"] - len(reasons),
        "excluded": sum(reason not in REASONS for reason in reasons),
        "collisions": gone["collisions"],
        SET_ASIDE: gone["lines"],
    }
    return DayCount(
        gone["source"],
        gone["day"],
        gone["finished_at"],
        gone["rows_in"] - gone["lines"],
        {name: max(0, count - lost.get(name, 0)) for name, count in out.items()},
    )


def count_left(spark: SparkSession, people: People) -> dict[str, int]:
    """Return how many rows of each table name one of these people."""
    users, devices = people.user_frame(spark), people.device_frame(spark)
    rows = {f"{name}.user_id": (name, users, ("user_id",)) for name in ("events", *BY_USER)}
    rows |= {f"{name}.device_id": (name, devices, ("device_id",)) for name in ("events", "device_users")}
    return _counted(spark, rows)


def _counted(spark: SparkSession, rows: Mapping[str, tuple[str, DataFrame, Sequence[str]]]) -> dict[str, int]:
    """Return for each label how many rows of a table have the key of a row of a frame, in one query.

    rows: by label the table, the frame and the columns of the key.
    """
    found = [
        spark.table(table(name)).join(F.broadcast(those), list(on), "left_semi").select(F.lit(label).alias("label"))
        for label, (name, those, on) in rows.items()
    ]
    counts = {row.label: row["count"] for row in union(found).groupBy("label").count().collect()}
    return {label: counts.get(label, 0) for label in rows}


def first_dependent_day(
    spark: SparkSession, settings: Settings, people: People, places: DataFrame, counts: Sequence[DayCount]
) -> date | None:
    """Return the first arrival day from which on rows of others may depend on the erased lines; None if none do.

    Without such a day, deleting rows gives the tables of a warehouse that never had these lines: an event, a bot class,
    a session and a sequence depend on lines of their own user only, but in four cases.

    - An event of another user has the id of an erased one, and so is a collision.
    - A line of another user goes with its device: it may have filled the user's events, or decided on a bot.
    - A user logged in on a device that others use: without the log-in the device may have another owner.
    - The share of rejected lines decides whether a day of a source is set aside.
    """
    users, devices = people.user_frame(spark), people.device_frame(spark)
    events = spark.table(table("events"))
    erased = events.join(F.broadcast(places), list(LINE), "left_semi")
    kept = events.join(F.broadcast(places), list(LINE), "left_anti")
    collisions = kept.where("is_collision").join(
        erased.select("source", "event_id").distinct(), ["source", "event_id"], "left_semi"
    )
    others = (
        (events.join(F.broadcast(devices), "device_id", "left_semi").join(F.broadcast(users), "user_id", "left_anti"))
        .select("user_id", "arrival_day")
        .localCheckpoint()
    )
    days = [collisions.select("arrival_day"), others.select("arrival_day")]
    log_ins = spark.table(table("device_users"))
    of_erased = log_ins.join(F.broadcast(users), "user_id", "left_semi")
    used_by_others = kept.where("device_id IS NOT NULL").select(*DEVICE).distinct()
    days.append(of_erased.join(used_by_others, list(DEVICE), "left_semi").select("arrival_day"))
    first = _first(days)
    if of_others := _first([others.select("arrival_day")]):
        # Their earlier events may have columns that an erased line filled.
        filled = kept.join(F.broadcast(others.select("user_id").distinct()), "user_id", "left_semi")
        filled = filled.where(F.col("last_copy_on") >= F.lit(of_others))
        first = min(filter(None, [first, _first([filled.select("arrival_day")])]))
    found = min(filter(None, [first, *[one.day for one in counts if one.is_near_gate]]), default=None)
    zone = LandingZone(settings.landing_folder)
    # Days without their lines cannot be cleaned again.
    removed = max((zone.removed_before(name) for name in zone.sources()), default=date.min)
    return max(found, removed) if found else None


def _first(days: Sequence[DataFrame]) -> date | None:
    found: date | None = union(days).agg(F.min("arrival_day").alias("day")).collect()[0].day
    return found
