"""Learns the parameters of counts-1 from a lesson. Shape letters: U users, P pairs of user and tag, F features."""

from model.arrays import Bools, Floats, Ints
from model.counts.calibration import AS_STATED, Calibration, fit_calibration
from model.counts.features import AFFINITY_FEATURES, RETURN_FEATURES, affinity_features_PF, count, return_features_UF
from model.counts.half_life import best_half_life
from model.counts.lesson import Lesson
from model.counts.logistic import fit_logistic
from model.counts.parameters import UNTUNED, Counts1Parameters, FitReport
from model.metrics import expected_calibration_error, ndcg_at
from model.ranking import top
from model.scorer import INTERESTS_PER_USER
from model.user_hash import stable_hash

FEWEST_USERS = 50  # with a past; fewer teach nothing
ONE_HELD_OUT_OF = 5


def learn(lesson: Lesson) -> Counts1Parameters:
    """Return the parameters that the lesson teaches; those of UNTUNED where it is too small or all of one class."""
    if lesson.past.users < FEWEST_USERS or _is_one_class(lesson.is_touched_P):
        return UNTUNED
    half_life_days = best_half_life(lesson)
    counts = count(lesson.past, lesson.own, lesson.pairs, lesson.cut, half_life_days)
    features_PF = affinity_features_PF(counts, lesson.pairs, lesson.share_T)
    formula = fit_logistic(AFFINITY_FEATURES, features_PF, lesson.is_touched_P)
    probability_P = formula.probability_N(features_PF)
    stated_ece, bent_ece = _held_out_errors(lesson, features_PF)
    is_bent = stated_ece is not None and bent_ece is not None and bent_ece < stated_ece
    published = _published(lesson, probability_P)
    returning = UNTUNED.returning
    if not _is_one_class(lesson.has_returned_U):
        returning = fit_logistic(RETURN_FEATURES, return_features_UF(lesson.past, counts), lesson.has_returned_U)
    return Counts1Parameters(
        half_life_days=half_life_days,
        affinity=formula,
        calibration=fit_calibration(probability_P[published], lesson.is_touched_P[published]) if is_bent else AS_STATED,
        returning=returning,
        report=FitReport(
            users=lesson.past.users,
            ndcg_at_10=_ndcg(lesson, probability_P),
            untuned_ndcg_at_10=_ndcg(lesson, affinities_at_cut(lesson, UNTUNED)),
            held_out_ece=stated_ece,
            held_out_ece_bent=bent_ece,
        ),
    )


def affinities_at_cut(lesson: Lesson, parameters: Counts1Parameters) -> Floats:
    """Return what a model of these parameters would have said of every pair at the cut."""
    return parameters.affinity_P(lesson.past, lesson.own, lesson.pairs, lesson.share_T, lesson.cut)


def _held_out_errors(lesson: Lesson, features_PF: Floats) -> tuple[float | None, float | None]:
    """Return the calibration error on a fifth of the users of a formula learnt from the others, as stated and bent."""
    is_held_out_P = (stable_hash(lesson.past.user_id_U) % ONE_HELD_OUT_OF == 0)[lesson.pairs.user_P]
    if _is_one_class(lesson.is_touched_P[~is_held_out_P]):
        return None, None
    formula = fit_logistic(AFFINITY_FEATURES, features_PF[~is_held_out_P], lesson.is_touched_P[~is_held_out_P])
    probability_P = formula.probability_N(features_PF)
    published = _published(lesson, probability_P)
    taught, held_out = published[~is_held_out_P[published]], published[is_held_out_P[published]]
    if not len(taught) or not len(held_out):
        return None, None
    bent: Calibration = fit_calibration(probability_P[taught], lesson.is_touched_P[taught])
    stated, touched = probability_P[held_out], lesson.is_touched_P[held_out]
    return expected_calibration_error(stated, touched), expected_calibration_error(bent.apply(stated), touched)


def _published(lesson: Lesson, probability_P: Floats) -> Ints:
    """Return the pairs that would be in a profile; what is said of the others, nobody reads."""
    return top(INTERESTS_PER_USER, lesson.pairs.user_P, probability_P, lesson.pairs.tag_P)


def _ndcg(lesson: Lesson, strength_P: Floats) -> float:
    return ndcg_at(10, lesson.pairs.user_P, strength_P, lesson.pairs.tag_P, lesson.is_touched_P, lesson.touched_tags_U)


def _is_one_class(is_true_N: Bools) -> bool:
    return bool(is_true_N.all() or not is_true_N.any())
