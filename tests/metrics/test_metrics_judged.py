"""Predictions completed by a policy: by hand, and against a slow reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.metrics.gates import EVEN, LASTING, SURE, Gate
from rlld.types import AUDIO, VISUAL, Prediction

PLAIN = Gate(segment_threshold=0.3)
JUDGED = Gate(segment_threshold=0.3, judged=True)


def heard(level: float = 0.8) -> Prediction:
    """A class heard throughout, hardly seen; the policy is sure that it is seen, too."""
    segment = torch.tensor([[[0.8], [0.1]], [[0.8], [0.05]]])[None]  # (1, T, 2, C)
    levels = [torch.tensor([[value]]) for value in (level, 0.1, level)]
    return Prediction(segment, *levels, held=torch.tensor([[[0.5], [0.9]]]))


def test_what_the_policy_knows_is_added_by_its_odds():
    found = PLAIN.completed(heard())
    # Odds 9 of the policy, an eighth of the stronger track against EVEN: 2.25; it occurs with 0.8.
    assert found.segment[0, :, VISUAL, 0].tolist() == pytest.approx([0.8 * 2.25 / 3.25] * 2)
    assert found.segment[0, :, AUDIO, 0].tolist() == pytest.approx([0.8, 0.8])
    assert float(found.visual) == pytest.approx(0.8 * 2.25 / 3.25)
    assert found.held is None
    assert PLAIN.apply(heard()).all()
    assert not PLAIN.apply(replace(heard(), held=None))[0, :, VISUAL].any()


@pytest.mark.parametrize("tags", [None, torch.ones(1, 1)])
def test_what_the_network_finds_keeps_its_times(tags):
    """A bark of one second in ten: the policy knows that it is heard, not that it lasts."""
    segment = torch.full((1, 10, 2, 1), 0.15)
    segment[0, 4, AUDIO] = 0.6
    level = torch.full((1, 1), 0.6)
    held = torch.tensor([[[0.9], [0.1]]])
    given = Prediction(segment, level, 0.1 * level, level, held=held)
    for told in given, replace(given, held=None):
        assert JUDGED.apply(told, tags)[0, :, AUDIO, 0].nonzero().flatten().tolist() == [4]


@pytest.mark.parametrize("tags", [None, torch.ones(1, 1)])
def test_an_event_goes_on_between_segments_in_which_it_is_found(tags):
    """0.18 is too weak beside 0.8 (0.35 of its square is 0.224); what lies outside stays so."""
    row = [0.25, 0.25, 0.8, 0.25, 0.18, 0.25, 0.4, 0.25]
    segment = torch.tensor(row)[None, :, None, None].repeat(1, 1, 2, 1)
    segment[:, :, VISUAL] = 0
    level = torch.full((1, 1), 0.8)
    given = Prediction(segment, level, 0 * level, level, held=torch.tensor([[[0.9], [0.1]]]))
    assert JUDGED.apply(given, tags)[0, :, AUDIO, 0].nonzero().flatten().tolist() == [2, 3, 5, 6]


def test_a_known_tag_occurs_for_certain():
    found = PLAIN.completed(heard(0.2), torch.ones(1, 1))
    assert found.segment[0, :, VISUAL, 0].tolist() == pytest.approx([2.25 / 3.25] * 2)


def test_what_the_gate_finds_nowhere_is_not_completed():
    given = heard(level=0.2)
    assert PLAIN.completed(given).segment.equal(given.segment)
    assert not PLAIN.apply(given).any()


def test_a_class_that_is_no_tag_stays_off():
    assert not PLAIN.apply(heard(), torch.zeros(1, 1)).any()


def test_nothing_changes_where_nothing_judged():
    given = replace(heard(), held=None)
    assert PLAIN.completed(given) is given


def test_a_policy_that_is_certain_cannot_overrule_what_is_not_there():
    silent = replace(heard(), segment=torch.tensor([[[0.8], [0.0]]] * 2)[None])
    certain = replace(silent, held=torch.ones(1, 2, 1))
    assert not PLAIN.apply(certain)[0, :, VISUAL].any()
    assert bool(PLAIN.completed(certain).segment.isfinite().all())


def slow(given: Prediction, gate: Gate, tags: torch.Tensor | None) -> torch.Tensor:
    """The segments, one video, class and track after another."""
    whole = given.segment.clone()
    active = gate.apply(replace(given, held=None))
    opened = active.any(1)
    for video in range(len(whole)):
        length = whole.shape[1] if given.mask is None else int(given.mask[video].sum())
        for c in range(whole.shape[3]):
            seen = []
            for m in (AUDIO, VISUAL):
                row = given.segment[video, :length, m, c].tolist()
                w = gate.smoothing
                padded = [row[0], *row, row[-1]]
                seen.append(
                    [
                        w * padded[t] + (1 - 2 * w) * padded[t + 1] + w * padded[t + 2]
                        for t in range(length)
                    ]
                )
            strongest = max(max(row) for row in seen)
            occurs = 1.0 if tags is not None else strongest * bool(opened[video, :, c].any())
            for m in (AUDIO, VISUAL):
                judged = min(max(float(given.held[video, m, c]), 1 - SURE), SURE)
                odds = judged / (1 - judged) * max(seen[m]) / (EVEN * strongest)
                probability = occurs * odds / (1 + odds)
                times = [t for t in range(length) if active[video, t, m, c]] or [0, length - 1]
                for t in range(times[0], times[-1] + 1):
                    if probability >= 0.5 and seen[m][t] >= LASTING * max(seen[m]) ** 2:
                        whole[video, t, m, c] = max(float(whole[video, t, m, c]), probability)
    return whole


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("lengths", [None, [5, 2, 4, 1, 5, 3]])
@pytest.mark.parametrize("gate", [Gate(), Gate("video", "video", 0.4, 0.4, 0.3, 0.2)])
def test_a_slow_reference_gives_the_same(gate, lengths, known):
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.rand(6, 5, 2, 3, generator=generator) ** 2]
    drawn += [torch.rand(6, 3, generator=generator) for _ in range(3)]
    mask = None
    if lengths is not None:
        mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    held = torch.rand(6, 2, 3, generator=generator)
    given = replace(Prediction(*drawn).within(mask), held=held)
    tags = torch.randint(2, (6, 3), generator=generator) if known else None
    wanted = slow(given, gate, tags)
    found = gate.completed(given, tags)
    torch.testing.assert_close(found.segment, wanted, rtol=1e-6, atol=1e-7)
    assert not wanted.equal(given.segment)
    # A track that is found by the policy passes the gate, too.
    raised = (found.segment > given.segment).any(1)
    for m, level in ((AUDIO, found.audio), (VISUAL, found.visual)):
        assert bool((level[raised[:, m]] >= 0.5).all())
