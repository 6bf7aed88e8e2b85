"""Histories and labeled windows at the cutoffs of an evaluation or a training."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from model.data.cutoffs import Cutoffs
from model.data.days import days_from_to, end_of_day
from model.data.history import History, history_of
from model.data.item_tags import NO_TAGS, ItemTags
from model.data.labels import LabeledWindow, label_window_between
from model.data.sequences import SequencesSnapshot, known_by_day
from model.data.users import MAX_USERS, sample_users

Histories = Mapping[date, History]  # by day: what was known at its end


def read_histories(sequences: SequencesSnapshot, cutoffs: Cutoffs, item_tags: ItemTags = NO_TAGS) -> Histories:
    """Return what was known at each cutoff and at the end of each window, of 20,000 users at most.

    item_tags: tags for the items of logs without tags. The version known at the test cutoff is used throughout, so
    that no tag depends on the test window.
    """
    wanted = {*cutoffs.all, *(cutoffs.end_of(cutoff) for cutoff in cutoffs.all)}
    days = days_from_to(min(wanted), max(wanted))
    return {
        day: history_of(item_tags.with_tags(sample_users(known, MAX_USERS), day, cutoffs.test))
        for day, known in known_by_day(sequences.read, days)
        if day in wanted
    }


def history_at(histories: Histories, cutoff: date) -> History:
    """Return all users known at the end of `cutoff`, without later events and without tags first touched later."""
    past = histories[cutoff].before(end_of_day(cutoff))
    code, tag_M = np.unique(past.tag_M, return_inverse=True)
    return replace(past, tag_T=past.tag_T[code], tag_M=tag_M)


def window_of(histories: Histories, cutoffs: Cutoffs, cutoff: date) -> LabeledWindow:
    """Return the window of `cutoff`, labeled by what was known at its end."""
    end = cutoffs.end_of(cutoff)
    return label_window_between(histories[cutoff], histories[end], end_of_day(cutoff), end_of_day(end))


@dataclass(frozen=True, eq=False)
class TrainingWindows:
    """The labeled windows of some cutoffs. Those of `histories` are built once, those of other histories each time."""

    histories: Histories
    cutoffs: Cutoffs
    cache: dict[date, LabeledWindow] = field(default_factory=dict)

    def by(self, histories: Histories, day: date) -> list[LabeledWindow]:
        """Return the windows that have ended by `day`, oldest first."""
        return [self._of(histories, cutoff) for cutoff in self.cutoffs.ended_by(day)]

    def _of(self, histories: Histories, cutoff: date) -> LabeledWindow:
        if histories is not self.histories:
            return window_of(histories, self.cutoffs, cutoff)
        if cutoff not in self.cache:
            self.cache[cutoff] = window_of(histories, self.cutoffs, cutoff)
        return self.cache[cutoff]
