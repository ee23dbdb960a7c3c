"""HAN against a plain implementation, option by option."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks._blocks import Dropout, mmil_pool, pool_frames, two_linear
from rlld.networks.han import HAN, Config
from rlld.utils.registry import NETWORKS
from rlld.workflows.convert import convert_state

PLAIN = Path(__file__).parents[2] / "benchmarks" / "plain.py"
DIMS = {"audio": 12, "visual": 20, "visual_st": 16}
SMALL = DataSpec(
    name="small",
    classes=("a", "b", "c", "d", "e"),
    segments=6,
    segment_seconds=0.5,
    streams={
        "audio": StreamSpec(12),
        "visual_2d": StreamSpec(20, frames=3),
        "visual_3d": StreamSpec(16),
    },
)


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain", PLAIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plain"] = module
    spec.loader.exec_module(module)
    return module


def inputs(videos: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(videos)
    shapes = ((6, 12), (18, 20), (6, 16))
    audio, visual, motion = (
        torch.randn(videos, *shape, generator=generator, dtype=dtype) for shape in shapes
    )
    return audio, visual, motion


def streams(values: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
    return dict(zip(("audio", "visual_2d", "visual_3d"), values, strict=True))


@pytest.mark.parametrize("videos", [1, 2, 3, 40])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("cross", [False, True])
def test_equals_the_plain_network_forward_and_backward(
    plain: ModuleType, videos: int, layers: int, chained: bool, cross: bool
) -> None:
    # 32 wide: 1 and 2 videos have fewer rows than that and 40 more, so both orders of
    # multiplication run.
    torch.manual_seed(videos)
    config = Config(hidden=32, layers=layers, chained=chained, attention_dropout=0)
    ours = config.build(SMALL).double()
    other = plain.PlainHAN(5, 32, 0.0, layers, chained, DIMS).double()
    for parameter in ours.parameters():  # biases start at 0, where errors in them would hide
        torch.nn.init.normal_(parameter, std=0.3)
    other.load_state_dict(ours.state_dict())
    values = inputs(videos)
    prediction = ours.forward(streams(values), cross_attention=cross)
    expected = other(*values, cross)
    found = (prediction.video, prediction.audio, prediction.visual, prediction.segment)
    weights = [torch.randn_like(value) for value in expected]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    sum((m * w).sum() for m, w in zip(found, weights, strict=True)).backward()
    sum((t * w).sum() for t, w in zip(expected, weights, strict=True)).backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in other.named_parameters():
        mine = gradients[name].grad
        theirs = parameter.grad
        if theirs is None:  # a part that this setting does not use
            assert mine is None or not mine.any(), name
            continue
        # The key bias and the bias of the time weights cancel in a softmax: no gradient.
        zero = torch.zeros_like(theirs)
        torch.testing.assert_close(
            zero if mine is None else mine, theirs, rtol=1e-9, atol=1e-12, msg=name
        )


def test_equals_the_plain_network_in_float32_at_full_size(plain: ModuleType) -> None:
    torch.manual_seed(0)
    ours, other = Config().build(LLP_SPEC).eval(), plain.PlainHAN().eval()
    other.load_state_dict(ours.state_dict())
    values = torch.randn(60, 10, 128), torch.randn(60, 80, 2048).abs(), torch.randn(60, 10, 512)
    with torch.no_grad():
        prediction, expected = ours(streams(values)), other(*values)
    found = (prediction.video, prediction.audio, prediction.visual, prediction.segment)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("videos", [2, 40])
def test_attention_dropout_has_the_expected_effect(plain: ModuleType, videos: int) -> None:
    # The mean over many draws of a layer's output approaches PyTorch's, whose draws differ.
    torch.manual_seed(0)
    ours = Config(hidden=32, attention_dropout=0.3).build(SMALL).double()
    other = plain.PlainHAN(5, 32, 0.3, dims=DIMS).double()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    other.load_state_dict(ours.state_dict())
    values, draws = inputs(videos), 600 if videos < 10 else 150
    with torch.no_grad():
        mine = torch.stack([ours(streams(values)).video for _ in range(draws)])
        theirs = torch.stack([other(*values)[0] for _ in range(draws)])
    error = (mine.var(0) / draws + theirs.var(0) / draws).sqrt()
    assert ((mine.mean(0) - theirs.mean(0)).abs() / error).max() < 5
    torch.testing.assert_close(mine.std(0).mean(), theirs.std(0).mean(), rtol=0.05, atol=0)


def test_published_keys_and_parameter_count() -> None:
    network = Config().build(LLP_SPEC)
    assert sum(p.numel() for p in network.parameters()) == 4_569_675
    layer = {
        f"{part}_attn.{name}"
        for part in ("self", "cm")
        for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    } | {f"{n}.{k}" for n in ("linear1", "linear2", "norm1", "norm2") for k in ("weight", "bias")}
    heads = ("fc_a", "fc_v", "fc_st", "fc_fusion", "fc_prob", "fc_frame_att", "fc_av_att")
    expected = {f"hat_encoder.layers.0.{name}" for name in layer}
    expected |= {f"{name}.{kind}" for name in heads for kind in ("weight", "bias")}
    assert set(network.state_dict()) == expected


def test_initial_weights_have_the_spread_of_torch_defaults() -> None:
    torch.manual_seed(0)
    network = Config().build(LLP_SPEC)
    reference = torch.nn.MultiheadAttention(512, 1)
    layer = network.hat_encoder.layers[0]
    for found, expected in (
        (layer.self_attn.in_proj_weight, reference.in_proj_weight),
        (layer.cm_attn.out_proj.weight, reference.out_proj.weight),
        (network.fc_v.weight, torch.nn.Linear(2048, 512).weight),
    ):
        torch.testing.assert_close(found.std(), expected.std(), rtol=0.01, atol=0)
        torch.testing.assert_close(found.abs().max(), expected.abs().max(), rtol=0.01, atol=0)
    assert not layer.self_attn.in_proj_bias.any()
    assert not layer.self_attn.out_proj.bias.any()


def test_works_without_motion_and_for_any_sizes() -> None:
    spec = replace(SMALL, streams={k: v for k, v in SMALL.streams.items() if k != "visual_3d"})
    network = Config(hidden=8).build(spec)
    assert not any("fc_st" in name or "fc_fusion" in name for name in network.state_dict())
    prediction = network({"audio": torch.randn(4, 7, 12), "visual_2d": torch.randn(4, 7, 20)})
    assert prediction.segment.shape == (4, 7, 2, 5)
    assert prediction.video.shape == (4, 5)
    total = prediction.segment.sum() + prediction.video.sum()
    total.backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("motion", [True, False])
def test_published_keys_of_any_size_are_converted(motion: bool) -> None:
    streams = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7)}
    spec = DataSpec(
        "x", ("a", "b"), 4, 1.0, streams | ({"visual_3d": StreamSpec(3)} if motion else {})
    )
    state = Config(hidden=6, layers=2, chained=True).build(spec).state_dict()
    found = convert_state(state, "han", spec).network
    assert (found.config.hidden, found.config.layers) == (6, 2)
    assert all(torch.equal(value, state[key]) for key, value in found.state_dict().items())


def test_layers_that_do_not_count_get_no_gradient_unless_chained() -> None:
    values = streams(inputs(2, torch.float32))
    for chained in (False, True):
        network = Config(hidden=8, layers=2, chained=chained).build(SMALL)
        network(values).video.sum().backward()
        first = network.hat_encoder.layers[0].linear1.weight.grad
        assert (first is not None) == chained


def test_visual_dropout_touches_only_what_visual_heads_see() -> None:
    torch.manual_seed(0)
    network = Config(hidden=8, attention_dropout=0, visual_dropout=0.5).build(SMALL)
    values = streams(inputs(3, torch.float32))
    first, second = network(values), network(values)
    torch.testing.assert_close(first.segment[:, :, 0], second.segment[:, :, 0], rtol=0, atol=0)
    assert (first.segment[:, :, 1] != second.segment[:, :, 1]).any()
    for name in first.extras:
        torch.testing.assert_close(first.extras[name], second.extras[name], rtol=0, atol=0)
    network.eval()
    torch.testing.assert_close(network(values).segment, network(values).segment, rtol=0, atol=0)


def test_two_passes_share_the_embedding() -> None:
    network = Config(hidden=8).build(SMALL).eval()
    values = streams(inputs(3, torch.float32))
    embedded = network.embed(values)
    for cross in (True, False):
        torch.testing.assert_close(
            network.predict(embedded, cross).video,
            network.forward(values, cross_attention=cross).video,
        )
    assert (network.predict(embedded, True).video != network.predict(embedded, False).video).any()


def test_cross_attention_option_is_the_default_of_a_call() -> None:
    torch.manual_seed(0)
    network = Config(hidden=8, cross_attention=False).build(SMALL).eval()
    values = streams(inputs(3, torch.float32))
    torch.testing.assert_close(
        network(values).video, network.forward(values, cross_attention=False).video
    )
    assert (network(values).video != network.forward(values, cross_attention=True).video).any()


@pytest.mark.parametrize("videos", [2, 40])
def test_bfloat16_stays_near_float32(videos: int) -> None:
    torch.manual_seed(0)
    network = Config(hidden=32).build(SMALL).eval()
    values = streams(inputs(videos, torch.float32))
    exact = network(values)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = network({name: value.bfloat16() for name, value in values.items()})
    assert coarse.segment.dtype == coarse.video.dtype == torch.float32
    assert (coarse.segment - exact.segment).abs().max() < 0.02
    assert (coarse.video - exact.video).abs().max() < 0.02


def test_features_stored_in_16_bits_run_in_float32() -> None:
    network: HAN = Config(hidden=8).build(SMALL).eval()
    values = streams(inputs(2, torch.float32))
    half = {name: value.half() for name, value in values.items()}
    rounded = {name: value.float() for name, value in half.items()}
    torch.testing.assert_close(network(half).video, network(rounded).video, rtol=1e-3, atol=1e-4)


def test_mmil_pool_by_hand() -> None:
    probability = torch.tensor([[[[0.2], [0.6]], [[0.4], [1.0]]]])  # (1, 2, 2, 1)
    time = torch.tensor([[[[0.0], [0.0]], [[0.0], [0.0]]]])
    modality = torch.log(torch.tensor([[[[1.0], [3.0]], [[1.0], [1.0]]]]))
    audio, visual, video = mmil_pool(probability, time, modality)
    assert audio.item() == pytest.approx(0.3)
    assert visual.item() == pytest.approx(0.8)
    # 0.5 * (0.25 * 0.2 + 0.75 * 0.6 + 0.5 * 0.4 + 0.5 * 1.0)
    assert video.item() == pytest.approx(0.6)


def test_pool_frames_averages_neighbours() -> None:
    frames = torch.arange(6.0).reshape(1, 6, 1)
    assert pool_frames(frames, 2).flatten().tolist() == [1.0, 4.0]
    assert pool_frames(frames, 6) is frames
    with pytest.raises(RlldError, match="6 rows per video, expected 4"):
        pool_frames(frames, 4)


@pytest.mark.parametrize("rows", [1, 9, 400])
def test_two_linear_is_the_composition(rows: int) -> None:
    torch.manual_seed(rows)
    inner, outer = torch.nn.Linear(7, 9).double(), torch.nn.Linear(9, 5).double()
    features = torch.randn(rows, 7, dtype=torch.float64)
    found = two_linear(features, inner, outer.weight, outer.bias)
    torch.testing.assert_close(found, outer(inner(features)), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_rate_scale_and_gradient(p: float) -> None:
    torch.manual_seed(0)
    drop, value = Dropout(p), torch.ones(999, 1001, requires_grad=True)
    out = drop(value)
    rate = (out == 0).double().mean().item()
    assert abs(rate - p) < 5 * (p * (1 - p) / value.numel()) ** 0.5
    kept = out[out != 0]
    assert kept.min() == kept.max()
    assert kept[0].item() == pytest.approx(1 / (1 - p), rel=1e-4)
    out.sum().backward()
    torch.testing.assert_close(value.grad, out.detach(), rtol=0, atol=0)
    assert drop(value).ne(out).any()
    assert drop.eval()(value) is value


def test_dropout_draws_are_independent_between_neighbours() -> None:
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(1_000_000)) != 0).double() - 0.5
    for lag in (1, 2, 3, 4, 8):
        correlation = (kept[:-lag] * kept[lag:]).mean().item() / 0.25
        assert abs(correlation) < 5e-3


def test_bad_options_are_refused() -> None:
    with pytest.raises(RlldError, match="hidden must be positive, found 0"):
        Config(hidden=0)
    with pytest.raises(RlldError, match=r"\[0, 1\), found 1"):
        Config(attention_dropout=1.0).build(SMALL)
    with pytest.raises(RlldError, match="did you mean 'hidden'"):
        NETWORKS.config({"name": "han", "hiden": 3}, "recipe")
