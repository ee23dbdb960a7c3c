"""RLLD's targets of segments: the selection against a plain loop and by hand, and both sources."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.dataset import load_data, load_split
from rlld.data.similarities import load_scores
from rlld.denoisers.reinforced.options import SegmentOptions, TopKOptions
from rlld.denoisers.reinforced.segments import SegmentTargets, longest_prefix, select
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.synthetic.features.writing import simulate
from rlld.training.loop import train
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segments") / "data"
    simulate(folder, "compact", seed=2, videos=(64, 30, 30))
    return folder


@pytest.mark.parametrize(
    ("values", "plain", "crossing"),
    [
        ([0.30, 0.15, 0.10, 0.45], [3], [0, 3]),
        ([0.30, 0.15, 0.10, 0.10], [0, 1], [0, 1, 2]),
        ([0.70, 0.20, 0.10], [0], [0]),
        ([0.25, 0.25, 0.25, 0.25], [0, 1], [0, 1, 2]),
        ([0.5, 0.5], [0], [0, 1]),
    ],
)
def test_worked_examples_of_the_selection(values, plain, crossing):
    if sum(values) < 0.99:
        values = [*values, *[0.07] * 5]
    for cross, wanted in ((False, plain), (True, crossing)):
        found = longest_prefix(torch.tensor(values), cross=cross)
        assert found.nonzero()[:, 0].tolist() == wanted


def test_the_crossing_label_is_selected_among_the_video_s_labels_too():
    scores, labels = torch.tensor([[0.5, 0.3, 0.9]]), torch.tensor([[1.0, 1.0, 0.0]])
    assert select(scores, labels, TopKOptions("restricted")).tolist() == [[True, False, False]]
    assert select(scores, labels, TopKOptions("restricted", cross=True)).tolist() == [
        [True, False, False]
    ]
    even = torch.tensor([[0.4, 0.4, 0.9]])
    assert select(even, labels, TopKOptions("restricted", cross=True)).tolist() == [
        [True, True, False]
    ]


def test_segments_get_what_the_teacher_selects_and_the_policy_keeps(simulated):
    split = load_split(simulated, "train")
    targets = SegmentTargets(SegmentOptions("classes"))
    targets.prepare(split)
    batch = split.batch(torch.tensor([5, 9, 40]))
    gone = batch.labels.clone()
    gone[0] = 0
    labels = ModalityLabels(batch.labels, gone, batch.labels)
    found = targets.added(labels, batch, lambda: torch.ones(0)).segment
    assert found.shape == (3, 10, 2, 25)
    assert not found[0, :, 1].any()
    scores = load_scores(split, "classes", {"audio": 25})["audio"][batch.index]
    assert torch.equal(found[:, :, 0].bool(), select(scores, batch.labels, TopKOptions()))


def test_the_policy_selects_once_per_video(simulated):
    split = load_split(simulated, "train")
    targets = SegmentTargets(SegmentOptions("classes", "policy"))
    targets.prepare(split)
    batch = split.all()
    keep = torch.rand(64, 2, 25)
    labels = ModalityLabels(batch.labels, batch.labels, batch.labels)
    found = targets.added(labels, batch, lambda: keep).segment
    assert torch.equal(found, found[:, :1].expand_as(found))
    best = (keep * batch.labels[:, None]).argmax(-1)
    assert torch.equal(found[:, 0].argmax(-1), best)
    assert (found[:, 0].sum(-1) == (batch.labels.sum(1) > 0)[:, None]).all()


def test_without_scores_nothing_is_added(simulated):
    split = load_split(simulated, "train")
    targets = SegmentTargets(SegmentOptions())
    targets.prepare(split)
    labels = ModalityLabels(split.labels, split.labels, split.labels)
    assert targets.added(labels, split.all(), lambda: torch.ones(0)) is labels


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"denoiser.segments.source": "policy"},
        {"denoiser.segments.select.reading": "restricted"},
        {"denoiser.credit": "labelwise", "denoiser.labelwise.folds": 2},
        {"denoiser.segments.scores": "null"},
    ],
)
def test_the_recipe_trains_in_every_form(simulated, tmp_path, settings):
    data = load_data(simulated)
    small = {"schedule.updates": 3, "schedule.batch_size": 16, "network.hidden": 12}
    steps = {"denoiser.labelwise.steps": 3, "denoiser.labelwise.judges": 1}
    recipe = load_recipe("valor+rlld", {**small, **steps, **settings}, data.spec.overrides)
    run = train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))
    assert run.facts["updates"] == 3


def test_credits_that_try_steps_refuse_segments():
    overrides = {"denoiser.credit": "counterfactual"}
    with pytest.raises(RlldError, match=r"segments\.scores must go with credit paper or labelwise"):
        load_recipe("valor+rlld", overrides)


def test_any_label_source_drives_the_segment_objective(simulated, tmp_path):
    data = load_data(simulated)
    small = {"schedule.updates": 2, "schedule.batch_size": 16, "network.hidden": 12}
    recipe = load_recipe("valor", {**small, "denoiser": "reinforced"}, data.spec.overrides)
    run = train(recipe, data, tmp_path / "run", seed=0, compute=Compute("cpu"))
    assert run.facts["updates"] == 2


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
    found = select(teacher, labels, TopKOptions("restricted"))
    assert found[0].nonzero().flatten().tolist() == [scores.index(max(scores))]


def test_restricted_with_indifferent_teacher_and_without_labels() -> None:
    labels = torch.tensor([[0.0, 1, 1, 0], [0, 0, 0, 0]])
    found = select(torch.zeros(2, 4), labels, TopKOptions("restricted"))
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
    found = select(p.log(), labels, TopKOptions())
    assert found[0].tolist() == [[True, False, False], [False, False, False]]
    assert found[1].tolist() == [[False, False, False], [False, False, True]]


def test_a_video_without_labels_selects_nothing() -> None:
    assert not select(torch.randn(1, 5), torch.zeros(1, 5), TopKOptions()).any()


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(RlldError, match="cap must lie in"):
        TopKOptions(cap=1.5)
