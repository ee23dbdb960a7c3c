"""LSLD's network: HAN with chained layers and without motion."""

from __future__ import annotations

import pytest
import torch

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import han, lsld
from rlld.workflows.convert import convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7)}
SPEC = DataSpec("small", ("a", "b", "c"), 6, 0.5, STREAMS)
MOVING = DataSpec("moving", ("a", "b", "c"), 6, 0.5, {**STREAMS, "visual_3d": StreamSpec(3)})


def inputs():
    return {name: torch.randn(2, 6, stream.dim) for name, stream in MOVING.streams.items()}


def test_it_is_han_chained_without_motion():
    network = lsld.Config(hidden=8, layers=3).build(MOVING).eval()
    plain = han.Config(hidden=8, layers=3, chained=True).build(SPEC).eval()
    plain.load_state_dict(network.state_dict())
    streams = inputs()
    assert torch.equal(network(streams).segment, plain(streams).segment)


def test_the_gradient_reaches_every_parameter():
    network = lsld.Config(hidden=8).build(SPEC)
    found = network(inputs())
    ((found.segment**2).sum() + (found.video**2).sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A softmax cancels the biases of the pooling weights.
        if not name.endswith("_att.bias"):
            assert parameter.grad.abs().sum() > 0, name


def test_a_published_state_dict_of_any_size_is_converted():
    state = dict(lsld.Config(hidden=8, layers=2).build(SPEC).state_dict())
    dead = {
        f"hat_encoder.{norm}.{part}": torch.zeros(8)
        for norm in ("norm1", "norm2")
        for part in ("weight", "bias")
    }
    converted = convert_state({**state, **dead}, "lsld", SPEC)
    assert converted.network.config.layers == 2
    assert converted.recipe.name == "lsld"
    with pytest.raises(RlldError, match="network lsld: layers must be positive"):
        lsld.Config(layers=0)
