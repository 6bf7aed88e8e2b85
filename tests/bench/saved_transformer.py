"""A transformer-1 in the registry of a benchmark's home, trained on generated users.

Their tags are random, so it predicts nothing. It costs as much to load and to score with as any other of its size.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.data.days import HORIZON_DAYS, MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import label_window_between
from model.interfaces import TrainingData
from model.registry import Registry, Training
from model.training.challengers import TransformerChallenger
from model.transformer.fit import WEEKLY_TRANSFORMER
from tests.bench.generated_sequences import LAST_DAY, made_up_users

USERS = 5_000
WEEKS = 2
EPOCHS = 1


def save_transformer(home: Path) -> str:
    """Train with the size and the stacked features of `throughline train`; return the name of the version."""
    end, week = end_of_day(LAST_DAY), HORIZON_DAYS * MICROS_PER_DAY
    past = history_of(made_up_users(0, USERS, LAST_DAY, np.random.default_rng(2)))
    cutoffs = [end - number * week for number in range(WEEKS, 0, -1)]
    windows = [label_window_between(past, past, cutoff, cutoff + week) for cutoff in cutoffs]
    training_config = replace(WEEKLY_TRANSFORMER.training_config, epochs=EPOCHS)
    model = replace(WEEKLY_TRANSFORMER, cutoffs_per_window=1, training_config=training_config)
    trained = TransformerChallenger(model).train(TrainingData(windows, past, end), lambda doing: None)
    registry = Registry(home)
    training = Training(
        run_id="bench",
        parameters=trained.parameters(),
        metrics={},
        trained_through=LAST_DAY,
        sequences_snapshot=0,
        report=trained.as_json(),
    )
    tracked_as = registry.record(training)
    return registry.register(trained.saved.kind, training, tracked_as, trained.saved.save, is_promoted=False).name
