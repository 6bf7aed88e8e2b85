"""`make bench taobao`: the Transformer beside all baselines on Taobao, from three seeds, and its tag-by-tag decoder.

The validation cut chooses the setting, once, for the first seed; the others run with it. Each seed is a mean of three
networks. Differences are paired by user. The decoder that emits tags is compared, without paths, with the mixture of
interests of the same network; neither had a say in the choice.

Needs the log, found by THROUGHLINE_REAL_DATA. Ends with the table in Markdown.

python -m tests.bench.taobao [--quick]
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from model.bootstrap import paired_difference
from model.evaluation.entrants import Family
from model.evaluation.evaluate import evaluate, learnt_of
from model.evaluation.exam import Exam, exam_at
from model.evaluation.judged import Cost, Judged, judge
from model.evaluation.known import Known, Lessons
from model.evaluation.listing import Listing, ask
from model.evaluation.metrics import ranking_values
from model.public_sets import files
from model.public_sets.files import data_folder
from model.public_sets.results import SetResult
from model.public_sets.sample import lowest_hashes_U
from model.public_sets.sets import EVERYBODY, TAOBAO_SPLIT
from model.public_sets.tag_bench import METRICS, known_of, task_result
from model.public_sets.taobao import read_taobao
from model.public_sets.taobao_contestants import TAOBAO_FAMILIES, TRIAL_FAMILIES
from model.transformer.interest_ranker import TransformerContestant
from tests.bench.baselines_markdown import markdown
from tests.bench.machine import machine
from tests.bench.tag_by_tag import PathlessRanker

RESULTS = Path(__file__).with_name("results") / "taobao_transformer.json"
QUICK_USERS = 200
OTHER_SEEDS = (11, 21)  # the first is that of the family; three networks take three seeds in a row
COMPARED_WITH = ("counts-1", "boosted-ranking")
SEQUENCE_WEIGHT = 0.5
SEQUENCE_EPOCHS = 4  # nothing to start from, so it takes longer than beside paths
Result = dict[str, Any]


def told_of(judged: Judged, others: Sequence[Judged]) -> Result:
    """Return the figures of one seed, how much they lie above others', and how true its probabilities are."""
    return {
        "settings": judged.settings,
        "metrics": {metric: asdict(judged.interval(metric)) for metric in METRICS},
        "against": {
            other.name: {
                metric: asdict(paired_difference(judged.value_of[metric], other.value_of[metric])) for metric in METRICS
            }
            for other in others
        },
        "ece_of_ten_highest": {
            "before_calibration": judged.before.ece if judged.before else None,
            "after_calibration": judged.after.ece if judged.after else None,
        },
        "seconds": asdict(judged.cost),
    }


def exams_of(known: Known) -> tuple[Exam, Exam]:
    validation, test = (exam_at(known, TAOBAO_SPLIT, cut) for cut in (TAOBAO_SPLIT.validation, TAOBAO_SPLIT.test))
    return validation, test


def judged_again(contestant: TransformerContestant, lessons: Lessons, validation: Exam, test: Exam) -> Judged:
    """Judge as the referee does, without its guards, which the same contestant of another seed has passed."""
    chosen = Family("transformer", (contestant,)).choose(lessons, validation)
    started = time.perf_counter()
    ranker = chosen.prepare(lessons.known, test.cut)
    seconds = time.perf_counter() - started
    assert ranker is not None
    listing = ask(ranker, test)
    cost = Cost(chosen.seconds, seconds, listing.seconds)
    return judge(chosen.name, chosen.settings, listing, learnt_of(chosen), chosen.states_probabilities, cost)


def bench_tag_by_tag(known: Known, contestant: TransformerContestant) -> Result:
    """Train one network with the loss of the tag-by-tag decoder; return what it says alone in either way."""
    recipe = replace(
        contestant.recipe,
        epochs=SEQUENCE_EPOCHS,
        weights=replace(contestant.recipe.weights, sequence=SEQUENCE_WEIGHT),
    )
    contestant = replace(contestant, networks=1, recipe=recipe)
    _, test = exams_of(known)
    taught = Lessons(known, TAOBAO_SPLIT).by(known, TAOBAO_SPLIT.test)
    ranker = contestant.prepare(taught, test.everybody, test.moment)
    value_of = {
        name: _f1_at_5_of(ask(PathlessRanker(ranker, is_tag_by_tag), test))
        for name, is_tag_by_tag in (("mixture", False), ("tag by tag", True))
    }
    with_paths = _f1_at_5_of(ask(ranker, test))
    none = 0 * with_paths
    return {
        "settings": dict(contestant.settings()),
        "f1_at_5": {
            "with_paths": asdict(paired_difference(with_paths, none)),
            **{name: asdict(paired_difference(value_U, none)) for name, value_U in value_of.items()},
        },
        "tag_by_tag_against_mixture": asdict(paired_difference(value_of["tag by tag"], value_of["mixture"])),
    }


def _f1_at_5_of(listing: Listing) -> Any:
    return ranking_values(listing.exam.user_H, listing.place_H, listing.exam.answers_U)["f1_at_5"]


def bench(quick: bool) -> Result:
    started = time.monotonic()

    def told(doing: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {doing}", file=sys.stderr, flush=True)

    history = read_taobao(data_folder()).history
    history = history.of_users(lowest_hashes_U(history.user_id_U, QUICK_USERS if quick else EVERYBODY))
    known = known_of(history, TAOBAO_SPLIT)
    families = TRIAL_FAMILIES if quick else TAOBAO_FAMILIES
    found = evaluate(known, TAOBAO_SPLIT, families, told=told)
    judged = {standing.judged.name: standing.judged for standing in found.match.standings}
    first = judged["transformer"]
    others = [judged[name] for name in COMPARED_WITH]
    chosen = next(one for one in families["transformer"] if one.settings() == first.settings)
    assert isinstance(chosen, TransformerContestant)
    seeds: dict[int, Judged] = {chosen.recipe.seed: first}
    task = task_result("tags of the next day", found, families)
    whole = SetResult("taobao", files.TAOBAO.title, QUICK_USERS if quick else None, [task]).as_json()
    result = {"machine": machine(), **whole}
    _write(result, quick)  # so that what took longest is not lost
    lessons, validation, test = Lessons(known, TAOBAO_SPLIT), *exams_of(known)
    for seed in OTHER_SEEDS:
        told(f"seed {seed}")
        again = replace(chosen, recipe=replace(chosen.recipe, seed=seed))
        seeds[seed] = judged_again(again, lessons, validation, test)
        result["seeds"] = {str(number): told_of(one, others) for number, one in seeds.items()}
        _write(result, quick)
    told("tag by tag")
    result["tag_by_tag"] = bench_tag_by_tag(known, chosen)
    result["process"] = {"seconds": time.monotonic() - started}
    _write(result, quick)
    return result


def seeds_markdown(seeds: Mapping[str, Result]) -> str:
    """Return a line for each seed: figures, differences, and the error of its probabilities."""
    lines = [
        "| seed | nDCG@10 | F1@5 | recall@10 | nDCG@10 above counts-1 | F1@5 above counts-1 "
        "| nDCG@10 above boosted-ranking | F1@5 above boosted-ranking | ECE before | ECE after |",
        "| --- " * 10 + "|",
    ]
    for seed, one in seeds.items():
        cells = [f"{one['metrics'][metric]['mean']:.4f}" for metric in ("ndcg_at_10", "f1_at_5", "recall_at_10")]
        for other in COMPARED_WITH:
            for metric in ("ndcg_at_10", "f1_at_5"):
                gap = one["against"][other][metric]
                cells.append(f"{gap['mean']:+.4f} ({gap['low']:+.4f} to {gap['high']:+.4f})")
        cells += [f"{error:.4f}" for error in one["ece_of_ten_highest"].values()]
        lines.append(f"| {seed} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _write(result: Result, is_quick: bool) -> None:
    file = RESULTS.with_name("taobao_transformer-quick.json") if is_quick else RESULTS
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1, default=str) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_USERS} users and a tiny training: does it run?")
    result = bench(parser.parse_args().quick)
    print(markdown({"sets": [result]}), seeds_markdown(result["seeds"]), sep="\n\n")
    print(json.dumps(result["tag_by_tag"]["f1_at_5"], indent=1))


if __name__ == "__main__":
    main()
