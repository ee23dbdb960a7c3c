"""MM-CSE's network (Zhao et al., AAAI 2025): a vector for every class of a segment.

Segments are taken apart into classes and background, which then look at each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.networks import base
from rlld.networks._attention import ManyHeads
from rlld.networks._blocks import Dropout, full_precision, mmil_pool, time_mean
from rlld.networks._maps import HearingMaps
from rlld.networks._published import Layout, State, encoder, sizes
from rlld.types import Prediction
from rlld.utils.config import Count, Share, require_positive

NUMBERED = re.compile(r"([av]_unmix(?=\.\d+\.\d+\.)|fc_\w+\.fc)\.(\d{1,6})\.(.+)")
"""Published keys of one class: what comes before its number, the number, what comes behind."""
STACKED = re.compile(r"([av]_unmix|fc_\w+\.fc)\.(.+)")
"""Ours, of all classes at once."""


@dataclass(frozen=True)
class Config(base.Config):
    """Options of MM-CSE's network; the defaults are those of its ``main_avvp.py``.

    Attributes:
        hidden: Width of a segment; a class of a segment has half of it.
        layers: Layers in which classes look at each other.
        heads: Attention heads; where they do not divide the width of a class, their largest
            common divisor.
        expansion: Width of the feed-forward block in units of the width of a class.
        dropout: Dropout inside the small networks, of the attention and of the feed-forward block.
    """

    hidden: int = 256
    layers: Count = 4
    heads: Count = 8
    expansion: float = 4.0
    dropout: Share = 0.1

    def __post_init__(self) -> None:
        require_positive("network mm_cse: ", self, "hidden", "layers", "heads", "expansion")

    @property
    def width(self) -> int:
        """Width of a class of a segment."""
        return max(self.hidden // 2, 1)


@Config.makes
class MmCse(HearingMaps):
    """MM-CSE's network.

    Its state dict has the published names; what is published once for each class is one tensor
    with a leading axis (``published_state`` takes it apart). The published ``final_norm_a`` and
    ``final_norm_v``, which are never used, are left out.

    Attributes:
        config: Its options.
        segments: Segments of a video of the data set.
    """

    gives = frozenset({"segment_logits", "embedded", "parts", "reconstructed", "maps"})

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config = config
        hidden, width, classes = config.hidden, config.width, len(spec.classes)
        first = ToEach(classes + 1, hidden, width)
        self.a_unmix = nn.Sequential(nn.ReLU(), first, nn.ReLU())
        first, second = ToEach(classes + 1, hidden, width), OfEach(classes + 1, width, width)
        self.v_unmix = nn.Sequential(
            nn.ReLU(), first, nn.ReLU(), Dropout(config.dropout), second, nn.ReLU()
        )
        self.a_recon = _rebuilding((classes + 1) * width, hidden)
        self.v_recon = _Model(nn.ReLU(), *_rebuilding((classes + 1) * width, hidden))
        self.alpha_a, self.alpha_v = _sharing(config), _sharing(config)
        self.reduce_a, self.reduce_v = _Reduce(width), _Reduce(width)
        self.av_enhance = _Encoder(config)
        self.fc_prob = _Head(classes, width)
        self.fc_frame_att = _Head(classes, width)
        self.fc_av_att = _Head(classes, width)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: As in ``embed``.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold ``segment_logits`` (B, T, 2, C); segments as
            ``embedded`` (B, T, 2, hidden), their ``parts`` (B, T, 2, C + 1, width), the background
            last, and what is ``reconstructed`` of them (B, T, 2, hidden); ``maps``
            (B, T, 2, 2, C, C), how the classes of each modality look at those of itself, then at
            those of the other one.
        """
        return self.predict(self.embed(streams), mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether classes look at those of the other modality. Where not, the
                ``maps`` of that are 0.
            mask: As in ``forward``.
        """
        audio, visual = embedded.unbind(0)
        heard, seen = self.a_unmix(audio), self.v_unmix(visual)
        classes = [
            self.reduce_a(heard, self.alpha_a(audio).sigmoid()),
            self.reduce_v(seen, self.alpha_v(visual).sigmoid()),
        ]
        enhanced, maps = self.av_enhance(torch.stack(classes, 2), cross_attention, mask)
        event_logits, time_logits, modality_logits = self._heads(enhanced)
        segment = event_logits.sigmoid()
        pooled = mmil_pool(segment, time_logits, modality_logits, mask)
        rebuilt = [self.a_recon(heard.flatten(-2)), self.v_recon(seen.flatten(-2))]
        extras = {
            "segment_logits": event_logits,
            "embedded": full_precision(embedded.permute(1, 2, 0, 3)),
            "parts": full_precision(torch.stack([heard, seen], 2)),
            "reconstructed": full_precision(torch.stack(rebuilt, 2)),
            "maps": full_precision(maps),
        }
        return Prediction(segment, *pooled, extras).within(mask)

    def _heads(self, classes: Tensor) -> tuple[Tensor, ...]:
        """Returns the three logits (B, T, 2, C) of classes (B, T, 2, C, width), in one product."""
        layers = [head.fc for head in (self.fc_prob, self.fc_frame_att, self.fc_av_att)]
        weight = torch.cat([layer.weight for layer in layers], 1)
        bias = torch.cat([layer.bias for layer in layers], 1)
        return full_precision(each_by_its_own(classes, weight, bias)).unbind(-1)


class OfEach(nn.Module):
    """Linear layers side by side, one for each row of (..., N, D).

    Args:
        count: N.
        inner: D.
        outer: Width of what each gives.
    """

    def __init__(self, count: int, inner: int, outer: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, outer, inner))
        self.bias = nn.Parameter(torch.empty(count, outer))
        for parameter in (self.weight, self.bias):  # each layer as nn.Linear begins
            nn.init.uniform_(parameter, -(inner**-0.5), inner**-0.5)

    def forward(self, rows: Tensor) -> Tensor:
        """Maps (..., N, D) to (..., N, outer)."""
        return each_by_its_own(rows, self.weight, self.bias)


class ToEach(OfEach):
    """Linear layers side by side that all read the same (..., D): one layer with N outputs."""

    def forward(self, rows: Tensor) -> Tensor:
        """Maps (..., D) to (..., N, outer)."""
        mapped = functional.linear(rows, self.weight.flatten(0, 1), self.bias.flatten())
        return mapped.view(*rows.shape[:-1], *self.bias.shape)


def each_by_its_own(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Maps every row by a matrix of its own, as one batched product.

    Args:
        rows: (..., N, D).
        weight: (N, O, D).
        bias: (N, O).

    Returns:
        (..., N, O).
    """
    mapped = torch.einsum("...nd,nod->...no", rows, weight)
    return mapped + bias.to(mapped.dtype)


class _Head(nn.Module):
    """A linear layer of its own for each class, under the published name."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.fc = OfEach(classes, width, 1)


class _Model(nn.Module):
    """Layers one after the other, under the published name."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, rows: Tensor) -> Tensor:
        """Maps rows by all of them."""
        mapped: Tensor = self.model(rows)
        return mapped


def _rebuilding(width: int, hidden: int) -> nn.Sequential:
    """Returns what makes a segment of all its parts."""
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())


def _sharing(config: Config) -> _Model:
    """Returns what says how much of a segment is events, as a logit."""
    first, last = nn.Linear(config.hidden, config.width), nn.Linear(config.width, 1)
    return _Model(nn.ReLU(), first, nn.ReLU(), Dropout(config.dropout), last)


class _Reduce(nn.ModuleList):
    """Puts classes together with the background, by how much of a segment is events."""

    def __init__(self, width: int) -> None:
        super().__init__([nn.Linear(2 * width, width)])

    def forward(self, parts: Tensor, share: Tensor) -> Tensor:
        """Maps classes, then the background (B, T, C + 1, width) to (B, T, C, width).

        Half of the matrix reads a class, half of it the background, which is the same for all.

        Args:
            parts: They.
            share: Of the events (B, T, 1).
        """
        layer = cast(nn.Linear, self[0])
        of_class, of_background = layer.weight.chunk(2, 1)
        ground = functional.linear((1 - share) * parts[..., -1, :], of_background, layer.bias)
        events = functional.linear(share.unsqueeze(-1) * parts[..., :-1, :], of_class)
        return (events + ground.unsqueeze(-2)).relu()


class _Encoder(nn.Module):
    """Layers whose weights serve both modalities, which are updated from the old values."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))

    def forward(
        self, both: Tensor, cross_attention: bool, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Maps classes (B, T, 2, C, width) to the same shape; also returns the last ``maps``."""
        shares: tuple[Tensor, Tensor]
        for layer in self.layers:
            both, shares = layer(both, cross_attention, mask)
        maps = [each.mean(1).view(*both.shape[:-1], -1) for each in shares]
        return both, torch.stack(maps, 3)


class _Layer(nn.Module):
    """Classes look at each other within a segment, and each at its whole video."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, inner = config.width, max(round(config.expansion * config.width), 1)
        self.linear1 = nn.Linear(width, inner)
        self.linear2 = nn.Linear(inner, width)
        self.norm1 = nn.LayerNorm(width)
        self.dropout = Dropout(config.dropout)
        self.SECM_1 = _Attending(config)
        self.SECM_2 = _Attending(config)
        self.LGSF_1 = nn.ModuleDict({name: nn.Linear(width, width) for name in ("glob1", "glob2")})
        self.LGSF_2 = nn.ModuleDict({"glob": nn.Linear(width, width)})
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(
        self, both: Tensor, cross_attention: bool, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Updates the classes of both modalities (B, T, 2, C, width).

        Returns:
            The new ones, and how they looked at those of their own modality and of the other one,
            each (B * T * 2, heads, C, C).
        """
        # What is added to the rows passes through both matrices, and so do the rows themselves.
        weight, bias = self.fc1.weight + self.fc2.weight, self.fc1.bias + self.fc2.bias
        mixed = functional.linear(both, weight, bias)
        asked, own = self.SECM_1(both, both)
        local = self.LGSF_1["glob1"](asked)
        whole = _whole(self.LGSF_1["glob2"](asked), mask)
        mixed = mixed + _relevance(local, whole) * functional.linear(whole, self.fc1.weight)
        other = torch.zeros_like(own)
        if cross_attention:
            asked, other = self.SECM_2(both, both.flip(2))
            glob = self.LGSF_2["glob"]
            whole = _whole(glob(both), mask).flip(2)
            relevance = _relevance(glob(asked), whole)
            mixed = mixed + relevance * functional.linear(whole, self.fc2.weight)
        inner = self.dropout(functional.relu(self.linear1(self.norm1(mixed))))
        return self.linear2(inner), (own, other)


class _Attending(nn.Module):
    """Adds to classes what they find in others of their segment."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attn = ManyHeads(config.width, config.heads, config.dropout)

    def forward(self, both: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Lets classes (B, T, 2, C, width) look at ``other`` ones; also says how they looked."""
        rows = both.flatten(0, 2)
        found, shares = self.attn.with_shares(rows, rows if other is both else other.flatten(0, 2))
        return both + found.view_as(both), shares


def _whole(mapped: Tensor, mask: Tensor | None) -> Tensor:
    """Returns what classes (B, T, 2, C, width) have been over their video (B, 1, 2, C, width)."""
    return time_mean(mapped.relu(), mask).unsqueeze(1)


def _relevance(local: Tensor, whole: Tensor) -> Tensor:
    """Returns how alike classes (B, T, 2, C, width) are to their whole video (B, T, 2, C, 1)."""
    return functional.cosine_similarity(local.relu(), whole, dim=-1).sigmoid().unsqueeze(-1)


def published_state(state: State) -> dict[str, Tensor]:
    """Returns a state dict of this network with the keys that the published code loads strictly.

    Args:
        state: What ``MmCse.state_dict`` returns.
    """
    found = {}
    for key, value in state.items():
        match = STACKED.fullmatch(key)
        if match is None:
            found[key] = value
        else:
            found |= {f"{match[1]}.{n}.{match[2]}": part for n, part in enumerate(value)}
    scale, shift = (state[f"av_enhance.layers.0.norm1.{name}"] for name in ("weight", "bias"))
    for letter in "av":
        found[f"av_enhance.final_norm_{letter}.weight"] = torch.ones_like(scale)
        found[f"av_enhance.final_norm_{letter}.bias"] = torch.zeros_like(shift)
    return found


def _stacked(state: State) -> State:
    """Stacks what a published state dict has for each class; what does not fit stays as it is."""
    found, by_class = dict(state), dict[str, dict[int, str]]()
    for key in state:
        match = NUMBERED.fullmatch(key)
        if match:
            by_class.setdefault(f"{match[1]}.{match[3]}", {})[int(match[2])] = key
    for name, keys in by_class.items():
        complete = sorted(keys) == list(range(len(keys)))
        if complete and len({state[key].shape for key in keys.values()}) == 1:
            found[name] = torch.stack([found.pop(keys[number]) for number in range(len(keys))])
    return found


def _infer(state: State) -> dict[str, Any]:
    return {**sizes(state, hidden=("fc_a.weight", 0)), **encoder(state, "av_enhance.layers.")}


PUBLISHED = (
    Layout("MM-CSE", "mm_cse", dead=("av_enhance.final_norm_",), infer=_infer, tidy=_stacked),
)
"""Checkpoints of PengchengZhao1001/MM-CSE."""
