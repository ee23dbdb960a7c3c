"""What task networks truly share: input layers, dropout, hybrid attention, pooling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import Prediction

DRAWS = 1 << 16
"""A CPU dropout mask takes 16 random bits per element."""


def pool_frames(features: Tensor, segments: int) -> Tensor:
    """Averages the frames of each segment.

    A linear layer commutes with the mean, so that averaging first gives the same function as the
    published order (linear layer on every frame, then the mean) for a fraction of the work.

    Args:
        features: (B, T, D), or (B, T * frames, D) with the frames of a segment side by side.
        segments: T.

    Returns:
        (B, T, D).

    Raises:
        RlldError: If the rows are no multiple of T.
    """
    rows = features.shape[1]
    if rows == segments:
        return features
    if rows == 0 or rows % segments:
        raise RlldError(
            f"a visual stream has {rows} rows per video, expected {segments} or a multiple of it; "
            "extract all streams with the same segment length"
        )
    videos, _, dim = features.shape
    return features.reshape(videos, segments, rows // segments, dim).mean(2)


def stored(features: Tensor, layer: nn.Linear) -> Tensor:
    """Returns features, which may be stored in 16 bits, in the precision of the run."""
    if torch.is_autocast_enabled(features.device.type):
        return features
    return features.to(layer.weight.dtype)


def two_linear(
    features: Tensor, inner: nn.Linear, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Applies two linear maps in a row, by whichever order of multiplication costs less.

    With many rows it is cheaper to multiply the two matrices first; both ways are the same
    function.

    Args:
        features: (..., D).
        inner: The first map, D -> H.
        weight: Matrix of the second one (O, H).
        bias: Its bias (O,).

    Returns:
        (..., O).
    """
    rows = features.shape[:-1].numel()
    outer, hidden = weight.shape
    width = inner.in_features
    if rows * hidden * (width + outer) <= width * outer * (rows + hidden):
        return functional.linear(inner(features), weight, bias)
    shift = functional.linear(inner.bias, weight, bias)
    return functional.linear(features, weight @ inner.weight, shift)


class VisualEmbedding(nn.Module):
    """HAN's input layers of the visual streams; without ``visual_3d`` there is only ``fc_v``.

    Args:
        hidden: Width of the model.
        spec: The data set.
    """

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__()
        self.add_visual_layers(hidden, spec)

    def add_visual_layers(self, hidden: int, spec: DataSpec) -> None:
        """Makes the layers, under their published names."""
        dims = spec.dims
        self.fc_v = nn.Linear(dims["visual_2d"], hidden)
        self.has_motion = "visual_3d" in dims
        if self.has_motion:
            self.fc_st = nn.Linear(dims["visual_3d"], hidden)
            self.fc_fusion = nn.Linear(2 * hidden, hidden)

    def embed_visual(self, streams: Mapping[str, Tensor], segments: int) -> Tensor:
        """Maps pictures and motion to one embedding (B, T, hidden).

        Args:
            streams: Features by stream name, each (B, T, D), or (B, T * frames, D) whose frames
                are averaged first.
            segments: T.
        """
        motion = pool_frames(streams["visual_3d"], segments) if self.has_motion else None
        return self.fuse_visual(pool_frames(streams["visual_2d"], segments), motion)

    def fuse_visual(self, pictures: Tensor, motion: Tensor | None) -> Tensor:
        """Maps rows of pictures and motion to one embedding (..., hidden).

        Args:
            pictures: (..., D of ``visual_2d``).
            motion: (..., D of ``visual_3d``), as many rows or one for several of the pictures;
                None without motion.
        """
        pictures = stored(pictures, self.fc_v)
        if motion is None:
            alone: Tensor = self.fc_v(pictures)
            return alone
        # fc_fusion reads both streams side by side; each half of its matrix serves one of them.
        halves = self.fc_fusion.weight.chunk(2, 1)
        visual = two_linear(pictures, self.fc_v, halves[0], self.fc_fusion.bias)
        return visual + two_linear(stored(motion, self.fc_st), self.fc_st, halves[1])


class StreamEmbedding(VisualEmbedding, Network):
    """A network with HAN's input layers, which map the feature streams to the width of the model.

    The keys of its state dict are the published ones.

    Args:
        hidden: Width of the model.
        spec: The data set.
    """

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        nn.Module.__init__(self)
        self.fc_a = nn.Linear(spec.dims["audio"], hidden)
        self.add_visual_layers(hidden, spec)

    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the features to the width of the model; nothing random happens here.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged first.

        Returns:
            Audio and visual embeddings, stacked (2, B, T, hidden).
        """
        audio = self.fc_a(stored(streams["audio"], self.fc_a))
        return torch.stack([audio, self.embed_visual(streams, audio.shape[1])])


class CrossAttending(StreamEmbedding):
    """A network that attends across modalities only after it has embedded them.

    Both passes of ``with_unimodal`` share the embeddings.
    """

    @abstractmethod
    def predict(self, embedded: Tensor, cross_attention: bool = True) -> Prediction:
        """Predicts from embeddings.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether a modality attends to the other one.
        """

    def unimodal(self, streams: Mapping[str, Tensor]) -> Prediction:
        """Predicts without cross-modal attention."""
        return self.predict(self.embed(streams), cross_attention=False)

    def with_unimodal(self, streams: Mapping[str, Tensor]) -> tuple[Prediction, Prediction]:
        """Predicts without cross-modal attention and gradient, then usually, from one embedding."""
        embedded = self.embed(streams)
        with torch.no_grad():
            unimodal = self.predict(embedded, cross_attention=False)
        return unimodal, self.predict(embedded)


def full_precision(value: Tensor) -> Tensor:
    """Returns 16-bit floating point values as float32, others unchanged."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


class Dropout(nn.Module):
    """Inverted dropout; on a CPU its masks cost a quarter of the random draws of PyTorch's.

    There the probability is rounded to a multiple of 2**-16 (0.1 becomes 0.100006) and the
    remaining values are scaled by the rounded probability, so that the expectation is exact.

    Attributes:
        p: Probability that an element is set to 0, in [0, 1).

    Raises:
        RlldError: If ``p`` is out of range.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise RlldError(f"a dropout probability must lie in [0, 1), found {p}")
        self.p = p

    def forward(self, value: Tensor) -> Tensor:
        """Drops elements of a tensor of any shape in training, returns it unchanged otherwise."""
        if not self.training or self.p == 0:
            return value
        # Releases of PyTorch before 2.13 cannot look at rows of a stack as other numbers.
        stacked = torch._C._functorch.is_batchedtensor(value)
        if value.device.type != "cpu" or stacked:
            return functional.dropout(value, self.p)
        dropped = min(max(round(self.p * DRAWS), 1), DRAWS - 1)
        # One 64-bit draw holds four 16-bit ones.
        words = value.new_empty((value.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.int16)[: value.numel()].view(value.shape)
        # Clamping 16-bit integers to 0 and 1 takes half the time of comparing them.
        first = dropped - DRAWS // 2
        keep = draws.clamp(first - 1, first).sub_(first - 1).to(value.dtype)
        return value * keep.mul_(DRAWS / (DRAWS - dropped))

    def extra_repr(self) -> str:
        """Shows the probability in the printed network."""
        return f"p={self.p}"


class Attention(nn.Module):
    """Attention with one head over the segments of a video, within or across the modalities.

    Parameters have the names and the initialisation of ``nn.MultiheadAttention``. Where a batch
    has more rows than the model is wide, query and key matrices are multiplied with each other
    first, and so are value and output matrices: ``(x Wq')(y Wk')' = x (Wq' Wk) y'``. That is the
    same function with half of the large products. (Terms that are constant along a row of the
    logits, the key bias among them, do not change a softmax and are left out there.)

    Attributes:
        hidden: Width of the model.
    """

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden))
        self.out_proj = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, both: Tensor, cross: bool) -> Tensor:
        """Attends.

        Args:
            both: Audio rows, then visual rows (2, B, T, hidden).
            cross: Whether each modality attends to the other one instead of itself.

        Returns:
            (2, B, T, hidden).
        """
        many = both.shape[:-1].numel() > self.hidden
        return self._composed(both, cross) if many else self._projected(both, cross)

    def _projected(self, both: Tensor, cross: bool) -> Tensor:
        projected = functional.linear(both, self.in_proj_weight, self.in_proj_bias)
        # unbind, not indexing: the backward of an index fills the whole tensor with zeros.
        query, key, value = projected.view(*both.shape[:-1], 3, -1).unbind(-2)
        if cross:
            key, value = key.flip(0), value.flip(0)
        weights = self._weights(query, key)
        out: Tensor = self.out_proj(weights @ value)
        return out

    def _composed(self, both: Tensor, cross: bool) -> Tensor:
        query, key, value = self.in_proj_weight.chunk(3)
        query_bias, _, value_bias = self.in_proj_bias.chunk(3)
        other = both.flip(0) if cross else both
        asked = functional.linear(both, key.T @ query, query_bias @ key)
        weights = self._weights(asked, other)
        outer = self.out_proj.weight
        shift = outer @ value_bias
        if not self.training:
            return functional.linear(weights @ other, outer @ value, self.out_proj.bias + shift)
        out = functional.linear(weights @ other, outer @ value, self.out_proj.bias)
        # Dropout leaves rows of weights that do not sum to 1, which the value bias has to follow.
        return torch.addcmul(out, weights.sum(-1, keepdim=True), shift)

    def _weights(self, query: Tensor, key: Tensor) -> Tensor:
        """Attention weights, written out: at T = 10 a fused kernel gains nothing on a CPU."""
        scores = (query @ key.transpose(-1, -2)) * self.hidden**-0.5
        weights: Tensor = self.dropout(scores.softmax(-1))
        return weights.to(query.dtype)


class HybridAttentionLayer(nn.Module):
    """One layer of HAN: self-attention and cross-modal attention, added, then feed-forward.

    Both modalities pass through the same weights (Tian et al., ECCV 2020, section 4.2; the
    released layer has one head, layer norms and a feed-forward block as wide as the model).
    They are stacked into one batch.

    Args:
        hidden: Width of the model.
        dropout: Dropout of the attention weights and after each part.
        feedforward: Width inside the feed-forward block; that of the model when None.
    """

    def __init__(self, hidden: int, dropout: float, feedforward: int | None = None) -> None:
        super().__init__()
        self.self_attn = Attention(hidden, dropout)
        self.cm_attn = Attention(hidden, dropout)
        self.linear1 = nn.Linear(hidden, feedforward or hidden)
        self.linear2 = nn.Linear(feedforward or hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.dropout = Dropout(dropout)

    def forward(self, both: Tensor, cross_attention: bool = True) -> Tensor:
        """Applies the layer.

        Args:
            both: Audio rows, then visual rows (2, B, T, hidden).
            cross_attention: Whether a modality also attends to the other one.

        Returns:
            (2, B, T, hidden).
        """
        hidden = both + self.dropout(self.self_attn(both, cross=False))
        if cross_attention:
            hidden = hidden + self.dropout(self.cm_attn(both, cross=True))
        hidden = self.norm1(hidden)
        inner = self.dropout(functional.relu(self.linear1(hidden)))
        out: Tensor = self.norm2(hidden + self.dropout(self.linear2(inner)))
        return out


class HybridEncoder(nn.Module):
    """Hybrid attention layers in a row; the keys of its state dict are the published ones.

    Args:
        layers: How many.
        hidden: Width of the model.
        dropout: Dropout of each layer.
    """

    def __init__(self, layers: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(HybridAttentionLayer(hidden, dropout) for _ in range(layers))

    def forward(self, both: Tensor, cross_attention: bool) -> Tensor:
        """Maps (2, B, T, hidden) to the same shape, layer by layer."""
        for layer in self.layers:
            both = layer(both, cross_attention)
        return both


def recur(layer: nn.LSTM, rows: Tensor) -> Tensor:
    """Runs an LSTM from zero states, in full precision.

    Args:
        layer: The LSTM, with ``batch_first``.
        rows: (B, T, D).

    Returns:
        (B, T, H), both directions side by side if there are two.
    """
    # cuDNN refuses gradients in evaluation mode, where first-order credit asks for them.
    plain = rows.is_cuda and torch.is_grad_enabled() and not layer.training
    with (
        torch.autocast(rows.device.type, enabled=False),
        torch.backends.cudnn.flags(enabled=False) if plain else nullcontext(),
    ):
        out: Tensor = layer(full_precision(rows))[0]
        return out


def mmil_pool(
    probability: Tensor, time_logits: Tensor, modality_logits: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Attentive multimodal multiple-instance pooling (HAN, section 4.3).

    Args:
        probability: Segment probabilities (B, T, 2, C).
        time_logits: Logits of the weights over T, same shape.
        modality_logits: Logits of the weights over the two modalities, same shape.

    Returns:
        Audio, visual and fused video-level probabilities, each (B, C).
    """
    weighted = time_logits.softmax(1) * probability
    audio, visual = weighted.sum(1).unbind(1)
    video = (weighted * modality_logits.softmax(2)).sum((1, 2))
    return audio, visual, video


def fused_heads(layers: Sequence[nn.Linear], hidden: Tensor) -> tuple[Tensor, ...]:
    """Applies several linear layers of equal size to the same input as one matrix product.

    Args:
        layers: The layers, each D -> C.
        hidden: (..., D).

    Returns:
        One (..., C) for each layer, in full precision.
    """
    weight = torch.cat([layer.weight for layer in layers])
    bias = torch.cat([layer.bias for layer in layers])
    logits = full_precision(functional.linear(hidden, weight, bias))
    return tuple(logits.view(*hidden.shape[:-1], len(layers), -1).unbind(-2))
