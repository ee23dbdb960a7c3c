"""Average precision of tags, against a plain loop and by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.metrics.tags import tag_score


def slow(probability, labels) -> float:
    """Walks over classes, tagged videos and all videos."""
    classes = []
    for c in range(labels.shape[1]):
        shares = []
        for video in range(len(labels)):
            if labels[video, c]:
                above = [
                    v for v in range(len(labels)) if probability[v, c] >= probability[video, c]
                ]
                shares.append(sum(float(labels[v, c]) for v in above) / len(above))
        if shares:
            classes.append(sum(shares) / len(shares))
    return 100 * sum(classes) / len(classes) if classes else 0.0


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 4))
def test_average_precision_is_that_of_a_plain_loop(seed, videos, classes):
    generator = torch.Generator().manual_seed(seed)
    # Coarse values make ties.
    probability = torch.randint(0, 5, (videos, classes), generator=generator) / 4
    labels = (torch.rand(videos, classes, generator=generator) < 0.4).float()
    found = float(tag_score(probability, labels))
    assert found == pytest.approx(slow(probability, labels), abs=1e-3)


def test_average_precision_by_hand():
    labels = torch.tensor([[1.0], [0.0], [1.0], [0.0]])
    perfect = torch.tensor([[0.9], [0.1], [0.8], [0.2]])
    assert float(tag_score(perfect, labels)) == 100
    # Tagged videos stand second and fourth: (1/2 + 2/4) / 2.
    worst = torch.tensor([[0.8], [0.9], [0.1], [0.7]])
    assert float(tag_score(worst, labels)) == pytest.approx(50)
