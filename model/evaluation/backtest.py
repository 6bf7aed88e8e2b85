"""The whole evaluation: tune on the validation cut, refit through the test cut, guard, judge, compare."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model.data.cutoffs import Split
from model.data.folds import Known, Lessons
from model.evaluation.calibration import fit_calibrator
from model.evaluation.entrants import Chosen, Ready, entrants
from model.evaluation.holdout import Exam, ask, exam_at, require_answers
from model.evaluation.leakage import ALONE_AS_IN_COMPANY, require_alone_as_in_company, require_blind_to_the_future
from model.evaluation.metrics import tuned_threshold
from model.evaluation.results import Cost, Judged, Learnt, Match, judge, learning_curve_of, match
from model.evaluation.returning import Returning, best_returning, return_auc
from model.interfaces import Contestant, Ranker

Told = Callable[[str], None]
STEPS_OF_ENTRANT = 3  # how often `told` is called for each entrant; once more at the start and at the end


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of it."""

    split: Split
    users: int  # asked about at the test cut
    judging_users: int  # of these, who touched a tag in the test window
    returned_users: int
    tags: int
    match: Match
    tried: Mapping[str, Sequence[Mapping[str, object]]]  # by family
    return_auc: Mapping[str, float]


def evaluate(
    known: Known,
    split: Split,
    families: Mapping[str, Sequence[Contestant]],
    ready: Sequence[Ready] = (),
    returning: Mapping[str, Sequence[Returning]] | None = None,
    told: Told = lambda doing: None,
) -> Evaluation:
    """Judge the best setting of each family and every ready model on the test window of `split`.

    families: settings of one method by its name. ready: models that come as they are; one that did not exist at the
    test cut is left out. returning: settings of who foretells who comes back, by name.
    told: called with what is done before it is, 2 + 3 times the number of entrants.
    Raises InputError if too few users touched a tag in the test window or in the validation window, LeakError if a
    contestant breaks a guard, ValueError if nobody is left to judge or two have the same name.
    """
    told("laying out the windows")
    validation, test = exam_at(known, split, split.validation), exam_at(known, split, split.test)
    require_answers(validation)
    require_answers(test)
    lessons = Lessons(known, split)
    taught = lessons.by(known, split.test)  # before anybody's time is taken
    judged, tried = [], {}
    for entrant in entrants(families, ready):
        told(f"tuning {entrant.name}")
        chosen = entrant.choose(lessons, validation)
        tried[chosen.name] = chosen.tried
        found = _judged(chosen, known, test, told)
        if found:
            judged.append(found)
    told("comparing")
    taught_before = lessons.by(known, split.validation)
    return Evaluation(
        split=split,
        users=test.users,
        judging_users=int((test.answers_U > 0).sum()),
        returned_users=int(test.has_returned_U.sum()),
        tags=test.tags,
        match=match(judged),
        tried=tried,
        return_auc={
            name: return_auc(best_returning(grid, taught_before, validation), taught, test)
            for name, grid in (returning or {}).items()
        },
    )


def _judged(chosen: Chosen, known: Known, test: Exam, told: Told) -> Judged | None:
    """Return how the chosen one does at the test cut, None where there is nothing of it yet."""
    told(f"preparing {chosen.name}")
    started = time.perf_counter()
    ranker = chosen.prepare(known, test.cut)
    seconds = time.perf_counter() - started
    told(f"judging {chosen.name}")
    if ranker is None:
        return None

    def prepare(known: Known) -> Ranker:
        again = chosen.prepare_for_guard(known, test.cut)
        assert again is not None, f"{chosen.name} was there at {test.cut} and is no more"
        return again

    require_blind_to_the_future(chosen.name, prepare, known, test.cut)
    require_alone_as_in_company(chosen.name, ranker, test.asked, ALONE_AS_IN_COMPANY)
    listing = ask(ranker, test)
    return judge(
        chosen.name,
        chosen.settings,
        listing,
        learnt_of(chosen),
        chosen.states_probabilities,
        Cost(tuning=chosen.seconds, preparing=seconds, scoring=listing.seconds),
        learning_curve_of(ranker),
    )


def learnt_of(chosen: Chosen) -> Learnt:
    """Return how the strengths of an entrant are to be read, by what it said at the validation cut."""
    if chosen.validation is None:
        return Learnt(None, None)
    return Learnt(
        threshold=tuned_threshold(chosen.validation),
        calibrator=fit_calibrator(chosen.validation, chosen.states_probabilities),
    )
