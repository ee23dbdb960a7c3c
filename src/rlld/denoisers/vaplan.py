"""VAPLAN's segment pseudo labels (Zhou, Guo, Zhong and Wang, IJCV 2024) and their denoising.

Re-implemented from the abstracts; nobody published code. The constants are from memory of the
paper (docs/methods/vaplan.md says which).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlld.data.similarities import class_scores
from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers._pseudo import PseudoLabels, Teacher
from rlld.denoisers.base import Context
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import VISUAL, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight

EPSILON = 1e-7
CHUNK = 1024


def prompts(classes: Sequence[str]) -> dict[str, list[str]]:
    """Returns the prompts by modality, as remembered of the paper."""
    words = [name.replace("_", " ") for name in classes]
    return {
        "audio": [f"This sound contains the {word}" for word in words],
        "visual": [f"This photo contains the {word}" for word in words],
    }


TEACHER = Teacher("clip,clap", "classes", prompts)


@dataclass(frozen=True)
class Config:
    """Options of VAPLAN's labels.

    Attributes:
        scores: The set of scores to read, one prompt per class.
        audio_threshold: Share of the softmax over all classes that a sound's label must exceed.
        visual_threshold: The same for pictures.
        denoise: Whether a first network corrects the visual labels.
        references: Segments with the smallest losses that say what a usual loss of a label is.
        factor: How many times the usual loss makes a segment's label wrong.
        first_share: Length of the first training as a share of the run's, in (0, 1].
    """

    scores: str = "classes"
    audio_threshold: Weight = 0.041
    visual_threshold: Weight = 0.041
    denoise: bool = True
    references: int = 5
    factor: float = 10.0
    first_share: float = 1.0

    def __post_init__(self) -> None:
        for name in ("audio_threshold", "visual_threshold"):
            if not 0 <= getattr(self, name) < 1:
                raise RlldError(
                    f"denoiser vaplan: {name} must lie in [0, 1), found {getattr(self, name)}"
                )
        if self.references < 1 or self.factor < 1 or not 0 < self.first_share <= 1:
            raise RlldError(
                "denoiser vaplan: references and factor must be 1 or more and first_share lie in "
                f"(0, 1], found {self.references}, {self.factor} and {self.first_share}"
            )

    def build(self, spec: DataSpec) -> VaplanLabels:
        """Builds the label source."""
        return VaplanLabels(self, spec)


class VaplanLabels(PseudoLabels):
    """Labels of the video, in the segments where they stand out of all classes.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(len(spec.classes))
        self.config = config
        self._context: Context | None = None

    def prepare(self, context: Context) -> None:
        """Finds the labels; correcting them is left to the first step."""
        super().prepare(context)
        self._context = context if self.config.denoise else None

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels of the batch's segments; the prediction is not looked at."""
        if self._context is not None:
            self._correct(self._context)
        return super().revise(batch, prediction)

    def state_dict(self) -> dict[str, Any]:
        """Returns the corrected labels; nothing before the first step."""
        waits = self._segment is None or self._context is not None
        return {} if waits or not self.config.denoise else {"segment": self._segment}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        if state and self._context is not None:
            self._settle(state["segment"], self._context.train.labels)

    def segment_labels(self, split: Split) -> Tensor:
        """Returns the pseudo labels of all segments of a split (N, T, 2, C)."""
        logits = class_scores(split, self.config.scores)
        thresholds = (self.config.audio_threshold, self.config.visual_threshold)
        limits = logits.new_tensor(thresholds)[:, None]
        return (logits.softmax(-1) > limits).to(split.labels.dtype) * split.labels[:, None, None]

    def _correct(self, context: Context) -> None:
        segment = self._segment
        if segment is None:
            raise RuntimeError("prepare comes before revise")
        train = context.train
        audio, visual = segment.amax(1).unbind(1)
        labels = ModalityLabels(audio, visual, train.labels, segment)
        network = context.fit(labels, share=self.config.first_share)
        seen = segment[:, :, VISUAL]
        options = self.config.references, self.config.factor
        wrong = abnormal(_visible(network, train), seen, train.labels, *options, train.mask)
        corrected = segment.clone()
        corrected[:, :, VISUAL] = flip(seen, wrong)
        self._settle(corrected, train.labels)

    def _settle(self, segment: Tensor, labels: Tensor) -> None:
        self._segment, self._context = segment, None
        self._kept.keep = segment.amax(1) * labels[:, None]


def abnormal(
    probability: Tensor,
    segment: Tensor,
    labels: Tensor,
    references: int,
    factor: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Finds segments whose label has an abnormally large cross-entropy.

    Args:
        probability: Of the segments of a modality (B, T, C).
        segment: Their labels (B, T, C), 0 or 1.
        labels: Weak labels (B, C); other classes are never abnormal.
        references: The mean of so many smallest losses of a video's class is its usual loss.
        factor: A loss above this times the usual one is abnormal.
        mask: Which segments belong to their video (B, T), bool; all when None.

    Returns:
        Mask (B, T, C), bool.
    """
    clamped = probability.clamp(EPSILON, 1 - EPSILON)
    loss = -torch.where(segment > 0, clamped, 1 - clamped).log()
    if mask is not None:
        loss = loss.masked_fill(~mask[..., None], torch.inf)
    smallest = loss.sort(dim=1).values[:, :references]
    if mask is None:
        usual = smallest.mean(1, keepdim=True)
    else:
        count = mask.sum(1).clamp(max=references)[:, None, None]
        usual = smallest.masked_fill(smallest.isinf(), 0).sum(1, keepdim=True) / count
    wrong = (loss > factor * usual) & (labels > 0)[:, None]
    return wrong if mask is None else wrong & mask[..., None]


def flip(segment: Tensor, wrong: Tensor) -> Tensor:
    """Returns labels (0 or 1) that are the other way round where they are wrong."""
    return torch.where(wrong, 1 - segment, segment)


@torch.no_grad()
def _visible(network: Network, split: Split) -> Tensor:
    """Returns the visual segment probabilities of a split (N, T, C)."""
    shape = len(split), split.spec.segments, len(split.spec.classes)
    found = torch.zeros(shape, device=split.device)
    for batch in split.portions(CHUNK):
        streams = {name: value.float() for name, value in batch.streams.items()}
        segment = network(streams, batch.mask).segment[:, :, VISUAL]
        found[batch.index, : batch.segments] = segment.float()
    return found
