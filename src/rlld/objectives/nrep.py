"""NREP's objective: each of two networks learns evidence of presence and of absence.

Jiang et al., IEEE TNNLS 2024; ``main.py`` and ``nets/criterion.py`` of CFM-MSG/Code_NREP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from rlld.networks.nrep import NETS, SAID, strength
from rlld.objectives import base
from rlld.objectives._bce import clamped_bce, segment_rows
from rlld.objectives._contrastive import Contrastive
from rlld.objectives.base import Objective
from rlld.types import AUDIO, MODALITIES, VISUAL, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight


@dataclass(frozen=True)
class Config(base.Config):
    """Options of the loss; the defaults are those of the released ``run.sh``.

    Attributes:
        evidential: Whether evidence is learned as the paper has it, by the likelihood of its
            Dirichlet distribution (``--loss_type log --uncertain``). The released training takes
            the cross-entropy of a softmax over presence and absence.
        audio_weight: Weight of audio among the segments, and in the audio network among the
            modalities; the picture there has 1.
        visual_weight: Weight of the picture in the video network among the modalities; audio
            there has 1.
        modality_weight: Weight of the video level of the modalities.
        joint_weight: Weight of the branch over both modalities.
        consistency_weight: Weight of the distance between the attention of both branches.
        contrastive: The contrast between the segments of a video.
    """

    evidential: bool = False
    audio_weight: Weight = 2.0
    visual_weight: Weight = 3.0
    modality_weight: Weight = 1.0
    joint_weight: Weight = 0.01
    consistency_weight: Weight = 0.01
    contrastive: Contrastive = field(default_factory=lambda: Contrastive(1.0))

    @property
    def needs(self) -> frozenset[str]:
        """What both networks say, and what the contrast compares."""
        return frozenset(f"{net}.{name}" for net in NETS for name in SAID | self.contrastive.needs)


@Config.makes
class NREPObjective(Objective):
    """The sum of the losses of both networks, neither of which reaches the other.

    A label source without segment targets leaves out what is said of segments.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts, each the sum over both networks."""
        audio, video = (self.parts(net, prediction, labels) for net in NETS)
        parts = {name: audio[name] + video[name] for name in audio}
        return {"loss": self.total(parts), **parts}

    def total(self, parts: dict[str, Tensor]) -> Tensor:
        """Returns the weighted sum of parts."""
        config = self.config
        weights = {
            "segment": 1.0,
            "modality": config.modality_weight,
            "joint": config.joint_weight,
            "consistency": config.consistency_weight,
            "contrastive": config.contrastive.weight,
        }
        return torch.stack([weights[name] * part for name, part in parts.items()]).sum()

    def parts(self, net: str, prediction: Prediction, labels: ModalityLabels) -> dict[str, Tensor]:
        """Returns the unweighted parts of the loss of one network.

        Args:
            net: Which one, of ``NETS``.
            prediction: What both say.
            labels: The targets.
        """
        config, mask = self.config, prediction.mask
        said = {
            name.removeprefix(f"{net}."): value
            for name, value in prediction.extras.items()
            if name.startswith(f"{net}.")
        }
        hears = net == NETS[AUDIO]
        weights = (config.audio_weight, 1.0) if hears else (1.0, config.visual_weight)
        modality = said["modality_evidence"].unbind(1)
        heard, seen = (
            self.loss(own, getattr(labels, name))
            for own, name in zip(modality, MODALITIES, strict=True)
        )
        parts = {
            "modality": weights[AUDIO] * heard + weights[VISUAL] * seen,
            "joint": self.loss(said["video_evidence"], labels.video),
            "consistency": inconsistency(said["segment_weights"], said["joint_weights"], mask),
        }
        if labels.segment is not None:
            evidence = segment_rows(said["segment_evidence"], mask).unbind(1)
            target = segment_rows(labels.segment, mask).unbind(1)
            heard, seen = (
                self.loss(own, wanted, presence_alone=True)
                for own, wanted in zip(evidence, target, strict=True)
            )
            parts["segment"] = config.audio_weight * heard + seen
            both = labels.segment.prod(2) * labels.video[:, None]
            joint = segment_rows(said["joint_evidence"], mask)
            parts["joint"] = parts["joint"] + self.loss(joint, segment_rows(both, mask))
        if config.contrastive.weight:
            parts["contrastive"] = config.contrastive.loss(replace(prediction, extras=said))
        return parts

    def loss(self, evidence: Tensor, target: Tensor, presence_alone: bool = False) -> Tensor:
        """Returns how badly evidence fits its target, a scalar.

        Args:
            evidence: Logits of presence and absence (R, C, 2).
            target: (R, C) in [0, 1].
            presence_alone: Whether absence has no term of its own; the evidential loss knows no
                such difference, as released.
        """
        target = target.to(evidence.dtype)
        wanted = torch.stack([target, 1 - target], -1)
        with torch.autocast(evidence.device.type, enabled=False):
            if self.config.evidential:
                return evidential_loss(evidence, wanted)
            said = evidence.softmax(-1)
            if presence_alone:
                return clamped_bce(said[..., 0], target, epsilon=0.0)
            return 2 * clamped_bce(said, wanted, epsilon=0.0)


def evidential_loss(evidence: Tensor, wanted: Tensor) -> Tensor:
    """Returns the negative log-likelihood of targets under Dirichlet distributions, a scalar.

    Args:
        evidence: Logits of presence and absence (R, C, 2).
        wanted: Their targets (R, C, 2).

    Returns:
        The mean over R of the sum over C, as released.
    """
    alpha = strength(evidence) + 1
    surprise = alpha.sum(-1, keepdim=True).log() - alpha.log()
    return (wanted * surprise).sum((-2, -1)).mean()


def inconsistency(segment: Tensor, joint: Tensor, mask: Tensor | None) -> Tensor:
    """Returns how far the attention of the modalities is from that of the joint branch, a scalar.

    A bound of the Jensen-Shannon divergence (``MutualLearningLoss``), summed over presence and
    absence.

    Args:
        segment: Weights of the segments of either modality (B, T, 2, C, 2).
        joint: Weights of the joint branch (B, T, C, 2).
        mask: Which segments belong to their video (B, T), bool; all when None.
    """
    larger = segment.max(2).values
    apart = functional.softplus(larger) + functional.softplus(-joint) - 2 * math.log(2)
    return segment_rows(apart, mask).mean((0, 1)).sum()
