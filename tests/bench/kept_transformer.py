"""A transformer-1 in the registry of a benchmark's home, taught on made-up users.

It foretells nothing that is worth knowing (their tags are drawn at random); nights load, walk and pay for it as for any
other of its size.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.data.days import DAYS_AHEAD, MICROS_PER_DAY, end_of_day
from model.data.history import history_of
from model.data.labels import lesson_between
from model.registry import Registry, Training
from model.training.challengers import Schooling, TransformerChallenger
from model.transformer.fit import CONTESTANT
from tests.bench.generated_sequences import LAST_DAY, made_up_users

USERS = 5_000
WEEKS = 2
EPOCHS = 1


def keep_transformer(home: Path) -> str:
    """Teach one of the size and with the paths that `throughline train` teaches; return the name of its version."""
    end, week = end_of_day(LAST_DAY), DAYS_AHEAD * MICROS_PER_DAY
    past = history_of(made_up_users(0, USERS, LAST_DAY, np.random.default_rng(2)))
    cuts = [end - number * week for number in range(WEEKS, 0, -1)]
    lessons = [lesson_between(past, past, cut, cut + week) for cut in cuts]
    contestant = replace(CONTESTANT, cuts_a_window=1, recipe=replace(CONTESTANT.recipe, epochs=EPOCHS))
    learnt = TransformerChallenger(contestant).learn(Schooling(lessons, past, end), lambda doing: None)
    registry = Registry(home)
    training = Training(
        run_id="bench",
        parameters=learnt.parameters(),
        metrics={},
        trained_through=LAST_DAY,
        sequences_snapshot=0,
        report=learnt.as_json(),
    )
    tracked_as = registry.record(training)
    return registry.register(learnt.kept.kind, training, tracked_as, learnt.kept.write, is_promoted=False).name
