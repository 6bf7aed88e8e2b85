"""The rules of a TOML beside its reader and columns: ids, privacy, copies, times, sessions, devices, clusters."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.sources.expressions import require_allowed

Expression = Annotated[str, Field(min_length=1), AfterValidator(require_allowed)]


class Part(BaseModel):
    """A section of a TOML: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(Part):
    """In which id spaces ids live: equal ids of one space are the same user or item. Default: the source's own space.

    placeholders: whether well-known placeholders, such as `undefined`, count as null in ids of users, devices, events,
    sessions and items. more_placeholders: further texts that do, in any case.
    """

    users: str | None = Field(None, pattern="^[a-z][a-z0-9_-]*$")
    items: str | None = Field(None, pattern="^[a-z][a-z0-9_-]*$")
    placeholders: bool = True
    more_placeholders: list[str] = []


class Privacy(Part):
    """What events keep of `url` and `referrer`: `path` leaves out query and fragment; `full`; or `none`.

    Expressions and the fingerprints of events see whole addresses.
    """

    url: Literal["path", "full", "none"] = "path"


class CopyRules(Part):
    """How far the times of two lines with one event id may differ if they are copies of one event, in minutes."""

    tolerance_minutes: float = Field(10.0, ge=0)


class Sizes(Part):
    """How much an event may hold at most; one with more is rejected as `too_large`, so that no line fills the memory.

    id_characters: of each id and each tag. text_characters: of each address and of the browser's name. tags: how many.
    """

    id_characters: int = Field(2_000, ge=1)
    text_characters: int = Field(20_000, ge=1)
    tags: int = Field(1_000, ge=1)


class Times(Part):
    """The first and the last plausible day of the log, UTC. Default: by where the lines of each file lie."""

    earliest: date | None = None
    latest: date | None = None

    @model_validator(mode="after")
    def _is_in_order(self) -> "Times":
        if self.earliest and self.latest and self.latest < self.earliest:
            raise ValueError(f"'latest' = {self.latest} lies before 'earliest' = {self.earliest}")
        return self


class Unfold(Part):
    """One line, many events: an expression of an array; each element, named `each` in expressions, is an event."""

    each: Expression


class SessionRules(Part):
    """When a new session begins. Each rule is switched off by false or 0."""

    inactivity_gap_minutes: float = Field(30.0, ge=0)
    cap_hours: float = Field(24.0, ge=0)
    day_split: bool = False


class DeviceRules(Part):
    """Whether events before log-in belong to the user who logs in on the device, and how many users may share one."""

    join: bool = False
    most_users: int = Field(1, ge=1)


USUAL_CLUSTERS = 50


class ClusterRules(Part):
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
