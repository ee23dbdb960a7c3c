"""UWAV's network against a plain form on the published keys, and its properties."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import uwav
from rlld.networks._sight import sight_of
from rlld.types import Prediction
from rlld.workflows.convert import convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)}
SPEC = DataSpec("small", ("a", "b", "c"), 6, 0.5, STREAMS)
LLP = {"audio": StreamSpec(128), "visual_2d": StreamSpec(2048), "visual_3d": StreamSpec(512)}
HIDDEN, HEADS, INNER, LAYERS = 16, 4, 24, 2


def inputs(videos=2, frames=1):
    generator = torch.Generator().manual_seed(0)
    rows = {"audio": 6, "visual_2d": 6 * frames, "visual_3d": 6}
    return {
        name: torch.randn(videos, rows[name], stream.dim, generator=generator)
        for name, stream in STREAMS.items()
    }


def published(hidden=HIDDEN, inner=INNER, layers=LAYERS, classes=3, dims=(5, 7 + 3)):
    """A state dict of the published layout, dead keys too; what is in it is drawn."""
    audio, visual = dims
    linear = {
        "fc_prob": (classes, hidden),
        "fc_frame_att.layers.0": (classes, hidden),
        "fc_av_att.layers.0": (classes, hidden),
        "fc_a.layers.0": (2 * hidden, audio),
        "fc_a.layers.1": (hidden, 2 * hidden),
        "fc_fusion.layers.0": (hidden, visual),
    }
    shapes = {}
    for number in range(layers):
        layer = f"hat_encoder.layers.{number}"
        linear |= {f"{layer}.linear1": (inner, hidden), f"{layer}.linear2": (hidden, inner)}
        for attention in ("self_attn", "cm_attn"):
            linear[f"{layer}.{attention}.out_proj"] = (hidden, hidden)
            shapes[f"{layer}.{attention}.in_proj_weight"] = (3 * hidden, hidden)
            shapes[f"{layer}.{attention}.in_proj_bias"] = (3 * hidden,)
    norms = [f"hat_encoder.layers.{n}.norm{k}" for n in range(layers) for k in (1, 2)]
    for name in (*norms, "hat_encoder.final_norm_a", "hat_encoder.final_norm_v"):
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=generator) / 3 for name, shape in shapes.items()}


def linear(state, name, value):
    return functional.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])


def attended(state, name, asking, other):
    module = nn.MultiheadAttention(HIDDEN, HEADS, batch_first=True)
    module.load_state_dict(
        {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
    )
    return module(asking, other, other)[0]


def layer(state, name, own, other):
    def norm(part, value):
        weight, bias = state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"]
        return functional.layer_norm(value, (HIDDEN,), weight, bias)

    both = attended(state, f"{name}.self_attn", own, own)
    if other is not None:
        both = both + attended(state, f"{name}.cm_attn", own, other)
    own = norm("norm1", own + both)
    inner = linear(state, f"{name}.linear1", own).relu()
    return norm("norm2", own + linear(state, f"{name}.linear2", inner))


def plain(state, streams, cross=True, sequential=True) -> Prediction:
    """The published forward pass, one video, segment, modality and class after the other."""
    audio = linear(state, "fc_a.layers.0", streams["audio"]).relu()
    audio = linear(state, "fc_a.layers.1", audio)
    videos, segments = audio.shape[:2]
    frames = streams["visual_2d"].view(videos, segments, -1, 7).mean(2)
    visual = linear(state, "fc_fusion.layers.0", torch.cat([frames, streams["visual_3d"]], -1))
    for number in range(LAYERS):
        name = f"hat_encoder.layers.{number}"
        old = audio
        audio = layer(state, name, audio, visual if cross else None)
        read = audio if sequential else old
        visual = layer(state, name, visual, read if cross else None)
    both = torch.stack([audio, visual], 2)
    logits = linear(state, "fc_prob", both)
    probability = logits.sigmoid()
    time = linear(state, "fc_frame_att.layers.0", both)
    modality = linear(state, "fc_av_att.layers.0", both)
    sums = torch.zeros(3, videos, 3)
    for video in range(videos):
        for number in range(3):
            for place in range(2):
                shares = time[video, :, place, number].exp()
                shares = shares / shares.sum()
                for segment in range(segments):
                    found = shares[segment] * probability[video, segment, place, number]
                    weights = modality[video, segment, :, number].exp()
                    sums[place, video, number] += found
                    sums[2, video, number] += found * weights[place] / weights.sum()
    return Prediction(probability, *sums, {"segment_logits": logits})


def converted(state=None, **settings):
    given = {"network.heads": HEADS, **settings}
    return convert_state(state or published(), "uwav", SPEC, given)


@pytest.mark.parametrize("frames", [1, 4])
@torch.no_grad()
def test_a_published_checkpoint_predicts_what_the_plain_form_does(frames):
    streams = inputs(frames=frames)
    found, wanted = converted().network(streams), plain(published(), streams)
    for part in ("segment", "audio", "visual", "video"):
        torch.testing.assert_close(
            getattr(found, part), getattr(wanted, part), atol=1e-5, rtol=1e-5
        )
    logits = (each.extras["segment_logits"] for each in (found, wanted))
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-5)
    alone = converted().network.unimodal(streams)
    wanted = plain(published(), streams, cross=False)
    torch.testing.assert_close(alone.segment, wanted.segment, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_pictures_read_the_sounds_that_the_same_layer_has_updated():
    state, streams = published(), inputs()
    usual = plain(state, streams, sequential=False)
    found = converted().network(streams)
    torch.testing.assert_close(found.segment[:, :, 0], plain(state, streams).segment[:, :, 0])
    assert (found.segment - usual.segment)[:, :, 1].abs().max() > 1e-3
    # In a single layer, pictures feel a change of what sounds read only through the new sounds.
    network = converted(published(layers=1)).network
    embedded = network.embed(streams)
    first, sight = network.hat_encoder.layers[0], sight_of(embedded, None).per_head()
    heard = first(embedded[0], embedded[1], sight)
    _, seen = network.hat_encoder(embedded, True, sight_of(embedded, None))
    assert torch.equal(seen, first(embedded[1], heard, sight))
    first.cm_attn.out_proj.weight *= 3
    moved = first(embedded[0], embedded[1], sight)
    _, other = network.hat_encoder(embedded, True, sight_of(embedded, None))
    assert torch.equal(other, first(embedded[1], moved, sight))
    assert (other - first(embedded[1], heard, sight)).abs().max() > 1e-3


def test_sizes_are_read_off_the_checkpoint():
    network = converted().network
    found = network.config
    assert (found.hidden, found.layers, found.heads, found.norm) == (HIDDEN, LAYERS, HEADS, "post")
    assert found.expansion == INNER / HIDDEN
    dead = {key for key in published() if "final_norm" in key}
    assert len(network.state_dict()) == len(published()) - len(dead) == len(published()) - 4


def test_the_published_size_is_the_published_size():
    spec = DataSpec("llp", tuple(map(str, range(25))), 10, 1.0, LLP)
    with torch.device("meta"):
        network = uwav.Config().build(spec)
    assert len(network.state_dict()) == 96 - 4
    assert sum(each.numel() for each in network.parameters()) == 23_023_691 - 2_048
    assert network.hat_encoder.layers[0].self_attn.heads == 16


@pytest.mark.parametrize("motion", [True, False])
def test_the_gradient_reaches_every_parameter(motion):
    streams = {k: v for k, v in STREAMS.items() if motion or k != "visual_3d"}
    torch.manual_seed(0)
    network = uwav.Config(hidden=8, layers=2).build(DataSpec("s", ("a", "b"), 6, 0.5, streams))
    found = network(inputs())
    (found.segment * torch.randn_like(found.segment)).sum().backward(retain_graph=True)
    (found.video * torch.randn_like(found.video)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A softmax cancels the key bias and the biases of the pooling weights.
        if not name.endswith(("in_proj_bias", "_att.bias")):
            assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_pictures_as_they_are_where_nothing_maps_them():
    spec = DataSpec("clip", ("a", "b", "c"), 6, 0.5, {n: STREAMS[n] for n in list(STREAMS)[:2]})
    state = published(hidden=7)
    bare = {key: value for key, value in state.items() if not key.startswith("fc_fusion")}
    network = convert_state(bare, "uwav", spec).network
    streams = inputs(frames=2)
    pooled = streams["visual_2d"].view(2, 6, 2, 7).mean(2)
    torch.testing.assert_close(network.embed(streams)[1], pooled)
    with pytest.raises(RlldError, match=r"needs pictures as wide as hidden \(8\) and no motion"):
        uwav.Config(hidden=8, visual_projection=False).build(spec)
    with pytest.raises(RlldError, match="and no motion, and the data set has"):
        uwav.Config(hidden=7, visual_projection=False).build(SPEC)
    with pytest.raises(RlldError, match="network uwav: layers"):
        uwav.Config(layers=0)
