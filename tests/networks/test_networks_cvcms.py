"""CVCMS against a plain implementation, and the mixing of tracks in training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import cvcms
from rlld.objectives.cvcms import Config as Loss
from rlld.types import Batch, ModalityLabels
from rlld.workflows.convert import convert_state

SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c", "d"),
    segments=6,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)},
)
STILL = replace(SPEC, streams={name: SPEC.streams[name] for name in ("audio", "visual_2d")})
SMALL = {"hidden": 12, "feedforward": 9, "token_width": 5, "dropout": 0.0, "token_dropout": 0.0}


def streams(spec: DataSpec, videos: int, segments: int = 6, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(videos, segments, dim, generator=generator, dtype=torch.float64)
        for name, dim in spec.dims.items()
    }


def build(spec: DataSpec = SPEC, **options: float) -> cvcms.CVCMS:
    """A network in float64 with random biases too."""
    torch.manual_seed(1)
    network = cvcms.Config(**{**SMALL, **options}).build(spec).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    return network


def plain_layer(layer: nn.Module, query: Tensor, other: Tensor, cross: bool) -> Tensor:
    """HAN's layer as published: one modality at a time, with PyTorch's attention."""

    def attend(name: str, key: Tensor) -> Tensor:
        own = getattr(layer, name)
        plain = nn.MultiheadAttention(own.hidden, 1, batch_first=True, dtype=query.dtype)
        parameters = dict(own.named_parameters())
        return torch.func.functional_call(plain, parameters, (query, key, key))[0]

    rows = query + attend("self_attn", query)
    if cross:
        rows = rows + attend("cm_attn", other)
    rows = layer.norm1(rows)
    return layer.norm2(rows + layer.linear2(layer.linear1(rows).relu()))


def plain_cvcms(
    network: cvcms.CVCMS, values: dict[str, Tensor], cross: bool = True
) -> dict[str, Tensor]:
    """CVCMS as published, one segment at a time."""
    audio = network.fc_a(values["audio"])
    visual = network.fc_v(values["visual_2d"])
    if "visual_3d" in values:
        motion = network.fc_st(values["visual_3d"])
        visual = network.fc_fusion(torch.cat([visual, motion], -1))
    layer = network.hat_encoder["layers"][0]
    heard = plain_layer(layer, audio, visual, cross)
    seen = plain_layer(layer, visual, audio, cross)
    over_classes = network.av_class_encoder["layers"][0]
    segments = []
    for time in range(audio.shape[1]):
        classes = network.fc_frame_att.out_features
        sound = network.fc_occ_class_a(heard[:, time]).relu().unflatten(1, (classes, -1))
        sight = network.fc_occ_class_v(seen[:, time]).relu().unflatten(1, (classes, -1))
        first = plain_layer(over_classes, sound, sight, cross)
        second = plain_layer(over_classes, sight, sound, cross)
        logits = [network.fc_occ_prob_a(first), network.fc_occ_prob_v(second)]
        segments.append(torch.stack([each[..., 0] for each in logits], 1).sigmoid())
    segment = torch.stack(segments, 1)
    both = torch.stack([heard, seen], 2)
    in_time = network.fc_frame_att(both).softmax(1) * segment
    return {
        "segment": segment,
        "audio": in_time[:, :, 0].sum(1),
        "visual": in_time[:, :, 1].sum(1),
        "video": (in_time * network.fc_av_att(both).softmax(2)).sum((1, 2)),
    }


@pytest.mark.parametrize("spec", [SPEC, STILL])
@pytest.mark.parametrize("segments", [1, 6])
@pytest.mark.parametrize("cross", [False, True])
def test_equals_the_plain_network_forward_and_backward(
    spec: DataSpec, segments: int, cross: bool
) -> None:
    network, other = build(spec).eval(), build(spec).eval()
    values = streams(spec, 4, segments)
    found = network(values) if cross else network.unimodal(values)
    loss, wanted = 0, 0
    for name, value in plain_cvcms(other, values, cross).items():
        torch.testing.assert_close(getattr(found, name), value, rtol=1e-9, atol=1e-11)
        weight = torch.randn_like(value)
        loss, wanted = loss + (getattr(found, name) * weight).sum(), wanted + (value * weight).sum()
    loss.backward()
    wanted.backward()
    theirs = dict(other.named_parameters())
    for name, parameter in network.named_parameters():
        if not cross and "cm_attn" in name:
            assert parameter.grad is None
            continue
        gradient = 0 * parameter if theirs[name].grad is None else theirs[name].grad
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-8, atol=1e-10, msg=name)


def test_every_track_meets_the_picture_of_another_video() -> None:
    network = build().train()
    values = streams(SPEC, 5)
    usual = network.eval()(values)
    network.train()
    met = torch.zeros(5, 5)
    for _ in range(60):
        found = network(values)
        torch.testing.assert_close(found.segment, usual.segment)
        torch.testing.assert_close(found.extras["time_logits"], usual.extras["time_logits"])
        partner = found.extras["partner"]
        met[torch.arange(5), partner] += 1
    pictures = {name: value[partner] for name, value in values.items() if name != "audio"}
    pairs = network.eval()({"audio": values["audio"], **pictures}).extras
    for name in ("audio_after", "visual_after", "time_logits"):
        torch.testing.assert_close(found.extras[f"mixed_{name}"], pairs[name])
    assert (met.diagonal() == 0).all()
    # 60 draws among 4 others: 15 each, with a standard deviation of 3.4.
    others = met[~torch.eye(5, dtype=torch.bool)]
    assert others.min() >= 2
    assert others.max() <= 32


def test_tracks_are_mixed_only_where_somebody_learns_from_it() -> None:
    network, values = build(), streams(SPEC, 3)
    assert "partner" in network.train()(values).extras
    unimodal, usual = network.with_unimodal(values)
    assert "partner" in usual.extras
    assert "partner" not in unimodal.extras
    with torch.no_grad():
        assert "partner" not in network(values).extras
    assert "partner" not in network.eval()(values).extras


@pytest.mark.parametrize("videos", [1, 2, 5])
def test_gradient_reaches_every_parameter(videos: int) -> None:
    network = build().train()
    generator = torch.Generator().manual_seed(2)
    labels = (torch.rand(videos, 4, generator=generator) < 0.5).double()
    objective = Loss(warm_up_rounds=0).build(SPEC)
    batch = Batch({}, labels, torch.arange(videos))
    losses = objective(
        network(streams(SPEC, videos)), ModalityLabels(labels, labels, labels), batch
    )
    losses["loss"].backward()
    for name, parameter in network.named_parameters():
        if name in ("fc_frame_att.bias", "fc_av_att.bias"):
            continue  # a softmax cancels them
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_published_sizes() -> None:
    published = DataSpec(
        "llp", tuple(map(str, range(25))), 10, 1.0,
        {"audio": StreamSpec(128), "visual_2d": StreamSpec(2048), "visual_3d": StreamSpec(512)},
    )  # fmt: skip
    network = cvcms.Config().build(published)
    assert sum(parameter.numel() for parameter in network.parameters()) == 8_005_940


@pytest.mark.parametrize(("hidden", "tokens"), [(512, 128), (40, 10), (3, 1)])
def test_the_width_of_class_tokens_follows_that_of_the_model(hidden: int, tokens: int) -> None:
    network = cvcms.Config(hidden=hidden).build(SPEC).eval()
    assert network.fc_occ_prob_a.in_features == tokens
    values = {name: value.float() for name, value in streams(SPEC, 2).items()}
    assert network(values).segment.shape == (2, 6, 2, 4)


def test_checkpoints_bring_their_widths() -> None:
    found = convert_state(build().float().state_dict(), "cvcms", SPEC).network.config
    assert (found.hidden, found.feedforward, found.token_width) == (12, 9, 5)


@pytest.mark.parametrize("name", ["hidden", "feedforward", "token_width"])
def test_wrong_widths_are_named(name: str) -> None:
    with pytest.raises(RlldError, match=name):
        cvcms.Config(**{name: 0})
