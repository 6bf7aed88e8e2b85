"""One weekly training: read the sequences, promote the best challenger, and save it in the registry."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType

from pyiceberg.catalog import load_catalog
from rich.console import Console
from rich.progress import Progress

from model.data.cutoffs import MAX_TEST_WINDOWS, MAX_TRAIN_CUTOFFS, Cutoffs, training_cutoffs
from model.data.days import HORIZON_DAYS
from model.data.folds import read_histories
from model.data.history import HISTORY_COLUMNS
from model.data.item_tags import read_item_tags
from model.data.sequences import CATALOG, SequencesSnapshot, first_day_read, open_sequences, sequences_with
from model.errors import UsageError
from model.evaluation.tables import promotion_table
from model.items.model import KIND
from model.model_selection import load, load_items
from model.registry import ITEMS, Registry, Training, Version, newest_promoted, registry_of, unused_name
from model.training.challengers import BoostingChallenger, Challenger, TransformerChallenger
from model.training.items import ItemPromotion, promote_items
from model.training.page import findings, items_finding, render_page
from model.training.promotion import Promotion, promote, published_figures, steps_of
from model.transformer.config import SIZES
from model.transformer.distributed import is_main_rank
from model.transformer.fit import DECODERS, INTERESTS, WEEKLY_TRANSFORMER
from model.transformer.progress import StepCallback, plain_lines
from model.transformer.workdir import WorkDir
from throughline.stores import make_folder

BRANCH = "main"  # what is published
# Rows of sequences, one for each user and day, in a test window. With more, one window shows a lead of .01 nDCG@10.
MANY_ROWS = 3_000


@dataclass(frozen=True)
class TrainingContext:
    """The surroundings of a training."""

    watch: StepCallback  # called after each step
    workdir: WorkDir
    size: str  # of a network, as SIZES names it
    decoder: str  # of DECODERS


CHALLENGERS: Mapping[str, Callable[[TrainingContext], Challenger]] = MappingProxyType(
    {
        "boosting": lambda at: BoostingChallenger(),
        "transformer": lambda at: TransformerChallenger(
            replace(DECODERS[at.decoder], on_step=at.watch, workdir=at.workdir, size=at.size)
        ),
    }
)


@dataclass(frozen=True)
class TrainingRequest:
    """The arguments of one training. Raises UsageError for an unknown size, decoder or challenger."""

    through: date
    run_id: str
    promotes: bool
    challengers: tuple[str, ...]  # of CHALLENGERS
    size: str = WEEKLY_TRANSFORMER.size  # of the Transformer's network
    horizon_days: int = HORIZON_DAYS
    decoder: str = INTERESTS  # of DECODERS

    @property
    def saves_loser(self) -> bool:
        """Whether a model that does not win is saved too, as one that was asked for by name."""
        return self.decoder != INTERESTS

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise UsageError(f"--decoder {self.decoder}: expected one of {', '.join(DECODERS)}")
        if self.decoder != INTERESTS and self.challengers != ("transformer",):
            given = f"--decoder {self.decoder} --challengers {','.join(self.challengers)}"
            raise UsageError(f"{given}: expected the challenger transformer alone, which has the decoder")
        if self.size not in SIZES:
            raise UsageError(
                f"THROUGHLINE_TRANSFORMER_SIZE={self.size}: expected one of {', '.join(SIZES)}, to suit the machine"
            )
        unknown = [name for name in self.challengers if name not in CHALLENGERS]
        if unknown or not self.challengers or len(set(self.challengers)) < len(self.challengers):
            raise UsageError(
                f"--challengers {','.join(self.challengers)!r}: expected one or more of {', '.join(CHALLENGERS)}, each "
                f"once, with commas between them"
            )


def train_week(request: TrainingRequest, home: Path) -> list[str]:
    """Train and test challengers, save and maybe promote the winner; return what was found, the winner first.

    All figures are on a page, `trainings/<run id>.html` of the home or of the store of models. A run of the same id
    continues where an earlier one was killed, if the table has not changed; with a store of models, on any machine.
    With several distributed processes, the first alone prints and saves; the others return nothing.

    Raises InputError if the log is too young or has too few events, or if the table is missing or of another version.
    """
    started = time.monotonic()
    registry = registry_of(home)
    sequences = sequences_of(request.through, request.horizon_days)
    cutoffs = cutoffs_of(sequences, request.through, request.horizon_days)
    item_tags = read_item_tags(load_catalog(CATALOG), BRANCH)
    versions = registry.versions()
    champion = newest_promoted(versions, cutoffs.test, request.horizon_days)
    store = registry.files.checkpoints
    workdir = WorkDir(home / "exchange" / f".{request.run_id}.training", store / request.run_id if store else None)
    if is_main_rank():
        workdir.clear(but=str(sequences.snapshot_id))
    console = Console(stderr=True, highlight=False, quiet=not is_main_rank())
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading sequences")
        watch: StepCallback = plain_lines(console)
        if console.is_terminal:
            watch = lambda step: progress.update(task, description=step.line)  # noqa: E731
        context = TrainingContext(watch, workdir.part(str(sequences.snapshot_id)), request.size, request.decoder)
        challengers = [CHALLENGERS[name](context) for name in request.challengers]
        named = {unused_name(one.kind, request.through, versions): one for one in challengers}
        progress.update(task, total=steps_of(challengers) + 2)
        histories = read_histories(sequences, cutoffs, item_tags)
        promotion = promote(
            named,
            cutoffs,
            histories,
            [(champion.name, load(champion, registry))] if champion else [],
            lambda step: progress.update(task, advance=1, description=step),
            request.saves_loser,
        )
        if not is_main_rank():
            return []
        progress.update(task, advance=1, description="training and testing the ranking of items")
        items_registry = replace(registry, model=ITEMS)
        items_champion = newest_promoted(items_registry.versions(), cutoffs.test, request.horizon_days)
        items = promote_items(
            histories,
            cutoffs,
            (items_champion.name, load_items(items_champion, registry)) if items_champion else None,
        )
    title = f"as of {cutoffs.test}, tested on {cutoffs.tested_days}: {promotion.test_users:,} users"
    console.print(promotion_table(title, [(one.name, published_figures(one)) for one in promotion.results]))
    for version in _leaking_versions(versions, cutoffs):
        console.print(
            f"{version.name} is no opponent: trained through {version.trained_through}, it has seen days of the test",
            soft_wrap=True,
        )
    seconds = time.monotonic() - started
    outcome = _save(promotion, request, sequences, registry, seconds, item_tags.through(cutoffs.test))
    found = findings(promotion, outcome, seconds)
    if items:
        found.append(items_finding(items, _save_items(items, request, sequences, items_registry)))
    page = registry.files.pages / f"{request.run_id}.html"
    make_folder(page.parent)
    page.write_text(render_page(promotion, found, request.run_id, {"sequences": sequences.snapshot_id}), "utf-8")
    workdir.clear()
    verdict, *others = found
    return [verdict.answer, *[f"{one.question} {one.answer}" for one in others], f"all figures: {page}"]


def sequences_of(through: date, horizon_days: int) -> SequencesSnapshot:
    """Open what a training through a day reads of the table."""
    first_cutoff = through - timedelta(days=horizon_days * (MAX_TRAIN_CUTOFFS + 1 + MAX_TEST_WINDOWS))
    schema = sequences_with(HISTORY_COLUMNS)
    return open_sequences(load_catalog(CATALOG), BRANCH, first_day_read(first_cutoff), through, schema)


def cutoffs_of(sequences: SequencesSnapshot, through: date, horizon_days: int) -> Cutoffs:
    """Return the cutoffs of a training, with several test windows where one has too few users to show a small lead.

    Raises InputError as `training_cutoffs`.
    """
    oldest, _ = sequences.span or (None, None)
    newest_window = [through - timedelta(days=number) for number in range(horizon_days)]
    rows = sum(sequences.rows_of_day[day] for day in newest_window)
    return training_cutoffs(through, oldest, horizon_days, MAX_TEST_WINDOWS if rows < MANY_ROWS else 1)


def _leaking_versions(versions: Sequence[Version], cutoffs: Cutoffs) -> list[Version]:
    """Return the promoted versions that have seen days of the test window."""
    return [
        version
        for version in versions
        if version.is_promoted
        and version.horizon_days == cutoffs.horizon_days
        and cutoffs.test < version.trained_through
    ]


def _save(
    promotion: Promotion,
    request: TrainingRequest,
    sequences: SequencesSnapshot,
    registry: Registry,
    seconds: float,
    clusters_through: date | None,
) -> str:
    """Record the training, and register the winner; return the outcome of the leader, such as `NAME promoted`."""
    snapshot_id = sequences.snapshot_id
    assert snapshot_id is not None, "a table without a snapshot has no days, which training_cutoffs refuses"
    leader, refitted = promotion.leader, promotion.refitted
    training = Training(
        run_id=request.run_id,
        parameters={
            "kind": leader.kind,
            "horizon_days": request.horizon_days,
            **leader.trained.parameters(),
            "best_opponent": leader.comparison.best.name,
            "challengers": ",".join(request.challengers),
        },
        metrics={**_metrics(promotion), "seconds": seconds},
        trained_through=request.through,
        sequences_snapshot=snapshot_id,
        report={**promotion.as_json(), "sequences_snapshot": snapshot_id, "run_id": request.run_id},
        curves=leader.trained.curves,
        horizon_days=request.horizon_days,
        clusters_through=clusters_through,
    )
    tracked_as = registry.record(training)
    if refitted is None:
        return f"{leader.comparison.challenger.name} not promoted"
    is_promoted = request.promotes and leader.comparison.is_won
    saved = registry.register(refitted.kind, training, tracked_as, refitted.save, is_promoted)
    if not leader.comparison.is_won:
        return f"{saved.name} saved and not promoted, for `throughline run --model {saved.name}`"
    return f"{saved.name} {'promoted' if is_promoted else 'won, not promoted as requested'}"


def _save_items(
    items: ItemPromotion, request: TrainingRequest, sequences: SequencesSnapshot, registry: Registry
) -> str:
    """Record the training of items-1, and register it if it won; return the outcome, such as `NAME promoted`."""
    assert sequences.snapshot_id is not None, "a table without a snapshot has no days"
    training = Training(
        run_id=request.run_id,
        parameters={"kind": KIND, "horizon_days": request.horizon_days, "best_opponent": items.best.name},
        metrics={**items.challenger.figures, "difference": items.difference.mean},
        trained_through=request.through,
        sequences_snapshot=sequences.snapshot_id,
        report=items.as_json(),
        horizon_days=request.horizon_days,
    )
    tracked_as = registry.record(training)
    if not items.is_won:
        return f"{KIND} not promoted"
    saved = registry.register(KIND, training, tracked_as, items.refitted.save, request.promotes)
    return f"{saved.name} {'promoted' if request.promotes else 'won, not promoted as requested'}"


def _metrics(promotion: Promotion) -> dict[str, float]:
    """Return the figures of the leader under plain names, those of each challenger and of counts-1 under theirs."""
    leader, difference = promotion.leader, promotion.leader.comparison.difference
    named = {one.kind: one.comparison.challenger for one in promotion.outcomes}
    named["counts-1"] = leader.comparison.opponents[0]
    return {
        **published_figures(leader.comparison.challenger),
        **{
            f"{name.replace('-', '_')}_{metric}": value
            for name, result in named.items()
            for metric, value in published_figures(result).items()
        },
        "difference": difference.mean,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }
