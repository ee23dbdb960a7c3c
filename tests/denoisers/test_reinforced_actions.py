"""Actions: what is sampled, how probable it was, and which labels it leaves."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.options import EmptyRule
from rlld.denoisers.reinforced.policy import CERTAIN


def random_case(seed: int, videos: int, classes: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(videos, 2, classes, generator=generator, dtype=torch.float64)
    taken = torch.rand(videos, 2, classes, generator=generator) < 0.5
    labels = (torch.rand(videos, classes, generator=generator) < 0.4).double()
    return logits, taken, labels


CASES = (st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 7))


@given(*CASES)
def test_log_probability_and_entropy_equal_plain_sums(seed: int, videos: int, classes: int) -> None:
    logits, taken, labels = random_case(seed, videos, classes)
    log_pi = actions.log_probability(logits, taken, labels)
    entropy = actions.entropy(logits, labels)
    for i in range(videos):
        for m in range(2):
            p = [1 / (1 + math.exp(-z)) for z in logits[i, m].tolist()]
            chosen = [c for c in range(classes) if labels[i, c]]
            expected = sum(math.log(p[c] if taken[i, m, c] else 1 - p[c]) for c in chosen)
            disorder = -sum(p[c] * math.log(p[c]) + (1 - p[c]) * math.log(1 - p[c]) for c in chosen)
            assert log_pi[i, m].item() == pytest.approx(expected, abs=1e-9)
            assert entropy[i, m].item() == pytest.approx(disorder, abs=1e-9)


@given(*CASES, st.integers(0, 10_000))
def test_absent_labels_have_no_part_in_the_probability(
    seed: int, videos: int, classes: int, other_seed: int
) -> None:
    logits, taken, labels = random_case(seed, videos, classes)
    other_logits, other_taken, _ = random_case(other_seed, videos, classes)
    present = labels.bool().unsqueeze(1)
    changed = torch.where(present, logits, other_logits).requires_grad_()
    expected = actions.log_probability(logits, taken, labels)
    found = actions.log_probability(changed, torch.where(present, taken, other_taken), labels)
    assert torch.equal(found, expected)
    found.sum().backward()
    assert changed.grad is not None
    assert not changed.grad[~present.expand_as(logits)].any()


@given(*CASES, st.sampled_from(["both", "modality", "none"]))
def test_revised_labels_are_a_part_of_the_weak_ones(
    seed: int, videos: int, classes: int, rule: EmptyRule
) -> None:
    _, taken, labels = random_case(seed, videos, classes)
    revised, undone = actions.revise(labels, taken, rule)
    assert (revised <= labels.unsqueeze(1)).all()
    has_labels = labels.any(1)
    if rule == "both":
        assert (revised.sum((1, 2))[has_labels] > 0).all()
        assert torch.equal(undone[:, 0], undone[:, 1])
    elif rule == "modality":
        assert (revised.sum(2)[has_labels] > 0).all()
    else:
        assert torch.equal(revised, taken * labels.unsqueeze(1))
    assert not undone[~has_labels].any()


@pytest.mark.parametrize(
    ("rule", "audio", "visual", "undone"),
    [
        ("both", [[1, 1, 0], [0, 0, 0], [0, 0, 0]], [[1, 1, 0], [0, 1, 0], [0, 0, 0]], [1, 0, 0]),
        ("none", [[0, 0, 0], [0, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]], [0, 0, 0]),
    ],
)
def test_empty_rule_by_hand(
    rule: EmptyRule, audio: list[list[int]], visual: list[list[int]], undone: list[int]
) -> None:
    # Video 0 loses everything, video 1 its audio labels alone, video 2 has no labels.
    labels = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]])
    taken = torch.zeros(3, 2, 3, dtype=torch.bool)
    taken[1, 1, 1] = True
    revision = actions.revise(labels, taken, rule)
    assert revision.labels[:, 0].tolist() == audio
    assert revision.labels[:, 1].tolist() == visual
    assert revision.undone.tolist() == [[bool(u)] * 2 for u in undone]


def test_empty_rule_of_a_modality_by_hand() -> None:
    labels = torch.tensor([[1.0, 1, 0]])
    taken = torch.tensor([[[False, False, True], [True, False, True]]])
    revision = actions.revise(labels, taken, "modality")
    assert revision.labels.tolist() == [[[1, 1, 0], [1, 0, 0]]]
    assert revision.undone.tolist() == [[True, False]]


def test_sampling_follows_the_probabilities_and_the_generator() -> None:
    probability = torch.tensor([0.05, 0.5, 0.88])
    logits = torch.logit(probability).expand(20_000, 3)
    generator = torch.Generator().manual_seed(5)
    state = generator.get_state()
    first = actions.sample(logits, generator)
    deviation = (probability * (1 - probability) / 20_000).sqrt()
    assert ((first.float().mean(0) - probability).abs() < 4 * deviation).all()
    assert not torch.equal(first, actions.sample(logits, generator))
    generator.set_state(state)
    assert torch.equal(first, actions.sample(logits, generator))


def test_a_certain_branch_always_keeps() -> None:
    logits = torch.full((100_000,), CERTAIN)
    assert actions.sample(logits, torch.Generator().manual_seed(0)).all()
    assert (logits.sigmoid() == 1).all()
    assert (logits.double().sigmoid() == 1).all()
