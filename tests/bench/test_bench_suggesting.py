"""Suggestions against a slow greedy reference."""

from __future__ import annotations

import math

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.evaluation.suggest import HEADER, doubt, suggest, suggestion_text


def entropy(p: float) -> float:
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


def slow_choice(labels: list[list[int]], keep: list, count: int, skip: set[int]) -> list[int]:
    """Tries every video at every place of the list."""
    chosen: list[int] = []
    while len(chosen) < count:
        worth = {}
        for video, row in enumerate(labels):
            if video in chosen or video in skip:
                continue
            worth[video] = 0.0
            for c, present in enumerate(row):
                if present:
                    before = sum(labels[other][c] for other in chosen)
                    bits = sum(entropy(keep[video][m][c]) for m in range(2))
                    worth[video] += bits / (1 + before)
        if not worth:
            break
        chosen.append(max(worth, key=lambda video: (worth[video], -video)))
    return chosen


def test_doubt_is_entropy_in_bits():
    found = doubt(torch.tensor([0.5, 0.0, 1.0, 0.25]))
    assert found.tolist() == pytest.approx([1.0, 0.0, 0.0, entropy(0.25)])


@pytest.mark.parametrize("count", [1, 7, 48, 60])
def test_the_choice_is_greedy_by_what_a_video_adds(tiny_data, count):
    videos = load_data(tiny_data).train
    generator = torch.Generator().manual_seed(count)
    keep = torch.rand(len(videos), 2, 4, generator=generator, dtype=torch.float64)
    known = videos.ids[3:6]
    found = suggest(videos, keep, count, known)
    labels = videos.labels.int().tolist()
    expected = slow_choice(labels, keep.tolist(), count, {3, 4, 5})
    assert [each.video for each in found] == [videos.ids[i] for i in expected]
    assert suggest(videos, keep, count, known) == found
    first = found[0]
    assert first.bits == pytest.approx(sum(q.bits for q in first.questions))


def test_one_class_does_not_fill_the_list(tiny_data):
    """Two classes of equal doubt alternate, though one has the slightly larger doubt everywhere."""
    videos = load_data(tiny_data).train.subset(torch.arange(8))
    videos.labels.zero_()
    videos.labels[:5, 0] = 1
    videos.labels[5:, 1] = 1
    keep = torch.full((8, 2, 4), 0.45)
    keep[:, :, 0] = 0.5
    chosen = [each.labels[0] for each in suggest(videos, keep, 4)]
    assert chosen == ["Bell", "Drum", "Bell", "Drum"]


def test_what_is_written(tiny_data):
    videos = load_data(tiny_data).train
    keep = torch.full((len(videos), 2, 4), 0.5)
    header, first = suggestion_text(suggest(videos, keep, 1)).splitlines()
    assert tuple(header.split("\t")) == HEADER
    name, labels, bits, reason = first.split("\t")
    assert name in videos.ids
    assert float(bits) == 2 * len(labels.split(","))
    assert "? 0.50" in reason


def test_wrong_input(tiny_data):
    videos = load_data(tiny_data).train
    keep = torch.full((len(videos), 2, 4), 0.5)
    with pytest.raises(RlldError, match="1 or more"):
        suggest(videos, keep, 0)
    with pytest.raises(RlldError, match="not a number"):
        suggest(videos, keep * float("nan"), 1)
