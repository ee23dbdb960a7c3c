"""The constant policy and the true labels: what they keep, by hand."""

from __future__ import annotations

import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.data.split import Split
from rlld.denoisers import constant
from rlld.denoisers.base import Context
from rlld.errors import RlldError
from rlld.evaluation.scoring import keep_probabilities, load_for
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute
from tiny import SPEC

COMPUTE = Compute(device="cpu", threads=1)
LABELS = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.float32)
"""Class 3 is tagged nowhere."""
HEARD = ((0, 0), (1, 0), (1, 2), (3, 1))
SEEN = ((0, 1), (2, 0), (1, 3))
"""(video, class); class 3 is seen in video 1 without a tag, which must not count."""
PRESENCE = torch.tensor([[2 / 3, 1 / 2, 1, 1], [1 / 3, 1 / 2, 0, 1]])


def dense() -> torch.Tensor:
    maps = torch.zeros(4, 6, 2, 4, dtype=torch.bool)
    for modality, events in enumerate((HEARD, SEEN)):
        for segment, (video, label) in enumerate(events):
            maps[video, segment, modality, label] = True
    return maps


def annotated() -> Split:
    ids = tuple("abcd")
    streams = {name: torch.zeros(4, 6, dim) for name, dim in SPEC.dims.items()}
    return Split("validation", SPEC, ids, streams, LABELS, dense())


def never(*_: object, **__: object) -> None:
    raise AssertionError("a constant policy trains nothing")


def test_presence_is_the_share_of_tagged_videos_that_have_the_event():
    assert torch.equal(constant.presence(LABELS, dense()), PRESENCE)


@pytest.mark.parametrize(
    ("threshold", "audio", "visual"),
    [(0.5, [1, 1, 1, 1], [0, 1, 0, 1]), (0.6, [1, 0, 1, 1], [0, 0, 0, 1]), (0.0, [1] * 4, [1] * 4)],
)
def test_a_class_is_kept_or_removed_as_a_whole(threshold, audio, visual):
    split = annotated()
    denoiser = constant.Config(threshold).build(SPEC)
    denoiser.prepare(Context(split, split, 0, torch.device("cpu"), never))
    revised = denoiser.revise(split.all(), None)
    assert torch.equal(revised.audio, LABELS * torch.tensor(audio))
    assert torch.equal(revised.visual, LABELS * torch.tensor(visual))
    assert torch.equal(revised.video, LABELS)
    keep = denoiser.keep_probability(split.all())
    assert keep.shape == (4, 2, 4)
    assert torch.equal(keep[3], PRESENCE)


def test_a_threshold_is_a_share():
    with pytest.raises(RlldError, match=r"threshold must lie in \[0, 1\], found 2"):
        constant.Config(2)


def test_a_constant_run_judges_labels_and_says_what_taught_it(tiny_data, tmp_path):
    run = rlld.train(
        "constant", tiny_data, tmp_path / "run", compute=COMPUTE, overrides={"schedule.rounds": 1}
    )
    videos = load_for(run, "train", None)
    validation = load_data(tiny_data).validation
    expected = constant.presence(validation.labels, validation.dense)
    keep = keep_probabilities(run, videos)
    assert torch.equal(keep, expected.expand(len(videos), -1, -1))
    assert any("fitted to validation labels" in note for note in run.facts["notes"])


def test_true_labels_are_the_tags_that_hold(tiny_data):
    data = load_data(tiny_data, with_truth=True)
    recipe = load_recipe("true-labels", {}, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    index = torch.tensor([5, 0, 11])
    revised = trainer.denoiser.revise(data.train.batch(index), None)
    for name, modality in (("audio", 0), ("visual", 1)):
        for row, video in enumerate(index.tolist()):
            for label in range(len(SPEC.classes)):
                tagged = bool(data.train.labels[video, label])
                true = bool(data.train.truth[video, :, modality, label].any())
                assert bool(getattr(revised, name)[row, label]) == (tagged and true)
    assert torch.equal(revised.video, data.train.labels[index])


def test_the_command_loads_the_truth_for_true_labels_alone(tiny_data, tmp_path):
    settings = {"compute": COMPUTE, "overrides": {"schedule.rounds": 1}}
    run = rlld.train("true-labels", tiny_data, tmp_path / "run", **settings)
    assert run.facts["notes"] == []
    data = load_data(tiny_data)
    recipe = load_recipe("true-labels", {}, data.spec.overrides)
    with pytest.raises(RlldError, match="only simulated and rendered sets know them"):
        Trainer(recipe, data.train, data.validation, 0, COMPUTE)
