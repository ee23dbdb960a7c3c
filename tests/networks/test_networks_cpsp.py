"""CPSP's network against a plain implementation with loops."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rlld.data.dataset import load_data
from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks.cpsp import CPSP, PSP, Config
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute
from rlld.workflows.convert import convert_file

SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c", "d", "e"),
    segments=6,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(12), "visual_2d": StreamSpec(20), "visual_3d": StreamSpec(16)},
)
BOUND = 1 / 6
"""Prunes about half of the pairs of six segments."""


def streams(videos: int = 3, segments: int = 6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(videos)
    shapes = {"audio": (segments, 12), "visual_2d": (2 * segments, 20), "visual_3d": (segments, 16)}
    return {name: torch.randn(videos, *s, generator=generator) for name, s in shapes.items()}


def network(spec: DataSpec = SPEC, hidden: int = 8) -> CPSP:
    torch.manual_seed(0)
    return Config(hidden=hidden, threshold=BOUND).build(spec).eval()


def shares(row: list[float], threshold: float) -> list[float]:
    """What one segment takes from each segment of the other modality."""
    total = sum(row) + 1e-8
    kept = [value / total if value / total > threshold else 0.0 for value in row]
    return [value / (sum(kept) + 1e-8) for value in kept]


def plain_psp(psp: PSP, audio: Tensor, visual: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """One video, segment by segment."""

    def layer(name: str, value: Tensor) -> Tensor:
        return functional.relu(getattr(psp, name).weight.detach() @ value.detach())

    def similarity(a: Tensor, v: Tensor) -> float:
        return max(0.0, float(layer("v_L2", v) @ layer("a_L1", a)) / math.sqrt(len(a)))

    told_audio, told_visual = [], []
    for a in audio:
        row = shares([similarity(a, v) for v in visual], threshold)
        told = a + sum(s * layer("v_L1", v) for s, v in zip(row, visual, strict=True))
        told_audio.append(psp.layer_norm(layer("a_fc", told)))
    for v in visual:
        row = shares([similarity(a, v) for a in audio], threshold)
        told = v + sum(s * layer("a_L2", a) for s, a in zip(row, audio, strict=True))
        told_visual.append(psp.layer_norm(layer("v_fc", told)))
    return torch.stack(told_audio), torch.stack(told_visual)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.15, 0.24, 0.9])
def test_psp_equals_the_loops(threshold: float) -> None:
    torch.manual_seed(1)
    psp = PSP(8, 5).double().eval()
    audio = torch.randn(3, 4, 8, dtype=torch.float64)
    visual = torch.randn(3, 7, 8, dtype=torch.float64)
    found = psp(audio, visual, threshold)
    expected = [plain_psp(psp, a, v, threshold) for a, v in zip(audio, visual, strict=True)]
    for mine, theirs in zip(found, zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(mine, torch.stack(theirs), rtol=1e-9, atol=1e-9)


def test_pruned_rows_propagate_nothing() -> None:
    torch.manual_seed(1)
    psp, rows = PSP(8, 8).eval(), torch.randn(2, 3, 5, 8)
    everything_pruned = psp(*rows, threshold=0.99)
    switched_off = psp(*rows, threshold=0.1, propagate=False)
    for one, other in zip(everything_pruned, switched_off, strict=True):
        torch.testing.assert_close(one, other)


def test_equals_the_plain_network() -> None:
    # The layers around the PSP module, in the published order.
    ours, values = network().double(), {n: v.double() for n, v in streams().items()}
    audio = ours.fc_a(values["audio"])
    frames = ours.fc_v(values["visual_2d"]).reshape(3, 6, 2, 8).mean(2)
    motion = ours.fc_st(values["visual_3d"])
    visual = ours.fc_fusion(torch.cat([frames, motion], -1))
    heard, seen = ours.lstm.lstm_audio(audio)[0], ours.lstm.lstm_video(visual)[0]
    both = [plain_psp(ours.psp, a, v, BOUND) for a, v in zip(heard, seen, strict=True)]
    rows = torch.stack([torch.stack(pair, 1) for pair in both])
    probability = ours.fc_prob(rows).sigmoid()
    time = ours.fc_frame_att(rows).softmax(1) * probability
    fused = (time * ours.fc_av_att(rows).softmax(2)).sum((1, 2))
    found = ours(values)
    torch.testing.assert_close(found.segment, probability, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found.video, fused, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found.audio, time.sum(1)[:, 0], rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found.visual, time.sum(1)[:, 1], rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found.extras["visual_before"], visual)
    torch.testing.assert_close(found.extras["audio_after"], rows[:, :, 0], rtol=1e-8, atol=1e-9)


def test_gradient_reaches_every_parameter_in_both_modes() -> None:
    for training in (True, False):
        ours = network(hidden=16).train(training)
        found = ours(streams(6))
        (found.video.square().sum() + found.segment.square().sum()).backward()
        for name, parameter in ours.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_without_propagation_no_modality_knows_of_the_other() -> None:
    ours, values = network(), streams()
    changed = {**values, "audio": values["audio"].roll(1, 0)}
    alone, other = ours.unimodal(values), ours.unimodal(changed)
    torch.testing.assert_close(alone.visual, other.visual, rtol=0, atol=0)
    assert (alone.audio != other.audio).any()
    assert (ours(values).visual != ours(changed).visual).any()


def test_both_passes_share_what_is_before_the_propagation() -> None:
    ours, values = network(), streams()
    unimodal, usual = ours.with_unimodal(values)
    torch.testing.assert_close(unimodal.segment, ours.unimodal(values).segment)
    torch.testing.assert_close(usual.segment, ours(values).segment)
    assert not unimodal.segment.requires_grad
    assert usual.segment.requires_grad


def test_works_without_motion_and_for_any_sizes() -> None:
    spec = replace(SPEC, streams={k: v for k, v in SPEC.streams.items() if k != "visual_3d"})
    values = streams(2, 9)
    del values["visual_3d"]
    found = network(spec)(values)
    assert found.segment.shape == (2, 9, 2, 5)
    assert found.video.shape == (2, 5)


def test_dropout_acts_in_training_only() -> None:
    ours, values = network(), streams()
    torch.testing.assert_close(ours(values).segment, ours(values).segment, rtol=0, atol=0)
    ours.train()
    assert (ours(values).segment != ours(values).segment).any()


def test_bfloat16_stays_near_float32() -> None:
    ours, values = network(hidden=32), streams()
    exact = ours(values)
    with torch.autocast("cpu", torch.bfloat16):
        coarse = ours({name: value.bfloat16() for name, value in values.items()})
    assert coarse.segment.dtype == coarse.video.dtype == torch.float32
    # A pair next to the threshold may fall on the other side.
    assert (coarse.segment - exact.segment).abs().mean() < 0.01


def test_published_checkpoints_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = Config().build(LLP_SPEC)
    assert len(published.state_dict()) == 38
    torch.save(published.state_dict(), tmp_path / "cpsp.pt")
    converted = convert_file(tmp_path / "cpsp.pt", "cpsp", overrides={"network.threshold": 0.095})
    assert converted.recipe.name == "cpsp"
    assert converted.recipe.network.config.threshold == 0.095
    for key, value in converted.network.state_dict().items():
        torch.testing.assert_close(value, published.state_dict()[key], rtol=0, atol=0)


def test_bad_options_are_refused() -> None:
    with pytest.raises(RlldError, match="hidden must be even and positive, found 7"):
        Config(hidden=7)
    with pytest.raises(RlldError, match=r"threshold must lie in \[0, 1\), found 9"):
        Config(threshold=9)


def test_reinforcement_by_comparison_runs_where_networks_are_stacked(tiny_data: Path) -> None:
    # LSTMs cannot be stacked: the samples of a step are tried one after the other.
    data = load_data(tiny_data)
    settings = {"denoiser.credit": "counterfactual", "schedule.updates": 2}
    recipe = load_recipe("cpsp+rlld", settings, data.spec.overrides)
    found = []
    for stacked in ("on", "off"):
        compute = Compute(device="cpu", threads=1, stacked=stacked)  # type: ignore[arg-type]
        trainer = Trainer(recipe, data.train, data.validation, 0, compute)
        found.append([report for report in trainer.steps() if report is not None][-1]["loss"])
    assert found[0] == found[1]
