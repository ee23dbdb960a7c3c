"""The sound of one video with the pictures of another, against pairs made by hand."""

from __future__ import annotations

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.recipes.recipe import load_recipe
from rlld.training.mixing import crossed
from rlld.training.trainer import Trainer
from rlld.types import Batch, ModalityLabels
from rlld.utils.compute import Compute


def batch_of(lengths: list[int], frames: int = 2) -> tuple[Batch, ModalityLabels]:
    """Every row says whose it is and when: 100 * video + segment."""
    count, longest = len(lengths), max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    stamp = 100.0 * torch.arange(1, count + 1)[:, None] + torch.arange(longest)
    stamp = stamp * mask
    visual = stamp.repeat_interleave(frames, 1)[..., None]
    audio = torch.eye(count)
    visual_labels = torch.eye(count).roll(1, 1)
    segment = torch.stack([stamp, stamp], 2)[..., None].expand(-1, -1, -1, count)
    labels = ModalityLabels(audio, visual_labels, torch.maximum(audio, visual_labels), segment)
    whole = None if min(lengths) == longest else mask
    streams = {"audio": stamp[..., None], "visual_2d": visual}
    return Batch(streams, labels.video, torch.arange(count), whole), labels


@pytest.mark.parametrize("lengths", [[4, 4, 4, 4, 4, 4], [1, 4, 2, 3, 4, 2]])
def test_every_pair_is_whole_and_labelled_as_its_tracks_are(lengths):
    torch.manual_seed(3)
    before, labels = batch_of(lengths)
    after, mixed = crossed(before, labels, 1.0)
    sound, pictures = after.streams["audio"][..., 0], after.streams["visual_2d"][:, ::2, 0]
    partners = (pictures[:, 0] / 100).long() - 1
    assert sorted(partners.tolist()) == list(range(6))
    assert (partners != torch.arange(6)).all()
    for own, partner in enumerate(partners.tolist()):
        longest = max(lengths[own], lengths[partner])
        for at in range(max(lengths)):
            heard = 100 * (own + 1) + at % lengths[own] if at < longest else 0
            seen = 100 * (partner + 1) + at % lengths[partner] if at < longest else 0
            assert sound[own, at] == heard
            assert pictures[own, at] == seen
            assert mixed.segment is not None
            assert mixed.segment[own, at, :, 0].tolist() == [heard, seen]
        assert torch.equal(mixed.audio[own], labels.audio[own])
        assert torch.equal(mixed.visual[own], labels.visual[partner])
        assert torch.equal(mixed.video[own], torch.maximum(mixed.audio[own], mixed.visual[own]))
        if after.mask is not None:
            assert after.mask[own].sum() == longest
    assert torch.equal(after.streams["visual_2d"][:, ::2], after.streams["visual_2d"][:, 1::2])


def test_half_of_a_batch_stays_as_it_is():
    torch.manual_seed(0)
    before, labels = batch_of([3] * 8)
    after, mixed = crossed(before, labels, 0.5)
    same = [
        torch.equal(after.streams["visual_2d"][i], before.streams["visual_2d"][i]) for i in range(8)
    ]
    assert sum(same) == 4
    for video, alone in enumerate(same):
        if alone:
            assert torch.equal(mixed.video[video], labels.video[video])
            assert torch.equal(after.labels[video], before.labels[video])


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_one_video_has_no_partner(share):
    before, labels = batch_of([3] * 5)
    after, mixed = crossed(before, labels, share)
    assert after is before
    assert mixed is labels


def test_what_judges_labels_is_not_trained_on_pairs(tiny_data):
    """Labels that nobody cleaned are not right for each track by itself."""
    data = load_data(tiny_data)
    labels = ModalityLabels(*[data.train.labels] * 3)

    def weights(share: float) -> dict[str, torch.Tensor]:
        settings = {"schedule.updates": 3, "schedule.mixing": share}
        recipe = load_recipe("weak", settings, {"network.hidden": 8})
        trainer = Trainer(recipe, data.train, data.validation, 0, Compute("cpu", threads=1))
        return trainer.fit(labels).state_dict()

    alone, paired = weights(0.0), weights(1.0)
    assert all(torch.equal(value, paired[name]) for name, value in alone.items())
