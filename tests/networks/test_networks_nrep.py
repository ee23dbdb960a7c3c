"""NREP's two networks against a plain form on the published keys, and what is special in them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models_kit import shaken
from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import nrep
from rlld.objectives.nrep import Config as Loss
from rlld.recipes.recipe import load_recipe
from rlld.training.optimizer import build_optimizer
from rlld.types import Batch, ModalityLabels
from rlld.workflows.convert import convert_file, convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)}
SPEC = DataSpec("small", ("a", "b", "c"), 6, 0.5, STREAMS)
HIDDEN = 8


def inputs(frames: int = 1, maps: bool = False, videos: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = {"audio": 64 if maps else 6, "visual_2d": 6 * frames, "visual_3d": 6}
    return {
        name: torch.randn(videos, rows[name], stream.dim, generator=generator).double()
        for name, stream in STREAMS.items()
    }


def network(**options: float) -> nrep.NREP:
    torch.manual_seed(0)
    made = nrep.Config(hidden=HIDDEN, **options).build(SPEC)  # type: ignore[arg-type]
    return shaken(made, 1).double().eval()


def published(layers: int = 1) -> dict[str, Tensor]:
    """A state dict of the published layout, dead keys too; what is in it is drawn."""
    linear = {
        "fc_a.0": (HIDDEN, 5),
        "fc_v.0": (HIDDEN, 7),
        "fc_st.0": (HIDDEN, 3),
        "fc_fusion.0": (HIDDEN, 2 * HIDDEN),
        "fc_sl_fore.0": (3, HIDDEN),
        "fc_sl_back.0": (3, HIDDEN),
        "fc_a_sl.0": (HIDDEN, HIDDEN),
        "fc_v_sl.0": (HIDDEN, HIDDEN),
        "fc_joint_sl.0": (6, HIDDEN),
        "fc_frame_att": (6, HIDDEN),
        "fc_temporal_att": (6, HIDDEN),
    }
    shapes: dict[str, tuple[int, ...]] = {}
    norms = ["inter_encoder.norm1", "inter_encoder.norm2"]
    for number in range(layers):
        name = f"inter_encoder.layers.{number}"
        linear |= dict.fromkeys((f"{name}.linear1", f"{name}.linear2"), (HIDDEN, HIDDEN))
        norms += [f"{name}.norm1", f"{name}.norm2"]
        for attention in (f"{name}.self_attn", f"{name}.cm_attn"):
            linear[f"{attention}.out_proj"] = (HIDDEN, HIDDEN)
            shapes[f"{attention}.in_proj_weight"] = (3 * HIDDEN, HIDDEN)
            shapes[f"{attention}.in_proj_bias"] = (3 * HIDDEN,)
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}
    generator = torch.Generator().manual_seed(1)
    return {
        f"{part}.{name}": torch.randn(shape, generator=generator) / 2
        for part in ("model_audio", "model_video")
        for name, shape in shapes.items()
    }


class Plain:
    """The published forward pass of one network, in evaluation mode."""

    def __init__(self, state: dict[str, Tensor], part: str) -> None:
        own = {k: v.double() for k, v in state.items() if k.startswith(f"{part}.")}
        self.state = {k.removeprefix(f"{part}."): v for k, v in own.items()}

    def linear(self, name: str, value: Tensor) -> Tensor:
        return functional.linear(
            value, self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        )

    def attended(self, name: str, own: Tensor, other: Tensor) -> Tensor:
        module = nn.MultiheadAttention(HIDDEN, 1, batch_first=True).double()
        mine = {k: v for k, v in self.state.items() if k.startswith(f"{name}.")}
        module.load_state_dict({k.removeprefix(f"{name}."): v for k, v in mine.items()})
        return module(own, other, other)[0]

    def layer(self, name: str, own: Tensor, other: Tensor, cross: bool) -> Tensor:
        def norm(part: str, value: Tensor) -> Tensor:
            weight, bias = self.state[f"{name}.{part}.weight"], self.state[f"{name}.{part}.bias"]
            return functional.layer_norm(value, (HIDDEN,), weight, bias)

        total = own + self.attended(f"{name}.self_attn", own, own)
        if cross:
            total = total + self.attended(f"{name}.cm_attn", own, other)
        total = norm("norm1", total)
        inner = self.linear(f"{name}.linear1", total).relu()
        return norm("norm2", total + self.linear(f"{name}.linear2", inner))

    def encoded(self, pair: tuple[Tensor, Tensor], layers: int, cross: bool) -> tuple:
        for number in range(layers):
            name = f"inter_encoder.layers.{number}"
            pair = self.layer(name, *pair, cross), self.layer(name, *pair[::-1], cross)
        return pair

    def heard(self, audio: Tensor) -> Tensor:
        """Sound as published: a map is resized first, then comes the layer, then the means."""
        if audio.shape[1] != 64:
            return functional.elu(self.linear("fc_a.0", audio))
        maps = audio.transpose(1, 2).reshape(len(audio), audio.shape[2], 2, 32)
        maps = functional.interpolate(maps, size=(2, 1024), mode="bicubic")
        rows = functional.elu(self.linear("fc_a.0", maps.permute(0, 2, 3, 1))).mean(1)
        return functional.adaptive_avg_pool1d(rows.transpose(1, 2), 6).transpose(1, 2)

    def seen(self, streams: dict[str, Tensor]) -> Tensor:
        frames = functional.elu(self.linear("fc_v.0", streams["visual_2d"]))
        frames = frames.view(len(frames), 6, -1, HIDDEN).mean(2)
        motion = functional.elu(self.linear("fc_st.0", streams["visual_3d"]))
        return functional.elu(self.linear("fc_fusion.0", torch.cat([frames, motion], -1)))

    def __call__(self, streams: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
        pair = self.heard(streams["audio"]), self.seen(streams)
        intra, inter = self.encoded(pair, layers, False), self.encoded(pair, layers, True)
        after = [0.8 * one + 0.2 * other for one, other in zip(intra, inter, strict=True)]
        videos, segments = pair[0].shape[:2]
        evidence = torch.zeros(videos, segments, 2, 3, 2).double()
        weights, pooled = torch.zeros_like(evidence), torch.zeros(videos, 2, 3, 2).double()
        for modality in (0, 1):
            evidence[:, :, modality, :, 0] = self.linear("fc_sl_fore.0", inter[modality])
            evidence[:, :, modality, :, 1] = self.linear("fc_sl_back.0", intra[1 - modality])
            logits = self.linear("fc_frame_att", inter[modality]).exp()
            for number in range(3):
                for place in (0, 1):
                    own = logits[..., 2 * number + place]
                    weights[:, :, modality, number, place] = own / own.sum(1, keepdim=True)
            pooled[:, modality] = (weights[:, :, modality] * evidence[:, :, modality]).sum(1)
        both = sum(
            functional.leaky_relu(self.linear(name, rows), 0.2)
            for name, rows in zip(("fc_a_sl.0", "fc_v_sl.0"), after, strict=True)
        )
        joint = self.linear("fc_joint_sl.0", both).view(videos, segments, 3, 2)
        attention = self.linear("fc_temporal_att", both).view(videos, segments, 3, 2).softmax(1)
        return {
            "segment_evidence": evidence,
            "modality_evidence": pooled,
            "joint_evidence": joint,
            "video_evidence": (joint * attention).sum(1),
            "segment_weights": weights,
            "joint_weights": attention,
            "audio_after": after[0],
            "visual_after": after[1],
        }


def of_presence(evidence: Tensor) -> Tensor:
    present, absent = evidence[..., 0].exp(), evidence[..., 1].exp()
    return present / (present + absent + 2)


@torch.no_grad()
@pytest.mark.parametrize(("layers", "frames", "maps"), [(1, 1, False), (2, 4, False), (1, 1, True)])
def test_a_published_checkpoint_predicts_what_the_plain_form_does(layers, frames, maps):
    state, streams = published(layers), inputs(frames, maps)
    found = convert_state(state, "nrep", SPEC).network.double()(streams)
    plain = {part: Plain(state, part)(streams, layers) for part in ("model_audio", "model_video")}
    for net, own in zip(nrep.NETS, plain.values(), strict=True):
        for name, value in own.items():
            wanted = found.extras[f"{net}.{name}"]
            torch.testing.assert_close(wanted, value, rtol=1e-9, atol=1e-9, msg=name)
    audio, video = (own["modality_evidence"] for own in plain.values())
    torch.testing.assert_close(found.audio, of_presence(audio[:, 0]))
    torch.testing.assert_close(found.visual, of_presence(video[:, 1]))
    segments = [own["segment_evidence"][:, :, place] for place, own in enumerate(plain.values())]
    torch.testing.assert_close(found.segment, of_presence(torch.stack(segments, 2)))
    fused = sum(of_presence(own["video_evidence"]) for own in plain.values()) / 2
    torch.testing.assert_close(found.video, fused)


@torch.no_grad()
def test_absence_of_a_sound_is_what_the_pictures_alone_say():
    ours, streams = network(), inputs()
    seen = {**streams, "visual_2d": streams["visual_2d"] + 1}
    heard = {**streams, "audio": streams["audio"] + 1}

    def said(values: dict[str, Tensor], place: int) -> Tensor:
        return ours(values).extras["audio_net.segment_evidence"][:, :, 0, :, place]

    assert torch.equal(said(heard, 1), said(streams, 1))
    assert (said(seen, 1) - said(streams, 1)).abs().min() > 1e-6
    assert (said(heard, 0) - said(streams, 0)).abs().min() > 1e-6
    assert (said(seen, 0) - said(streams, 0)).abs().min() > 1e-6


@torch.no_grad()
def test_alone_a_modality_knows_nothing_of_the_other():
    ours, streams = network(), inputs()
    moved = {name: value + (name != "audio") for name, value in streams.items()}
    usual, alone = ours.unimodal(streams), ours.unimodal(moved)
    assert torch.equal(usual.segment[:, :, 0], alone.segment[:, :, 0])
    assert torch.equal(usual.audio, alone.audio)
    assert (usual.visual - alone.visual).abs().min() > 1e-6
    both = ours.with_unimodal(streams)
    torch.testing.assert_close(both[0].segment, usual.segment)
    torch.testing.assert_close(both[1].segment, ours(streams).segment)
    assert (usual.segment - ours(streams).segment).abs().max() > 1e-3


def test_probabilities_and_uncertainty_sum_to_one():
    # e = 3 and 1: 3 / 6 and 1 / 6, and 2 / 6 is not known.
    found = nrep.probabilities(torch.tensor([np.log(3.0), 0.0]))
    assert found.tolist() == pytest.approx([3 / 6, 1 / 6])
    evidence = 2 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    uncertainty = 2 / (evidence.exp() + 1).sum(-1)
    torch.testing.assert_close(nrep.probabilities(evidence).sum(-1), 1 - uncertainty)
    far = nrep.probabilities(torch.tensor([1000.0, -1000.0], dtype=torch.float64))
    near = nrep.probabilities(torch.tensor([10.0, -10.0], dtype=torch.float64))
    assert torch.equal(far, near)
    # Which of the two is larger is what a softmax says too, and how sure it is is not.
    softmax = evidence.softmax(-1)
    assert torch.equal(softmax[:, 0] > 0.5, nrep.probabilities(evidence).argmax(-1) == 0)
    assert nrep.probabilities(torch.zeros(2)).tolist() == [0.25, 0.25]


def test_both_networks_begin_alike_and_learn_apart():
    torch.manual_seed(0)
    ours = nrep.Config(hidden=HIDDEN, attention_dropout=0, visual_dropout=0).build(SPEC)
    assert isinstance(ours, nrep.NREP)
    audio, video = (getattr(ours, net) for net in nrep.NETS)
    for name, value in audio.state_dict().items():
        assert torch.equal(value, video.state_dict()[name])
        assert value.data_ptr() != video.state_dict()[name].data_ptr()
    ours.double()
    tags = torch.tensor([[1.0, 0, 1], [0, 1, 0]]).double()
    segment = torch.ones(2, 6, 2, 3).double() * tags[:, None, None]
    labels = ModalityLabels(tags, tags, tags, segment)
    objective = Loss().build(SPEC)
    streams = inputs()
    parts = objective.parts("audio_net", ours(streams), labels)
    objective.total(parts).backward()
    assert all(p.grad is not None and p.grad.any() for p in audio.parameters())
    assert all(p.grad is None or not p.grad.any() for p in video.parameters())
    # One step of both is a step of either by itself: neither's gradient reaches the other.
    alone = {name: p.grad.clone() for name, p in audio.named_parameters()}
    ours.zero_grad()
    objective(ours(streams), labels, Batch(streams, tags, torch.arange(2)))["loss"].backward()
    for name, parameter in audio.named_parameters():
        torch.testing.assert_close(parameter.grad, alone[name])
    build_optimizer(load_recipe("nrep").schedule, ours, objective).step()
    pairs = zip(audio.parameters(), video.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_the_published_size_is_the_published_size():
    streams = {"audio": StreamSpec(768), "visual_2d": StreamSpec(768), "visual_3d": StreamSpec(512)}
    spec = DataSpec("llp", tuple(map(str, range(25))), 10, 1.0, streams)
    with torch.device("meta"):
        made = nrep.Config().build(spec)
    dead = 4 * 512
    assert len(made.state_dict()) == 2 * (42 - 4)
    assert sum(each.numel() for each in made.parameters()) == 2 * (4_833_480 - dead)


def test_a_published_file_holds_both_networks(tmp_path):
    state = published(layers=2)
    parts = {
        part: {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(part)}
        for part in ("model_audio", "model_video")
    }
    chance = {
        "torch_rng": torch.get_rng_state(),
        "random_rng": random.getstate(),
        "numpy_rng": np.random.RandomState(0).get_state(),
    }
    torch.save({**chance, **parts}, tmp_path / "NREP_PS.best")
    found = convert_file(tmp_path / "NREP_PS.best", "nrep", SPEC)
    assert found.recipe.name == "nrep"
    assert found.recipe.network.config == nrep.Config(hidden=HIDDEN, layers=2)
    assert found.facts["unwrapped"] == ["took 'model_audio' and 'model_video' together"]
    for key, value in found.network.state_dict().items():
        renamed = key.replace("audio_net.", "model_audio.").replace("video_net.", "model_video.")
        assert torch.equal(value, state[renamed])
    torch.save({**chance, "model_audio": parts["model_audio"]}, tmp_path / "half.best")
    with pytest.raises(RlldError, match="does not fit network 'nrep'"):
        convert_file(tmp_path / "half.best", "nrep", SPEC)


@torch.no_grad()
def test_works_without_motion_and_refuses_bad_options():
    still = replace(SPEC, streams={k: v for k, v in STREAMS.items() if k != "visual_3d"})
    made = nrep.Config(hidden=HIDDEN).build(still).double()
    values = {k: v for k, v in inputs(2).items() if k != "visual_3d"}
    assert made(values).segment.shape == (2, 6, 2, 3)
    with pytest.raises(RlldError, match="network nrep: layers must be positive, found 0"):
        nrep.Config(layers=0)


def test_each_network_is_kept_by_a_criterion_of_its_own():
    recipe = load_recipe("nrep")
    assert recipe.selection.parts == {"audio_net": "segment_audio", "video_net": "event_event"}
    assert recipe.selection.better(3.0, 3.0)  # the later of equal rounds, as published
    rates = [recipe.schedule.rate(number, 10_000) for number in range(10)]
    assert rates == [5e-4] * 6 + [1.25e-4] * 4
