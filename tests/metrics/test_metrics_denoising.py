"""Noise detection against a slow reference, hand-computed cases and properties."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.metrics.noise_detection import auc, denoising_report, removal

CLASSES = ("Bell", "Drum", "Horse")


def pairwise_auc(clean: list[float], noisy: list[float]) -> float:
    won = sum(1.0 if c > n else 0.5 if c == n else 0.0 for c in clean for n in noisy)
    return 100 * won / (len(clean) * len(noisy))


def draw(seed: int, videos: int = 200, steps: int = 8):
    """Keep probabilities on a coarse grid, so that many are equal."""
    rng = np.random.default_rng(seed)
    keep = rng.integers(steps + 1, size=(videos, 2, 3)) / steps
    labels = (rng.random((videos, 3)) < (0.9, 0.5, 0.1)).astype(np.float32)
    truth = rng.random((videos, 4, 2, 3)) < 0.2
    return torch.tensor(keep), torch.tensor(labels), torch.tensor(truth)


scores = st.lists(st.integers(0, 6).map(lambda n: n / 6), min_size=1, max_size=12)


@given(scores, scores)
def test_auc_is_the_share_of_won_pairs(clean, noisy):
    values = torch.tensor(clean + noisy, dtype=torch.float64)
    positive = torch.tensor([True] * len(clean) + [False] * len(noisy))
    assert auc(values, positive) == pytest.approx(pairwise_auc(clean, noisy), abs=1e-9)


@given(scores, scores)
def test_auc_of_the_reversed_question_is_the_rest(clean, noisy):
    values = torch.tensor(clean + noisy, dtype=torch.float64)
    positive = torch.tensor([True] * len(clean) + [False] * len(noisy))
    assert auc(values, positive) + auc(values, ~positive) == pytest.approx(100, abs=1e-9)


@pytest.mark.parametrize("positive", [True, False])
def test_auc_of_one_kind_is_refused(positive):
    with pytest.raises(ValueError, match="undefined"):
        auc(torch.tensor([0.1, 0.9]), torch.tensor([positive, positive]))


@pytest.mark.parametrize("seed", range(4))
def test_a_report_is_what_a_loop_over_labels_counts(seed):
    keep, labels, truth = draw(seed)
    report = denoising_report(keep, labels, truth, CLASSES, least=5).as_dict()
    for m, modality in enumerate(("audio", "visual")):
        found, every, aucs = report[modality], [], []
        for c, name in enumerate(CLASSES):
            rows = [
                (keep[n, m, c].item(), not truth[n, :, m, c].any().item())
                for n in range(len(labels))
                if labels[n, c] == 1
            ]
            every += rows
            own = found["classes"][name]
            check_counts(own, rows)
            clean, noisy = split(rows)
            if min(len(clean), len(noisy)) >= 5:
                aucs.append(pairwise_auc(clean, noisy))
                assert own["auc"] == pytest.approx(aucs[-1], abs=1e-9)
            else:
                assert own["auc"] is None
        check_counts(found, every)
        assert found["auc"] == pytest.approx(pairwise_auc(*split(every)), abs=1e-9)
        assert found["within_class_auc"] == pytest.approx(sum(aucs) / len(aucs), abs=1e-9)
        assert found["auc_classes"] == len(aucs)


def split(rows):
    return [k for k, bad in rows if not bad], [k for k, bad in rows if bad]


def check_counts(found, rows):
    removed = sum(k < 0.5 for k, _ in rows)
    noisy = sum(bad for _, bad in rows)
    hits = sum(bad and k < 0.5 for k, bad in rows)
    assert (found["labels"], found["noisy"], found["removed"]) == (len(rows), noisy, removed)
    assert found["precision"] == pytest.approx(100 * hits / removed)
    assert found["recall"] == pytest.approx(100 * hits / noisy)
    precision, recall = found["precision"], found["recall"]
    assert found["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["mean_keep"] == pytest.approx(sum(k for k, _ in rows) / len(rows))
    assert found["removed_share"] == pytest.approx(100 * removed / len(rows))
    assert found["noise_share"] == pytest.approx(100 * noisy / len(rows))


def test_a_class_has_an_auc_only_from_the_least_count_on():
    labels = torch.ones(39, 1)
    truth = torch.zeros(39, 1, 2, 1, dtype=torch.bool)
    truth[:20] = True
    keep = torch.linspace(1, 0, 39)[:, None, None].expand(-1, 2, 1)
    with_19 = denoising_report(keep, labels, truth, ("Bell",)).audio
    assert with_19.classes["Bell"].auc is None
    assert with_19.within_class_auc is None
    assert with_19.auc == 100
    assert denoising_report(keep, labels, truth, ("Bell",), least=19).audio.within_class_auc == 100


def test_a_constant_policy_has_fifty_within_classes_however_good_it_is():
    _, labels, truth = draw(0)
    truth[:, :, 1, 0] = torch.rand(200, 4, generator=torch.Generator().manual_seed(0)) < 0.05
    keep = torch.tensor([[0.9, 0.8, 0.7], [0.2, 0.8, 0.7]]).expand(200, 2, 3)
    report = denoising_report(keep, labels, truth, CLASSES, least=5)
    assert report.visual.within_class_auc == 50
    assert report.audio.within_class_auc == 50
    assert report.visual.auc > 55
    assert report.visual.removal.precision > 70


def test_hand_counted_removal():
    keep = torch.tensor([[[1, 0, 0], [0, 0, 1]]], dtype=torch.bool)
    labels = torch.tensor([[1.0, 1.0, 0.0]])
    truth = torch.zeros(1, 2, 2, 3, dtype=torch.bool)
    truth[0, 1, 0, 0] = truth[0, 0, 1, 1] = True
    found = removal(keep, labels, truth)
    audio, visual = found["audio"], found["visual"]
    assert (audio.labels, audio.noisy, audio.removed, audio.hits) == (2, 1, 1, 1)
    assert (audio.precision, audio.recall, audio.f1) == (100, 100, 100)
    assert (visual.labels, visual.noisy, visual.removed, visual.hits) == (2, 1, 2, 1)
    assert (visual.precision, visual.recall) == (50, 100)
    assert visual.f1 == pytest.approx(200 / 3)


def test_undefined_figures_are_none_and_zero_is_zero():
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    truth = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    truth[:, :, 0] = True
    report = denoising_report(torch.ones(2, 2, 2), labels, truth, ("Bell", "Drum")).as_dict()
    audio, visual = report["audio"], report["visual"]
    assert (audio["precision"], audio["recall"], audio["f1"]) == (None, None, None)
    assert (visual["precision"], visual["recall"], visual["f1"]) == (None, 0, 0)
    empty = visual["classes"]["Drum"]
    assert empty["labels"] == 0
    assert empty["mean_keep"] is empty["removed_share"] is empty["noise_share"] is None


def test_without_truth_only_removals_are_counted():
    keep, labels, _ = draw(1)
    report = denoising_report(keep, labels, None, CLASSES)
    assert not report.known
    found = report.as_dict()["visual"]
    assert found["removed"] == int(((keep[:, 1] < 0.5) & labels.bool()).sum())
    for key in ("noisy", "noise_share", "precision", "recall", "f1", "auc", "within_class_auc"):
        assert found[key] is None


def test_a_report_is_json_ready_with_the_same_keys_for_any_labels():
    reports = [
        denoising_report(keep, labels, truth, CLASSES).as_dict()
        for keep, labels, truth in (draw(2), (torch.ones(1, 2, 3), torch.zeros(1, 3), None))
    ]
    assert json.loads(json.dumps(reports[0])) == reports[0]
    for one, other in ((reports[0][m], reports[1][m]) for m in ("audio", "visual")):
        assert list(one) == list(other)
        assert list(one["classes"]) == list(other["classes"]) == list(CLASSES)
        assert list(one["classes"]["Bell"]) == list(other["classes"]["Bell"])


def test_values_without_a_label_do_not_count():
    keep, labels, truth = draw(3)
    other = torch.where(labels.bool()[:, None], keep, torch.full_like(keep, float("nan")))
    expected = denoising_report(keep, labels, truth, CLASSES)
    assert denoising_report(other, labels, truth, CLASSES) == expected


def test_a_keep_probability_that_is_no_number_is_refused():
    keep, labels, truth = draw(4)
    labels[7, 1] = 1
    keep[7, 1, 1] = float("nan")
    with pytest.raises(RlldError, match="video 7, visual Drum"):
        denoising_report(keep, labels, truth, CLASSES)


def test_labels_of_unknown_truth_are_not_counted():
    generator = torch.Generator().manual_seed(5)
    labels = (torch.rand(80, 2, generator=generator) < 0.7).float()
    truth = torch.rand(80, 3, 2, 2, generator=generator) < 0.3
    keep = torch.rand(80, 2, 2, generator=generator)
    known = torch.rand(80, 2, 2, generator=generator) < 0.5
    found = denoising_report(keep, labels, truth, ("Bell", "Drum"), least=3, known=known)
    for m, report in enumerate((found.audio, found.visual)):
        # Asked of one modality alone, unknown labels may as well not be there.
        fewer = labels * known[:, m]
        alone = denoising_report(keep, fewer, truth, ("Bell", "Drum"), least=3)
        assert report == (alone.audio, alone.visual)[m]
