"""The audio-visual contrastive loss "CL" within a video, in the flavours of MA and JoMoLD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from rlld.errors import RlldError
from rlld.types import Prediction
from rlld.utils.config import Weight

Formula = Literal["cross_entropy", "log_mixture"]


@dataclass(frozen=True)
class Contrastive:
    """Options of the contrastive loss.

    Attributes:
        weight: Weight in the total loss; 0 leaves it out.
        flavour: ``jomold`` compares audio and visual embeddings after the attention and takes
            the log of an average; ``ma`` compares audio after with visual before the attention
            and takes an average of logs.
        temperature: Divides the cosine similarities, positive.
        smoothing: Target mass spread over the other segments, in [0, 1].
    """

    weight: Weight = 0.0
    flavour: Literal["jomold", "ma"] = "jomold"
    temperature: float = 0.2
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 <= self.smoothing <= 1:
            raise RlldError(
                "contrastive: temperature must be positive and smoothing in [0, 1], found "
                f"{self.temperature} and {self.smoothing}"
            )

    @property
    def compared(self) -> tuple[str, str]:
        """The extras that are compared, audio and visual."""
        return "audio_after", "visual_after" if self.flavour == "jomold" else "visual_before"

    @property
    def needs(self) -> frozenset[str]:
        """The extras that it cannot do without: none where it is left out."""
        return frozenset(self.compared if self.weight else ())

    def loss(self, prediction: Prediction) -> Tensor:
        """Returns the unweighted loss of a batch, a scalar."""
        formula: Formula = "log_mixture" if self.flavour == "jomold" else "cross_entropy"
        audio, visual = (prediction.extras[name] for name in self.compared)
        logits = similarity(audio, visual, self.temperature)
        return matching_loss(logits, formula, self.smoothing, prediction.mask)


def similarity(audio: Tensor, visual: Tensor, temperature: float) -> Tensor:
    """Cosine similarities between the segments of each video.

    Args:
        audio: Embeddings (B, T, d).
        visual: Embeddings (B, T, d).
        temperature: Divides them.

    Returns:
        Logits (B, T, T): audio segment by visual segment.
    """
    with torch.autocast(audio.device.type, enabled=False):
        audio, visual = functional.normalize(audio, dim=-1), functional.normalize(visual, dim=-1)
        return audio @ visual.transpose(-1, -2) / temperature


def matching_loss(
    logits: Tensor,
    formula: Formula,
    smoothing: float,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """How badly each audio segment finds the visual segment of its own time.

    With q = 1 - smoothing on the diagonal and smoothing / (T - 1) elsewhere, ``cross_entropy``
    is -mean sum_u q_u log softmax(S)_u (MA, ``LabelSmoothingLoss``) and ``log_mixture`` is
    -mean log sum_u q_u softmax(S)_u (JoMoLD, ``LabelSmoothingNCELoss``).

    Args:
        logits: (..., T, T), target of row t is column t.
        formula: Which of the two.
        smoothing: In [0, 1].
        mask: Which segments belong to their video (B, T), bool; all when None. A segment is then
            sought among those of its video, and the mean is over all that do belong to one.
        weight: By how much the segments of each of B videos count (B,), all by 1 when None; what
            is averaged over stays all segments.

    Returns:
        A scalar; a video of one segment, where nothing can be confused, adds 0.
    """
    if mask is None and logits.shape[-1] == 1:
        return logits.sum() * 0
    logarithms, target = _compared(logits, smoothing, mask)
    if formula == "cross_entropy":
        found = (target * logarithms).sum(-1)
    else:
        found = (logarithms + target.log()).logsumexp(-1)
    if weight is not None:
        rows = weight[:, None].expand(logits.shape[:-1])
        found = found * (rows if mask is None else rows[mask])
    return -found.mean()


def _compared(logits: Tensor, smoothing: float, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns the log softmax of each row, and q; with a mask, of the rows that belong to a video.

    T is in each video its own number of segments.
    """
    if mask is None:
        segments = logits.shape[-1]
        target = logits.new_full((segments, segments), smoothing / (segments - 1))
        return logits.log_softmax(-1), target.fill_diagonal_(1 - smoothing)
    others = (mask.sum(1) - 1).clamp(min=1).to(logits.dtype)[:, None, None]
    own = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    target = torch.where(own, 1 - smoothing, smoothing / others)
    # Of a single segment the only softmax is 1, and so is what it is compared with.
    target = target.masked_fill(own & (mask.sum(1) == 1)[:, None, None], 1)
    outside = ~mask[:, None]
    logarithms = logits.masked_fill(outside, torch.finfo(logits.dtype).min).log_softmax(-1)
    return logarithms[mask], target.masked_fill(outside, 0)[mask]
