"""MM-Pyramid against loops over segments, heads and levels."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks._sight import sight_of
from rlld.networks.mm_pyramid import Config, MMPyramid
from rlld.workflows.convert import convert_state

CASES = Path(__file__).parents[1] / "golden" / "cases"
SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c"),
    segments=7,
    segment_seconds=0.5,
    streams={
        "audio": StreamSpec(5),
        "visual_2d": StreamSpec(6, frames=2),
        "visual_3d": StreamSpec(4),
    },
)


def streams(spec: DataSpec = SPEC, frames: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(
            2,
            spec.segments * (frames if name == "visual_2d" else 1),
            stream.dim,
            generator=generator,
            dtype=torch.float64,
        )
        for name, stream in spec.streams.items()
    }


def built(config: Config, spec: DataSpec = SPEC) -> MMPyramid:
    torch.manual_seed(0)
    network = config.build(spec).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    return network


def plain_attention(block: Any, rows: Tensor, other: Tensor, reach: int | None) -> Tensor:
    """One video (T, D), head by head and segment by segment."""
    query, key, value = (
        layer(x) for layer, x in zip(block.linears[:3], (rows, other, other), strict=True)
    )
    width = query.shape[1] // block.heads
    out = torch.zeros_like(query)
    for head in range(block.heads):
        part = slice(head * width, (head + 1) * width)
        for t in range(len(rows)):
            places = [u for u in range(len(other)) if reach is None or abs(t - u) <= reach]
            scores = [query[t, part] @ key[u, part] / math.sqrt(width) for u in places]
            weights = torch.stack(scores).softmax(0)
            out[t, part] = sum(w * value[u, part] for w, u in zip(weights, places, strict=True))
    return block.linears[3](out)


def plain_layer(layer: Any, rows: Tensor, other: Tensor, reach: int | None) -> Tensor:
    first, second = layer.sublayer
    x = rows + plain_attention(layer.self_attn, first.norm(rows), other, reach)
    return x + layer.feed_forward.w_2(layer.feed_forward.w_1(second.norm(x)).relu())


def plain_convolution(block: Any, rows: Tensor, dilation: int) -> Tensor:
    first, second = block.net[0], block.net[2]
    out = []
    half = first.kernel_size[0] // 2
    for t in range(len(rows)):
        total = first.bias
        for step in range(-half, half + 1):
            u = t + dilation * step
            if 0 <= u < len(rows):
                total = total + first.weight[:, :, step + half] @ rows[u]
        out.append((rows[t] + second.weight[:, :, 0] @ total.relu() + second.bias).relu())
    return torch.stack(out)


def plain_pyramid(network: MMPyramid, audio: Tensor, visual: Tensor) -> tuple[Tensor, Tensor]:
    """One video: fused audio and visual (T, D)."""
    capture, fusion = network.MMP.capture, network.MMP.fusion
    heard, seen = [], []
    for level, scale in enumerate(capture.msa):
        reach = 2**level
        v_sa = plain_layer(scale.vsablock.layer, visual, visual, reach)
        a_sa = plain_layer(scale.asablock.layer, audio, audio, reach)
        v_c = plain_layer(scale.cmablock.layer, visual, audio, reach)
        a_c = plain_layer(scale.cmablock.layer, audio, visual, reach)
        s_v, s_a = torch.cat([v_sa, v_c], -1), torch.cat([a_sa, a_c], -1)
        visual = scale.lv1(s_v).sigmoid() * v_sa + scale.lv2(s_v).sigmoid() * v_c
        audio = scale.la1(s_a).sigmoid() * a_sa + scale.la2(s_a).sigmoid() * a_c
        visual = plain_convolution(capture.vnetwork[level], visual, reach)
        audio = plain_convolution(capture.anetwork[level], audio, reach)
        heard.append(audio)
        seen.append(visual)
    out = []
    for levels, layer, select in (
        (heard, fusion.aadaptiveinteraction, fusion.aselectfusion),
        (seen, fusion.vadaptiveinteraction, fusion.vselectfusion),
    ):
        rows = []
        for t in range(len(audio)):
            tokens = torch.stack([level[t] for level in levels])
            tokens = plain_layer(layer, tokens, tokens, None)
            rows.append(sum(select(token).sigmoid() * token for token in tokens))
        out.append(torch.stack(rows))
    return out[0], out[1]


@pytest.mark.parametrize(
    "config",
    [
        Config(hidden=8, heads=2, levels=2),
        Config(hidden=6, heads=4, levels=4, feed_forward=5, kernel=5, stream_order="corrected"),
    ],
)
def test_equals_loops(config: Config) -> None:
    network, values = built(config), streams()
    found = network(values)
    pictures = network.fc_v(values["visual_2d"]).view(2, 7, 2, -1).mean(2)
    visual = network.fc_fusion(torch.cat([pictures, network.fc_st(values["visual_3d"])], -1))
    audio = network.fc_a(values["audio"])
    for video in range(2):
        heard, seen = plain_pyramid(network, audio[video], visual[video])
        official = config.stream_order == "official"
        x = torch.stack([seen, heard] if official else [heard, seen], 1)
        segment = network.fc_prob(x).sigmoid()
        in_time = network.fc_frame_att(x).softmax(0) * segment
        between = network.fc_av_att(x).softmax(1)
        torch.testing.assert_close(found.segment[video], segment)
        torch.testing.assert_close(found.audio[video], in_time[:, 0].sum(0))
        torch.testing.assert_close(found.visual[video], in_time[:, 1].sum(0))
        torch.testing.assert_close(found.video[video], (in_time * between).sum((0, 1)))


def test_band_by_hand() -> None:
    allowed = sight_of(torch.zeros(1, 4, 1), None, 1).allowed
    assert allowed is not None
    assert allowed[0, 0].int().tolist() == [
        [1, 1, 0, 0],
        [1, 1, 1, 0],
        [0, 1, 1, 1],
        [0, 0, 1, 1],
    ]


@pytest.mark.parametrize("motion", [True, False])
@pytest.mark.parametrize("order", ["official", "corrected"])
def test_gradient_reaches_every_parameter(motion: bool, order: str) -> None:
    kept = {k: v for k, v in SPEC.streams.items() if motion or k != "visual_3d"}
    spec = replace(SPEC, streams=kept)
    network = built(Config(hidden=12, levels=3, stream_order=order), spec).train()
    found = network(streams(spec))
    torch.manual_seed(1)
    outputs = (found.segment, found.audio, found.visual, found.video)
    sum((torch.rand_like(value) * value).sum() for value in outputs).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_unimodal_reads_each_modality_alone_in_both_orders() -> None:
    for order in ("official", "corrected"):
        network, values = built(Config(hidden=8, stream_order=order)), streams()
        alone, usual = network.with_unimodal(values)
        deaf = network.unimodal({**values, "audio": values["audio"].flip(0)})
        assert deaf.visual.equal(alone.visual)
        assert not torch.allclose(deaf.audio, alone.audio)
        blind = network.unimodal({**values, "visual_2d": values["visual_2d"].flip(0)})
        assert blind.audio.equal(alone.audio)
        assert not torch.allclose(blind.visual, alone.visual)
        assert not alone.segment.requires_grad
        torch.testing.assert_close(usual.segment, network(values).segment)


def test_released_order_swaps_the_modalities() -> None:
    official, corrected = (
        built(Config(hidden=8, stream_order=order))(streams())
        for order in ("official", "corrected")
    )
    torch.testing.assert_close(official.segment.flip(2), corrected.segment)
    torch.testing.assert_close(official.audio, corrected.visual)
    torch.testing.assert_close(official.video, corrected.video)


def test_copies_start_alike_and_learn_apart() -> None:
    network = Config(hidden=8, levels=2).build(SPEC)
    capture, fusion = network.MMP.capture, network.MMP.fusion
    layers = [
        getattr(scale, name).layer
        for scale in capture.msa
        for name in ("vsablock", "asablock", "cmablock")
    ]
    for layer in layers:
        first = layer.self_attn.linears[0].weight
        assert all(each.weight.equal(first) for each in layer.self_attn.linears)
        assert layer.feed_forward.w_1.weight.equal(layers[0].feed_forward.w_1.weight)
    for name, value in fusion.vadaptiveinteraction.state_dict().items():
        assert value.equal(fusion.aadaptiveinteraction.state_dict()[name])
    parameters = [parameter.data_ptr() for parameter in network.parameters()]
    assert len(set(parameters)) == len(parameters)


def published() -> dict[str, Tensor]:
    entries = json.loads((CASES / "mm_pyramid_forward.json").read_text())["parameters"]
    return {entry["key"]: torch.randn(entry["shape"]) for entry in entries}


def test_published_keys_and_parameter_counts() -> None:
    with torch.device("meta"):
        network = Config().build(LLP_SPEC)
    assert sum(p.numel() for p in network.parameters()) == 40_827_469
    state = published()
    assert len(state) == 394
    assert set(network.state_dict()) < set(state)


@pytest.mark.parametrize("kept", ["both", "conv", "net"])
def test_either_name_of_a_convolution_is_read(kept: str) -> None:
    state = published()
    other = {"conv": ".net.", "net": ".conv"}.get(kept)
    state = {key: value for key, value in state.items() if other is None or other not in key}
    network = convert_state(state, "mm_pyramid").network
    name = "MMP.capture.anetwork.2"
    found = network.state_dict()[f"{name}.net.2.bias"]
    assert found.equal(state[f"{name}.{'conv2' if kept == 'conv' else 'net.2'}.bias"])


def test_wrong_options_are_named() -> None:
    with pytest.raises(RlldError, match="kernel must be odd, found 4"):
        Config(kernel=4)
    with pytest.raises(RlldError, match="levels must be positive, found 0"):
        Config(levels=0)
