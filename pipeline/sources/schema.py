"""The model of a source's TOML: how its lines are read, and which expression fills which canonical column."""

import codecs
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import SourceError
from pipeline.sources.checks import names_of_ddl, problem_of, require_own_fields
from pipeline.sources.expressions import require_allowed

BUILT_IN = Path(__file__).parent
ITEM_EXPRESSIONS = ("item_id", "title", "tags", "content", "updated_at")

Expression = Annotated[str, Field(min_length=1), AfterValidator(require_allowed)]
SET_ASIDE = "set_aside"  # a sound line of a day whose other lines fail their gate
# The pipeline's own reasons for rejecting a line; all others are rules of the source's `[reject_when]`.
REASONS = (
    "unparsable", "missing_user", "missing_event_at", "missing_event_type", "unknown_event_type", "event_in_future",
    "implausible_time", SET_ASIDE,
)  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def group_numbers(pattern: str) -> dict[str, int]:
    """Return the numbers of the named groups of a Java pattern; Python writes them (?P<name>...)."""
    return dict(re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern)).groupindex)


class Reader(_Part):
    """How a line is split into named fields.

    The fields are those of `fields`, a Spark DDL, for jsonl, parquet and avro; of `columns` for csv, tsv and w3c; and
    the named groups of `pattern` for regex. Only `fields` has types; all other fields are strings. With `header = true`
    the first line of each file has the order of its columns; in a w3c log each line `#Fields:` has that of the lines
    after it. One of `columns` that a file lacks is null there, and trailing empty values beyond it are ignored.

    comment: lines that begin with it are no data. escape: the sign before a quote within a quoted value of csv; without
    it, a quote is doubled, and lines that would differ by the escape sign are unparsable. multiline: whether quoted
    values of csv may hold newlines.
    """

    format: Literal["jsonl", "csv", "tsv", "w3c", "regex", "parquet", "avro"]
    fields: str | None = None
    columns: list[str] = []
    header: bool = False
    separator: str | None = None
    escape: Literal['"', "\\"] | None = None
    multiline: bool = False
    comment: str | None = Field(None, min_length=1)
    pattern: str | None = None
    encoding: str = "utf-8"

    @property
    def field_names(self) -> frozenset[str]:
        """The names of its fields, in small letters."""
        names = (*self.columns, *names_of_ddl(self.fields or ""), *group_numbers(self.pattern or ""))
        return frozenset(name.lower() for name in names)

    @property
    def delimiter(self) -> str:
        """The text between fields: `separator`, else a comma for csv and a tab for tsv."""
        return self.separator or ("\t" if self.format == "tsv" else ",")

    @model_validator(mode="after")
    def _has_what_its_format_needs(self) -> "Reader":
        needed = {"jsonl": "fields", "parquet": "fields", "avro": "fields", "regex": "pattern"}.get(self.format)
        if needed and not getattr(self, needed):
            raise ValueError(f"format {self.format!r} needs the key {needed!r}")
        is_separated = self.format in ("csv", "tsv")
        if (is_separated or self.format == "w3c") and not self.columns:
            raise ValueError(f"format {self.format!r} needs the key 'columns'; with a header line, those that are used")
        unfit = ["fields", "pattern"] if is_separated else ["header", "separator"]
        unfit += ["escape", "multiline"] if self.format != "csv" else []
        unfit += {
            "w3c": ["fields", "pattern", "comment"],
            "parquet": ["columns", "pattern", "comment"],
            "avro": ["columns", "pattern", "comment"],
            "jsonl": ["columns"],
            "regex": ["columns"],
        }.get(self.format, [])
        for key in unfit:
            if getattr(self, key):
                raise ValueError(f"format {self.format!r} has no use for the key {key!r}")
        return self

    @field_validator("encoding")
    @classmethod
    def _is_an_encoding(cls, value: str) -> str:
        try:
            name = codecs.lookup(value).name
        except LookupError:
            raise ValueError("no such encoding; expected a name such as 'utf-8' or 'latin-1'") from None
        if "\n".encode(name) != b"\n":
            raise ValueError("its newline is not one byte, so lines cannot be split; convert the log to utf-8 first")
        return name

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            groups = group_numbers(value)
        except re.error as error:
            raise ValueError(f"invalid regular expression: {error}") from None
        if "(?P<" in value or not groups or not all(re.fullmatch("[A-Za-z][A-Za-z0-9]*", name) for name in groups):
            raise ValueError("expected groups with names in Java syntax, (?<name>...), of letters and digits only")
        return value


class Columns(_Part):
    """One Spark SQL expression over the reader's fields per canonical column."""

    event_id: Expression | None = None
    user_id: Expression | None = None
    device_id: Expression | None = None
    event_at: Expression | None = None
    received_at: Expression | None = None
    sent_at: Expression | None = None
    created_at: Expression | None = None
    event_type: Expression
    item_id: Expression | None = None
    tags: Expression | None = None
    dwell_seconds: Expression | None = None
    url: Expression | None = None
    referrer: Expression | None = None
    user_agent: Expression | None = None
    ip: Expression | None = None
    consent: Expression | None = None
    session_id: Expression | None = None
    sequence: Expression | None = None

    @model_validator(mode="after")
    def _has_user_and_time(self) -> "Columns":
        if not (self.user_id or self.device_id):
            raise ValueError("needs 'user_id' or 'device_id': who is the user?")
        if not (self.event_at or self.created_at):
            raise ValueError(
                "needs 'event_at', or 'created_at' (best with 'sent_at' and 'received_at'): when was the event?"
            )
        return self


class EventType(_Part):
    """The canonical name of an event type, and its weight as a sign of interest (a view is 1)."""

    canonical: str = Field(alias="as", pattern="^[a-z][a-z_]*$")
    weight: float = Field(1.0, ge=0)


class Identity(_Part):
    """In which id spaces ids live: equal ids of one space are the same user or item. Default: the source's own space.

    placeholders: whether well-known placeholders, such as `undefined`, count as null in ids of users, devices, events
    and sessions. more_placeholders: further texts that do, in any case.
    """

    users: str | None = Field(None, pattern="^[a-z][a-z0-9_-]*$")
    items: str | None = Field(None, pattern="^[a-z][a-z0-9_-]*$")
    placeholders: bool = True
    more_placeholders: list[str] = []


class Privacy(_Part):
    """What events keep of `url` and `referrer`: `path` leaves out query and fragment; `full`; or `none`.

    Expressions and the fingerprints of events see whole addresses.
    """

    url: Literal["path", "full", "none"] = "path"


class CopyRules(_Part):
    """How far the times of two lines with one event id may differ if they are copies of one event, in minutes."""

    tolerance_minutes: float = Field(10.0, ge=0)


class Times(_Part):
    """The first and the last plausible day of the log, UTC. Default: by where the lines of each file lie."""

    earliest: date | None = None
    latest: date | None = None

    @model_validator(mode="after")
    def _is_in_order(self) -> "Times":
        if self.earliest and self.latest and self.latest < self.earliest:
            raise ValueError(f"'latest' = {self.latest} lies before 'earliest' = {self.earliest}")
        return self


class Unfold(_Part):
    """One line, many events: an expression of an array; each element, named `each` in expressions, is an event."""

    each: Expression


class SessionRules(_Part):
    """When a new session begins. Each rule is switched off by false or 0."""

    inactivity_gap_minutes: float = Field(30.0, ge=0)
    cap_hours: float = Field(24.0, ge=0)
    day_split: bool = False


class DeviceRules(_Part):
    """Whether events before log-in belong to the user who logs in on the device, and how many users may share one."""

    join: bool = False
    most_users: int = Field(1, ge=1)


USUAL_CLUSTERS = 50


class ClusterRules(_Part):
    """How many clusters of items serve as tags, at most; 0 or false: none.

    None: 50 if the source names items but no tags, else none; see `Source.cluster_count`.
    """

    count: int | None = Field(None, ge=0)
    least_sessions: int = Field(5, ge=1)

    @field_validator("count")
    @classmethod
    def _is_more_than_one(cls, value: int | None) -> int | None:
        if value == 1:
            raise ValueError("one cluster separates no interests; expected 2 or more, or 0 for none")
        return value


class Items(_Part):
    """A catalogue of items. The newest record of an item is used."""

    files: str
    reader: Reader
    item_id: Expression
    title: Expression | None = None
    tags: Expression | None = None
    content: Expression | None = None
    updated_at: Expression | None = None


class Source(_Part):
    """A source as its TOML describes it."""

    name: str = Field(pattern="^[a-z][a-z0-9_-]*$")
    time_zone: str = "UTC"
    files: str = "*"
    reader: Reader
    columns: Columns
    event_types: dict[str, EventType] = Field(min_length=1)
    reject_when: dict[str, Expression] = {}
    identity: Identity = Identity()
    privacy: Privacy = Privacy()
    copies: CopyRules = CopyRules()
    unfold: Unfold | None = None
    times: Times = Times()
    sessions: SessionRules = SessionRules()
    devices: DeviceRules = DeviceRules()
    clusters: ClusterRules = ClusterRules()
    items: Items | None = None

    @property
    def user_space(self) -> str:
        """The id space of users, devices and sessions."""
        return self.identity.users or self.name

    @property
    def item_space(self) -> str:
        """The id space of items."""
        return self.identity.items or self.name

    @property
    def cluster_count(self) -> int:
        """How many clusters of items serve as tags, at most; 0: none."""
        if self.clusters.count is not None:
            return self.clusters.count
        names_tags = self.columns.tags or (self.items and self.items.tags)
        return USUAL_CLUSTERS if self.columns.item_id and not names_tags else 0

    @model_validator(mode="after")
    def _has_columns_of_devices(self) -> "Source":
        if self.devices.join and not (self.columns.device_id and self.columns.user_id):
            raise ValueError(
                "[devices] join = true needs columns.device_id and columns.user_id: which user uses which device?"
            )
        return self

    @model_validator(mode="after")
    def _has_column_of_clusters(self) -> "Source":
        if self.clusters.count and not self.columns.item_id:
            raise ValueError("[clusters] count needs columns.item_id: which items should be clustered?")
        return self

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not a time zone; expected a name such as 'Europe/Berlin'")
        return value

    @field_validator("reject_when")
    @classmethod
    def _has_codes_of_its_own(cls, value: dict[str, str]) -> dict[str, str]:
        for code in value:
            if code in REASONS:
                raise ValueError(f"{code!r} is a reason of the pipeline itself; choose another name")
            if not re.fullmatch("[a-z][a-z_]*", code):
                raise ValueError(f"{code!r} is not a reason code; expected a-z and _, such as 'static_asset'")
        return value


def source_file(name_or_toml: str) -> Path:
    """Return the TOML of a built-in source, or the given path of a TOML.

    Raises SourceError naming the built-in sources if there is no such file.
    """
    path = Path(name_or_toml) if name_or_toml.endswith(".toml") else BUILT_IN / f"{name_or_toml}.toml"
    if not path.is_file():
        built_in = ", ".join(sorted(file.stem for file in BUILT_IN.glob("*.toml") if file.stem != "template"))
        raise SourceError(f"no source {name_or_toml!r}: expected one of {built_in}, or the path of a .toml file")
    return path


def load_source(file: Path) -> Source:
    """Read a source's TOML.

    Raises SourceError naming file and key if the TOML is malformed, has an unknown key or an expression that is not
    allowed, or lacks a required key. Spark checks types and fields later (`transforms.canonical.check_expressions`).
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: not a TOML file: {error}") from None
    try:
        source = Source.model_validate(content)
    except ValidationError as error:
        problems = [problem_of(file, one) for one in error.errors()]
        raise SourceError("\n  ".join(problems)) from None
    of_lines = {f"columns.{name}": text for name, text in source.columns}
    of_lines |= {f"reject_when.{code}": text for code, text in source.reject_when.items()}
    of_lines["unfold.each"] = source.unfold and source.unfold.each
    require_own_fields(file, of_lines, source.reader.field_names)
    if source.items:
        of_items = {f"items.{name}": getattr(source.items, name) for name in ITEM_EXPRESSIONS}
        require_own_fields(file, of_items, source.items.reader.field_names)
    return source
