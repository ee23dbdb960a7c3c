"""CoLeaF's objective: networks of one modality teach the task network, as far as they know better.

Two small references, one that hears and one that sees, learn the same labels beside the task
network and it learns from them: which segments go together in a video with events of one modality
alone, and which classes are found together (Sardari et al., ECCV 2024; ``main.py`` and
``utils/eval_metrics.py`` of faeghehsardari/coleaf, a36a153). They are used in training only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks._reference import AudioReference, Said, VisualReference
from rlld.objectives import cmpae
from rlld.objectives._bce import EPSILON
from rlld.objectives._contrastive import matching_loss, similarity
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight, require_positive

HIDDEN = 512
MARGIN = 0.05
"""A probability of absence counts as larger by so much."""
LEAST = 1e-8
"""Logarithms are of at least this."""


class Rule(NamedTuple):
    """What the released code has for one modality.

    Attributes:
        early: Weights in the first rounds: of the labels for the pooled probabilities, of the
            labels for those of the class tokens, of labels that the task network agrees with.
        late: The same afterwards.
        agreed: Probability from which on the task network agrees.
        sure: Probabilities of a reference at most and at least so large teach.
    """

    early: tuple[float, float, float]
    late: tuple[float, float, float]
    agreed: float
    sure: tuple[float, float]


RULES = {
    "audio": Rule((1.0, 1.2, 0.0), (0.5, 0.001, 0.5), 0.5, (0.1, 0.8)),
    "visual": Rule((1.0, 1.0, 0.0), (0.5, 0.0, 0.5), 0.6, (0.4, 0.6)),
}
KNOWN = 0.5
"""A reference finds a class from this probability on, where it is asked what is there alone."""


@dataclass(frozen=True)
class Config(cmpae.Config):
    """Weights of the parts, as released.

    Attributes:
        audio_weight: Weight of the audio term.
        visual_weight: Weight of the visual term.
        video_weight: Weight of the fused video-level term.
        audio_contrast: Weight of the contrast between the segments of the reference that hears
            and those of the task network.
        visual_contrast: The same for the one that sees.
        audio_classes: Weight of the distance between which classes are heard together.
        visual_classes: The same for what is seen.
        released_factor: Whether that distance is multiplied by the number of videos, as it is
            released; otherwise it is divided by it, which was probably meant.
        alone: Rounds at the beginning in which the task network does not listen to the references.
        early: Rounds at the beginning in which the references do not listen to the task network.
        hidden: Width of the references; that of the task network when None.

    Raises:
        RlldError: If a number of rounds is negative or ``hidden`` is not positive.
    """

    audio_weight: Weight = 2.0
    visual_weight: Weight = 1.0
    video_weight: Weight = 2.0
    audio_contrast: Weight = 0.009
    visual_contrast: Weight = 1.0
    audio_classes: Weight = 1e-4
    visual_classes: Weight = 1e-4
    released_factor: bool = True
    alone: int = 1
    early: int = 3
    hidden: int | None = None

    def __post_init__(self) -> None:
        require_positive("objective coleaf: ", self, "hidden")
        if self.alone < 0 or self.early < 0:
            raise RlldError(
                "objective coleaf: alone and early are rounds and must not be negative, found "
                f"{self.alone} and {self.early}"
            )

    @property
    def needs(self) -> frozenset[str]:
        """What CMPAE's objective needs, and the embeddings of the contrasts."""
        compared = {f"{name}_after" for name in MODALITIES if getattr(self, f"{name}_contrast")}
        return super().needs | compared

    def build(self, spec: DataSpec) -> CoLeaFObjective:
        """Builds the objective with its references."""
        return CoLeaFObjective(self, spec)


@Config.makes
class CoLeaFObjective(cmpae.CMPAEObjective):
    """CMPAE's losses, and what the references teach.

    Attributes:
        config: The weights.
        references: The network that hears and the one that sees; moved by ``leading``.
    """

    config: Config

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config)
        hidden = config.hidden or HIDDEN
        self.references = nn.ModuleDict(
            {"audio": AudioReference(hidden, spec), "visual": VisualReference(hidden, spec)}
        )

    def leading(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns the loss of each reference."""
        late = self.round >= self.config.early
        losses = {}
        for name, rule in RULES.items():
            said: Said = self.references[name](batch.streams, batch.mask)
            target, believed = getattr(labels, name), getattr(prediction, name).detach()
            agreed = (believed >= rule.agreed) * target
            pairs = ((said.video, target), (said.tokens, target), (said.video, agreed))
            terms = torch.stack([asymmetric_loss(*pair) for pair in pairs])
            early, after = (
                sum(weight * term for weight, term in zip(weights, terms, strict=True))
                for weights in (rule.early, rule.late)
            )
            losses[f"{name}_reference"] = torch.where(late, after, early)
        return losses

    def forward(
        self, prediction: Prediction, labels: ModalityLabels, batch: Batch
    ) -> dict[str, Tensor]:
        """Returns ``loss`` and its unweighted parts, only those that are used.

        Raises:
            RlldError: If the references are not as wide as the task network.
        """
        losses = super().forward(prediction, labels, batch)
        with torch.no_grad():
            said = {name: self.references[name](batch.streams, batch.mask) for name in MODALITIES}
        listens, loss = self.round >= self.config.alone, losses["loss"]
        for name in MODALITIES:
            for part, value in self._taught(name, said, prediction, labels).items():
                losses[f"{name}_{part}"] = value
                loss = loss + listens * getattr(self.config, f"{name}_{part}") * value
        return {**losses, "loss": loss}

    def _taught(
        self, name: str, said: dict[str, Said], prediction: Prediction, labels: ModalityLabels
    ) -> dict[str, Tensor]:
        """Returns what the task network learns from the reference of a modality."""
        config, own = self.config, said[name]
        losses = {}
        if getattr(config, f"{name}_contrast"):
            rows = prediction.extras[f"{name}_after"]
            if rows.shape[-1] != own.rows.shape[-1]:
                raise RlldError(
                    f"objective coleaf: its references are {own.rows.shape[-1]} wide and the "
                    f"embeddings of the network {rows.shape[-1]}; set objective.hidden to that"
                )
            options = config.contrastive
            logits = similarity(own.rows, rows, options.temperature)
            weight = share_alone(own.video, said[_other(name)].video)
            losses["contrast"] = matching_loss(
                logits, "log_mixture", options.smoothing, prediction.mask, weight
            )
        if getattr(config, f"{name}_classes"):
            student = getattr(prediction, name).clamp(EPSILON, 1 - EPSILON)
            low, high = RULES[name].sure
            sure = (own.video >= high) | (own.video <= low)
            teacher = torch.lerp(student.detach(), own.video, sure * getattr(labels, name))
            losses["classes"] = class_distance(student, teacher, config.released_factor)
        return losses


def asymmetric_loss(probability: Tensor, target: Tensor) -> Tensor:
    """How far probabilities are from targets; what is nearly right counts little.

    Args:
        probability: (B, C).
        target: In [0, 1], of that shape.

    Returns:
        The sum over all cells, a scalar (``AsymmetricLoss`` with both exponents 1).
    """
    absence = (1 - probability + MARGIN).clamp(max=1)
    entropy = target * probability.clamp(min=LEAST).log()
    entropy = entropy + (1 - target) * absence.clamp(min=LEAST).log()
    right = (probability * target + absence * (1 - target)).detach()
    return -(entropy * (1 - right)).sum()


def share_alone(own: Tensor, other: Tensor) -> Tensor:
    """Returns what share of the classes found in a modality the other one lacks (B,).

    Args:
        own: Probabilities in the modality (B, C).
        other: In the other one.

    Returns:
        In [0, 1]; 0 where nothing is found.
    """
    found, there = own >= KNOWN, other >= KNOWN
    return (found & ~there).sum(1).to(own.dtype) / found.sum(1).clamp(min=1)


def class_distance(student: Tensor, teacher: Tensor, released: bool = True) -> Tensor:
    """How far apart two say that classes come together in a video (``cc_loss``).

    Args:
        student: Probabilities (B, C).
        teacher: Probabilities (B, C); no gradient goes there.
        released: Whether the sum over the videos is multiplied by their number, not divided.

    Returns:
        A scalar: squared differences of the products of every two classes, over C.
    """
    taught = teacher.detach()
    apart = taught[:, :, None] * taught[:, None] - student[:, :, None] * student[:, None]
    videos, classes = student.shape
    return apart.square().sum() / classes * (videos if released else 1 / videos)


def _other(name: str) -> str:
    return MODALITIES[1 - MODALITIES.index(name)]
