"""The model of a source's TOML: how its lines are read, and which expression fills which canonical column."""

import codecs
import re
import tomllib
from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline.errors import SourceError
from pipeline.sources.checks import names_of_ddl, problem_of, require_own_fields
from pipeline.sources.rules import (
    USUAL_CLUSTERS,
    ClusterRules,
    CopyRules,
    DeviceRules,
    Expression,
    Identity,
    Part,
    Privacy,
    SessionRules,
    Sizes,
    Times,
    Unfold,
)

BUILT_IN = Path(__file__).parent
ITEM_EXPRESSIONS = ("item_id", "title", "tags", "content", "updated_at")

SET_ASIDE = "set_aside"  # a sound line of a day whose other lines fail their gate
ERASED = "erased"  # a line of a person who was erased; like a rule of the TOML, it says nothing about the log's quality
# The pipeline's own reasons for rejecting a line; all others but ERASED are rules of the source's `[reject_when]`.
REASONS = (
    "unparsable", "missing_user", "missing_event_at", "missing_event_type", "unknown_event_type", "event_in_future",
    "implausible_time", "too_large", SET_ASIDE,
)  # fmt: skip


def group_numbers(pattern: str) -> dict[str, int]:
    """Return the numbers of the named groups of a Java pattern; Python writes them (?P<name>...)."""
    return dict(re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern)).groupindex)


class Reader(Part):
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
    columns: list[str] = Field(default_factory=list)
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


class Columns(Part):
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


class EventType(Part):
    """The canonical name of an event type, and its weight as a sign of interest (a view is 1).

    exclude_item: whether the item of such an event is left out of the user's top items from then on.
    """

    canonical: str = Field(alias="as", pattern="^[a-z][a-z_]*$")
    weight: float = Field(1.0, ge=0)
    exclude_item: bool = False


class Items(Part):
    """A catalogue of items. The newest record of an item is used.

    many_lines: a file may have many lines of an item, each with some of its tags. They are one record.
    """

    files: str
    reader: Reader
    many_lines: bool = False
    item_id: Expression
    title: Expression | None = None
    tags: Expression | None = None
    content: Expression | None = None
    updated_at: Expression | None = None


class Source(Part):
    """A source as its TOML describes it."""

    name: str = Field(pattern="^[a-z][a-z0-9_-]*$")
    time_zone: str = "UTC"
    files: str = "*"
    reader: Reader
    columns: Columns
    event_types: dict[str, EventType] = Field(min_length=1)
    reject_when: dict[str, Expression] = Field(default_factory=dict)
    identity: Identity = Identity()
    privacy: Privacy = Privacy()
    copies: CopyRules = CopyRules()
    unfold: Unfold | None = None
    times: Times = Times()
    sizes: Sizes = Sizes()
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

    @property
    def excluding_types(self) -> frozenset[str]:
        """The canonical event types whose items are left out of the user's top items from then on."""
        return frozenset(one.canonical for one in self.event_types.values() if one.exclude_item)

    @model_validator(mode="after")
    def _has_one_rule_for_each_canonical_type(self) -> "Source":
        for name, one in self.event_types.items():
            if one.exclude_item and not self.columns.item_id:
                raise ValueError(f"[event_types.{name}] exclude_item = true needs columns.item_id: which item?")
            if not one.exclude_item and one.canonical in self.excluding_types:
                raise ValueError(
                    f"[event_types.{name}] is a {one.canonical!r} like another type that has exclude_item = true: give "
                    f"it the same exclude_item, or another word in 'as'"
                )
        return self

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
            if code in (*REASONS, ERASED):
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
