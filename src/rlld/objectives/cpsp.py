"""CPSP's objective: HAN's losses, MA's contrastive loss, and a contrast between videos.

Zhou et al., TPAMI 2023 (PSA_V); the published code is ``main_avvp_psp.py`` of jasongief/CPSP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from rlld.errors import RlldError
from rlld.networks._blocks import time_mean
from rlld.objectives import mil
from rlld.objectives._contrastive import Contrastive
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight

EMBEDDED = ("audio_after", "visual_after")
"""The embeddings whose mean is that of a video."""
POSITIVE = 0.5
"""A target above this is a label."""


@dataclass(frozen=True)
class VideoContrast:
    """The contrast between videos: those with the same events should look alike.

    Attributes:
        weight: Weight in the total loss; 0 leaves it out.
        ratio: Share of a video's labels that another one must have to be a positive of it, in
            [0, 1]; those that have none of them are negatives, the others neither.
        temperature: Divides the cosine similarities, positive (``eta``).
        undefined: What happens where a video has no negative in the batch, or no label. As
            released, ``skip_batch`` leaves the loss out for the whole batch, ``skip_video``
            leaves out the video.
        labels: Whose labels count: the ``revised`` ones of the fused target, or the ``weak`` ones.

    Raises:
        RlldError: If a value is out of range.
    """

    weight: Weight = 1.0
    ratio: float = 0.9
    temperature: float = 0.2
    undefined: Literal["skip_batch", "skip_video"] = "skip_batch"
    labels: Literal["revised", "weak"] = "revised"

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 <= self.ratio <= 1:
            raise RlldError(
                "objective cpsp: video_contrast needs a positive temperature and a ratio in "
                f"[0, 1], found {self.temperature} and {self.ratio}"
            )

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Returns the unweighted loss of a batch, a scalar (``VconInfoLoss``).

        Args:
            features: One embedding per video (B, D).
            labels: Its labels (B, C); above 0.5 is a label.
        """
        with torch.autocast(features.device.type, enabled=False):
            return self._loss(functional.normalize(features, dim=-1), labels > POSITIVE)

    def _loss(self, features: Tensor, labels: Tensor) -> Tensor:
        similarity = features @ features.T / self.temperature
        known = labels.to(features.dtype)
        shared, own = known @ known.T, known.sum(1, keepdim=True)
        # A video without labels has no positives, not even itself: 0/0 reaches no ratio.
        positive = shared / own >= self.ratio
        negative = shared == 0
        defined = positive.any(1) & negative.any(1)
        # Where nothing is defined any mask will do, as long as the gradient of it is finite.
        rows = functional.softplus(
            _log_mean_exp(similarity, negative | ~defined[:, None])
            - _log_mean_exp(similarity, positive | ~defined[:, None])
        )
        total = rows.masked_fill(~defined, 0).sum() / defined.sum().clamp(min=1)
        if self.undefined == "skip_batch":
            return total.masked_fill(~defined.all(), 0)
        return total


def _log_mean_exp(values: Tensor, mask: Tensor) -> Tensor:
    """Returns log mean exp of the masked values of each row (B,)."""
    return values.masked_fill(~mask, -torch.inf).logsumexp(1) - mask.sum(1).to(values.dtype).log()


@dataclass(frozen=True)
class Config(mil.Config):
    """Weights of the parts, as ``run.sh`` of the published code sets them.

    Attributes:
        audio_weight: Weight of the audio term.
        visual_weight: Weight of the visual term.
        video_weight: Weight of the fused video-level term.
        contrastive: The contrast between the segments of a video; it compares audio segments
            after the propagation with visual ones before the LSTM.
        video_contrast: The contrast between videos.
    """

    contrastive: Contrastive = field(default_factory=lambda: Contrastive(1.0, "ma"))
    video_contrast: VideoContrast = field(default_factory=VideoContrast)

    @property
    def needs(self) -> frozenset[str]:
        """What either contrast compares."""
        return super().needs.union(EMBEDDED if self.video_contrast.weight else ())


@Config.makes
class CPSPObjective(mil.MILObjective):
    """The sum of the video-level losses and both contrasts.

    Attributes:
        config: The weights.
    """

    config: Config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts, contrasts only where they are used."""
        losses = super().forward(prediction, labels, batch)
        options = self.config.video_contrast
        if options.weight:
            target = labels.video if options.labels == "revised" else batch.labels
            contrast = options.loss(video_embedding(prediction), target)
            loss = losses["loss"] + options.weight * contrast
            losses = {**losses, "loss": loss, "video_contrast": contrast}
        return losses


def video_embedding(prediction: Prediction) -> Tensor:
    """Returns the mean embedding of a video over segments and modalities (B, hidden)."""
    embedded = torch.stack([prediction.extras[name] for name in EMBEDDED])
    if prediction.mask is None:
        return embedded.mean((0, 2))
    return time_mean(embedded.mean(0), prediction.mask)
