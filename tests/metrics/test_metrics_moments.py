"""How the classes of single segments are ranked: by hand, by a slow count, and as what selects."""

from __future__ import annotations

import pytest
import torch

import rlld
from rlld.errors import RlldError
from rlld.evaluation.outcome import interval
from rlld.evaluation.scoring import evaluate_on, load_for
from rlld.metrics.moments import moment_precision
from rlld.metrics.scores import MOMENT_NAMES, named_score
from rlld.metrics.tags import average_precision
from rlld.recipes.selection import Selection
from rlld.utils.compute import Compute

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]).bool()


def slow(values, positive):
    """Average precision of one row: at each positive, the share of positives at least as sure."""
    found = []
    for value, hit in zip(values, positive, strict=True):
        if hit:
            above = [other >= value for other in values]
            right = sum(a and p for a, p in zip(above, positive, strict=True))
            found.append(right / sum(above))
    return sum(found) / len(found) if found else 0.0


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "ragged"])
def test_it_is_the_slow_count_of_every_segment(mask):
    generator = torch.Generator().manual_seed(0)
    probability = (torch.rand(2, 4, 2, 5, generator=generator) * 8).round() / 8
    truth = torch.rand(2, 4, 2, 5, generator=generator) < 0.3
    truth[0, 1] = False
    found = moment_precision(probability, truth, mask)
    for video in range(2):
        length = 4 if mask is None else int(mask[video].sum())
        for lane in range(3):
            values = []
            for segment in range(length):
                own, true = probability[video, segment].tolist(), truth[video, segment].tolist()
                both = [(a * v) ** 0.5 for a, v in zip(*own, strict=True)]
                common = [a and v for a, v in zip(*true, strict=True)]
                values.append(slow([*own, both][lane], [*true, common][lane]))
            assert found[video, lane].item() == pytest.approx(sum(values) / length, abs=1e-6)


def test_equal_values_count_together_and_nothing_true_is_0():
    values = torch.tensor([[0.5, 0.5, 0.1], [0.9, 0.2, 0.1], [0.3, 0.2, 0.1]])
    positive = torch.tensor([[1, 0, 0], [1, 0, 1], [0, 0, 0]]).bool()
    found = average_precision(values, positive)
    torch.testing.assert_close(found, torch.tensor([0.5, (1 + 2 / 3) / 2, 0.0]))


def test_it_selects_and_is_asked_for_by_name(tiny_data, tmp_path):
    updates = {"schedule.updates": 6, "selection.score": "moment_audio_visual"}
    compute = Compute(device="cpu", threads=1)
    run = rlld.train("weak", tiny_data, tmp_path / "run", overrides=updates, compute=compute)
    videos = load_for(run, "validation", None)
    evaluation = evaluate_on(run, videos, metrics=["moment-map"])
    means = dict(zip(MOMENT_NAMES, 100 * evaluation.moments.mean(0), strict=True))
    best = named_score(run.facts["validation"], "moment_audio_visual")
    assert best == pytest.approx(means["moment_audio_visual"].item(), abs=1e-4)
    said = evaluation.further["moment mAP"]
    assert [said[lane] for lane in ("audio", "visual", "audio_visual")] == pytest.approx(
        [value.item() for value in means.values()], abs=1e-4
    )
    low, high = interval(evaluation, "moment_audio_visual")
    assert 0 <= low < best < high <= 100


def test_a_rule_asks_for_it_only_where_it_names_it():
    assert Selection("moment_audio").looks_at_moments
    assert Selection("segment_type", parts={"a": "moment_audio"}).looks_at_moments
    assert not Selection("exclusive_mean").looks_at_moments
    with pytest.raises(RlldError, match="moment_audio"):
        Selection("moment_audi").require_known()
