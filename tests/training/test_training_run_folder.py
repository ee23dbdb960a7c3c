"""Run folders: what was written comes back, and what was changed is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import rlld
from rlld.errors import RlldError
from rlld.training.run_folder import METRICS, load_denoiser, load_run, read_rounds
from rlld.utils.compute import Compute


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "rlld"
    compute = Compute(device="cpu", threads=1)
    rlld.train("rlld", tiny_data, out, compute=compute, overrides={"schedule.rounds": 2})
    return out


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_network_and_the_policy_come_back(finished):
    run = load_run(finished)
    saved = load_file(finished / "model.safetensors")
    assert saved.keys() == run.network.state_dict().keys()
    assert all(torch.equal(v, saved[k]) for k, v in run.network.state_dict().items())
    policy = load_denoiser(run).networks()["policy"].state_dict()
    written = load_file(finished / "denoiser.safetensors")
    assert {f"policy.{name}" for name in policy} == written.keys()
    assert all(torch.equal(value, written[f"policy.{name}"]) for name, value in policy.items())


def test_the_recipe_comes_back_whole(finished):
    recipe = load_run(finished).recipe
    assert recipe.network.config.hidden == 16
    assert recipe.schedule.rounds == 2
    assert recipe.denoiser.name == "reinforced"


def test_a_newer_format_is_refused(copy):
    edit_config(copy, format_version=99, rlld="9.1.0")
    with pytest.raises(RlldError, match=r"format 99 by rlld 9\.1\.0.*update rlld"):
        load_run(copy)


def test_changed_weights_are_refused(copy):
    tensors = load_file(copy / "model.safetensors")
    tensors["fc_prob.bias"] += 1e-3
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(RlldError, match="SHA-256 differs"):
        load_run(copy)


def test_a_flipped_byte_is_refused(copy):
    path = copy / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(RlldError, match="SHA-256 differs"):
        load_run(copy)


def test_a_cut_file_is_refused(copy):
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RlldError, match="not a readable safetensors file"):
        load_run(copy)


def test_a_pickle_is_refused_unread(copy, tmp_path):
    trap = tmp_path / "trap"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (trap,))

    (copy / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(RlldError, match="pickles above all, are refused"):
        load_run(copy)
    assert not trap.exists()


def test_weights_that_compute_something_else_are_refused(copy):
    golden = load_file(copy / "golden.safetensors")
    golden["output.audio"] += 0.01
    save_file(golden, copy / "golden.safetensors")
    with pytest.raises(RlldError, match=r"no longer gives its recorded audio.* the source of"):
        load_run(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": {"network": {"name": "hen"}}}, "did you mean 'han'"),
        ({"facts": None}, "section 'facts' is missing"),
        ({"facts": {"data": [5]}}, r"facts\.data is '\[5\]', expected str"),
        ({"facts": {"updates": "x"}}, r"facts\.updates is 'x', expected int"),
        ({"facts": {"training_videos": -1}}, r"facts\.training_videos is -1, expected 0 or more"),
        ({"facts": {"notes": [5]}}, r"facts\.notes holds '5', expected text"),
        ({"facts": {"validation": {"x": "y"}}}, r"facts\.validation\.x is 'y', expected a number"),
        ({"format_version": 0}, "no format_version in it"),
        ({"format_version": None}, "no format_version"),
    ],
)
def test_a_changed_configuration_is_named(copy, change, message):
    edit_config(copy, **change)
    with pytest.raises(RlldError, match=message):
        load_run(copy)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(RlldError, match="no run folder"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RlldError, match="cannot be read as JSON"):
        load_run(tmp_path)


def test_an_incomplete_run_is_refused(copy):
    (copy / "model.safetensors").unlink()
    with pytest.raises(RlldError, match="incomplete"):
        load_run(copy)


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{", '{"updates": 1}', '{"updates": "1", "validation": {}}'),
        *('{"updates": 1, "validation": 2}', '{"updates": 1, "validation": {"a": null}}'),
        '{"updates": 1, "validation": {"a": 1}}\n{"updates": 2, "validation": {}}',
    ],
)
def test_a_damaged_log_is_refused(tmp_path, text):
    (tmp_path / METRICS).write_text(text)
    with pytest.raises(RlldError, match="not the log of a run"):
        read_rounds(tmp_path)
