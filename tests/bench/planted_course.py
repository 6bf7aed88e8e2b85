"""A Transformer's training on the planted world, with its parts at hand: what it learns from, and what it scores by.

Shape letters: U users, T tags, P paths.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from model.data.arrays import Floats
from model.data.cutoffs import Split
from model.data.days import end_of_day
from model.data.folds import Known, Lessons
from model.data.history import History
from model.data.labels import Lesson, lesson_between
from model.evaluation.holdout import Exam
from model.interfaces import Contestant
from model.transformer.config import Recipe, Size
from model.transformer.dataset import Window, dense_lessons
from model.transformer.fit import Start, TransformerRanker, train_network
from model.transformer.network import InterestTransformer
from model.transformer.progress import Told
from model.transformer.stacked_features import CrossFittedPaths, Paths, prepare_paths
from model.transformer.tokens import Vocabulary
from model.transformer.warm_start import fit_of_paths
from tests.bench.ablated import last_sessions

Read = list[tuple[History, list[Lesson]]]  # a past, and the lessons that are asked about in one pass over it


@dataclass(frozen=True, eq=False)
class Course:
    """What is learnt at the test cut: the same as by `TransformerContestant.prepare`, before the first step."""

    windows: Sequence[Window]
    vocabulary: Vocabulary
    paths: Paths
    size: Size
    cut: int  # moment
    seconds: float  # that it took to lay out, paths included
    processor_seconds: float  # of these

    @classmethod
    def of(
        cls,
        known: Known,
        split: Split,
        exam: Exam,
        contestants: Sequence[Contestant],
        cuts_a_window: int,
        size: Size,
    ) -> "Course":
        past, taught = exam.everybody, Lessons(known, split).by(known, split.test)

        def read() -> Read:
            return [(past, dense_lessons(taught, past, cuts_a_window))]

        return cls._laid_out(contestants, taught, past, read, Vocabulary.of(past), size, exam.moment)

    @classmethod
    def of_last_sessions(
        cls,
        known: Known,
        split: Split,
        exam: Exam,
        contestants: Sequence[Contestant],
        cuts_a_window: int,
        size: Size,
    ) -> "Course":
        """At each cut nothing but each user's newest session before it is known, to the network and to its paths."""
        past = exam.everybody
        short = [
            lesson_between(
                last_sessions(known[day], 1), known[split.end_of(day)], end_of_day(day), end_of_day(split.end_of(day))
            )
            for day in split.taught_by(split.test)
        ]

        def read() -> Read:
            dense = dense_lessons(Lessons(known, split).by(known, split.test), past, cuts_a_window)
            lessons = [_of_last_session(past, one) for one in dense]
            return [(lesson.past, [lesson]) for lesson in lessons]

        newest = last_sessions(past, 1)
        return cls._laid_out(contestants, short, newest, read, Vocabulary.of(past), size, exam.moment)

    @classmethod
    def _laid_out(
        cls,
        contestants: Sequence[Contestant],
        taught: Sequence[Lesson],
        past: History,
        read: Callable[[], Read],
        vocabulary: Vocabulary,
        size: Size,
        moment: int,
    ) -> "Course":
        """taught, past: what the paths learn from. read: lays out what the network reads."""
        started, worked = time.perf_counter(), time.process_time()
        crossed = CrossFittedPaths.of(contestants, taught, past, moment)
        windows = [Window.of(seen, lessons, vocabulary, crossed, size) for seen, lessons in read()]
        paths = prepare_paths(contestants, taught, past, moment)
        took = (time.perf_counter() - started, time.process_time() - worked)
        return cls(windows, vocabulary, paths, size, moment, *took)

    def trained(self, recipe: Recipe, told: Told) -> tuple[InterestTransformer, float]:
        """Return the network and the seconds that it took, `self.seconds` not among them."""
        started = time.perf_counter()
        start = Start.of(self.windows[-1], recipe.weights)
        network, _ = train_network(self.windows, start, self.vocabulary, self.size, recipe, told)
        return network, time.perf_counter() - started

    def ranker(self, *networks: InterestTransformer) -> TransformerRanker:
        return TransformerRanker(networks, self.vocabulary, self.paths, self.size, self.cut)


@dataclass(frozen=True, eq=False)
class PathsRanker:
    """A Ranker: the paths added up with the weights that a network starts from, without a network."""

    paths: Paths
    weight_P: Floats

    @classmethod
    def of(cls, course: Course, recipe: Recipe) -> "PathsRanker":
        return cls(course.paths, fit_of_paths(course.windows[-1], recipe.weights).numpy())

    def strength_UT(self, past: History) -> Floats:
        return np.asarray(softmax(self.paths.told_UTP(past) @ self.weight_P, axis=1), np.float64)


def _of_last_session(past: History, dense: Lesson) -> Lesson:
    return lesson_between(last_sessions(past.before(dense.cut), 1), past.before(dense.end), dense.cut, dense.end)


def altered(exam: Exam, asked: History) -> Exam:
    """Return the same question about other pasts of the same users."""
    if not np.array_equal(exam.asked.user_id_U, asked.user_id_U) or len(asked.tag_T) != exam.tags:
        raise ValueError("an altered past is of other users or tags: the answers would be somebody else's")
    return replace(exam, asked=asked)
