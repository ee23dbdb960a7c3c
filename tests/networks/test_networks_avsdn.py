"""AVSDN against its page, step by step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec, StreamSpec
from rlld.networks.avsdn import AVSDN, Config

SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c"),
    segments=4,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(6)},
)
NO_MOTION = replace(SPEC, streams={k: v for k, v in SPEC.streams.items() if k != "visual_3d"})


def streams(spec: DataSpec = SPEC, positions: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(
            3,
            spec.segments * (positions if name == "visual_2d" else 1),
            stream.dim,
            generator=generator,
            dtype=torch.float64,
        )
        for name, stream in spec.streams.items()
    }


def built(config: Config, spec: DataSpec = SPEC) -> AVSDN:
    torch.manual_seed(0)
    network = config.build(spec).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network


def fused(network: AVSDN, audio: Tensor, visual: Tensor) -> Tensor:
    """One pair of states (H,), as the page has it."""
    if network.config.relu_states:
        audio, visual = audio.relu(), visual.relu()
    merged = (network.U_v(visual) + network.U_a(audio)) / 2
    return (torch.tanh(audio + merged) + torch.tanh(visual + merged)) / 2


def plain_decoder(network: AVSDN, audio: Tensor, visual: Tensor) -> tuple[Tensor, ...]:
    """One video (T, D): outputs of the decoder and of both encoders."""
    heard, (h_a, c_a) = network.lstm_audio(audio)
    seen, (h_v, c_v) = network.lstm_video(visual)
    hidden = torch.stack([fused(network, a, v) for a, v in zip(h_a, h_v, strict=True)])
    cell = torch.stack([fused(network, a, v) for a, v in zip(c_a, c_v, strict=True)])
    decoded, _ = network.lstm_a_v(torch.cat([audio, visual], -1), (hidden, cell))
    return decoded, heard, seen


@pytest.mark.parametrize("relu_states", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_parsing_form_equals_the_page(relu_states: bool, bidirectional: bool, pooling: str) -> None:
    config = Config(4, relu_states=relu_states, bidirectional=bidirectional, pooling=pooling)
    network, values = built(config), streams()
    found = network(values)
    pictures, motion = network.fc_v(values["visual_2d"]), network.fc_st(values["visual_3d"])
    visual = network.fc_fusion(torch.cat([pictures, motion], -1))
    for video in range(3):
        parts = plain_decoder(network, values["audio"][video], visual[video])
        decoded, heard, seen = parts
        scores = {
            "video": network.category_classifier(decoded.relu()),
            "audio": network.audio_classifier(torch.cat([decoded, heard], -1).relu()),
            "visual": network.visual_classifier(torch.cat([decoded, seen], -1).relu()),
        }
        for name, value in scores.items():
            pooled = value.max(0).values if pooling == "max" else value.mean(0)
            torch.testing.assert_close(getattr(found, name)[video], pooled.sigmoid())
        segment = torch.stack([scores["audio"], scores["visual"]], 1).sigmoid()
        torch.testing.assert_close(found.segment[video], segment)


def test_localisation_pools_signs_differently() -> None:
    network, values = built(Config(4, form="localisation")), streams()
    found = network(values)
    gate = found.extras["event_logit"].sigmoid()
    category = found.extras["category_logit"]
    for video in range(3):
        chosen = [
            score * (gate[video].max() if score > 0 else gate[video].min())
            for score in category[video]
        ]
        torch.testing.assert_close(found.video[video], torch.stack(chosen).softmax(0))


@pytest.mark.parametrize("form", ["parsing", "localisation"])
@pytest.mark.parametrize("positions", [1, 3])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("spec", [SPEC, NO_MOTION], ids=["motion", "no motion"])
def test_gradient_reaches_every_parameter(
    form: str, positions: int, bidirectional: bool, spec: DataSpec
) -> None:
    config = Config(6, form=form, positions=positions, bidirectional=bidirectional)
    network = built(config, spec)
    found = network(streams(spec, positions))
    torch.manual_seed(1)
    outputs = (found.segment, found.audio, found.visual, found.video)
    sum((torch.rand_like(value) * value).sum() for value in outputs).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("positions", [1, 3])
def test_unimodal_reads_each_modality_alone(positions: int) -> None:
    network, values = built(Config(4, positions=positions)), streams(positions=positions)
    alone = network.unimodal(values)
    deaf = network.unimodal({**values, "audio": values["audio"].flip(0)})
    assert deaf.visual.equal(alone.visual)
    assert deaf.segment[:, :, 1].equal(alone.segment[:, :, 1])
    assert not torch.allclose(deaf.audio, alone.audio)
    other = {name: value.flip(0) for name, value in values.items() if name != "audio"}
    blind = network.unimodal({**values, **other})
    assert blind.audio.equal(alone.audio)
    assert not torch.allclose(blind.visual, alone.visual)
    assert not torch.allclose(network(values).audio, alone.audio)


def test_unimodal_audio_is_the_network_in_the_dark() -> None:
    network, values = built(Config(4), NO_MOTION), streams(NO_MOTION)
    nn.init.zeros_(network.fc_v.bias)
    dark = network({**values, "visual_2d": torch.zeros_like(values["visual_2d"])})
    alone = network.unimodal(values)
    torch.testing.assert_close(alone.segment[:, :, 0], dark.segment[:, :, 0])
    silent = network({**values, "audio": torch.zeros_like(values["audio"])})
    torch.testing.assert_close(alone.visual, silent.visual)
    torch.testing.assert_close(alone.video, torch.maximum(dark.video, silent.video))


def test_embeddings_for_a_contrast_come_with_both_passes() -> None:
    network, values = built(Config(4)), streams()
    for found in (network(values), network.unimodal(values)):
        heard = network.lstm_audio(values["audio"])[0]
        torch.testing.assert_close(found.extras["audio_after"], heard)
        assert found.extras["visual_after"].shape == heard.shape


def test_one_video_keeps_its_axis() -> None:
    network = built(Config(4, form="localisation"))
    values = {name: value[:1] for name, value in streams().items()}
    found = network(values)
    assert found.extras["event_logit"].shape == (1, 4)
    assert found.video.shape == (1, 3)
