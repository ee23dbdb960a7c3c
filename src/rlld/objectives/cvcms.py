"""The loss of CVCMS: cross-entropies, and a contrast between the tracks of different videos.

Source: ``main_trans.py`` of GenjiB/CM-Co-Occurrence-AVVP, function ``train``, and the aggregation
in ``nets/net_trans.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from rlld.errors import RlldError
from rlld.networks._blocks import time_weights
from rlld.objectives import base
from rlld.objectives._bce import clamped_bce
from rlld.objectives.base import Objective
from rlld.types import AUDIO, VISUAL, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight

NEEDED = ("audio_before", "visual_before", "time_logits")


@dataclass(frozen=True)
class Config(base.Config):
    """Options of the loss; the defaults are those of CVCMS's ``run.sh``.

    Attributes:
        contrastive_weight: Weight of the contrast after the warm-up (``delta``).
        temperature: Divides its similarities (``tmp``).
        audio_original: Whether it compares the audio embedding before the attention
            (``is_a_ori``).
        visual_original: The same of the visual embedding (``is_v_ori``).
        warm_up_rounds: Rounds without the contrast (``init_epoch``).
        warm_audio_smoothing: s of the audio targets s * y + (1 - s) / 2 in these rounds.
        warm_visual_smoothing: The same of the visual targets.
        audio_smoothing: s of the audio targets afterwards. A value below 1 makes every pair of
            tracks a match, as in the released code.
        visual_smoothing: The same of the visual targets.
        video_target: What the fused probability learns: the ``union`` of audio and visual labels,
            as released, so that a label removed from both is gone; or what is ``given`` for it.

    Raises:
        RlldError: If a value is out of range.
    """

    contrastive_weight: Weight = 0.85
    temperature: float = 1.0
    audio_original: bool = False
    visual_original: bool = False
    warm_up_rounds: int = 2
    warm_audio_smoothing: float = 1.0
    warm_visual_smoothing: float = 0.9
    audio_smoothing: float = 1.0
    visual_smoothing: float = 1.0
    video_target: Literal["union", "given"] = "union"

    @property
    def needs(self) -> frozenset[str]:
        """The embeddings and logits of which the tracks are made."""
        original = {"audio": self.audio_original, "visual": self.visual_original}
        return frozenset(NEEDED).union(
            f"{name}_after" for name, before in original.items() if not before
        )

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.contrastive_weight < 0 or self.warm_up_rounds < 0:
            raise RlldError(
                "objective cvcms: temperature must be positive, contrastive_weight and "
                f"warm_up_rounds must not be negative, found {self.temperature}, "
                f"{self.contrastive_weight} and {self.warm_up_rounds}"
            )
        for prefix in ("", "warm_"):
            for modality in ("audio", "visual"):
                name = f"{prefix}{modality}_smoothing"
                if not 0 <= getattr(self, name) <= 1:
                    raise RlldError(
                        f"objective cvcms: {name} must lie in [0, 1], found {getattr(self, name)}"
                    )


@Config.makes
class CVCMSObjective(Objective):
    """The sum of three cross-entropies and, after the warm-up, of the contrast.

    Attributes:
        config: Its options.
        smoothing: Smoothing of the audio and of the visual targets in this round (2,).
        weight: Weight of the contrast in this round.
    """

    smoothing: Tensor
    weight: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("smoothing", torch.ones(2))
        self.register_buffer("weight", torch.zeros(()))
        self.start_round(0)

    def start_round(self, number: int) -> None:
        """Sets smoothing and weight of a round."""
        config = self.config
        warm = number < config.warm_up_rounds
        after = (config.audio_smoothing, config.visual_smoothing)
        before = (config.warm_audio_smoothing, config.warm_visual_smoothing)
        self.smoothing.copy_(torch.tensor(before if warm else after))
        self.weight.fill_(0.0 if warm else config.contrastive_weight)

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts."""
        partner = prediction.extras.get("partner")
        logits = similarities(prediction.extras, labels, self.config, prediction.mask)
        return self.losses(prediction, labels, logits, partner)

    def losses(
        self,
        prediction: Prediction,
        labels: ModalityLabels,
        similarity: Tensor,
        partner: Tensor | None,
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its parts.

        Args:
            prediction: What the network says of B videos.
            labels: Their labels, not smoothed.
            similarity: Logits (N, N), audio tracks by pictures; N = 2B with mixed pairs, else B.
            partner: Whose picture each audio track of a mixed pair met (B,).
        """
        audio = smooth_by(labels.audio, self.smoothing[AUDIO])
        visual = smooth_by(labels.visual, self.smoothing[VISUAL])
        parts = {
            "audio": clamped_bce(prediction.audio, audio),
            "visual": clamped_bce(prediction.visual, visual),
            "video": clamped_bce(prediction.video, self.video_target(labels)),
        }
        loss = torch.stack(list(parts.values())).sum()
        contrast = matching(similarity, *paired(audio, visual, partner))
        return {"loss": loss + self.weight * contrast, **parts, "contrastive": contrast}

    def video_target(self, labels: ModalityLabels) -> Tensor:
        """Returns what the fused probability learns (B, C)."""
        if self.config.video_target == "given":
            return labels.video
        return torch.maximum(labels.audio, labels.visual)


def smooth_by(labels: Tensor, keep: Tensor) -> Tensor:
    """Returns keep * labels + (1 - keep) / 2, ``keep`` being a tensor that a recording reads."""
    return keep * labels + (1 - keep) / 2


def paired(audio: Tensor, visual: Tensor, partner: Tensor | None) -> tuple[Tensor, Tensor]:
    """Returns what belongs to the tracks of the videos, then of the mixed pairs.

    Args:
        audio: Something of each audio track (B, ...).
        visual: Something of each picture (B, ...).
        partner: Whose picture each audio track of a mixed pair met (B,), None without such pairs.

    Returns:
        Both (2B, ...), or as they were.
    """
    if partner is None:
        return audio, visual
    return torch.cat([audio, audio]), torch.cat([visual, visual[partner]])


def similarities(
    extras: Mapping[str, Tensor],
    labels: ModalityLabels,
    config: Config,
    mask: Tensor | None = None,
) -> Tensor:
    """Compares every audio track with every picture.

    A track is the sum of its segments, weighted by a softmax over the time logits of its labels;
    without any label all segments weigh the same.

    Args:
        extras: Of the network.
        labels: Labels of the B videos, not smoothed.
        config: Temperature, and which embeddings to compare.
        mask: Which segments belong to their video (B, T), bool; all when None.

    Returns:
        Cosine similarities by temperature (N, N), audio tracks by pictures.
    """
    partner = extras.get("partner")
    audio, visual = paired(extras["audio_before"], extras["visual_before"], partner)
    if not config.audio_original:
        audio = _with_mixed(extras, "audio_after")
    if not config.visual_original:
        visual = _with_mixed(extras, "visual_after")
    logits = _with_mixed(extras, "time_logits")
    wanted = paired(labels.audio, labels.visual, partner)
    lasting = (None, None) if mask is None else paired(mask, mask, partner)
    tracks = [
        _track(rows, logits[:, :, modality], wanted[modality], lasting[modality])
        for modality, rows in ((AUDIO, audio), (VISUAL, visual))
    ]
    with torch.autocast(audio.device.type, enabled=False):
        return tracks[AUDIO] @ tracks[VISUAL].T / config.temperature


def matching(similarity: Tensor, audio: Tensor, visual: Tensor) -> Tensor:
    """How badly audio tracks find the pictures with which they share a class.

    Args:
        similarity: Logits (N, N), audio tracks by pictures.
        audio: Targets of the audio tracks (N, C); what is not 0 is a class of the track.
        visual: Targets of the pictures (N, C).

    Returns:
        A scalar: the mean over all tracks of the cross-entropy with the even distribution over
        their matches; a track without match adds 0. In one direction only, as released.
    """
    with torch.autocast(similarity.device.type, enabled=False):
        match = ((audio @ visual.T) > 0).double()
        target = match / (match.sum(1, keepdim=True) + 1e-10)
        loss = -(target * similarity.double().log_softmax(1)).sum(1).mean()
        return loss.to(similarity.dtype)


def _with_mixed(extras: Mapping[str, Tensor], name: str) -> Tensor:
    mixed = extras.get(f"mixed_{name}")
    return extras[name] if mixed is None else torch.cat([extras[name], mixed])


def _track(rows: Tensor, logits: Tensor, labels: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the unit vector of each track (N, hidden) of its segments (N, T, hidden)."""
    with torch.autocast(rows.device.type, enabled=False):
        own = torch.einsum("ntc,nc->nt", logits, labels.to(logits.dtype))
        weights = time_weights(own, mask)
        return functional.normalize(torch.einsum("nt,nth->nh", weights, rows), dim=1)
