"""Events after the cutoff, other users of the batch, and padding do not change a prediction."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from model.data.history import History
from model.transformer.network import InterestTransformer
from model.transformer.tokens import END, EVENT, PADDING, TokenBatch, Tokens, Vocabulary, token_batch, tokenize

Make = Callable[..., InterestTransformer]
SAME = {"rtol": 0.0, "atol": 1e-10}


def of_tokens(tokens: Tokens, user_B: list[int], cutoffs: list[int], max_tokens: int = 400) -> TokenBatch:
    batch = token_batch(tokens, np.array(user_B), [cutoffs] * len(user_B), max_tokens)
    return replace(batch, number_BLF=batch.number_BLF.double())


def with_other_events(history: History, is_changed_E: np.ndarray) -> History:
    """Return the history with another item and another tag for the marked events."""
    tag_M = np.where(is_changed_E[history.event_M], (history.tag_M + 7) % len(history.tag_T), history.tag_M)
    return replace(history, item_E=np.where(is_changed_E, history.item_E[::-1], history.item_E), tag_M=tag_M)


@pytest.mark.parametrize("is_hierarchical", [False, True])
def test_a_position_does_not_depend_on_later_tokens(
    make_network: Make, double_batch: TokenBatch, is_hierarchical: bool
) -> None:
    network = make_network(is_hierarchical=is_hierarchical)
    before_BLD = network.encode(double_batch)
    for position in (3, 20, 41):
        scrambled = {
            field.name: getattr(double_batch, field.name).clone()
            for field in fields(double_batch)
            if field.name != "cutoff_BC"
        }
        for name in ("item_BL", "action_BL", "tag_BLG", "number_BLF", "kind_BL", "session_BL", "at_BL", "position_BL"):
            scrambled[name][:, position + 1 :] = scrambled[name][:, position + 1 :].flip(0)
        after_BLD = network.encode(TokenBatch(**scrambled, cutoff_BC=double_batch.cutoff_BC))
        torch.testing.assert_close(after_BLD[:, : position + 1], before_BLD[:, : position + 1], **SAME)
        assert not torch.allclose(after_BLD[:, position + 1 :], before_BLD[:, position + 1 :])


def test_a_later_event_of_a_session_changes_no_token_before_it(
    network: InterestTransformer, history: History, vocabulary: Vocabulary, cutoffs: list[int]
) -> None:
    """Nor does the end token of the session, which comes after its last event."""
    is_user_E = history.user_E == 0
    at_U = history.at_E[is_user_E]
    day = at_U // 86_400_000_000
    busiest = np.bincount((day - day.min()).astype(int)).argmax() + day.min()
    last = int(at_U[day == busiest].max())
    assert (day == busiest).sum() > 1
    whole, shorter = tokenize(history, vocabulary), tokenize(history.before(last), vocabulary)
    whole_LD, shorter_LD = (network.encode(of_tokens(tokens, [0], cutoffs))[0] for tokens in (whole, shorter))
    position = int(np.flatnonzero((whole.user_N == 0) & (whole.at_N == last) & (whole.kind_N == EVENT))[0])
    torch.testing.assert_close(shorter_LD[:position], whole_LD[:position], **SAME)
    ends = shorter.kind_N[shorter.user_N == 0][position], whole.kind_N[whole.user_N == 0][position]
    assert ends == (END, EVENT)


def test_events_after_a_cutoff_do_not_change_its_prediction(
    network: InterestTransformer, history: History, vocabulary: Vocabulary, cutoffs: list[int]
) -> None:
    users = list(range(8))
    before = network(of_tokens(tokenize(history, vocabulary), users, cutoffs))
    for number, cutoff in enumerate(cutoffs[:-1]):
        other = with_other_events(history, history.at_E >= cutoff)
        after = network(of_tokens(tokenize(other, vocabulary), users, cutoffs))
        for name in ("affinity_BCT", "return_BC"):
            torch.testing.assert_close(getattr(after, name)[:, number], getattr(before, name)[:, number], **SAME)
        assert not torch.allclose(after.affinity_BCT[:, -1], before.affinity_BCT[:, -1])


@pytest.mark.parametrize("is_hierarchical", [False, True])
def test_sessions_after_a_cutoff_do_not_change_its_prediction(
    make_network: Make, history: History, vocabulary: Vocabulary, cutoffs: list[int], is_hierarchical: bool
) -> None:
    """Each later event gets a session of its own. Users with a session across the cutoff are left out."""
    is_later_E = history.at_E >= cutoffs[0]
    own_session_E = len(history.session_id_S) + np.arange(len(history.at_E))
    split = replace(
        history,
        session_E=np.where(is_later_E, own_session_E, history.session_E),
        session_id_S=np.concatenate([history.session_id_S, own_session_E.astype(str)]),
    )
    crossing = np.intersect1d(history.session_E[is_later_E], history.session_E[~is_later_E])
    crossing_users = history.user_E[np.isin(history.session_E, crossing)]
    both_sides = np.intersect1d(history.user_E[is_later_E], history.user_E[~is_later_E])
    users = np.setdiff1d(both_sides, crossing_users)[:8].tolist()
    assert len(users) == 8

    network = make_network(is_hierarchical=is_hierarchical)
    before, after = (
        network(of_tokens(tokenize(one, vocabulary), users, cutoffs, max_tokens=10_000)).affinity_BCT
        for one in (history, split)
    )
    torch.testing.assert_close(after[:, 0], before[:, 0], **SAME)
    assert not torch.allclose(after[:, -1], before[:, -1])


@pytest.mark.parametrize("is_hierarchical", [False, True])
@pytest.mark.parametrize("nth", [0, 1])
def test_an_event_exactly_at_a_cutoff_is_after_it(
    make_network: Make, history: History, vocabulary: Vocabulary, nth: int, is_hierarchical: bool
) -> None:
    """The cutoff is the moment of the first or second event of a session that is not its user's first."""
    _, first_S, events_S = np.unique(history.session_E, return_index=True, return_counts=True)
    first_S = first_S[(events_S > 1) & (first_S > 0)]
    first_S = first_S[history.user_E[first_S - 1] == history.user_E[first_S]][::20][:5]
    assert len(first_S) == 5
    network = make_network(is_hierarchical=is_hierarchical)
    for first in first_S:
        users, cutoff = [int(history.user_E[first])], int(history.at_E[first + nth])
        before = network(of_tokens(tokenize(history, vocabulary), users, [cutoff]))
        others = [with_other_events(history, history.at_E >= cutoff)]
        if nth == 0:  # no session crosses the cutoff
            others.append(history.before(cutoff))
        for other in others:
            after = network(of_tokens(tokenize(other, vocabulary), users, [cutoff]))
            for name in ("affinity_BCT", "return_BC"):
                torch.testing.assert_close(getattr(after, name), getattr(before, name), **SAME)


def test_a_prediction_does_not_depend_on_other_cutoffs(
    network: InterestTransformer, tokens: Tokens, cutoffs: list[int]
) -> None:
    together = network(of_tokens(tokens, [1, 2], cutoffs)).affinity_BCT
    for number, cutoff in enumerate(cutoffs):
        alone = network(of_tokens(tokens, [1, 2], [cutoff])).affinity_BCT
        torch.testing.assert_close(alone[:, 0], together[:, number], **SAME)


def test_padding_and_the_order_of_the_batch_do_not_change_a_prediction(
    network: InterestTransformer, tokens: Tokens, cutoffs: list[int]
) -> None:
    lengths = np.bincount(tokens.user_N)
    shortest, longest = int(lengths.argmin()), int(lengths.argmax())
    batch = of_tokens(tokens, [longest, shortest], cutoffs)
    assert (batch.kind_BL[1] == PADDING).any()
    reversed_users = network(of_tokens(tokens, [shortest, longest], cutoffs))
    alone = network(of_tokens(tokens, [shortest], cutoffs))
    together = network(batch)
    for name in ("affinity_BCT", "return_BC"):
        torch.testing.assert_close(getattr(reversed_users, name).flip(0), getattr(together, name), **SAME)
        torch.testing.assert_close(getattr(alone, name)[0], getattr(together, name)[1], **SAME)


def test_in_single_precision_a_user_alone_is_close_to_the_user_in_a_batch(
    make_network: Make, tokens: Tokens, cutoffs: list[int]
) -> None:
    network = make_network().float()
    batch = token_batch(tokens, np.arange(30), [cutoffs] * 30, max_tokens=400)
    together = torch.sigmoid(network(batch).affinity_BCT)
    alone = torch.cat(
        [
            torch.sigmoid(network(token_batch(tokens, np.array([user]), [cutoffs], 400)).affinity_BCT)
            for user in range(30)
        ]
    )
    torch.testing.assert_close(alone, together, rtol=0.0, atol=1e-4)


def test_before_the_first_event_all_users_get_the_same_finite_prediction(
    network: InterestTransformer, tokens: Tokens
) -> None:
    affinity_BCT = network(of_tokens(tokens, [0, 1], [0])).affinity_BCT
    assert torch.isfinite(affinity_BCT).all()
    torch.testing.assert_close(affinity_BCT[0], affinity_BCT[1], **SAME)
