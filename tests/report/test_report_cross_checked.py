"""What the report says of annotated videos, by answers and by held-out policies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_split
from rlld.evaluation.labels import cross_checked, judge, label_report, teachers
from rlld.metrics.noise_detection import denoising_report
from rlld.training.run_folder import load_run
from rlld.training.validation import partition
from rlld.utils.compute import Compute
from tiny import quick_labelwise

COMPUTE = Compute(device="cpu", threads=1)


@pytest.fixture(scope="module")
def run(tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("checked") / "run"
    return quick_labelwise(tiny_data, out)


def test_validation_labels_are_judged_by_held_out_policies(run, tiny_data):
    videos = load_split(tiny_data, "validation")
    judged = judge(run, videos)
    assert "cross-validated" in judged.notes[0]
    reward, _ = partition(videos, run.recipe.selection.reward_share, 0)
    assert teachers(run, videos) == list(reward.ids)
    found = cross_checked(run, [videos])
    at = torch.tensor([videos.ids.index(name) for name in reward.ids])
    part = denoising_report(
        judged.keep[at], videos.labels[at], videos.dense[at], videos.spec.classes
    )
    assert found == part
    test = load_split(tiny_data, "test")
    assert cross_checked(run, [test]) is None
    assert label_report(test, judge(load_run(run.path), test).keep).known


def test_answers_alone_measure_the_labels_that_they_speak_of(tiny_data):
    videos = load_split(tiny_data, "validation")
    keep = torch.rand(20, 2, 4, generator=torch.Generator().manual_seed(0))
    presence = videos.presence.clone()
    presence[10:] = -1
    bare = replace(videos, dense=None, answers=presence)
    first = torch.arange(10)
    expected = label_report(videos.subset(first), keep[:10])
    assert label_report(bare, keep) == expected
    nothing = replace(videos, dense=None, answers=None)
    assert not label_report(nothing, keep).known
