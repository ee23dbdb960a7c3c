"""Published checkpoints: both layouts load, everything else is refused with a reason."""

from __future__ import annotations

import json
import os
import pickle
import random
from argparse import Namespace
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cli_kit import called, fresh
from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.networks import mgn
from rlld.networks.han import Config
from rlld.training.run_folder import load_run
from rlld.utils.registry import NETWORKS
from rlld.workflows.convert import convert_file, convert_state, published_layouts, read_checkpoint

CASES = Path(__file__).parents[1] / "golden" / "cases"


def published(case: str) -> dict[str, Tensor]:
    """A state dict of a published layout, with random weights."""
    entries = json.loads((CASES / f"{case}.json").read_text())["parameters"]
    generator = torch.Generator().manual_seed(0)
    return {e["key"]: 0.05 * torch.randn(e["shape"], generator=generator) for e in entries}


def jomold_checkpoint(path: Path) -> dict[str, Tensor]:
    """Writes what JoMoLD writes: model, optimizer, scheduler and the random states."""
    state = published("jomold_forward_with_ca")
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([weight], lr=5e-4)
    weight.sum().backward()
    optimizer.step()
    data = {
        "model": state,
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 6, 0.25).state_dict(),
        "epochs": 25,
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": [torch.get_rng_state()],
        "random_rng": random.getstate(),
        "numpy_rng": np.random.get_state(),
    }
    torch.save(data, path)
    return state


def test_han_layout(tmp_path: Path) -> None:
    state = published("han_forward")
    assert len(state) == 74
    torch.save(state, tmp_path / "MMIL_Net.pt")
    found = convert_file(tmp_path / "MMIL_Net.pt")
    assert found.layout.name == "HAN"
    assert (found.recipe.gate.audio, found.recipe.gate.visual) == ("video", "video")
    assert sum(p.numel() for p in found.network.parameters()) == 4_569_675
    for key, value in found.network.state_dict().items():
        assert value.equal(state[key]), key
    assert found.facts["converted_from"] == "MMIL_Net.pt"


def test_old_file_format_of_torch(tmp_path: Path) -> None:
    state = published("han_forward")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert convert_file(tmp_path / "old.pt").layout.name == "HAN"


def test_jomold_checkpoint_with_random_states(tmp_path: Path) -> None:
    state = jomold_checkpoint(tmp_path / "JoMoLD.pt")
    found = convert_file(tmp_path / "JoMoLD.pt")
    assert found.layout.name == "JoMoLD"
    assert (found.recipe.gate.audio, found.recipe.gate.visual) == ("modality", "modality")
    assert found.recipe.network.config.chained
    for key, value in found.network.state_dict().items():
        assert value.equal(state[key]), key


def test_numpy_random_state_of_numpy_1(tmp_path: Path) -> None:
    # numpy 2 moved the module of the function that its pickles name.
    jomold_checkpoint(tmp_path / "new.pt")
    data = torch.load(tmp_path / "new.pt", weights_only=False)
    torch.save(data, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    raw = (tmp_path / "old.pt").read_bytes()
    name = b"numpy._core.multiarray\n"
    assert raw.count(name) == 1
    (tmp_path / "old.pt").write_bytes(raw.replace(name, b"numpy.core.multiarray\n"))
    assert convert_file(tmp_path / "old.pt").layout.name == "JoMoLD"


def test_ma_layout_and_number_of_layers() -> None:
    assert convert_state(published("ma_step1_forward")).layout.name == "MA"
    state = published("jomold_forward_with_ca")
    prefix = "hat_encoder.layers."
    second = {
        key.replace(f"{prefix}0.", f"{prefix}1."): value.clone()
        for key, value in state.items()
        if key.startswith(prefix)
    }
    found = convert_state({**state, **second})
    assert len(found.network.hat_encoder.layers) == 2  # type: ignore[union-attr, arg-type]


def test_widths_are_read_and_classes_told_by_the_caller() -> None:
    spec = replace(LLP_SPEC, classes=("a", "b", "c"))
    state = Config(hidden=16).build(spec).state_dict()
    found = convert_state(state, spec=spec)
    assert found.network.state_dict()["fc_prob.weight"].shape == (3, 16)
    with pytest.raises(
        RlldError, match=r"'fc_prob.weight' has shape \(3, 16\), expected \(25, 16\)"
    ):
        convert_state(state)


def in_front(state: dict[str, Any], prefix: str) -> OrderedDict[str, Any]:
    return OrderedDict((f"{prefix}{key}", value) for key, value in state.items())


ARGUMENTS = Namespace(lr=3e-4, gpus=[0, 1], out=Path("models"), nested={"seed": None, "kinds": {1}})
BESIDE = {
    "epoch": 39,
    "args": ARGUMENTS,
    "best": np.float64(61.2),
    "count": np.int64(3),
    "numpy_rng": np.random.get_state(),
    "milestones": Counter([10, 20]),
    "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"params": [0]}]},
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda s: in_front(s, "module."), ["removed 'module.'"]),
        (lambda s: in_front(s, "_orig_mod.module."), ["removed '_orig_mod.'", "removed 'module.'"]),
        (lambda s: in_front(s, "module.module."), ["removed 'module.'"]),
        (lambda s: {**BESIDE, "state_dict": s}, ["took 'state_dict'"]),
        (lambda s: {**BESIDE, "model_state_dict": s}, ["took 'model_state_dict'"]),
        (lambda s: {**BESIDE, "net": s}, ["took 'net'"]),
        (lambda s: {**BESIDE, "what a name": s}, ["took 'what a name'"]),
        (lambda s: {"checkpoint": {**BESIDE, "model": s}}, ["took 'checkpoint'", "took 'model'"]),
        (
            lambda s: {"ema": {k: v + 1 for k, v in s.items()}, "model": in_front(s, "module.")},
            ["took 'model' (not 'ema')", "removed 'module.'"],
        ),
        (
            lambda s: {"n_averaged": torch.tensor(7), **in_front(s, "module.")},
            ["removed 'module.'"],
        ),
        (
            lambda s: {k.replace("_att.", "_att._orig_mod."): v for k, v in s.items()},
            ["removed '_orig_mod.'"],
        ),
        (lambda s: {k: torch.nn.Parameter(v) for k, v in s.items()}, []),
    ],
)
def test_wrappers_are_looked_through_and_told(
    tmp_path: Path, wrap: Callable[[dict[str, Tensor]], Any], said: list[str], old: bool
) -> None:
    state = dict(Config(hidden=16).build(LLP_SPEC).state_dict())
    torch.save(wrap(state), tmp_path / "x.pt", _use_new_zipfile_serialization=not old)
    found = convert_file(tmp_path / "x.pt")
    for key, value in found.network.state_dict().items():
        assert value.equal(state[key]), key
    assert found.facts.get("unwrapped", []) == said


@pytest.mark.parametrize("name", ["MMIL_Net.safetensors", "MMIL_Net.bin"])
def test_safetensors_of_a_published_layout(tmp_path: Path, name: str) -> None:
    state = published("han_forward")
    save_file(in_front(state, "module."), tmp_path / name)
    found = convert_file(tmp_path / name)
    assert found.layout.name == "HAN"
    assert all(value.equal(state[key]) for key, value in found.network.state_dict().items())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    with pytest.raises(RlldError, match="damaged or no checkpoint"):
        convert_file(tmp_path / name)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda v: v.to_sparse(), "a sparse tensor"),
        (lambda v: torch.empty(v.shape, device="meta"), "without values"),
        (lambda v: v.reshape(1, *([1] * 69)), "70 dimensions"),
        (lambda v: v.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda v: v.expand(10**9), "in a storage of 1 values"),
    ],
)
def test_tensors_that_are_no_plain_numbers_are_refused(
    tmp_path: Path, make: Callable[[Tensor], Tensor], what: str
) -> None:
    torch.save({"fc_a.bias": make(torch.ones(1))}, tmp_path / "x.pt")
    with pytest.raises(RlldError, match=what) as caught:
        convert_file(tmp_path / "x.pt")
    assert str(caught.value).startswith(f"{tmp_path / 'x.pt'}: ")


def test_sizes_that_a_file_claims_cost_no_memory(tmp_path: Path) -> None:
    # A thousand tensors that share one row, and the sizes of a network of terabytes.
    wide = torch.zeros(200_000)
    keys = [key for key in published("han_forward") if key.endswith("weight")]
    torch.save({key: wide[:, None] for key in keys[:3]}, tmp_path / "x.pt")
    with pytest.raises(RlldError, match="does not fit network"):
        convert_file(tmp_path / "x.pt")
    torch.save({f"{key}{n}": wide[:, None] for key in keys for n in range(9)}, tmp_path / "x.pt")
    with pytest.raises(RlldError, match="its tensors share their values and would take"):
        convert_file(tmp_path / "x.pt")


class Evil:
    """Runs a command when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("place", ["state", "optimizer", "bare", "plain pickle"])
def test_code_is_never_run(tmp_path: Path, place: str) -> None:
    mark, file = tmp_path / "mark", tmp_path / "evil.pt"
    state: dict[str, Any] = published("han_forward")
    if place == "state":
        torch.save({**state, "extra": Evil(mark)}, file)
    elif place == "optimizer":
        torch.save({"model": state, "optimizer": Evil(mark)}, file)
    elif place == "bare":
        torch.save(Evil(mark), file)
    else:
        file.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(RlldError) as caught:
        convert_file(file)
    assert not mark.exists()
    if place != "plain pickle":
        assert "would run posix.system" in str(caught.value)


@pytest.mark.parametrize("old", [True, False])
def test_truncated_files_are_refused(tmp_path: Path, old: bool) -> None:
    whole, file = tmp_path / "whole.pt", tmp_path / "cut.pt"
    torch.save(published("jomold_forward_with_ca"), whole, _use_new_zipfile_serialization=not old)
    data = whole.read_bytes()
    for share in (0.001, 0.3, 0.7, 0.999):
        file.write_bytes(data[: int(share * len(data))])
        with pytest.raises(RlldError, match="damaged or no checkpoint"):
            read_checkpoint(file)


def test_a_value_that_changed_on_the_way_is_refused(tmp_path: Path) -> None:
    """Such a file was converted, and gave other numbers than the published one."""
    file, state = tmp_path / "changed.pt", published("jomold_forward_with_ca")
    torch.save(state, file)
    data = bytearray(file.read_bytes())
    data[data.index(state["fc_a.weight"].numpy().tobytes())] ^= 1
    file.write_bytes(data)
    with pytest.raises(RlldError, match=r"damaged .* 'changed/data/\d+' is not what was written"):
        read_checkpoint(file)


def test_files_without_checksums_are_read(tmp_path: Path) -> None:
    state = published("jomold_forward_with_ca")
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "plain.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    found = read_checkpoint(tmp_path / "plain.pt").tensors
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pt"
    for content, reason in (
        (b"", "is empty"),
        (b"hello, this is text\n", "damaged or no checkpoint"),
        (b"PK\x03\x04 no zip", "damaged"),
    ):
        file.write_bytes(content)
        with pytest.raises(RlldError, match=reason):
            read_checkpoint(file)
    with pytest.raises(RlldError, match="a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(RlldError, match="not there"):
        read_checkpoint(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s | {"surprise.weight": torch.zeros(1)}, "unexpected tensor 'surprise.weight'"),
        (lambda s: {k: v for k, v in s.items() if k != "fc_v.bias"}, "'fc_v.bias' is missing"),
        (lambda s: s | {"fc_v.bias": torch.zeros(7)}, r"'fc_v.bias' has shape \(7,\)"),
        (lambda s: s | {"fc_v.bias": torch.zeros(512).long()}, "'fc_v.bias' is torch.int64"),
        (lambda s: s | {"fc_v.bias": torch.full((512,), torch.nan)}, "'fc_v.bias' holds NaN"),
        (lambda s: s | {"fc_v.bias": 3.0}, "entry 'fc_v.bias' is float"),
        (lambda s: {"model": 3}, "entry 'model' is int, expected a tensor by its name"),
        (lambda s: {"model": {}}, "holds dict, expected a non-empty state dict"),
        (lambda s: [1, 2], "holds list"),
        (lambda s: {}, "holds dict, expected a non-empty"),
    ],
)
def test_wrong_contents_are_named(tmp_path: Path, change: Any, reason: str) -> None:
    torch.save(change(published("jomold_forward_with_ca")), tmp_path / "x.pt")
    with pytest.raises(RlldError, match=reason):
        convert_file(tmp_path / "x.pt")


def test_networks_without_published_checkpoints_say_so() -> None:
    with pytest.raises(RlldError, match="unknown network 'ham'; did you mean 'han'"):
        published_layouts("ham")
    assert "published" not in NETWORKS.names()
    assert "convert" not in NETWORKS.names()


@pytest.mark.parametrize(
    ("case", "asked", "meant"),
    [
        ("han_forward", "mgn", "han"),
        ("jomold_forward_with_ca", "mm_pyramid", "han"),
        ("mgn_forward_hard", "han", "mgn"),
        ("mm_pyramid_forward", "han", "mm_pyramid"),
        ("ave_weak", "han", "ave"),
        ("ave_dmrn", "avsdn", "ave"),
        ("avsdn_cpsp_weak", "ave", "avsdn"),
        ("cpsp_avvp", "han", "cpsp"),
    ],
)
def test_checkpoint_of_another_network_says_which(case: str, asked: str, meant: str) -> None:
    with pytest.raises(RlldError) as caught:
        convert_state(published(case), asked, where="x.pt")
    message = str(caught.value)
    assert message.startswith(f"x.pt: does not fit network '{asked}' in its ")
    assert message.endswith(f"; its keys look like network {meant}: give --network {meant}")


def test_layers_and_classes_do_not_hide_the_network() -> None:
    spec = replace(LLP_SPEC, classes=("a", "b"), segments=3)
    state = mgn.Config(hidden=16, depth_audio=1, depth_visual=5, depth_fusion=2).build(spec)
    with pytest.raises(RlldError, match="its keys look like network mgn: give --network mgn"):
        convert_state(state.state_dict())


def test_keys_of_no_network_and_wrong_sizes_name_none() -> None:
    strange = {"encoder.weight": torch.zeros(2, 2), "fc_a.bias": torch.zeros(2)}
    with pytest.raises(RlldError, match="give a checkpoint of that network, and --data"):
        convert_state(strange)
    state = published("han_forward")
    with pytest.raises(RlldError, match=r"has shape .* give a checkpoint of that network"):
        convert_state({**state, "fc_a.weight": torch.zeros(3, 3)})


def test_command_writes_a_run_that_loads(tmp_path: Path) -> None:
    state = jomold_checkpoint(tmp_path / "a.pt")
    out = tmp_path / "run"
    done = fresh("convert", tmp_path / "a.pt", "--network", "han", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "JoMoLD layout" in done.stdout
    assert "a.pt: took 'model'" in done.stdout
    run = load_run(out)
    assert run.recipe.name == "jomold"
    assert run.facts["layout"] == "JoMoLD"
    streams = {n: torch.randn(3, 10, dim) for n, dim in run.spec.dims.items()}
    again = convert_state(state).network(streams)
    torch.testing.assert_close(run.predict(streams).segment, again.segment)
    second = called("convert", tmp_path / "a.pt", "--out", out)
    assert (second.returncode, second.stdout) == (0, f"{out}: finished already\n")
    other = called("convert", tmp_path / "a.pt", "--out", out, "--gate.audio", "video")
    assert other.returncode == 2
    assert "holds another run already" in other.stderr


def test_command_refuses_in_one_sentence_and_writes_nothing(tmp_path: Path) -> None:
    torch.save(Evil(tmp_path / "mark"), tmp_path / "evil.pt")
    done = called("convert", tmp_path / "evil.pt", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.startswith("rlld: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "mark").exists()
