"""CMPAE's network against a plain implementation in the published order."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks.cmpae import CMPAE, Config, opinion
from rlld.workflows.convert import convert_file

SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c", "d", "e"),
    segments=6,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(12), "visual_2d": StreamSpec(20), "visual_3d": StreamSpec(16)},
)


def streams(videos: int = 3, segments: int = 6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(videos)
    shapes = {"audio": (segments, 12), "visual_2d": (2 * segments, 20), "visual_3d": (segments, 16)}
    return {name: torch.randn(videos, *s, generator=generator) for name, s in shapes.items()}


def network(spec: DataSpec = SPEC, **options: float) -> CMPAE:
    torch.manual_seed(0)
    made = Config(hidden=8, **options).build(spec).eval()  # type: ignore[arg-type]
    for parameter in made.parameters():  # biases near 0 would hide errors in them
        nn.init.normal_(parameter, std=0.4)
    return made


class PlainLayer(nn.Module):
    """HAN's layer of one modality, by PyTorch's attention."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(hidden, 1, batch_first=True)
        self.cm_attn = nn.MultiheadAttention(hidden, 1, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

    def forward(self, own: Tensor, other: Tensor, cross: bool) -> Tensor:
        total = own + self.self_attn(own, own, own)[0]
        if cross:
            total = total + self.cm_attn(own, other, other)[0]
        total = self.norm1(total)
        return self.norm2(total + self.linear2(functional.relu(self.linear1(total))))


def plain(ours: CMPAE, values: dict[str, Tensor], cross: bool) -> dict[str, Tensor]:
    """What the published network computes, in evaluation mode."""
    weights = ours.state_dict()

    def linear(name: str, value: Tensor) -> Tensor:
        return functional.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def leaky(name: str, value: Tensor) -> Tensor:
        return functional.leaky_relu(linear(name, value), 0.2)

    def evidence(logits: Tensor) -> Tensor:
        return torch.exp(torch.clamp(logits, -10, 10) / 0.8) + 1

    videos, segments = values["audio"].shape[:2]
    audio = functional.elu(linear("fc_a.0", values["audio"]))
    pictures = functional.elu(linear("fc_v.0", values["visual_2d"]))
    pictures = pictures.reshape(videos, segments, -1, pictures.shape[-1]).mean(2)
    motion = functional.elu(linear("fc_st.0", values["visual_3d"]))
    visual = functional.elu(linear("fc_fusion.0", torch.cat([pictures, motion], -1)))
    hidden = leaky("classifier1.0", audio) + leaky("classifier1.0", visual)
    logits = linear("classifier2", hidden)
    found = {"global_prob": logits.sigmoid().mean(1)}
    classes = logits.shape[-1]
    found["global_uct"] = classes / evidence(logits.mean(1)).sum(-1)

    def encoded(cross: bool) -> tuple[Tensor, Tensor]:
        pair = audio, visual
        for number in range(ours.config.layers):
            layer = PlainLayer(audio.shape[-1]).double().eval()
            prefix = f"hat_encoder.layers.{number}."
            own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            layer.load_state_dict(own)
            pair = layer(*pair, cross), layer(*pair[::-1], cross)
        return pair

    pair = encoded(False)
    if cross:
        pair = tuple(0.8 * a + 0.2 * p for a, p in zip(encoded(True), pair, strict=True))
    found["audio_after"], found["visual_after"] = pair
    both = pair[0] + pair[1]
    readouts = []
    for rows, bridge in zip(pair, ("v2a.0", "a2v.0"), strict=True):
        presence = linear("fc_prob", rows)
        absence = linear("fc_prob_beta", rows + leaky(bridge, both))
        attention = linear("fc_frame_att", rows)
        strengths, pooled = [], []
        for place, one in enumerate((presence, absence)):
            own = attention[..., place::2]  # class-major: presence and absence of a class in turn
            pooled.append((own.softmax(1) * one).sum(1))
            strengths.append(evidence(one))
        total = evidence(pooled[0]) + evidence(pooled[1])
        readouts.append(
            (
                strengths[0] / (strengths[0] + strengths[1]),
                2 / (strengths[0] + strengths[1]),
                evidence(pooled[0]) / total,
                2 / total,
            )
        )
    names = (("frame_prob", 2), ("frame_uct", 2))
    for index, (name, axis) in enumerate(names):
        found[name] = torch.stack([readouts[0][index], readouts[1][index]], axis)
    found["a_prob"], found["a_uct"] = readouts[0][2:]
    found["v_prob"], found["v_uct"] = readouts[1][2:]
    return found


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize(("layers", "videos"), [(1, 1), (1, 4), (2, 3)])
def test_equals_the_plain_network(cross: bool, layers: int, videos: int) -> None:
    ours = network(layers=layers).double()
    values = {name: value.double() for name, value in streams(videos).items()}
    expected = plain(ours, values, cross)
    prediction = ours.predict(ours.embed(values), cross)
    extras = prediction.extras
    found = {
        "global_prob": prediction.video,
        "a_prob": prediction.audio,
        "v_prob": prediction.visual,
        "frame_prob": prediction.segment,
        "global_uct": extras["video_uncertainty"],
        "a_uct": extras["audio_uncertainty"],
        "v_uct": extras["visual_uncertainty"],
        "frame_uct": extras["segment_uncertainty"],
        "audio_after": extras["audio_after"],
        "visual_after": extras["visual_after"],
    }
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-11, msg=name)


def test_opinions_by_hand() -> None:
    # exp(0.8 ln 3 / 0.8) + 1 = 4 against exp(0) + 1 = 2.
    probability, uncertainty = opinion(torch.tensor([0.8 * math.log(3), 0.0]))
    assert probability.item() == pytest.approx(4 / 6)
    assert uncertainty.item() == pytest.approx(2 / 6)
    far = opinion(torch.tensor([1000.0, -1000.0], requires_grad=True))
    assert far[0].item() == pytest.approx(1, abs=1e-5)


def test_evaluation_mixes_two_passes_and_training_does_not() -> None:
    ours, values = network(), streams()
    embedded = ours.embed(values)
    attended, unattended = ours.predict(embedded), ours.predict(embedded, False)
    mixed = ours(values)
    for name in ("segment", "audio", "visual"):
        first, second = getattr(attended, name), getattr(unattended, name)
        torch.testing.assert_close(getattr(mixed, name), 0.7 * first + 0.3 * second)
        assert (first != second).any()
    torch.testing.assert_close(ours.with_unimodal(values)[1].audio, mixed.audio)
    torch.testing.assert_close(ours.with_unimodal(values)[0].audio, unattended.audio)
    torch.testing.assert_close(ours.unimodal(values).audio, unattended.audio)
    alone = network(fuse_ratio=1)
    torch.testing.assert_close(alone(values).audio, attended.audio)
    quiet = network(attention_dropout=0, visual_dropout=0).train()
    for bridge in (quiet.v2a, quiet.a2v):
        bridge[1].p = 0
    torch.testing.assert_close(quiet(values).audio, attended.audio)
    unimodal, usual = quiet.with_unimodal(values)
    torch.testing.assert_close(unimodal.audio, unattended.audio)
    torch.testing.assert_close(usual.audio, attended.audio)
    assert not unimodal.audio.requires_grad
    assert usual.audio.requires_grad


def test_gradient_reaches_every_parameter() -> None:
    ours = network(layers=2).train()
    found = ours(streams(6))
    parts = (found.segment, found.audio, found.visual, found.video)
    sum(part.square().sum() for part in parts).backward()
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_frames_are_activated_before_they_are_averaged() -> None:
    ours, values = network(), streams()
    averaged = {**values, "visual_2d": values["visual_2d"].reshape(3, 6, 2, 20).mean(2)}
    assert (ours(values).visual != ours(averaged).visual).any()
    same = {**values, "visual_2d": averaged["visual_2d"].repeat_interleave(2, 1)}
    torch.testing.assert_close(ours(same).visual, ours(averaged).visual)


def test_visual_dropout_leaves_embeddings_alone() -> None:
    ours = network(attention_dropout=0).train()
    first, second = ours(streams()), ours(streams())
    for modality in ("audio", "visual"):
        name = f"{modality}_after"
        torch.testing.assert_close(first.extras[name], second.extras[name], rtol=0, atol=0)
    assert (first.visual != second.visual).any()
    torch.testing.assert_close(first.video, second.video, rtol=0, atol=0)


def test_works_without_motion_and_for_any_sizes() -> None:
    spec = replace(SPEC, streams={k: v for k, v in SPEC.streams.items() if k != "visual_3d"})
    values = streams(2, 9)
    del values["visual_3d"]
    found = network(spec)(values)
    assert found.segment.shape == (2, 9, 2, 5)
    assert found.video.shape == (2, 5)


def test_bfloat16_stays_near_float32() -> None:
    torch.manual_seed(0)
    ours, values = Config(hidden=32).build(SPEC).eval(), streams()
    exact = ours(values)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = ours({name: value.bfloat16() for name, value in values.items()})
    assert coarse.segment.dtype == coarse.video.dtype == torch.float32
    assert (coarse.segment - exact.segment).abs().max() < 0.02


def test_published_checkpoints_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = Config(layers=2).build(LLP_SPEC)
    dead = {
        "fc_global.0.weight": (512, 512),
        "fc_global.0.bias": (512,),
        "fc_global.2.weight": (25, 512),
        "fc_global.2.bias": (25,),
        **{f"hat_encoder.norm{n}.{kind}": (512,) for n in (1, 2) for kind in ("weight", "bias")},
    }
    published = {**ours.state_dict(), **{name: torch.zeros(shape) for name, shape in dead.items()}}
    torch.save(published, tmp_path / "cmpae.pt")
    converted = convert_file(tmp_path / "cmpae.pt", "cmpae")
    assert converted.recipe.name == "cmpae"
    assert converted.recipe.network.config.layers == 2
    for key, value in converted.network.state_dict().items():
        torch.testing.assert_close(value, published[key], rtol=0, atol=0)
    one = Config().build(LLP_SPEC)
    count = sum(parameter.numel() for parameter in one.parameters())
    assert count + sum(math.prod(shape) for shape in dead.values()) == 5_660_822


def test_bad_options_are_refused() -> None:
    with pytest.raises(RlldError, match="layers must be positive, found 0"):
        Config(hidden=8, layers=0)
    with pytest.raises(RlldError, match=r"fuse_ratio must lie in \[0, 1\], found 1.5"):
        Config(fuse_ratio=1.5)
