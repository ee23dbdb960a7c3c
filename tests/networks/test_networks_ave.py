"""AVE and what it shares with AVSDN, against loops over positions and segments."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks._recurrent import recurrent, residual_fusion, residual_layers
from rlld.networks.ave import AVE, Config
from rlld.networks.base import Network
from rlld.objectives import soft_margin
from rlld.training.run_folder import load_run, save_run
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.workflows.convert import convert_state

CASES = Path(__file__).parents[1] / "golden" / "cases"
SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c"),
    segments=4,
    segment_seconds=0.5,
    streams={
        "audio": StreamSpec(5),
        "visual_2d": StreamSpec(7, frames=3),
        "visual_3d": StreamSpec(6),
    },
)
NO_MOTION = replace(SPEC, streams={k: v for k, v in SPEC.streams.items() if k != "visual_3d"})


def streams(spec: DataSpec = SPEC, positions: int = 1, videos: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(videos)
    return {
        name: torch.randn(
            videos,
            spec.segments * (positions if name == "visual_2d" else 1),
            stream.dim,
            generator=generator,
            dtype=torch.float64,
        )
        for name, stream in spec.streams.items()
    }


def built(config: Config, spec: DataSpec = SPEC) -> AVE:
    torch.manual_seed(0)
    network = config.build(spec).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network


def gradients(network: Network, values: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """The gradients of a sum that gives every output another weight."""
    found = network(values)
    torch.manual_seed(1)
    outputs = (found.segment, found.audio, found.visual, found.video)
    sum((torch.rand_like(value) * value).sum() for value in outputs).backward()
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def plain_attention(network: AVE, audio: Tensor, rows: Tensor) -> Tensor:
    """One segment: (D_audio,), (R, D) -> (D,), position by position."""
    count = len(rows)
    heard = network.affine_g(network.affine_audio(audio).relu())
    logits = []
    for position in range(count):
        seen = network.affine_v(network.affine_video(rows[position]).relu())
        units = [
            seen[unit] + heard[position if network.audio_axis == "position" else unit]
            for unit in range(count)
        ]
        logits.append(network.affine_h(torch.stack(units).tanh())[0])
    weights = [math.exp(each.item()) for each in logits]
    return sum(weight / sum(weights) * row for weight, row in zip(weights, rows, strict=True))


@pytest.mark.parametrize("axis", ["position", "hidden"])
@pytest.mark.parametrize("spec", [SPEC, NO_MOTION], ids=["motion", "no motion"])
def test_attention_equals_loops(axis: str, spec: DataSpec) -> None:
    network = built(Config(hidden=4, positions=3, audio_axis=axis), spec)
    values = streams(spec, positions=3)
    found = network(values).extras["attended_visual"]
    for video in range(3):
        for segment in range(4):
            rows = network.fc_v(values["visual_2d"][video, 3 * segment : 3 * segment + 3])
            if spec is SPEC:
                motion = network.fc_st(values["visual_3d"][video, segment])
                rows = network.fc_fusion(torch.cat([rows, motion.expand(3, -1)], -1))
            expected = plain_attention(network, values["audio"][video, segment], rows)
            torch.testing.assert_close(found[video, segment], expected, rtol=1e-10, atol=1e-12)


def test_axes_of_the_sound_differ() -> None:
    values = streams(positions=3)
    found = [
        built(Config(hidden=4, positions=3, audio_axis=axis))(values).visual
        for axis in ("position", "hidden")
    ]
    assert not torch.allclose(*found)


@pytest.mark.parametrize("fusion", ["concat", "dmrn"])
@pytest.mark.parametrize("form", ["parsing", "localisation"])
@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_heads_equal_the_page(fusion: str, form: str, pooling: str) -> None:
    config = Config(hidden=4, form=form, fusion=fusion, blocks=2, head=6, pooling=pooling)
    network, values = built(config), streams()
    found = network(values)
    heard = network.lstm_audio(values["audio"])[0]
    seen = network.lstm_video(found.extras["attended_visual"])[0]
    if fusion == "dmrn":
        a, v = heard, seen
        for _ in range(2):
            m = (network.U_v(v) + network.U_a(a)) / 2
            a, v = torch.tanh(v + m), torch.tanh(a + m)
        scores = network.L2((a + v) / 2)
    else:
        scores = network.L2(network.L1(torch.cat([heard, seen], -1).relu()).relu())
    video = scores.max(1).values if pooling == "max" else scores.mean(1)
    if form == "localisation":
        torch.testing.assert_close(found.video, video.softmax(-1))
        assert found.audio.equal(found.video)
        assert found.visual.equal(found.video)
        for modality in range(2):
            torch.testing.assert_close(found.segment[:, :, modality], scores.softmax(-1))
        return
    torch.testing.assert_close(found.video, video.sigmoid())
    for modality, (name, rows) in enumerate((("audio", heard), ("visual", seen))):
        letter = name[0]
        first, second = getattr(network, f"L1_{letter}"), getattr(network, f"L2_{letter}")
        segment = second(first(rows.relu()).relu())
        pooled = segment.max(1).values if pooling == "max" else segment.mean(1)
        torch.testing.assert_close(found.segment[:, :, modality], segment.sigmoid())
        torch.testing.assert_close(getattr(found, name), pooled.sigmoid())


@pytest.mark.parametrize("fusion", ["concat", "dmrn"])
@pytest.mark.parametrize("form", ["parsing", "localisation"])
@pytest.mark.parametrize("positions", [1, 3])
@pytest.mark.parametrize("spec", [SPEC, NO_MOTION], ids=["motion", "no motion"])
def test_gradient_reaches_every_parameter(
    fusion: str, form: str, positions: int, spec: DataSpec
) -> None:
    network = built(Config(hidden=4, form=form, positions=positions, fusion=fusion), spec)
    for name, gradient in gradients(network, streams(spec, positions)).items():
        assert gradient is not None, name
        assert gradient.any(), name


def test_unimodal_reads_each_modality_alone() -> None:
    network, values = built(Config(hidden=4, positions=3)), streams(positions=3)
    other = {**values, "audio": values["audio"].flip(0)}
    assert network.unimodal(other).visual.equal(network.unimodal(values).visual)
    assert not torch.allclose(network(other).visual, network(values).visual)
    pictures = {**values, "visual_2d": values["visual_2d"].flip(0)}
    assert network.unimodal(pictures).audio.equal(network.unimodal(values).audio)
    averaged = values["visual_2d"].view(3, 4, 3, 7).mean(2)
    alone = built(Config(hidden=4))
    alone.load_state_dict(
        {k: v for k, v in network.state_dict().items() if not k.startswith("affine")}
    )
    expected = alone({**values, "visual_2d": averaged})
    torch.testing.assert_close(network.unimodal(values).segment, expected.segment)


def test_frames_are_averaged_without_attention() -> None:
    network, values = built(Config(hidden=4)), streams(positions=3)
    averaged = {**values, "visual_2d": values["visual_2d"].view(3, 4, 3, 7).mean(2)}
    torch.testing.assert_close(network(values).segment, network(averaged).segment)
    with pytest.raises(RlldError, match="has 12 rows for 4 segments, expected 1 or 2 per segment"):
        built(Config(hidden=4, positions=2))(values)


def test_one_row_stands_for_equal_positions() -> None:
    network, values = built(Config(hidden=4, positions=3)), streams()
    repeated = {**values, "visual_2d": values["visual_2d"].repeat_interleave(3, 1)}
    torch.testing.assert_close(network(values).segment, network(repeated).segment)


def test_bfloat16_runs_and_stays_close() -> None:
    network = built(Config(hidden=8, positions=3)).float()
    values = {name: value.float() for name, value in streams(positions=3).items()}
    expected = network(values)
    with torch.autocast("cpu", torch.bfloat16):
        found = network({name: value.bfloat16() for name, value in values.items()})
    assert found.segment.dtype == torch.float32
    torch.testing.assert_close(found.segment, expected.segment, rtol=0, atol=0.05)


@pytest.mark.parametrize("name", ["ave", "avsdn"])
def test_converted_checkpoints_become_runs_that_load(name: str, tmp_path: Path) -> None:
    case = {"ave": "ave_weak", "avsdn": "avsdn_cpsp_weak"}[name]
    entries = json.loads((CASES / f"{case}.json").read_text())["parameters"]
    state = {entry["key"]: 0.1 * torch.randn(entry["shape"]) for entry in entries}
    classes = {"ave": 29, "avsdn": 28}[name]
    spec = replace(
        NO_MOTION,
        classes=tuple(map(str, range(classes))),
        streams={"audio": StreamSpec(128), "visual_2d": StreamSpec(512, frames=49)},
    )
    found = convert_state(state, name, spec)
    assert found.recipe.network.config.positions == 49
    assert found.network.state_dict().keys() == state.keys()
    save_run(tmp_path / "run", found.network, found.recipe, spec, found.facts)
    run = load_run(tmp_path / "run")
    values = {"audio": torch.randn(2, 4, 128), "visual_2d": torch.randn(2, 4 * 49, 512)}
    torch.testing.assert_close(run.predict(values).segment, found.network(values).segment)


def test_residual_fusion_crosses_the_streams_by_hand() -> None:
    class Twice(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return 2 * value

    audio, visual = torch.tensor([0.1]), torch.tensor([0.3])
    merged = 0.5 * (2 * 0.3 + 0.1)  # audio branch is the identity
    expected = 0.5 * (math.tanh(0.1 + merged) + math.tanh(0.3 + merged))
    found = residual_fusion(audio, visual, nn.Identity(), Twice())
    assert found.item() == pytest.approx(expected, rel=1e-6)
    assert len(residual_layers(3)) == 3


def test_recurrent_starts_where_it_is_told() -> None:
    lstm = nn.LSTM(2, 3, batch_first=True)
    rows = torch.randn(1, 6, 2)
    whole, _ = recurrent(lstm, rows)
    _, state = recurrent(lstm, rows[:, :4])
    rest, _ = recurrent(lstm, rows[:, 4:], state)
    torch.testing.assert_close(rest, whole[:, 4:])


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(RlldError, match="network ave: positions must be positive, found 0"):
        Config(positions=0)


def test_soft_margin_by_hand() -> None:
    objective = soft_margin.Config(1.0, 2.0, 4.0).build(SPEC)
    probability = torch.tensor([[0.8, 0.1]], requires_grad=True)
    label = torch.tensor([[1.0, 0.0]])
    sigmoid = [1 / (1 + math.exp(-each)) for each in (0.8, 0.1)]
    one = -(math.log(sigmoid[0]) + math.log(1 - sigmoid[1])) / 2
    other = -(math.log(1 - sigmoid[0]) + math.log(sigmoid[1])) / 2
    found = objective(
        Prediction(probability[:, None, None], probability, probability, probability),
        ModalityLabels(label, 1 - label, label),
        Batch({}, label, torch.arange(1)),
    )
    assert found["audio"].item() == pytest.approx(one, rel=1e-5)
    assert found["visual"].item() == pytest.approx(other, rel=1e-5)
    assert found["loss"].item() == pytest.approx(5 * one + 2 * other, rel=1e-5)
