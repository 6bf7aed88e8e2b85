"""`make bench taobao`: the Transformer on Taobao from three seeds, compared with baselines; its tag-by-tag decoder.

The validation cutoff selects the setting for the first seed, unless --setting does; the other seeds use it. Each seed
is the mean of three networks. Differences are paired by user. `make bench baselines` has the leakage tests and all
other baselines. The decoder that emits tags is compared with the mixture of the same network, without stacked features.

THROUGHLINE_REAL_DATA names the folder of the log. The bench prints a table in Markdown.

python -m tests.bench.taobao [--quick] [--setting N] [--as-of 2017-12-01]
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from model.baselines.grids import GRIDS
from model.data.cutoffs import Cutoffs
from model.data.folds import TrainingWindows
from model.data.users import lowest_hash_users_U
from model.evaluation.backtest import score_reading_of
from model.evaluation.entrants import SearchSpace, Selected, fit_as_of
from model.evaluation.holdout import TestSet, TopK, build_test_set, predict_top_k
from model.evaluation.metrics import ranking_values
from model.evaluation.results import Cost, EvaluationResult, evaluate_top_k
from model.interfaces import FittedModel, Model
from model.metrics import paired_difference
from model.transformer.fit import FittedTransformer, TransformerModel
from tests.bench.machine import machine
from tests.bench.public_sets import files
from tests.bench.public_sets.files import data_folder
from tests.bench.public_sets.sets import ALL_USERS, TAOBAO_SPLIT, taobao_split
from tests.bench.public_sets.tag_bench import METRICS, known_of
from tests.bench.public_sets.taobao import read_taobao
from tests.bench.public_sets.taobao_models import STACKED, TAOBAO_GRIDS, TRIAL_GRIDS
from tests.bench.tag_by_tag import DecoderRanker

RESULTS = Path(__file__).with_name("results") / "taobao_transformer.json"
BASELINES = RESULTS.with_name("baselines.json")
QUICK_USERS = 200
ENSEMBLES = 3  # a network of an ensemble takes the seed after that of the one before it
COMPARED_WITH = ("counts-1", "boosted-ranking", STACKED.name)
SEQUENCE_WEIGHT = 0.5
SEQUENCE_EPOCHS = 3  # more than with stacked features, which give a warm start
Result = dict[str, Any]


def figures_of(result: EvaluationResult, others: Sequence[EvaluationResult]) -> Result:
    """Return the metrics of one seed, their differences to others, and its calibration errors."""
    return {
        "settings": result.settings,
        "metrics": {metric: asdict(result.interval(metric)) for metric in METRICS},
        "against": {
            other.name: {
                metric: asdict(paired_difference(result.value_of[metric], other.value_of[metric])) for metric in METRICS
            }
            for other in others
        },
        "ece_of_ten_highest": {
            "before_calibration": result.before.ece if result.before else None,
            "after_calibration": result.after.ece if result.after else None,
        },
    }


def evaluate_at(test: TestSet, chosen: Selected, ranker: FittedModel) -> EvaluationResult:
    """Evaluate a model on the test, without leakage tests."""
    top_k = predict_top_k(ranker, test)
    cost = Cost(chosen.seconds, 0.0, top_k.seconds)
    return evaluate_top_k(
        chosen.name, chosen.settings, [top_k], score_reading_of(chosen), chosen.predicts_probabilities, cost
    )


def evaluate_seeds(
    test: TestSet, chosen: Selected, model: TransformerModel, windows: TrainingWindows
) -> dict[int, EvaluationResult]:
    """Evaluate ensembles, by their first seed. They share the training data.

    All use the thresholds and the calibration that the first seed has from the validation cutoff.
    """
    each = model.networks
    whole = fit_as_of(replace(model, networks=each * ENSEMBLES), windows, windows.histories, test.cutoff)
    assert isinstance(whole, FittedTransformer)
    return {
        model.training_config.seed + first: evaluate_at(
            test, chosen, replace(whole, networks=whole.networks[first : first + each])
        )
        for first in range(0, each * ENSEMBLES, each)
    }


def bench_tag_by_tag(windows: TrainingWindows, test: TestSet, model: TransformerModel) -> Result:
    """Train one network with the loss of the tag-by-tag decoder; return the F1@5 of both its outputs."""
    config = replace(
        model.training_config,
        epochs=SEQUENCE_EPOCHS,
        weights=replace(model.training_config.weights, sequence=SEQUENCE_WEIGHT),
    )
    ranker = fit_as_of(replace(model, networks=1, training_config=config), windows, windows.histories, test.cutoff)
    assert isinstance(ranker, FittedTransformer)
    value_of = {
        name: _f1_at_5_of(predict_top_k(DecoderRanker(ranker, is_tag_by_tag), test))
        for name, is_tag_by_tag in (("mixture", False), ("tag by tag", True))
    }
    with_paths = _f1_at_5_of(predict_top_k(ranker, test))
    none = 0 * with_paths
    return {
        "recipe": config.as_json(),
        "f1_at_5": {
            "with_paths": asdict(paired_difference(with_paths, none)),
            **{name: asdict(paired_difference(value_U, none)) for name, value_U in value_of.items()},
        },
        "tag_by_tag_against_mixture": asdict(paired_difference(value_of["tag by tag"], value_of["mixture"])),
    }


def _f1_at_5_of(top_k: TopK) -> Any:
    return ranking_values(top_k.ranked)["f1_at_5"]


def tuned_before(name: str) -> Model:
    """Return the setting of a baseline that `make bench baselines` selected on the same validation cutoff."""
    sets = json.loads(BASELINES.read_text(encoding="utf-8"))["sets"]
    methods = next(one for one in sets if one["name"] == "taobao")["tasks"][0]["methods"]
    settings = next(one["settings"] for one in methods if one["method"] == name)
    return next(one for one in GRIDS[name] if dict(one.settings()) == settings)


def bench(quick: bool, setting: int | None, split: Cutoffs) -> Result:
    started = time.monotonic()

    def progress(doing: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {doing}", file=sys.stderr, flush=True)

    history = read_taobao(data_folder()).history
    history = history.of_users(lowest_hash_users_U(history.user_id_U, QUICK_USERS if quick else ALL_USERS))
    known = known_of(history, split)
    windows = TrainingWindows(known, split)
    validation, test = (build_test_set(known, split, cutoff) for cutoff in (split.validation, split.test))
    others = []
    for name in COMPARED_WITH:
        progress(name)
        other = SearchSpace(name, (STACKED if name == STACKED.name else tuned_before(name),)).choose(
            windows, validation
        )
        ranker = other.fit(known, test.cutoff)
        assert ranker is not None
        others.append(evaluate_at(test, other, ranker))
    transformers = (TRIAL_GRIDS if quick else TAOBAO_GRIDS)["transformer"]
    progress("choosing the transformer")
    chosen = SearchSpace("transformer", transformers if setting is None else transformers[setting:][:1]).choose(
        windows, validation
    )
    progress(f"three seeds of {chosen.settings}")
    model = next(one for one in transformers if one.settings() == chosen.settings)
    assert isinstance(model, TransformerModel)
    seeds = evaluate_seeds(test, chosen, model, windows)
    result: Result = {
        "machine": machine(),
        "configuration": {
            "title": files.TAOBAO.title,
            "quick_users": QUICK_USERS if quick else None,
            "setting_taken_untuned": setting,  # None where the validation selected the setting
            "split": split.as_json(),
            "users": test.users,
            "test_users": int((test.answers_U > 0).sum()),
            "tags": test.tags,
            "compared_with": {one.name: dict(one.settings) for one in others},
        },
        "tried": list(chosen.tried),
        "others": {one.name: {metric: asdict(one.interval(metric)) for metric in METRICS} for one in others},
        "seeds": {str(seed): figures_of(one, others) for seed, one in seeds.items()},
        "process": {"seconds": time.monotonic() - started},
    }
    _write(result, quick)
    print(seeds_markdown(result["seeds"]), flush=True)
    progress("tag by tag")
    result["tag_by_tag"] = bench_tag_by_tag(windows, test, model)
    _write(result, quick)
    return result


def seeds_markdown(seeds: Mapping[str, Result]) -> str:
    """Return a line for each seed: metrics, differences, and calibration errors."""
    lines = [
        "| seed | nDCG@10 | F1@5 | recall@10 | "
        + " | ".join(f"{metric} above {name}" for name in COMPARED_WITH for metric in ("nDCG@10", "F1@5"))
        + " | ECE before | ECE after |",
        "| --- " * (6 + 2 * len(COMPARED_WITH)) + "|",
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
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_USERS} users, one epoch, to see that it runs")
    parser.add_argument("--setting", type=int, help="use this setting of the grid, from 0 on, without tuning")
    parser.add_argument(
        "--as-of",
        type=date.fromisoformat,
        default=TAOBAO_SPLIT.test,
        help="the last known day; the next day is the test, the day before the validation (default %(default)s)",
    )
    arguments = parser.parse_args()
    result = bench(arguments.quick, arguments.setting, taobao_split(arguments.as_of))
    print(json.dumps(result["tag_by_tag"], indent=1))


if __name__ == "__main__":
    main()
