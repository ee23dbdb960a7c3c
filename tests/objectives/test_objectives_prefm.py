"""PreFM's loss against plain sums, place by place."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from rlld.errors import RlldError
from rlld.objectives import prefm
from rlld.objectives._bce import video_losses
from rlld.types import Batch, ModalityLabels, Prediction

VIDEOS, SEGMENTS, CLASSES, WIDTH, PAST, FUTURE = 2, 5, 3, 4, 3, 2
LENGTHS = {"whole": (5, 5), "ragged": (5, 2), "one segment": (5, 1)}


def made(lengths, words=True):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    logits = drawn(VIDEOS, SEGMENTS, PAST + FUTURE, 2, CLASSES)
    rows = drawn(VIDEOS, SEGMENTS, PAST + FUTURE, 2, WIDTH)
    extras = {
        "current_logits": logits[:, :, :PAST],
        "future_logits": logits[:, :, PAST:],
        "current_rows": rows[:, :, :PAST],
        "future_rows": rows[:, :, PAST:],
    }
    if words:
        extras["words"] = drawn(CLASSES + 1, WIDTH)
    mask = torch.arange(SEGMENTS) < torch.tensor(lengths)[:, None]
    tags = torch.ones(VIDEOS, CLASSES, dtype=torch.float64)
    known = drawn(VIDEOS, SEGMENTS, 2, CLASSES).sigmoid().round()
    known[0, 1] = 0
    known = known * mask[..., None, None]
    pooled = [drawn(VIDEOS, CLASSES).sigmoid() for _ in range(3)]
    inside = None if mask.all() else mask
    found = Prediction(logits[:, :, PAST - 1].sigmoid(), *pooled, extras).within(inside)
    labels = ModalityLabels(*known.amax(1).unbind(1), tags, known)
    return found, labels, Batch({}, tags, torch.arange(VIDEOS), inside)


def weight(offset):
    """Of a place so many segments behind the decided one: a bell around the end of a window."""
    bell = {o: math.exp(-((o - 0.5) ** 2) / (2 * 4.0**2)) for o in range(1 - PAST, PAST + 1)}
    return bell[offset] * 2 * PAST / sum(bell.values())


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_terms_are_the_plain_sums(lengths):
    prediction, labels, batch = made(lengths)
    found = prefm.Config().build(None)(prediction, labels, batch)
    extras, sums = prediction.extras, {"segment": [], "current": [], "future": []}
    words = extras["words"]
    for video, length in enumerate(lengths):
        for decided in range(length):
            for offset in range(1 - PAST, FUTURE + 1):
                place = decided + offset
                if place >= length:
                    continue
                name = "current" if offset <= 0 else "future"
                at = offset + PAST - 1 if offset <= 0 else offset - 1
                errors, far = [], []
                for track in range(2):
                    known = torch.zeros(CLASSES, dtype=torch.float64)
                    known = labels.segment[video, place, track] if place >= 0 else known
                    logits = extras[f"{name}_logits"][video, decided, at, track]
                    for value, wanted in zip(logits.tolist(), known.tolist(), strict=True):
                        right = value if wanted else -value
                        errors.append(math.log1p(math.exp(-right)))
                    said = [words[each] for each in range(CLASSES) if known[each]]
                    said = torch.stack(said).mean(0) if said else words[-1]
                    row = extras[f"{name}_rows"][video, decided, at, track]
                    far.append(1 - functional.cosine_similarity(row, said, dim=0).item())
                sums["segment"].append(weight(offset) * sum(errors) / len(errors))
                sums[name].append(weight(offset) * sum(far) / len(far))
    for name, values in sums.items():
        assert found[name].item() == pytest.approx(sum(values) / len(values), rel=1e-6)
    assert found["loss"].item() == pytest.approx(sum(found[name].item() for name in sums))


def test_weights_scale_terms_and_without_words_nothing_is_said():
    prediction, labels, batch = made((5, 5))
    config = prefm.Config(segment_weight=0.5, current_weight=2, future_weight=0)
    found = config.build(None)(prediction, labels, batch)
    wanted = 0.5 * found["segment"] + 2 * found["current"]
    assert found["loss"].item() == pytest.approx(wanted.item())
    silent = config.build(None)(made((5, 5), words=False)[0], labels, batch)
    assert silent.keys() == {"loss", "segment"}
    assert silent["segment"] == found["segment"]


def test_soft_labels_mix_words_by_their_shares():
    words = torch.tensor([[1.0, 0], [0, 1], [5, 5]])
    target = torch.tensor([[0.2, 0.6], [1, 0], [0, 0]])
    wanted = torch.tensor([[0.25, 0.75], [1, 0], [5, 5]])
    torch.testing.assert_close(prefm.spoken(target, words), wanted)


def test_the_nearer_to_the_end_of_a_window_the_more_it_counts():
    weights = prefm.focus_weights(10, 15, 4.0)
    assert weights[9] == weights[10] == weights.max()
    torch.testing.assert_close(weights[5:10], weights[10:15].flip(0))
    assert prefm.focus_weights(10, 20, 4.0).mean().item() == pytest.approx(1)
    assert len(prefm.focus_weights(2, 7, 4.0)) == 7


def test_without_targets_of_segments_the_video_level_teaches():
    prediction, labels, batch = made((5, 5))
    bare = ModalityLabels(labels.audio, labels.visual, labels.video)
    found = prefm.Config().build(None)(prediction, bare, batch)
    wanted = video_losses(prediction, bare)
    assert found.keys() == {"loss", *wanted}
    assert found["loss"].item() == pytest.approx(sum(value.item() for value in wanted.values()))


def test_an_impossible_focus_is_refused():
    with pytest.raises(RlldError, match="focus"):
        prefm.Config(focus=0)
