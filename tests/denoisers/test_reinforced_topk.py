"""Top-k selection against a plain loop and hand-made cases."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.denoisers.reinforced.topk import TopK, longest_prefix, select
from rlld.errors import RlldError


def plain_prefix(values: list[float], cap: float, minimum: int) -> list[bool]:
    order = sorted(range(len(values)), key=lambda c: (-values[c], c))
    total, mask = 0.0, [False] * len(values)
    for rank, c in enumerate(order):
        total += values[c]
        if rank >= minimum and total > cap + 1e-12:
            break
        mask[c] = True
    return mask


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=12).filter(any),
    st.sampled_from([0.25, 0.5, 0.9]),
    st.integers(0, 3),
)
def test_prefix_equals_a_plain_loop(weights: list[int], cap: float, minimum: int) -> None:
    # Sixteenths are exact in binary, so that both sides see the same sums and ties.
    values = [weight / 64 for weight in weights]
    found = longest_prefix(torch.tensor(values), cap, minimum)
    assert found.tolist() == plain_prefix(values, cap, minimum)


def test_ties_go_by_class_index() -> None:
    assert longest_prefix(torch.full((4,), 0.25)).tolist() == [True, True, False, False]


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
def test_restricted_keeps_exactly_one_of_up_to_three_labels(scores: list[float]) -> None:
    # Two of three always sum to at least 2/3: the reading degenerates to the arg-max on LLP.
    labels = torch.tensor([[1.0, 1, 1, 0, 0]])
    teacher = torch.tensor([[*scores, 0.99, 0.98]], dtype=torch.float64)
    found = select(teacher, labels, TopK("restricted"))
    assert found[0].nonzero().flatten().tolist() == [scores.index(max(scores))]


def test_restricted_with_indifferent_teacher_and_without_labels() -> None:
    labels = torch.tensor([[0.0, 1, 1, 0], [0, 0, 0, 0]])
    found = select(torch.zeros(2, 4), labels, TopK("restricted"))
    assert found.tolist() == [[False, True, False, False], [False] * 4]


def test_per_segment_fallback_is_per_video() -> None:
    # Logits of log p: segment 0 of video 0 selects class 0, its label; video 1 selects class 0
    # everywhere, which is no label of it, so that its best entry (segment 1, class 2) is kept.
    p = torch.tensor(
        [
            [[0.45, 0.3, 0.25], [0.2, 0.45, 0.35]],
            [[0.45, 0.35, 0.2], [0.45, 0.15, 0.4]],
        ]
    )
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    found = select(p.log(), labels, TopK())
    assert found[0].tolist() == [[True, False, False], [False, False, False]]
    assert found[1].tolist() == [[False, False, False], [False, False, True]]


def test_a_video_without_labels_selects_nothing() -> None:
    assert not select(torch.randn(1, 5), torch.zeros(1, 5), TopK()).any()


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(RlldError, match="cap must lie in"):
        TopK(cap=1.5)
