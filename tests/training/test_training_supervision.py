"""The dense loss of annotated videos: its value, its draws, and resuming."""

from __future__ import annotations

import math

import pytest
import torch

import rlld
from resume_kit import require_resumable
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.recipes.supervision import Supervision
from rlld.training.order import draw_annotated
from rlld.training.step import dense_loss, lesson_of
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels, Prediction
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)


def test_dense_loss_by_hand():
    """One video, two segments, one class: heard in the second segment, never seen."""
    segment = torch.tensor([[[[0.2], [0.3]], [[0.6], [0.1]]]])
    audio, visual, video = torch.tensor([[0.7]]), torch.tensor([[0.4]]), torch.tensor([[0.5]])
    dense = torch.zeros(1, 2, 2, 1, dtype=torch.bool)
    dense[0, 1, 0, 0] = True
    segments = -(math.log(0.8) + math.log(0.7) + math.log(0.6) + math.log(0.9)) / 4
    expected = segments - math.log(0.7) - math.log(0.6) - math.log(0.5)
    found = dense_loss(Prediction(segment, audio, visual, video), dense)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_draws_depend_on_seed_and_step_alone():
    draws = [
        draw_annotated(8, 20, seed, update).tolist() for seed in range(3) for update in range(30)
    ]
    assert all(len(set(draw)) == 8 and max(draw) < 20 for draw in draws)
    assert len({tuple(draw) for draw in draws}) == len(draws)
    assert draw_annotated(8, 20, 2, 29).tolist() == draws[-1]
    assert {video for draw in draws for video in draw} == set(range(20))
    assert sorted(draw_annotated(8, 5, 0, 0).tolist()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("options", [{"weight": -1.0}, {"batch_size": 0}])
def test_values_out_of_range(options):
    with pytest.raises(RlldError, match="supervision: weight must not be negative"):
        Supervision(**options)


def trainer(data, seed=7, **settings) -> Trainer:
    recipe = load_recipe("supervised", {"schedule.rounds": 2, **settings}, data.spec.overrides)
    return Trainer(recipe, data.train, data.validation, seed, COMPUTE)


def test_weight_zero_is_plain_training(tiny_data):
    data = load_data(tiny_data)
    off = list(trainer(data, **{"supervision.weight": 0}).steps())
    plain = load_recipe("weak", {"schedule.rounds": 2}, data.spec.overrides)
    assert off == list(Trainer(plain, data.train, data.validation, 7, COMPUTE).steps())


def test_the_loss_is_mixed_in_with_its_weight(tiny_data):
    report = next(r for r in trainer(load_data(tiny_data)).steps() if r is not None)
    plain = 2 * report["audio"] + report["visual"] + report["video"]
    assert report["loss"] == pytest.approx(plain + report["supervision"], rel=1e-5)
    settings = {"supervision.weight": 0.25}
    report = next(r for r in trainer(load_data(tiny_data), **settings).steps() if r is not None)
    plain = 2 * report["audio"] + report["visual"] + report["video"]
    assert report["loss"] == pytest.approx(plain + 0.25 * report["supervision"], rel=1e-5)


def test_only_reward_videos_teach(tiny_data):
    """Annotation of the selecting part changes nothing that was trained."""
    data = load_data(tiny_data)
    settings = {"selection.reward_share": 0.5, "selection.score": "last"}
    first = trainer(data, **settings)
    list(first.steps())
    kept = set(first.selection.split.ids)
    validation = data.validation
    other = torch.tensor([name in kept for name in validation.ids])
    validation.dense[other] = ~validation.dense[other]
    second = trainer(data, **settings)
    list(second.steps())
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])


def test_resuming_after_any_step_changes_nothing(tiny_data, tmp_path):
    data = load_data(tiny_data)
    require_resumable(lambda: trainer(data), tmp_path)


def test_annotated_videos_teach_in_pairs_too(tiny_data):
    """Of two annotated videos each teaches with its own sound and the pictures of the other."""
    videos = load_data(tiny_data).validation
    lesson = lesson_of(Supervision(1.0, mixing=1.0), videos, torch.tensor([0, 1]))
    plain = videos.batch(torch.tensor([0, 1]))
    assert torch.equal(lesson.batch.streams["audio"], plain.streams["audio"])
    assert torch.equal(lesson.batch.streams["visual_2d"], plain.streams["visual_2d"].flip(0))
    assert torch.equal(lesson.dense[:, :, 0], videos.dense[:2, :, 0])
    assert torch.equal(lesson.dense[:, :, 1], videos.dense[:2, :, 1].flip(0))


def test_pairs_are_drawn_anew_and_resumed(tiny_data, tmp_path):
    data = load_data(tiny_data)
    pairs = {"supervision.mixing": 0.5, "schedule.mixing": 0.5}
    require_resumable(lambda: trainer(data, **pairs), tmp_path)
    mixed = [row for row in trainer(data, **pairs).steps() if row]
    assert mixed != [row for row in trainer(data).steps() if row]


def test_a_supervised_run_says_so(tiny_data, tmp_path):
    run = rlld.train(
        "supervised", tiny_data, tmp_path / "run", compute=COMPUTE, overrides={"schedule.rounds": 1}
    )
    assert any("trained on validation labels" in note for note in run.facts["notes"])
    assert rlld.evaluate(run, "validation").facts["notes"] == run.facts["notes"]
    assert rlld.evaluate(run, "test").facts["notes"] == []


def test_a_network_for_a_denoiser_is_taught_as_the_task_network_is(tiny_data):
    """What ``fit`` trains on given labels is what a run trains on the bare tags."""
    data = load_data(tiny_data)
    settings = {
        "selection.reward_share": 1,
        "selection.score": "last",
        "denoiser.visual_smoothing": 1,
    }
    whole = trainer(data, **settings)
    for _ in whole.steps():
        pass
    tags = data.train.labels
    fresh = trainer(data, **settings)
    labels = ModalityLabels(tags, tags, tags)
    found = fresh.fit(labels, teachers=data.validation).state_dict()
    alone = fresh.fit(labels).state_dict()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, found[name]), name
    assert any(not torch.equal(value, alone[name]) for name, value in found.items())
