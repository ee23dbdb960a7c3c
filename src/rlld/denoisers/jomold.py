"""JoMoLD: joint-modal label denoising (Cheng et al., ECCV 2022).

A label is suspect in one modality where its loss is large there and small in the other one. How
many labels of a class may be removed is estimated beforehand by a network without cross-modal
attention. The published code is ``main.py`` of MCG-NJU/JoMoLD (a7dc2d5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers.base import Context, Denoiser
from rlld.denoisers.weak import smooth
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.objectives._bce import EPSILON
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.config import Weight, Width
from rlld.utils.files import written_aside
from rlld.utils.foreign.arrays import open_arrays
from rlld.utils.foreign.damage import Told

RATIOS = Told(
    "no noise ratios in it",
    "expected an npz file with the arrays 'audio' and 'visual', one number per class",
)
POSITIVE = 0.5
"""A target above this is a label."""


@dataclass(frozen=True)
class Estimator:
    """The noise estimator and how noise is read off it (stages 1 and 2).

    Attributes:
        contrastive: Weight of the contrastive loss in its training; released: 1.
        audio_threshold: An audible label counts as noise where its probability is below this many
            times the mean probability of its class.
        visual_threshold: The same for a visible label.
        batch_size: Videos per batch of the class means. The released code averages the means of
            shuffled batches, the last of which is small and weighs as much as the others.
    """

    contrastive: Weight = 1.0
    audio_threshold: Weight = 0.6
    visual_threshold: Weight = 1.8
    batch_size: Width = 128


@dataclass(frozen=True)
class Config:
    """Options of JoMoLD.

    Attributes:
        audio_smoothing: s of the audio targets s * y + (1 - s) / 2; 1 keeps them hard.
        visual_smoothing: s of the visual targets; a removed label becomes 0 all the same.
        ratios: A ``noise_ratios.npz`` to read instead of training an estimator.
        estimator: The noise estimator.
        warm_up: How the ratios grow. ``released`` is what the published loop does: it ramps the
            ratios that it has ramped before, so that with ``warm_up_epochs`` of at most 1 nothing
            is removed in the first epoch and everything afterwards. ``linear`` is what was meant.
        warm_up_epochs: Epochs until the full ratios; one epoch is as many batches as the training
            split fills.
    """

    audio_smoothing: float = 1.0
    visual_smoothing: float = 0.9
    ratios: Path | None = None
    estimator: Estimator = field(default_factory=Estimator)
    warm_up: Literal["released", "linear", "none"] = "released"
    warm_up_epochs: float = 0.9

    def __post_init__(self) -> None:
        for name in ("audio_smoothing", "visual_smoothing"):
            value = getattr(self, name)
            # At 0 every target would be 1/2 and no label would be positive.
            if not 0 < value <= 1:
                raise RlldError(f"denoiser jomold: {name} must lie in (0, 1], found {value}")
        if self.warm_up_epochs <= 0:
            raise RlldError(
                "denoiser jomold: warm_up_epochs must be positive, found "
                f"{self.warm_up_epochs}; set warm_up to none to do without"
            )

    def build(self, spec: DataSpec) -> JoMoLD:
        """Builds the label source, which removes nothing until it was prepared."""
        return JoMoLD(self, len(spec.classes))


class Ratios(nn.Module):
    """Shares of wrong labels by class; a module so that a run folder holds them.

    Attributes:
        audio: Share of the audible labels of each class that are wrong (C,), float64.
        visual: The same of the visible ones.
    """

    audio: Tensor
    visual: Tensor

    def __init__(self, audio: Tensor, visual: Tensor) -> None:
        super().__init__()
        self.register_buffer("audio", audio)
        self.register_buffer("visual", visual)


class JoMoLD(Denoiser):
    """Removes, batch by batch, the labels whose losses disagree most between the modalities.

    Attributes:
        config: Its options.
        ratios: Largest share of the labels of a class to remove.
    """

    replayable = True
    wants_prediction = True
    unimodal_prediction = True

    def __init__(self, config: Config, classes: int) -> None:
        self.config = config
        zeros = torch.zeros(classes, dtype=torch.float64)
        self.ratios = Ratios(zeros, zeros.clone())
        self._videos = self._step = self._epoch = 0
        self._share = torch.ones((), dtype=torch.float64)
        self._removed = torch.zeros(2)

    def prepare(self, context: Context) -> None:
        """Reads the noise ratios, or trains the estimator and derives them."""
        self._videos = len(context.train)
        self._step = self._epoch = 0
        self._share = torch.ones((), dtype=torch.float64, device=context.device)
        self._removed = torch.zeros(2, device=context.device)
        classes = context.train.spec.classes
        if self.config.ratios is None:
            found = self._estimated(context)
        else:
            found = read_ratios(self.config.ratios, len(classes))
        self.ratios.load_state_dict(found.state_dict())
        self.ratios.to(context.device)

    def advance(self, videos: int) -> None:
        """Sets how much of the noise ratios applies in the step."""
        # The first batch is a full one and says how many fill an epoch.
        self._epoch = self._epoch or -(-self._videos // videos)
        length = self.config.warm_up_epochs
        self._share.fill_(warm_up(self.config.warm_up, self._step, self._epoch, length))
        self._step += 1

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns smoothed labels after removals.

        Args:
            batch: The videos.
            prediction: What the network being trained says of them without cross-modal
                attention, in training mode.
        """
        if prediction is None:
            raise RuntimeError("JoMoLD judges by the network's prediction")
        targets = self.targets(batch.labels)
        noise = torch.stack([self.ratios.audio, self.ratios.visual]) * self._share
        wrong = removals(targets, torch.stack([prediction.audio, prediction.visual]), noise)
        self._removed += wrong.sum((1, 2))
        audio, visual = targets.masked_fill(wrong, 0)
        return ModalityLabels(audio, visual, batch.labels)

    def targets(self, labels: Tensor) -> Tensor:
        """Returns the smoothed targets of weak labels, audio and visual (2, B, C)."""
        config = self.config
        return torch.stack(
            [smooth(labels, config.audio_smoothing), smooth(labels, config.visual_smoothing)]
        )

    def end_of_round(self) -> dict[str, Tensor]:
        """Returns how many labels were removed in the round."""
        counts = self._removed.clone()
        self._removed.zero_()
        return {f"removed_{name}": count for name, count in zip(MODALITIES, counts, strict=True)}

    def networks(self) -> dict[str, nn.Module]:
        """Returns the noise ratios."""
        return {"ratios": self.ratios}

    def state_dict(self) -> dict[str, Any]:
        """Returns the ratios, how far the warm-up is, and the counts of the round."""
        ratios = {name: value.clone() for name, value in self.ratios.state_dict().items()}
        return {
            "ratios": ratios,
            "step": self._step,
            "epoch": self._epoch,
            "removed": self._removed.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        self.ratios.load_state_dict(state["ratios"])
        self._step, self._epoch = state["step"], state["epoch"]
        self._removed.copy_(state["removed"])

    def _estimated(self, context: Context) -> Ratios:
        options = self.config.estimator
        labels = context.train.labels
        settings = {
            "objective.audio_weight": 1,
            "objective.visual_weight": 1,
            "objective.video_weight": 1,
            "objective.contrastive.weight": options.contrastive,
        }
        audio, visual = self.targets(labels)
        targets = ModalityLabels(audio, visual, labels)
        network = context.fit(targets, unimodal=True, settings=settings)
        generator = torch.Generator().manual_seed(context.seed)
        order = torch.randperm(len(labels), generator=generator).to(context.device)
        probability = _probabilities(network, context.train, options.batch_size)[:, order]
        ratios = noise_ratios(probability, self.targets(labels[order]), options)
        return Ratios(*ratios)


def removals(targets: Tensor, probability: Tensor, ratios: Tensor) -> Tensor:
    """Chooses the labels to remove in a batch (``train_label_denoising``).

    Of the n = trunc(ratio * positives) labels of a class with the largest loss in a modality,
    those go that are also among the n with the smallest loss in the other modality.

    Args:
        targets: Audio and visual targets (2, B, C); above 0.5 is a label.
        probability: Video-level probabilities (2, B, C).
        ratios: Share of wrong labels by modality and class (2, C), float64.

    Returns:
        Whether a label is removed (2, B, C), bool. Ties go by the order of the videos; they are
        undefined in the published code.
    """
    with torch.autocast(probability.device.type, enabled=False):
        clamped = probability.float().clamp(EPSILON, 1 - EPSILON)
        # Written out: PyTorch's function stops at a NaN before the loop can say at which step.
        loss = -targets * clamped.log() - (1 - targets) * (-clamped).log1p()
    positive = targets > POSITIVE
    count = positive.sum(1, keepdim=True)
    number = (ratios[:, None] * count).trunc()
    own = _ranks(loss, positive)
    other = _ranks(loss.flip(0), positive)
    return positive & (own >= count - number) & (other < number)


def _ranks(loss: Tensor, chosen: Tensor) -> Tensor:
    """Ranks the chosen values of each class, the smallest first; the others come behind them."""
    order = loss.masked_fill(~chosen, torch.inf).argsort(dim=1, stable=True)
    return order.argsort(dim=1)


def noise_ratios(probability: Tensor, targets: Tensor, options: Estimator) -> tuple[Tensor, Tensor]:
    """Derives the share of wrong labels of each class (``calculate_noise_ratio``).

    Args:
        probability: Video-level probabilities of the estimator (2, N, C), in the order in which
            the videos are put into batches.
        targets: Smoothed targets (2, N, C).
        options: Thresholds and batch size.

    Returns:
        Audio and visual ratios (C,), float64; 0 for a class without labels.
    """
    batches = torch.split(probability, options.batch_size, 1)
    mean = torch.stack([batch.mean(1) for batch in batches]).mean(0)
    relative = probability * targets / mean[:, None]
    thresholds = (options.audio_threshold, options.visual_threshold)
    limits = torch.tensor(thresholds, device=relative.device)[:, None, None]
    positive = targets > POSITIVE
    wrong = (positive & (relative < limits)).sum(1).double()
    audio, visual = wrong / positive.sum(1).clamp(min=1)
    return audio, visual


def warm_up(kind: str, step: int, epoch: int, length: float) -> float:
    """Returns the share of the noise ratios that applies at a step.

    Args:
        kind: ``released``, ``linear`` or ``none``, see ``Config``.
        step: Step of the run, 0-based.
        epoch: Batches of an epoch.
        length: Epochs until the full ratios.
    """
    if kind == "none":
        return 1.0
    if kind == "linear":
        return min(1.0, step / (length * epoch))
    # The released loop starts from the full ratios at each epoch and multiplies at each step.
    share = 1.0
    for passed in range(step - step % epoch, step + 1):
        share *= min(1.0, passed / (length * epoch))
    return share


def read_ratios(path: Path, classes: int) -> Ratios:
    """Reads a ``noise_ratios.npz`` as JoMoLD publishes it.

    Args:
        path: A file with the arrays ``audio`` and ``visual``, one ratio per class.
        classes: Number of classes.

    Raises:
        RlldError: If it cannot be read, holds anything else, or a value is no share.
    """
    arrays = open_arrays(path, RATIOS, MODALITIES)
    for name, array in arrays.items():
        if array.shape != (classes,):
            raise RlldError(
                f"{path}: array {name!r} has shape {str(array.shape)[:80]}, expected ({classes},), "
                "one ratio per class of the data set"
            )
    found = {name: np.asarray(array.read(), dtype=np.float64) for name, array in arrays.items()}
    for name, values in found.items():
        if not ((values >= 0) & (values <= 1)).all():
            raise RlldError(f"{path}: array {name!r} holds values outside [0, 1]; they are shares")
    return Ratios(*map(torch.from_numpy, found.values()))


def write_ratios(path: Path, ratios: Ratios) -> None:
    """Writes noise ratios as JoMoLD publishes them; ``read_ratios`` reads them back."""
    arrays = {name: getattr(ratios, name).cpu().numpy() for name in MODALITIES}
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, **arrays)


@torch.no_grad()
def _probabilities(network: Network, split: Split, batch_size: int) -> Tensor:
    """Returns the video-level probabilities without cross-modal attention (2, N, C)."""
    said = torch.zeros(2, *split.labels.shape, device=split.device)
    for batch in split.portions(batch_size):
        found = network.unimodal(batch.streams, batch.mask)
        said[:, batch.index] = torch.stack([found.audio, found.visual]).float()
    return said
