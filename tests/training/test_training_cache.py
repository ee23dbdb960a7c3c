"""Networks trained for denoisers: shared by runs that would train the same, and by no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipes.composition import composition
from rlld.recipes.recipe import load_recipe
from rlld.training import cache
from rlld.training.loop import train
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute

CPU = Compute("cpu", threads=1)
SMALL = {
    "schedule.updates": 4,
    "selection.score": "last",
    "selection.reward_share": 1.0,
    "denoiser.labelwise.folds": 2,
    # Networks of later rounds depend on the policy, so that only the first round's are shared.
    "denoiser.labelwise.rounds": 1,
    "denoiser.labelwise.judge": "evidence",
}


def labelwise(**more: object):
    return load_recipe("rlld-labelwise", {**SMALL, **more}, {"network.hidden": 8})


def test_a_shared_run_equals_one_by_itself(tiny_data, tmp_path, monkeypatch):
    data, networks = load_data(tiny_data), tmp_path / "networks"
    few, many = ({"selection.annotated": count} for count in (6, 12))
    train(labelwise(**few), data, tmp_path / "few", compute=CPU, networks=networks)
    assert len(list(networks.iterdir())) == 2
    alone = train(labelwise(**many), data, tmp_path / "alone", compute=CPU)

    def trains(_: Trainer) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Trainer, "finish", trains)
    shared = train(labelwise(**many), data, tmp_path / "shared", compute=CPU, networks=networks)
    for name, value in alone.network.state_dict().items():
        assert torch.equal(value, shared.network.state_dict()[name]), name
    for file in ("denoiser.safetensors", "model.safetensors"):
        assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / "shared" / file).read_bytes()


def test_keys_know_what_a_training_depends_on(tiny_data):
    split, annotated = load_data(tiny_data).train, load_data(tiny_data).validation
    labels = ModalityLabels(split.labels, split.labels, split.labels)
    recipe = labelwise()

    def key(recipe=recipe, split=split, labels=labels, seed=0, unimodal=True, teachers=None) -> str:
        return cache.training_key(recipe, split, labels, seed, unimodal=unimodal, teachers=teachers)

    assert key() == key(labelwise(**{"selection.annotated": 3, "denoiser.labelwise.steps": 9}))
    assert key() == key(labelwise(**{"supervision.weight": 2}))
    other = split.labels.clone()
    other[0, 0] = 1 - other[0, 0]
    streams = {**split.streams, "audio": split.streams["audio"] + 1e-3}
    others = [
        key(seed=1),
        key(unimodal=False),
        key(labelwise(**{"schedule.updates": 5})),
        key(labelwise(**{"network.hidden": 16})),
        key(labels=ModalityLabels(split.labels, other, split.labels)),
        key(split=replace(split, streams=streams)),
        key(teachers=annotated),
        key(teachers=replace(annotated, dense=~annotated.require_dense())),
        key(labelwise(**{"supervision.weight": 2}), teachers=annotated),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_networks_that_count_their_batches_have_keys(tiny_data, tmp_path):
    """A count is one number without a shape; networks of the second round start from it."""
    settings = composition(load_recipe("dhhn"), "rlld-labelwise")
    settings |= {**SMALL, "denoiser.labelwise.rounds": 2, "network.hidden": 8}
    recipe = load_recipe("dhhn", settings)
    train(recipe, load_data(tiny_data), tmp_path / "run", compute=CPU, networks=tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 4


def test_damaged_weights_are_named(tiny_data, tmp_path):
    network = labelwise().build_network(load_data(tiny_data).spec)
    assert not cache.take(tmp_path, "key", network)
    (tmp_path / "key.safetensors").write_bytes(b"nothing")
    with pytest.raises(RlldError, match=r"key\.safetensors: not the weights of a network"):
        cache.take(tmp_path, "key", network)
