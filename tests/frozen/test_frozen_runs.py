"""What code of before wrote is made again, read, gone on with and scored alike.

On the machine that wrote it to the byte; on others, whose arithmetic rounds otherwise, nearly:
where a gradient is almost zero, rounding decides its sign, and Adam's first steps go by the sign.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

import freeze
import pytest
import torch

import rlld
from rlld.data.dataset import load_data
from rlld.recipes.recipe import recipe_names
from rlld.training.run_folder import load_denoiser, load_run

BEFORE: dict[str, Any] = json.loads(freeze.NUMBERS.read_text())
MOVED = 6 * 5e-3
"""What rounding can move: six updates by the learning rate of the tiny data set."""
SAME_MACHINE = freeze.machine() == BEFORE["machine"]


def same(found: dict[str, Any], before: dict[str, Any]) -> None:
    """Compares to the byte where arithmetic is the same, else within what rounding moves."""
    if SAME_MACHINE:
        assert found == before
    assert found["norms"].keys() == before["norms"].keys()
    near = [
        value == pytest.approx(before["norms"][name], rel=5e-2, abs=MOVED)
        for name, value in found["norms"].items()
    ]
    assert sum(near) >= 0.9 * len(near)
    assert len(found["log"]) == len(before["log"])
    for line, old in zip(found["log"], before["log"], strict=True):
        assert line.keys() == old.keys()
        assert line["loss"] == pytest.approx(old["loss"], rel=5e-2)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_makes_what_it_made_before(name, tiny_data, tmp_path):
    if name not in BEFORE["recipes"]:
        pytest.fail(f"{name} is new: run tests/frozen/freeze.py and commit what it writes")
    same(freeze.figures(freeze.trained(name, tiny_data, tmp_path / "run")), BEFORE["recipes"][name])


@pytest.mark.parametrize("name", freeze.LEARNERS)
def test_an_unfinished_run_of_before_is_gone_on_with(name, tiny_data, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(freeze.UNFINISHED / name, folder)
    done = freeze.trained(name, tiny_data, folder, resume=True)
    same(freeze.figures(done), BEFORE["recipes"][name])
    assert not (folder / "resume").exists()


@pytest.mark.parametrize("name", freeze.KINDS)
def test_a_run_folder_of_before_is_read_and_scored_alike(name, tiny_data, tmp_path):
    again = freeze.trained(name, tiny_data, tmp_path / "run")
    data = load_data(tiny_data)
    old, new = load_run(freeze.RUNS / name), load_run(again)
    assert old.recipe == new.recipe
    if (freeze.RUNS / name / "denoiser.safetensors").exists():
        some = data.train.batch(torch.arange(8))
        was, now = (load_denoiser(run).keep_probability(some) for run in (old, new))
        torch.testing.assert_close(was, now, atol=0 if SAME_MACHINE else MOVED, rtol=0)
    streams = data.test.batch(torch.arange(len(data.test.ids))).streams
    for part in ("segment", "audio", "visual", "video"):
        was, now = getattr(old.predict(streams), part), getattr(new.predict(streams), part)
        torch.testing.assert_close(was, now, atol=0 if SAME_MACHINE else MOVED, rtol=0)
    if SAME_MACHINE:
        was, now = (rlld.evaluate(run, "test", data=tiny_data).scores for run in (old, new))
        assert was == now
