"""MGN against its page, video by video and token by token."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks._grouping import DropPath
from rlld.networks.mgn import MGN, Config
from rlld.objectives import mgn as objective
from rlld.types import Batch, ModalityLabels, Prediction

CASES = Path(__file__).parents[1] / "golden" / "cases"
SPEC = DataSpec(
    name="small",
    classes=("a", "b", "c"),
    segments=5,
    segment_seconds=0.5,
    streams={
        "audio": StreamSpec(5),
        "visual_2d": StreamSpec(6, frames=2),
        "visual_3d": StreamSpec(4),
    },
)
KINDS = ("soft", "hard")


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


def built(config: Config, spec: DataSpec = SPEC) -> MGN:
    torch.manual_seed(0)
    network = config.build(spec).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    return network


def plain_heads(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    width = query.shape[1] // heads
    parts = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        weights = (query[:, part] @ key[:, part].T / math.sqrt(width)).softmax(1)
        parts.append(weights @ value[:, part])
    return torch.cat(parts, 1)


def plain_mlp(mlp: Any, rows: Tensor) -> Tensor:
    return mlp.fc2(functional.gelu(mlp.fc1(rows)))


def plain_grouping(block: Any, x: Tensor, t: Tensor, hard: bool) -> tuple[Tensor, Tensor]:
    """One video: tokens (L, D) and group tokens (S, D)."""
    t, x = block.norm_tokens(t), block.norm_x(x)
    t = block.norm_post_tokens(plain_mlp(block.mlp_inter, t.T).T)
    pre = block.pre_assign_attn
    mixed = plain_heads(pre.attn.q_proj(t), pre.attn.k_proj(x), pre.attn.v_proj(x), pre.attn.heads)
    t = t + pre.attn.proj(mixed)
    t = pre.norm_post(t + plain_mlp(pre.mlp, pre.norm2(t)))
    assign = block.assign
    raw = assign.q_proj(t) @ assign.k_proj(x).T / math.sqrt(t.shape[1])
    share = raw.softmax(0)
    shown = torch.empty_like(share)
    out = []
    a = share
    if hard:
        a = torch.zeros_like(share)
        for token in range(share.shape[1]):
            a[share[:, token].argmax(), token] = 1
    for group in range(len(t)):
        shown[group] = a[group] if hard else 1 + share[group].softmax(0)
        out.append((a[group] / (a[group].sum() + 1)) @ assign.v_proj(x))
    y = assign.proj(torch.stack(out)) + t
    return y + plain_mlp(block.mlp_channels, block.norm_new_x(y)), shown


def plain_trans(
    part: Any, x: Tensor, t: Tensor, hard: bool, other: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    rows = torch.cat([x, t])
    for block in part.blocks:
        q, k, v = block.attn.qkv(block.norm1(rows)).chunk(3, 1)
        rows = rows + block.attn.proj(plain_heads(q, k, v, block.attn.heads))
        rows = rows + plain_mlp(block.mlp, block.norm2(rows))
    x, t = rows[: len(x)], rows[len(x) :]
    if other is not None:
        x, _ = plain_grouping(part.han_encoder, x, other, not hard)
    return plain_grouping(part.grouping, x, t, hard)


@pytest.mark.parametrize("within", KINDS)
@pytest.mark.parametrize("across", KINDS)
@pytest.mark.parametrize("cross_modal", [True, False])
def test_equals_loops(within: str, across: str, cross_modal: bool) -> None:
    config = Config(
        hidden=12,
        unimodal_assign=within,
        crossmodal_assign=across,
        depth_audio=2,
        depth_visual=1,
        depth_fusion=1,
    )
    network, values = built(config), streams()
    found = network(values) if cross_modal else network.unimodal(values)
    pictures = network.fc_v(values["visual_2d"]).view(2, 5, 2, -1).mean(2)
    visual = network.fc_fusion(torch.cat([pictures, network.fc_st(values["visual_3d"])], -1))
    audio = network.fc_a(values["audio"])
    hard = within == "hard"
    for video in range(2):
        other = visual[video] if cross_modal else None
        x2, when2 = plain_trans(network.visual_cug, visual[video], network.visual_token, hard)
        x1, when1 = plain_trans(network.audio_cug, audio[video], network.audio_token, hard, other)
        x, _ = plain_trans(network.av_mcg, x1, x2, across == "hard")
        a, v = network.fc_prob_a(x1)[:, 0].sigmoid(), network.fc_prob_v(x2)[:, 0].sigmoid()
        torch.testing.assert_close(found.audio[video], a)
        torch.testing.assert_close(found.visual[video], v)
        torch.testing.assert_close(found.video[video], network.fc_prob(x)[:, 0].sigmoid())
        segment = torch.stack([a * when1.T, v * when2.T], 1)
        torch.testing.assert_close(found.extras["uncut_segment"][video], segment)
        torch.testing.assert_close(found.segment[video], segment.clamp(max=1))


@pytest.mark.parametrize("motion", [True, False])
@pytest.mark.parametrize("within", KINDS)
@pytest.mark.parametrize("across", KINDS)
def test_gradient_of_the_loss_reaches_every_parameter(
    motion: bool, within: str, across: str
) -> None:
    kept = {k: v for k, v in SPEC.streams.items() if motion or k != "visual_3d"}
    spec = replace(SPEC, streams=kept)
    config = Config(hidden=16, unimodal_assign=within, crossmodal_assign=across, drop_path=0)
    network = built(config, spec).train()
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 1]], dtype=torch.float64)
    found = network(streams(spec))
    targets = ModalityLabels(labels, labels, labels)
    loss = objective.Config().build(spec)(found, targets, Batch({}, labels, torch.arange(2)))
    loss["loss"].backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_hard_assignment_has_one_event_a_segment_at_most() -> None:
    found = built(Config(hidden=8, unimodal_assign="hard"))(streams())
    assert ((found.segment > 0).sum(-1) <= 1).all()


def test_soft_assignment_is_cut_off_at_1() -> None:
    network = built(Config(hidden=8))
    nn.init.constant_(network.fc_prob_a.bias, 30.0)
    found = network(streams())
    assert (found.extras["uncut_segment"][:, :, 0] > 1).all()
    assert found.segment[:, :, 0].eq(1).all()


def test_gumbel_noise_draws_groups_by_their_share() -> None:
    assign = built(Config(hidden=8, unimodal_assign="hard")).visual_cug.grouping.assign
    groups, rows = torch.randn(1, 3, 8).double(), torch.randn(1, 2, 8).double()
    share = (assign.q_proj(groups) @ assign.k_proj(rows).transpose(1, 2) / math.sqrt(8)).softmax(1)
    assign.train()
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = assign(groups.expand(20000, -1, -1), rows.expand(20000, -1, -1))[1]
    assert drawn.sum(1).eq(1).all()
    torch.testing.assert_close(drawn.mean(0), share[0], rtol=0, atol=0.015)


def test_drop_path_drops_videos_and_keeps_the_mean() -> None:
    path = DropPath(0.25).train()
    torch.manual_seed(0)
    out = path(torch.ones(4000, 3, 2))
    assert (out.flatten(1) == out[:, :1, 0]).all()
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert out.mean().item() == pytest.approx(1, abs=0.05)
    assert path.eval()(out) is out


def test_unimodal_reads_each_modality_alone() -> None:
    network, values = built(Config(hidden=8)), streams()
    alone, usual = network.with_unimodal(values)
    deaf = network.unimodal({**values, "audio": values["audio"].flip(0)})
    assert deaf.visual.equal(alone.visual)
    assert not torch.allclose(deaf.audio, alone.audio)
    blind = network.unimodal({**values, "visual_2d": values["visual_2d"].flip(0)})
    assert blind.audio.equal(alone.audio)
    assert not torch.allclose(usual.audio, alone.audio)
    assert not alone.segment.requires_grad
    torch.testing.assert_close(usual.segment, network(values).segment)


def test_published_keys_parameter_count_and_start() -> None:
    network = Config().build(LLP_SPEC)
    entries = json.loads((CASES / "mgn_forward.json").read_text())["parameters"]
    found = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert found == {entry["key"]: entry["shape"] for entry in entries}
    assert sum(p.numel() for p in network.parameters()) == 4_366_065
    assert not network.audio_token.any()
    assert not network.fc_v.bias.any()
    assert network.fc_v.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert network.av_mcg.blocks[0].norm1.weight.eq(1).all()


def test_more_segments_than_it_was_made_for_are_refused() -> None:
    values = {
        name: torch.cat([value, value[:, :1]], 1) for name, value in streams(frames=1).items()
    }
    with pytest.raises(RlldError, match="made for 5 segments per video, found 6"):
        built(Config(hidden=8))(values)


def test_objective_by_hand_and_without_tokens() -> None:
    loss = objective.Config(token_weight=0.5).build(SPEC)
    labels = torch.tensor([[1.0, 0.0]])
    half = torch.full((1, 2), 0.5)
    logits = {
        "audio_class_logits": torch.zeros(2, 2),
        "visual_class_logits": torch.tensor([[2.0, 0.0], [0.0, 2.0]]),
    }
    batch, targets = Batch({}, labels, torch.arange(1)), ModalityLabels(labels, labels, labels)
    found = loss(Prediction(half[:, None, None], half, half, half, logits), targets, batch)
    second = math.log(1 + math.exp(-2))
    assert found["audio_class"].item() == pytest.approx(math.log(2), rel=1e-5)
    assert found["visual_class"].item() == pytest.approx(second, rel=1e-5)
    total = 3 * math.log(2) + 0.5 * (math.log(2) + second)
    assert found["loss"].item() == pytest.approx(total, rel=1e-5)
