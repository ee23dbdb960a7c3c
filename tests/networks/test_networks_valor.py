"""VALOR's network against an independent form on PyTorch's own modules, and its properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import valor
from rlld.workflows.convert import convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)}
SPEC = DataSpec("small", ("a", "b", "c"), 6, 0.5, STREAMS)


def inputs(videos=2, spec=SPEC, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(videos, spec.segments, stream.dim, generator=generator)
        for name, stream in spec.streams.items()
    }


def built(spec=SPEC, seed=0, **options):
    torch.manual_seed(seed)
    return valor.Config(**{"hidden": 8, "heads": 4, **options}).build(spec)


def reference(network, streams, cross=True):
    """The published forward pass with PyTorch's attention, one modality after the other."""
    state, config = network.state_dict(), network.config

    def linear(name, value):
        return functional.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name, value):
        return functional.layer_norm(
            value, (config.hidden,), state[f"{name}.weight"], state[f"{name}.bias"]
        )

    def attention(name, asking, other):
        module = nn.MultiheadAttention(config.hidden, config.heads, batch_first=True)
        module.load_state_dict(
            {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
        )
        return module(asking, other, other)[0]

    def layer(name, own, other):
        pre = config.norm == "pre"
        asking = norm(f"{name}.norm1", own) if pre else own
        own = own + attention(f"{name}.self_attn", asking, asking)
        if cross:
            own = own + attention(f"{name}.cm_attn", asking, other)
        own = own if pre else norm(f"{name}.norm1", own)
        inner = norm(f"{name}.norm2", own) if pre else own
        own = own + linear(f"{name}.linear2", linear(f"{name}.linear1", inner).relu())
        return own if pre else norm(f"{name}.norm2", own)

    audio = linear("fc_a", streams["audio"])
    both = [linear("fc_v", streams["visual_2d"]), linear("fc_st", streams["visual_3d"])]
    visual = linear("fc_fusion", torch.cat(both, -1))
    for number in range(config.layers):
        audio = layer(f"hat_encoder.layers.{number}", audio, visual)
        visual = layer(f"hat_encoder.layers.{number}", visual, audio)
    if config.norm == "pre":
        audio = norm("hat_encoder.final_norm_a", audio)
        visual = norm("hat_encoder.final_norm_v", visual)
    return linear("fc_prob", torch.stack([audio, visual], 2))


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("layers", [1, 3])
@torch.no_grad()
def test_logits_are_those_of_the_plain_form(norm, layers):
    network = built(norm=norm, layers=layers, heads=2, expansion=1.5).eval()
    streams = inputs()
    found = network(streams).extras["segment_logits"]
    torch.testing.assert_close(found, reference(network, streams), atol=1e-5, rtol=1e-5)
    alone = network.unimodal(streams).extras["segment_logits"]
    torch.testing.assert_close(alone, reference(network, streams, False), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_both_passes_share_one_embedding():
    network, streams = built().eval(), inputs()
    alone, whole = network.with_unimodal(streams)
    assert torch.equal(alone.segment, network.unimodal(streams).segment)
    assert torch.equal(whole.segment, network(streams).segment)
    changed = {**streams, "audio": streams["audio"] + 1}
    assert torch.equal(network.unimodal(changed).visual, alone.visual)
    assert not torch.equal(network(changed).visual, whole.visual)


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("motion", [True, False])
def test_the_gradient_reaches_every_parameter(norm, motion):
    kept = {k: v for k, v in STREAMS.items() if motion or k != "visual_3d"}
    spec = replace(SPEC, streams=kept)
    network = built(spec, norm=norm, layers=2)
    found = network(inputs(spec=spec))
    (found.segment * torch.randn_like(found.segment)).sum().backward(retain_graph=True)
    (found.video * torch.randn_like(found.video)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A softmax cancels the key bias and the biases of the pooling weights.
        if not name.endswith(("in_proj_bias", "_att.bias")):
            assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_clap_maps_are_pooled_as_published():
    spec = replace(SPEC, segments=7)
    network, maps = built(spec).eval(), torch.randn(2, 64, 5)
    mapped = functional.linear(
        maps.transpose(1, 2).reshape(2, 5, 2, 32).movedim(1, -1),
        network.fc_a.weight,
        network.fc_a.bias,
    ).movedim(-1, 1)
    resized = functional.interpolate(mapped, size=(2, 1024), mode="bicubic", align_corners=False)
    slow = functional.adaptive_avg_pool1d(resized.mean(2), 7).transpose(1, 2)
    streams = {**inputs(spec=spec), "audio": maps}
    torch.testing.assert_close(network.embed(streams)[0], slow, atol=1e-5, rtol=1e-5)


def test_heads_divide_any_width():
    assert built(hidden=12, heads=8).hat_encoder.layers[0].self_attn.heads == 4
    with pytest.raises(RlldError, match="network valor: layers"):
        built(layers=0)


def test_published_keys_of_any_size_are_converted():
    network = built(norm="pre", layers=2, expansion=3.0, heads=8)
    state = network.state_dict()
    post = convert_state(state, "valor", SPEC)
    assert (post.network.config.layers, post.network.config.hidden) == (2, 8)
    assert post.network.config.expansion == 3
    assert post.layout.name == "VALOR"
    assert not any("final_norm" in key for key in post.network.state_dict())
    pre = convert_state(state, "valor", SPEC, {"network.norm": "pre"})
    assert pre.layout.name == "VALOR pre-norm"
    assert torch.equal(
        pre.network.hat_encoder.final_norm_v.bias, state["hat_encoder.final_norm_v.bias"]
    )
