"""What judges labels of videos of different lengths judges each as it judges it alone."""

from __future__ import annotations

import pytest
import torch

from models_kit import shaken
from rlld.data.ragged import within
from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.split import SEGMENTS, Split
from rlld.denoisers.lsld import reweigh
from rlld.denoisers.ma import _lasting
from rlld.denoisers.reinforced.counterfactual import validation_reward
from rlld.denoisers.reinforced.labelwise.judge import Examples, joined
from rlld.denoisers.reinforced.options import Options, TopKOptions
from rlld.denoisers.reinforced.policy import Policy
from rlld.denoisers.reinforced.segments import select
from rlld.denoisers.vaplan import abnormal
from rlld.networks import _sight
from rlld.types import Batch, Prediction

LENGTHS = torch.tensor([6, 1, 3, 9])
MASK = within(LENGTHS, 9)
CLASSES = 4
STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(6), "visual_3d": StreamSpec(4)}
SPEC = DataSpec("ragged", ("a", "b", "c", "d"), 9, 1.0, STREAMS, any_length=True)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


LABELS = drawn(4, CLASSES, seed=5).round()


@torch.no_grad()
@pytest.mark.parametrize("pooling", ["mean", "attentive"])
@pytest.mark.parametrize("window", [_sight.WINDOW, 4])
def test_a_policy_judges_a_padded_video_as_it_judges_it_alone(pooling, window, monkeypatch):
    monkeypatch.setattr(_sight, "WINDOW", window)
    policy = shaken(Policy(Options(hidden=8, pooling=pooling), SPEC), 1).double()
    streams = {name: drawn(4, 9, each.dim, seed=2) for name, each in STREAMS.items()}
    together = policy(streams, LABELS, MASK)
    for video, length in enumerate(LENGTHS.tolist()):
        own = {name: value[[video], :length] for name, value in streams.items()}
        alone = policy(own, LABELS[[video]])[0]
        torch.testing.assert_close(together[video], alone, rtol=0, atol=1e-9)


def test_doubt_is_measured_on_the_segments_that_there_are():
    labels = drawn(4, 9, CLASSES, seed=3).round()
    similarity = drawn(4, 9, CLASSES, seed=4) * 2 - 1
    found = reweigh(labels, similarity, 4.0, 0.4, MASK)[MASK]
    wanted = reweigh(labels[MASK][None], similarity[MASK][None], 4.0, 0.4)[0]
    assert torch.equal(found, wanted)
    # Every label resembles its class more than what has no label does, but for the padding.
    similarity = torch.where(labels > 0, 0.2, 0.1).double()
    similarity[~MASK] = 0.9 - 0.8 * labels[~MASK]
    assert torch.equal(reweigh(labels, similarity, 4.0, 0.4, MASK)[MASK], labels[MASK])
    assert not torch.equal(reweigh(labels, similarity, 4.0, 0.4)[MASK], labels[MASK])


@pytest.mark.parametrize("references", [1, 3, 5])
def test_usual_losses_are_those_of_the_video(references):
    probability, segment = drawn(4, 9, CLASSES, seed=6), drawn(4, 9, CLASSES, seed=7).round()
    found = abnormal(probability, segment, LABELS, references, 1.5, MASK)
    assert found.any()
    assert not found[~MASK].any()
    for video, length in enumerate(LENGTHS.tolist()):
        own = probability[[video], :length], segment[[video], :length], LABELS[[video]]
        assert torch.equal(found[video, :length], abnormal(*own, references, 1.5)[0])


@pytest.mark.parametrize("reading", ["all", "restricted"])
def test_classes_are_selected_in_segments_that_there_are(reading):
    scores, options = drawn(4, 9, CLASSES, seed=8), TopKOptions(reading=reading)
    found = select(scores, LABELS, options, MASK)
    assert not found[~MASK].any()
    for video, length in enumerate(LENGTHS.tolist()):
        alone = select(scores[[video], :length], LABELS[[video]], options)[0]
        assert torch.equal(found[video, :length], alone)


def test_a_reward_is_a_mean_over_the_segments_that_there_are():
    segment, video = drawn(4, 9, 2, CLASSES, seed=9), drawn(4, 2, CLASSES, seed=10)
    dense = (drawn(4, 9, 2, CLASSES, seed=11) > 0.6) & MASK[..., None, None]
    audio, visual = video.unbind(1)
    found = validation_reward(Prediction(segment, audio, visual, audio).within(MASK), dense)
    total = torch.zeros(2, CLASSES, dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        for place in range(length):
            total += torch.where(
                dense[row, place], segment[row, place], 1 - segment[row, place]
            ).log() / int(LENGTHS.sum())
        there = dense[row].any(0)
        total += torch.where(there, video[row], 1 - video[row]).log() / len(LENGTHS)
    torch.testing.assert_close(found, 100 * total)


def test_a_foreign_track_is_cut_or_goes_over_again():
    rows = torch.tensor([[1.0, 2, 3], [4, 5, 0]])[..., None]
    other = Batch({"audio": rows}, rows, torch.arange(2), within(torch.tensor([3, 2]), 3))
    longer = Batch({"audio": torch.zeros(2, 5, 1)}, rows, torch.arange(2), None)
    shorter = Batch({"audio": torch.zeros(2, 1, 1)}, rows, torch.arange(2), None)
    found = _lasting(rows, other, longer)[..., 0]
    assert found.tolist() == [[1, 2, 3, 1, 2], [4, 5, 4, 5, 4]]
    assert _lasting(rows, other, shorter)[..., 0].tolist() == [[1], [4]]


@pytest.mark.parametrize("videos", [1, 2, 100])
def test_portions_are_all_videos_in_little_memory(videos):
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 50, (40,), generator=generator)
    streams = {"audio": torch.arange(float(lengths.sum()))[:, None]}
    ids = tuple(map(str, range(40)))
    split = Split("train", SPEC, ids, streams, torch.zeros(40, 2), lengths=lengths)
    batches = list(split.portions(videos))
    assert torch.cat([batch.index for batch in batches]).sort().values.tolist() == list(range(40))
    for batch in batches:
        assert len(batch.index) <= videos
        assert len(batch.index) == 1 or len(batch.index) * batch.segments <= videos * SEGMENTS


def test_videos_of_one_length_join_those_of_others():
    def examples(videos: int, lengths: torch.Tensor | None, seed: int) -> Examples:
        rows = (videos, 9) if lengths is None else (int(lengths.sum()),)
        streams = {name: drawn(*rows, each.dim, seed=seed) for name, each in STREAMS.items()}
        ids = tuple(f"{seed}{number}" for number in range(videos))
        labels = drawn(videos, CLASSES, seed=seed).round()
        split = Split("train", SPEC, ids, streams, labels, lengths=lengths)
        states = drawn(videos, 2, CLASSES, seed=seed)
        return Examples(split, states, states > 0.5, states > 0.2)

    alike, mixed = examples(2, None, 1), examples(4, LENGTHS, 2)
    for parts in ((alike, mixed), (mixed, alike)):
        batch = joined(*parts).videos.all()
        row = 0
        for part in parts:
            for video in range(len(part.videos)):
                own = part.videos.batch(torch.tensor([video]))
                found = batch.streams["audio"][row]
                assert found[: own.segments].equal(own.streams["audio"][0])
                assert not found[own.segments :].any()
                row += 1
