"""What task networks truly share: input layers, dropout, LSTMs, pooling."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import Prediction

States = tuple[Tensor, Tensor]
"""Hidden and cell state of an LSTM, each (directions, B, H)."""

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
    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether a modality attends to the other one.
            mask: As in ``forward``.
        """

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts without cross-modal attention."""
        return self.predict(self.embed(streams), cross_attention=False, mask=mask)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts without cross-modal attention and gradient, then usually, from one embedding."""
        embedded = self.embed(streams)
        with torch.no_grad():
            unimodal = self.predict(embedded, cross_attention=False, mask=mask)
        return unimodal, self.predict(embedded, mask=mask)


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


def run_lstm(
    layer: nn.LSTM, rows: Tensor, states: States | None, mask: Tensor | None
) -> tuple[Tensor, States]:
    """Runs an LSTM over every video as far as it goes.

    Args:
        layer: The LSTM, with ``batch_first``.
        rows: (B, T, D).
        states: Where it starts; zeros when None.
        mask: Which segments belong to the video (B, T), bool; all when None.

    Returns:
        Its outputs (B, T, H), 0 behind the end of a video, and its states at the end.
    """
    if mask is None:
        out, last = layer(rows, states)
        return out, last
    lengths = mask.sum(1).cpu()  # PyTorch wants them there
    packed = pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)
    packed, last = layer(packed, states)
    out, _ = pad_packed_sequence(packed, batch_first=True, total_length=rows.shape[1])
    return out, last


def recur(layer: nn.LSTM, rows: Tensor, mask: Tensor | None = None) -> Tensor:
    """Runs an LSTM from zero states, in full precision.

    Args:
        layer: The LSTM, with ``batch_first``.
        rows: (B, T, D).
        mask: Which segments belong to the video (B, T), bool; all when None.

    Returns:
        (B, T, H), both directions side by side if there are two.
    """
    # cuDNN refuses gradients in evaluation mode, where first-order credit asks for them.
    plain = rows.is_cuda and torch.is_grad_enabled() and not layer.training
    with (
        torch.autocast(rows.device.type, enabled=False),
        torch.backends.cudnn.flags(enabled=False) if plain else nullcontext(),
    ):
        return run_lstm(layer, full_precision(rows), None, mask)[0]


def time_weights(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the softmax over time, in which places behind the end of a video weigh nothing.

    Args:
        logits: (B, T, ...).
        mask: Which segments belong to the video (B, T), bool; all when None.
    """
    if mask is not None:
        outside = ~spread(mask, logits)
        logits = logits.masked_fill(outside, torch.finfo(logits.dtype).min)
    return logits.softmax(1)


def within(value: Tensor, mask: Tensor | None) -> Tensor:
    """Returns (B, T, ...) with zeros behind the end of each video, as a convolution pads it.

    Args:
        value: (B, T, ...).
        mask: Which segments belong to the video (B, T), bool; all when None.
    """
    return value if mask is None else value * spread(mask, value)


def time_mean(value: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the mean over the segments of each video (B, ...).

    Args:
        value: (B, T, ...).
        mask: Which segments belong to the video (B, T), bool; all when None.
    """
    if mask is None:
        return value.mean(1)
    inside = spread(mask, value)
    return value.masked_fill(~inside, 0).sum(1) / inside.sum(1)


def time_max(value: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the maximum over the segments of each video (B, ...); see ``time_mean``."""
    if mask is not None:
        value = value.masked_fill(~spread(mask, value), torch.finfo(value.dtype).min)
    return value.amax(1)


def spread(mask: Tensor, value: Tensor) -> Tensor:
    """Returns a mask (B, T) with further axes, so that it fits a value (B, T, ...)."""
    return mask.view(*mask.shape, *(1,) * (value.ndim - mask.ndim))


def mmil_pool(
    probability: Tensor, time_logits: Tensor, modality_logits: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Attentive multimodal multiple-instance pooling (HAN, section 4.3), over whole videos.

    Args:
        probability: Segment probabilities (B, T, 2, C).
        time_logits: Logits of the weights over T, same shape.
        modality_logits: Logits of the weights over the two modalities, same shape.
        mask: Which segments belong to the video (B, T), bool; all when None.

    Returns:
        Audio, visual and fused video-level probabilities, each (B, C).
    """
    weighted = time_weights(time_logits, mask) * probability
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
