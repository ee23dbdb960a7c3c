"""CoLeaF's references against PyTorch's own attention, and its anchor's published checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.networks._reference import AudioReference, Said, VisualReference
from rlld.networks.cmpae import Config
from rlld.workflows.convert import convert_file

HIDDEN, CLASSES = 8, 5
STREAMS = {"audio": StreamSpec(6), "visual_2d": StreamSpec(10), "visual_3d": StreamSpec(7)}
SPEC = DataSpec("small", tuple("abcde"), 4, 0.5, STREAMS)
KINDS = {"audio": AudioReference, "visual": VisualReference}
Reference = AudioReference | VisualReference


def streams(videos: int = 3, segments: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(videos)
    shapes = {"audio": (segments, 6), "visual_2d": (2 * segments, 10), "visual_3d": (segments, 7)}
    return {
        name: torch.randn(videos, *shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def reference(modality: str) -> Reference:
    torch.manual_seed(0)
    made: Reference = KINDS[modality](HIDDEN, SPEC).double().eval()
    for parameter in made.parameters():  # tokens of 0 and small biases would hide errors
        nn.init.normal_(parameter, std=0.5)
    return made


class Doubled(nn.Module):
    """Stands for a dropout, so that what it was applied to shows."""

    def forward(self, value: Tensor) -> Tensor:
        return 2 * value


def plain(ours: Reference, modality: str, values: dict[str, Tensor]) -> Said:
    """What the published reference computes; its dropout doubles."""
    weights = ours.state_dict()

    def linear(name: str, value: Tensor) -> Tensor:
        return functional.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"])

    if modality == "audio":
        embedded = linear("fc_a", values["audio"])
    else:
        pictures = linear("fc_v", values["visual_2d"])
        pictures = pictures.reshape(len(pictures), -1, 2, HIDDEN).mean(2)
        both = [pictures, linear("fc_st", values["visual_3d"])]
        embedded = linear("fc_fusion", torch.cat(both, -1))
    tokens = weights[f"cls_tokens_{modality[0]}"].expand(len(embedded), -1, -1)
    rows = torch.cat([tokens, embedded], 1)
    prefix = "hat_encoder.layers.0."
    attention = nn.MultiheadAttention(HIDDEN, 1, batch_first=True).double()
    own = f"{prefix}self_attn."
    attention.load_state_dict({k[len(own) :]: v for k, v in weights.items() if k.startswith(own)})

    def norm(number: int, value: Tensor) -> Tensor:
        scale = weights[f"{prefix}norm{number}.weight"], weights[f"{prefix}norm{number}.bias"]
        return functional.layer_norm(value, (HIDDEN,), *scale)

    rows = norm(1, rows + attention(rows, rows, rows)[0])
    inner = linear(f"{prefix}linear2", functional.relu(linear(f"{prefix}linear1", rows)))
    rows = norm(2, rows + inner)
    found = rows[:, CLASSES:]
    segment = linear("fc_prob", 2 * found).sigmoid()
    pooled = found if modality == "audio" else 2 * found
    share = linear("fc_frame_att", pooled).softmax(1)
    by_token = rows[:, :CLASSES].mean(-1).sigmoid()
    return Said((share * segment).sum(1), by_token, segment, found)


@pytest.mark.parametrize("modality", KINDS)
@pytest.mark.parametrize("videos", [1, 3])
def test_equals_the_plain_reference(modality: str, videos: int) -> None:
    ours, values = reference(modality), streams(videos)
    ours.dropout = Doubled()
    found, wanted = ours(values), plain(ours, modality, values)
    for name in Said._fields:
        pair = getattr(found, name), getattr(wanted, name)
        torch.testing.assert_close(*pair, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize("modality", KINDS)
def test_padding_changes_nothing(modality: str) -> None:
    ours, values = reference(modality), streams(2, 4)
    values = {name: value.clone() for name, value in values.items()}
    for value in values.values():
        value[1, value.shape[1] // 2 :] = 0
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    together = ours(values, mask)
    for row, length in enumerate((4, 2)):
        alone = ours(
            {name: each[[row], : each.shape[1] * length // 4] for name, each in values.items()}
        )
        for name in Said._fields:
            found = getattr(together, name)[row]
            found = found[:length] if name in ("segment", "rows") else found
            torch.testing.assert_close(found, getattr(alone, name)[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("modality", KINDS)
def test_gradient_reaches_all_that_is_used_and_the_other_modality_none(modality: str) -> None:
    ours, values = reference(modality).train(), streams()
    for value in values.values():
        value.requires_grad_()
    said = ours(values)
    (said.video.square().sum() + said.tokens.square().sum()).backward()
    for name, parameter in ours.named_parameters():
        if "cm_attn" in name:
            assert parameter.grad is None, name
        else:
            assert parameter.grad.any(), name
    heard, seen = values["audio"].grad, values["visual_3d"].grad
    assert (heard is None, seen is None) == (modality == "visual", modality == "audio")


def test_published_checkpoints_of_the_anchor_load(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = Config().build(LLP_SPEC)
    dead = {
        "fc_global.0.weight": (512, 512),
        "fc_global.0.bias": (512,),
        "fc_global.2.weight": (25, 512),
        "fc_global.2.bias": (25,),
        **{f"hat_encoder.norm{n}.{kind}": (512,) for n in (1, 2) for kind in ("weight", "bias")},
        **{f"hat_encoder.layers.0.cls_tokens_{m}": (1, 25, 512) for m in "av"},
    }
    published = {**ours.state_dict(), **{name: torch.zeros(shape) for name, shape in dead.items()}}
    count = sum(parameter.numel() for parameter in ours.parameters())
    assert count + sum(map(math.prod, dead.values())) == 5_686_422
    torch.save({"model": published, "epochs": 10}, tmp_path / "coleaf.pt")
    converted = convert_file(tmp_path / "coleaf.pt", "cmpae")
    assert (converted.recipe.name, converted.layout.name) == ("coleaf", "CoLeaF")
    gate = converted.recipe.gate
    assert (gate.audio_threshold, gate.visual_threshold, gate.segment_threshold) == (
        *(0.52, 0.52),
        0.25,
    )
    for key, value in converted.network.state_dict().items():
        assert torch.equal(value, published[key]), key
