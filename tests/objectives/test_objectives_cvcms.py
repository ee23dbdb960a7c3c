"""CVCMS's loss against loops over tracks and pictures."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.objectives.cvcms import Config, CVCMSObjective, matching, paired, similarities
from rlld.types import Batch, ModalityLabels, Prediction


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_labels(videos: int, seed: int) -> ModalityLabels:
    audio, visual = (random(videos, 3, seed=seed + n).gt(0.2).double() for n in (0, 1))
    audio[0] = 0  # a track without any label
    return ModalityLabels(audio, visual, torch.ones(videos, 3, dtype=torch.float64))


def some_extras(videos: int, mixed: bool) -> dict[str, Tensor]:
    extras = {
        name: random(videos, 4, 5, seed=seed)
        for seed, name in enumerate(
            ("audio_before", "visual_before", "audio_after", "visual_after")
        )
    }
    extras["time_logits"] = random(videos, 4, 2, 3, seed=7)
    if mixed:
        extras["partner"] = (torch.arange(videos) + 2) % videos
        extras["mixed_audio_after"] = random(videos, 4, 5, seed=8)
        extras["mixed_visual_after"] = random(videos, 4, 5, seed=9)
        extras["mixed_time_logits"] = random(videos, 4, 2, 3, seed=10)
    return extras


def naive_track(rows: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The published aggregation of one track: rows (T, D), logits (T, C), labels (C,)."""
    scores = [
        sum(float(logit) * float(y) for logit, y in zip(row, labels, strict=True)) for row in logits
    ]
    weights = [math.exp(score) for score in scores]
    total = sum(w / sum(weights) * row for w, row in zip(weights, rows, strict=True))
    return total / total.norm()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(
    ("audio_original", "visual_original"), [(False, False), (True, False), (False, True)]
)
def test_similarities_equal_loops(mixed: bool, audio_original: bool, visual_original: bool) -> None:
    videos = 5
    extras, labels = some_extras(videos, mixed), some_labels(videos, 20)
    config = Config(temperature=0.5, audio_original=audio_original, visual_original=visual_original)
    found = similarities(extras, labels, config)
    sounds, pictures = [], []
    for i in range(2 * videos if mixed else videos):
        pair, own = i >= videos, i % videos
        other = int(extras["partner"][own]) if pair else own
        prefix = "mixed_" if pair else ""
        logits = extras[f"{prefix}time_logits"][own]
        heard = (
            extras["audio_before"][own] if audio_original else extras[f"{prefix}audio_after"][own]
        )
        seen = (
            extras["visual_before"][other]
            if visual_original
            else extras[f"{prefix}visual_after"][own]
        )
        sounds.append(naive_track(heard, logits[:, 0], labels.audio[own]))
        pictures.append(naive_track(seen, logits[:, 1], labels.visual[other]))
    expected = torch.stack([torch.stack([a @ v / 0.5 for v in pictures]) for a in sounds])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def naive_matching(similarity: Tensor, audio: Tensor, visual: Tensor) -> float:
    total = 0.0
    for row, wanted in zip(similarity, audio, strict=True):
        denominator = sum(math.exp(float(value)) for value in row)
        shared = [bool(((wanted != 0) & (seen != 0)).any()) for seen in visual]
        for value, match in zip(row, shared, strict=True):
            if match:
                total -= math.log(math.exp(float(value)) / denominator) / sum(shared)
    return total / len(similarity)


def test_matching_equals_loops() -> None:
    labels, logits = some_labels(6, 30), random(6, 6, seed=1)
    found = matching(logits, labels.audio, labels.visual)
    assert float(found) == pytest.approx(naive_matching(logits, labels.audio, labels.visual))


def test_smoothed_targets_match_everything() -> None:
    labels, logits = some_labels(4, 40), random(4, 4, seed=2)
    smoothed = 0.9 * labels.visual + 0.05
    everything = torch.ones(4, 3, dtype=torch.float64)
    audio = labels.audio.clone()
    audio[0, 0] = 1
    found = matching(logits, audio, smoothed)
    assert float(found) == pytest.approx(naive_matching(logits, everything, everything))


def test_pairs_follow_the_videos() -> None:
    audio, visual = torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6])
    found = paired(audio, visual, torch.tensor([2, 0, 1]))
    assert [each.tolist() for each in found] == [[1, 2, 3, 1, 2, 3], [4, 5, 6, 6, 4, 5]]


def a_prediction(videos: int, extras: dict[str, Tensor]) -> Prediction:
    audio, visual, video = (random(videos, 3, seed=50 + n).sigmoid() for n in range(3))
    return Prediction(torch.zeros(videos, 4, 2, 3), audio, visual, video, extras)


def losses(objective: CVCMSObjective) -> dict[str, float]:
    videos = 4
    labels = some_labels(videos, 60)
    batch = Batch({}, labels.video, torch.arange(videos))
    found = objective(a_prediction(videos, some_extras(videos, mixed=True)), labels, batch)
    return {name: float(value) for name, value in found.items()}


def bce(probability: Tensor, target: Tensor) -> float:
    value = target * probability.log() + (1 - target) * (1 - probability).log()
    return -float(value.mean())


def test_the_contrast_begins_after_the_warm_up() -> None:
    objective = CVCMSObjective(Config(contrastive_weight=0.5, warm_up_rounds=2))
    prediction, labels = a_prediction(4, {}), some_labels(4, 60)
    union = torch.maximum(labels.audio, labels.visual)
    for number, warm in enumerate((True, True, False, False)):
        objective.start_round(number)
        found = losses(objective)
        seen = 0.9 * labels.visual + 0.05 if warm else labels.visual
        assert found["audio"] == pytest.approx(bce(prediction.audio, labels.audio))
        assert found["visual"] == pytest.approx(bce(prediction.visual, seen), rel=1e-6)
        assert found["video"] == pytest.approx(bce(prediction.video, union))
        parts = found["audio"] + found["visual"] + found["video"]
        wanted = parts if warm else parts + 0.5 * found["contrastive"]
        assert found["loss"] == pytest.approx(wanted)


def test_a_resumed_objective_goes_on_in_its_round() -> None:
    first, second = (CVCMSObjective(Config()) for _ in range(2))
    first.start_round(5)
    second.load_state_dict(first.state_dict())
    assert losses(first) == losses(second)


def test_the_fused_target_may_be_given() -> None:
    labels = some_labels(3, 70)
    given = CVCMSObjective(Config(video_target="given")).video_target(labels)
    assert torch.equal(given, labels.video)
    union = CVCMSObjective(Config()).video_target(labels)
    assert torch.equal(union, ((labels.audio + labels.visual) > 0).double())


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": 0.0}, {"contrastive_weight": -1.0}, {"warm_up_rounds": -1},
     {"visual_smoothing": 1.5}, {"warm_audio_smoothing": -0.1}],
)  # fmt: skip
def test_wrong_options_are_named(wrong) -> None:
    with pytest.raises(RlldError, match=next(iter(wrong))):
        Config(**wrong)
