"""HCMN and DHHN against a plain implementation, and what is special about two networks in one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import dhhn, hcmn
from rlld.objectives.dhhn import Config as Loss
from rlld.recipes.recipe import load_recipe
from rlld.training.optimizer import build_optimizer
from rlld.training.run_folder import load_run, save_run
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.workflows.convert import convert_state

SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c", "d"),
    segments=6,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)},
)
STILL = replace(SPEC, streams={name: SPEC.streams[name] for name in ("audio", "visual_2d")})


def streams(spec: DataSpec, videos: int, segments: int = 6, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(videos, segments, dim, generator=generator, dtype=torch.float64)
        for name, dim in spec.dims.items()
    }


def random_weights(network: nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.4)
        if name.endswith("running_var"):
            value.abs_().add_(0.5)


def plain_attention(layer: nn.Module, name: str, query: Tensor, key: Tensor) -> Tensor:
    own = getattr(layer, name)
    plain = nn.MultiheadAttention(own.hidden, 1, batch_first=True, dtype=query.dtype)
    parameters = dict(own.named_parameters())
    return torch.func.functional_call(plain, parameters, (query, key, key))[0]


def plain_layer(layer: nn.Module, query: Tensor, other: Tensor, cross: bool) -> Tensor:
    """HAN's layer as published: one modality at a time."""
    rows = query + plain_attention(layer, "self_attn", query, query)
    if cross:
        rows = rows + plain_attention(layer, "cm_attn", query, other)
    rows = layer.norm1(rows)
    return layer.norm2(rows + layer.linear2(layer.linear1(rows).relu()))


def plain_hcmn(
    network: hcmn.HCMN, values: dict[str, Tensor], cross: bool = True
) -> dict[str, Tensor]:
    """HCMN as published, scale by scale."""
    audio = network.fc_a(values["audio"])
    visual = network.fc_v(values["visual_2d"])
    if "visual_3d" in values:
        motion = network.fc_st(values["visual_3d"])
        visual = network.fc_fusion(torch.cat([visual, motion], -1))
    segments = audio.shape[1]
    layer = network.hat_encoder["layers"][0]
    total, sums = None, {"segment": 0, "audio": 0, "visual": 0, "video": 0}
    for number, (_, stride, padding) in enumerate(hcmn.SCALES):
        both = []
        for rows, convolutions in ((audio, network.conv_x1), (visual, network.conv_x2)):
            conv, norm, _ = convolutions[number].blocks[0]
            moved = functional.conv1d(rows.transpose(1, 2), conv.weight, None, stride, padding)
            both.append(norm(moved).relu().transpose(1, 2))
        pair = [plain_layer(layer, both[i], both[1 - i], cross) for i in (0, 1)]
        stacked = torch.stack(pair, 2)  # (B, T of the scale, 2, hidden)
        flat = stacked.flatten(2).transpose(1, 2)
        flat = functional.interpolate(flat, size=segments, mode="nearest").transpose(1, 2)
        grown = flat.unflatten(2, (2, -1))
        total = grown if total is None else total + grown
        segment = network.fc_prob(total).sigmoid()
        in_time = network.fc_frame_att(total).softmax(1) * segment
        fused = in_time * network.fc_av_att(total).softmax(2)
        sums["segment"] = sums["segment"] + segment / 3
        sums["audio"] = sums["audio"] + in_time[:, :, 0].sum(1) / 3
        sums["visual"] = sums["visual"] + in_time[:, :, 1].sum(1) / 3
        sums["video"] = sums["video"] + fused.sum((1, 2)) / 3
    return sums


@pytest.mark.parametrize("segments", [1, 2, 3, 6, 10, 13])
@pytest.mark.parametrize("cross", [False, True])
def test_hcmn_equals_the_plain_network_forward_and_backward(segments: int, cross: bool) -> None:
    network = hcmn.Config(hidden=12).build(SPEC).double().eval()
    random_weights(network)
    other = hcmn.Config(hidden=12).build(SPEC).double().eval()
    other.load_state_dict(network.state_dict())
    values = streams(SPEC, 3, segments)
    found = network(values) if cross else network.unimodal(values)
    expected = plain_hcmn(other, values, cross)
    loss, wanted = 0, 0
    for name, value in expected.items():
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
        # Biases that a softmax cancels have the gradient 0, plus rounding.
        gradient = 0 * parameter if theirs[name].grad is None else theirs[name].grad
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-8, atol=1e-10, msg=name)


def test_hcmn_works_without_motion() -> None:
    network = hcmn.Config(hidden=8).build(STILL).double().eval()
    random_weights(network)
    values = streams(STILL, 2)
    expected = plain_hcmn(network, values)
    torch.testing.assert_close(network(values).segment, expected["segment"])


def test_published_sizes() -> None:
    published = DataSpec(
        "llp", tuple(map(str, range(25))), 10, 1.0,
        {"audio": StreamSpec(128), "visual_2d": StreamSpec(2048), "visual_3d": StreamSpec(512)},
    )  # fmt: skip

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    norms = 4 * 512  # of the two layer norms that the released network never uses
    assert count(hcmn.Config().build(published)) == 9_296_459 - norms
    network = dhhn.Config().build(published)
    assert count(network.guides["audio"]) == 1_669_682
    assert count(network.guides["visual"]) == 5_018_162


def targets(videos: int, seed: int = 3) -> tuple[ModalityLabels, Batch]:
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(videos, 4, generator=generator) < 0.4).double()
    return ModalityLabels(labels, labels, labels), Batch({}, labels, torch.arange(videos))


@pytest.mark.parametrize("guides", ["both", "audio", "visual", "none"])
def test_gradient_reaches_every_parameter(guides: str) -> None:
    network = dhhn.Config(hidden=12, guides=guides).build(SPEC).double().train()
    found = network(streams(SPEC, 5))
    labels, batch = targets(5)
    Loss().build(SPEC)(found, labels, batch)["loss"].backward()
    for name, parameter in network.named_parameters():
        if name.endswith(("fc_frame_att.bias", "fc_av_att.bias")):
            continue  # a softmax cancels them
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert {name.split(".")[1] for name, _ in network.named_parameters() if "guides" in name} == {
        "both": {"audio", "visual"}, "none": set()
    }.get(guides, {guides})  # fmt: skip


def test_guides_speak_in_training_alone_and_fit_any_width() -> None:
    network = dhhn.Config(hidden=7).build(SPEC).double()
    values = streams(SPEC, 3)
    said = {"audio_guide", "visual_guide"}
    assert said <= network.train()(values).extras.keys()
    assert said <= network.with_unimodal(values)[1].extras.keys()
    with torch.no_grad():
        assert not said & network(values).extras.keys()
    assert not said & network.eval()(values).extras.keys()


def test_guides_learn_at_their_own_rates() -> None:
    network = dhhn.Config(hidden=8, audio_guide_rate=3.0, visual_guide_rate=0.5).build(SPEC)
    optimizer = build_optimizer(load_recipe("dhhn").schedule, network, nn.Module())
    rates = {
        id(parameter): group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    wanted = {"guides.audio": 9e-4, "guides.visual": 1.5e-4, "audio_net": 3e-4}
    for name, parameter in network.named_parameters():
        (rate,) = (value for prefix, value in wanted.items() if name.startswith(prefix))
        assert rates[id(parameter)] == pytest.approx(rate), name


def test_a_single_short_video_trains_on_running_statistics() -> None:
    network = hcmn.Config(hidden=8, attention_dropout=0).build(SPEC).double()
    random_weights(network)
    values = streams(SPEC, 1, segments=1)
    trained = network.train()(values).segment
    torch.testing.assert_close(trained, network.eval()(values).segment)


def test_two_passes_share_the_statistics_of_a_batch() -> None:
    network = hcmn.Config(hidden=8, attention_dropout=0).build(SPEC).double().train()
    values = streams(SPEC, 4)
    unimodal, usual = network.with_unimodal(values)
    norm = network.conv_x1[0].blocks[0][1]
    assert int(norm.num_batches_tracked) == 1
    torch.testing.assert_close(unimodal.segment, network.unimodal(values).segment)
    torch.testing.assert_close(usual.segment, network(values).segment)


def two_rounds(network: dhhn.DHHN) -> dict[str, Tensor]:
    """Weights whose audio and video networks come from different rounds."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.Generator().manual_seed(5)
    for name, value in state.items():
        if name.startswith("video_net.") and value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=generator))
    return state


def test_networks_are_one_until_their_weights_differ() -> None:
    network = dhhn.Config(hidden=8).build(SPEC)
    assert network.video_net is network.audio_net
    joined = {name: value.clone() for name, value in network.state_dict().items()}
    state = two_rounds(network)
    network.load_state_dict(state)
    assert network.video_net is not network.audio_net
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name
    network.load_state_dict(joined)
    assert network.video_net is network.audio_net


def test_each_modality_comes_from_its_own_network() -> None:
    network = dhhn.Config(hidden=8).build(SPEC)
    network.load_state_dict(two_rounds(network))
    network.double().eval()
    values = streams(SPEC, 3)
    for call in (type(network).forward, type(network).unimodal):
        found: Prediction = call(network, values)
        name = call.__name__
        audio = getattr(network.audio_net, name)(values)
        video = getattr(network.video_net, name)(values)
        assert not torch.allclose(audio.segment, video.segment)
        torch.testing.assert_close(found.segment[:, :, 0], audio.segment[:, :, 0])
        torch.testing.assert_close(found.segment[:, :, 1], video.segment[:, :, 1])
        torch.testing.assert_close(found.audio, audio.audio)
        torch.testing.assert_close(found.visual, video.visual)


@pytest.mark.parametrize("apart", [False, True])
def test_a_run_folder_keeps_one_or_two_networks(tmp_path, apart: bool) -> None:
    recipe = load_recipe("dhhn", {"network.hidden": 8})
    network = recipe.build_network(SPEC)
    if apart:
        network.load_state_dict(two_rounds(network))
    save_run(tmp_path / "run", network, recipe, SPEC, {"seed": 0})
    again = load_run(tmp_path / "run").network
    assert (again.video_net is again.audio_net) is not apart
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_checkpoints_bring_their_width_and_their_batch_counts() -> None:
    small = hcmn.Config(hidden=6).build(SPEC)
    state = dict(small.state_dict())
    converted = convert_state(state, "hcmn", SPEC)
    assert converted.network.config.hidden == 6
    assert converted.recipe.selection.parts == {}
    state["conv_x1.0.blocks.0.1.num_batches_tracked"] = torch.tensor(0.5)
    with pytest.raises(RlldError, match=r"num_batches_tracked.*whole numbers"):
        convert_state(state, "hcmn", SPEC)


@pytest.mark.parametrize(
    ("network", "options", "name"),
    [(hcmn, {"hidden": 0}, "hidden"), (dhhn, {"hidden": 0}, "hidden"),
     (dhhn, {"audio_guide_rate": 0.0}, "audio_guide_rate")],
)  # fmt: skip
def test_wrong_options_are_named(network, options, name) -> None:
    with pytest.raises(RlldError, match=name):
        network.Config(**options)
