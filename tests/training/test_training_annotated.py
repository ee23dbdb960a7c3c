"""Few annotated validation videos: which ones teach, and that nothing looks at the others."""

from __future__ import annotations

import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipes.selection import Selection
from rlld.training.validation import drawn, partition
from rlld.utils.compute import Compute


def test_fewer_annotated_videos_are_among_more(tiny_data):
    validation = load_data(tiny_data).validation
    parts = [set(partition(validation, 1.0, 3, count)[0].ids) for count in (0, 5, 12, 20)]
    assert [len(part) for part in parts] == [0, 5, 12, 20]
    assert parts[0] < parts[1] < parts[2] < parts[3] == set(validation.ids)
    assert set(drawn(validation, 5, 3)) == parts[1]
    assert set(drawn(validation, 5, 4)) != parts[1]


def test_annotated_videos_can_be_named(tiny_data):
    validation = load_data(tiny_data).validation
    reward, watched = partition(validation, 1.0, 0, (validation.ids[7], validation.ids[2]))
    assert reward.ids == (validation.ids[2], validation.ids[7])
    assert torch.equal(reward.dense, validation.dense[[2, 7]])
    assert watched is validation
    with pytest.raises(RlldError, match="no validation video"):
        partition(validation, 1.0, 0, ("elsewhere",))
    with pytest.raises(RlldError, match="20 validation videos"):
        partition(validation, 1.0, 0, 21)


def test_selecting_on_the_others_is_refused():
    with pytest.raises(RlldError, match="score last"):
        Selection(annotated=5)
    with pytest.raises(RlldError, match="0 or more"):
        Selection(score="last", annotated=-1)
    assert Selection(score="last", annotated=5).better(0.0, 1.0)


def test_annotation_that_does_not_count_changes_nothing(tiny_data, tmp_path):
    """The weights are the same when the dense annotation of every other video is inverted."""
    compute = Compute("cpu", threads=1)
    settings = {
        "schedule.updates": 5,
        "selection.score": "last",
        "selection.annotated": 6,
    }
    weights = []
    for invert in (False, True):
        data = load_data(tiny_data)
        teaching = partition(data.validation, 1.0, 0, 6)[0].ids
        if invert:
            for number, name in enumerate(data.validation.ids):
                if name not in teaching:
                    data.validation.dense[number] ^= True
        recipe = rlld.recipes.recipe.load_recipe("supervised", settings, data.spec.overrides)
        out = tmp_path / str(invert)
        run = rlld.training.loop.train(recipe, data, out, compute=compute)
        assert run.facts["teaching_videos"] == 6
        weights.append((out / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
