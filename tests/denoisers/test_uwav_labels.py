"""UWAV's thresholds and soft labels against plain loops, and what they are taught by."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.data.spec import DataSpec, StreamSpec
from rlld.denoisers import uwav
from rlld.denoisers.base import Context
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.training.facts import LEARNT_NOTE
from rlld.types import Batch
from rlld.utils.compute import Compute

SPEC = DataSpec(
    "small", ("a", "b", "c"), 4, 1.0, {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)}
)
INFINITE = -math.inf


def drawn(videos=9, segments=4, classes=5, seed=0, digits=None):
    generator = torch.Generator().manual_seed(seed)
    shape = videos, segments, 2, classes
    tags = (torch.rand(videos, classes, generator=generator) < 0.5).float()
    dense = (torch.rand(shape, generator=generator) < 0.5) & tags.bool()[:, None, None]
    logits = 2 * torch.randn(shape, generator=generator) + 3 * dense
    return (logits if digits is None else logits.round(decimals=digits)), tags, dense


def slow_threshold(logits, tags, truth):
    """Every rank of all segments by itself, as the specification describes it: one class."""
    flat = []
    for video in range(len(logits)):
        for segment in range(len(logits[video])):
            score = float(logits[video][segment]) if tags[video] else INFINITE
            flat.append((score, bool(truth[video][segment])))
    flat.sort(key=lambda pair: pair[0])
    total = sum(true for _, true in flat)
    best, threshold = -1.0, INFINITE
    for rank in range(len(flat)):
        called = flat[rank:]
        hits = sum(true for _, true in called)
        precision = hits / len(called)
        recall = hits / total if total else 0.0
        both = precision + recall
        f1 = 2 * precision * recall / both if both else 0.0
        if f1 > best + 1e-12:
            below = flat[rank - 1][0] if rank else INFINITE
            best, threshold = f1, (flat[rank][0] + below) / 2
    return threshold


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_are_those_of_the_plain_search(seed):
    logits, tags, dense = drawn(seed=seed)
    found = uwav.best_thresholds(logits, tags, dense)
    for modality in range(2):
        for number in range(5):
            place = ..., modality, number
            wanted = slow_threshold(logits[place], tags[:, number], dense[place])
            assert float(found[modality, number]) == pytest.approx(wanted)


def test_equal_scores_are_split_where_their_f1_is_best():
    logits = torch.tensor([1.0, 1.0, 2.0, 2.0]).view(1, 4, 1, 1).expand(-1, -1, 2, -1)
    dense = torch.tensor([False, False, True, True]).view(1, 4, 1, 1).expand(-1, -1, 2, -1)
    assert uwav.best_thresholds(logits, torch.ones(1, 1), dense).tolist() == [[1.5], [1.5]]


def test_a_threshold_falls_to_minus_infinity_where_every_tagged_segment_is_best():
    logits, tags, dense = drawn(seed=1)
    tags[:, 0], tags[:, 1], tags[:, 2] = 1, 0, 1
    dense[..., 0], dense[..., 1], dense[..., 2] = True, False, False
    found = uwav.best_thresholds(logits, tags, dense)
    assert found[:, :3].isneginf().all(), "all positive, never tagged, never true"
    assert found[:, 3:].isfinite().all()


def test_what_lies_behind_the_end_of_a_video_teaches_nothing():
    logits, tags, dense = drawn(seed=2)
    mask = torch.ones(9, 4, dtype=torch.bool)
    mask[::2, 2:] = False
    dense = dense & mask[..., None, None]
    found = uwav.best_thresholds(logits, tags, dense, mask)
    changed = torch.where(mask[..., None, None], logits, logits + 50)
    assert torch.equal(uwav.best_thresholds(changed, tags, dense, mask), found)
    assert not torch.equal(uwav.best_thresholds(changed, tags, dense), found)
    soft = [
        uwav.soften(each, tags, found, 2.0, mask)
        for each in (logits, changed - 90 * ~mask[..., None, None])
    ]
    assert torch.equal(soft[0], soft[1])
    assert not soft[0][~mask].any()


def slow_soft(logits, tags, thresholds, temperature):
    result = torch.zeros_like(logits)
    videos, segments, _, classes = logits.shape
    for video in range(videos):
        for segment in range(segments):
            for modality in range(2):
                for number in range(classes):
                    limit = float(thresholds[modality, number])
                    if limit == INFINITE:
                        limit = min(logits[..., modality, number].flatten().tolist()) - 1
                    far = (float(logits[video, segment, modality, number]) - limit) / temperature
                    if tags[video, number]:
                        result[video, segment, modality, number] = 1 / (1 + math.exp(-far))
    return result


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_soft_labels_are_those_of_the_plain_form(temperature):
    logits, tags, dense = drawn(seed=3)
    thresholds = uwav.best_thresholds(logits, tags, dense)
    thresholds[0, 1] = thresholds[1, 3] = INFINITE
    found = uwav.soften(logits, tags, thresholds, temperature)
    torch.testing.assert_close(found, slow_soft(logits, tags, thresholds, temperature))
    tagged = tags.bool()[:, None, None].expand_as(found)
    assert not found[~tagged].any(), "exactly 0"
    assert ((found[tagged] > 0) & (found[tagged] < 1)).all()
    # The lowest score of the batch lies 1 above such a threshold, also that of an untagged video.
    lowest = logits[..., 0, 1] == logits[..., 0, 1].min()
    video = int(lowest.nonzero()[0, 0])
    tags[video, 1] = 1
    again = uwav.soften(logits, tags, thresholds, temperature)
    assert float(again[..., 0, 1][lowest]) == pytest.approx(1 / (1 + math.exp(-1 / temperature)))


def test_a_score_equal_to_its_threshold_is_one_half_and_no_hard_label():
    logits = torch.tensor([1.0, 1.5]).view(1, 2, 1, 1).expand(-1, -1, 2, -1)
    thresholds = torch.ones(2, 1)
    soft = uwav.soften(logits, torch.ones(1, 1), thresholds, 2.0)
    assert soft[0, :, 0, 0].tolist() == [0.5, pytest.approx(1 / (1 + math.exp(-0.25)))]
    hard = uwav.elaborate(logits, torch.ones(1, 1), thresholds)
    assert hard[0, :, 0, 0].tolist() == [0, 1]


@pytest.fixture(scope="module")
def data(tiny_data):
    return load_data(tiny_data)


def context(data, **changes) -> Context:
    reward = replace(data.validation, **changes)
    return Context(data.train, reward, 0, torch.device("cpu"), None)


def test_labels_and_frequencies_of_a_data_set(data):
    source = uwav.Config().build(data.spec)
    source.prepare(context(data))
    hard = uwav.Config(soft=False).build(data.spec)
    hard.prepare(context(data))
    everyone = data.train.all()
    soft, cut = source.revise(everyone, None), hard.revise(everyone, None)
    assert torch.equal(cut.segment, (soft.segment > 0.5).float())
    assert set(cut.segment.unique().tolist()) == {0, 1}
    counts = [0.0, 0.0]
    for modality in range(2):
        for video in range(len(data.train)):
            for segment in range(data.spec.segments):
                counts[modality] += float(cut.segment[video, segment, modality].sum())
    cells = len(data.train) * data.spec.segments
    assert soft.extras["events"].tolist() == pytest.approx([each / cells for each in counts])
    assert torch.equal(soft.video, data.train.labels)
    assert torch.equal(soft.audio, soft.segment[:, :, 0].amax(1))
    assert (cut.segment.bool() == source.segment_labels(data.train).gt(0.5)).all()
    part = data.train.batch(torch.tensor([5, 2]))
    assert source.revise(part, None).segment.shape == (2, data.spec.segments, 2, 4)


def test_validation_teaches_and_the_test_split_must_not(data):
    source = uwav.Config().build(data.spec)
    assert source.learns_from_validation
    with pytest.raises(RlldError, match="thresholds must not be chosen on the test split"):
        source.prepare(context(data, name="test"))
    with pytest.raises(RlldError, match="has no dense annotation"):
        source.prepare(context(data, dense=None))
    with pytest.raises(RuntimeError, match="prepare comes before"):
        source.revise(Batch({}, data.train.labels, torch.arange(1)), None)
    source.prepare(context(data))
    before = source.thresholds
    source.prepare(context(data, dense=data.validation.dense.flip(0)))
    assert not torch.equal(source.thresholds, before)
    with pytest.raises(RlldError, match="temperature"):
        uwav.Config(temperature=0)


def test_a_run_says_that_validation_scores_measure_nothing(tiny_data, tmp_path):
    run = rlld.train(
        "uwav",
        tiny_data,
        tmp_path / "run",
        overrides={"schedule.updates": 2, "network.layers": 1},
        compute=Compute("cpu"),
    )
    assert LEARNT_NOTE in run.facts["notes"]


def test_a_policy_on_top_judges_its_segments(tiny_data, tmp_path):
    settings = {
        "denoiser": "reinforced",
        "denoiser.source": "uwav",
        "denoiser.credit": "labelwise",
        "denoiser.labelwise.folds": 2,
        "denoiser.labelwise.judges": 1,
        "denoiser.labelwise.steps": 2,
        "network.layers": 1,
        "schedule.updates": 2,
    }
    data = load_data(tiny_data)
    recipe = load_recipe("uwav", settings, data.spec.overrides)
    run = rlld.train(recipe, tiny_data, tmp_path / "run", compute=Compute("cpu", threads=1))
    assert not [note for note in run.facts["notes"] if "judged by video" in note]
    assert len(list(run.facts["notes"])) > 0
