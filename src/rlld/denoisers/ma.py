"""MA: labels for each modality by exchanging tracks (Wu and Yang, CVPR 2021).

A network is trained on the weak labels; then it judges every video with the picture of another
video, and with the sound of another one. A label that is not found any more when only the sound is
the video's own was not audible. The published code is Yu-Wu's (46c6fe2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers._exchange_file import read_exchange
from rlld.denoisers.base import Context, Denoiser
from rlld.denoisers.weak import require_smoothing, smooth
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import AUDIO, VISUAL, Batch, ModalityLabels, Prediction

THRESHOLD = 0.5
STREAM = 0x5EED_0004
"""Keeps the draws of partners apart from other draws of the seed."""
CHUNK = 256
"""Videos per forward pass of the exchange; it changes no number."""


@dataclass(frozen=True)
class Config:
    """Options of MA.

    Attributes:
        audio_smoothing: s of the audio targets s * y + (1 - s) / 2; 1 keeps them hard.
        visual_smoothing: s of the visual targets; a removed label becomes 0 all the same.
        exchange: A published ``need_to_change.pkl``, or our npz, to read instead of steps 1 and 2.
        keep_global_label: Whether a label that is removed from audio stays in the target of the
            fused probability. In the released code it does not: both are the same array there.
    """

    audio_smoothing: float = 1.0
    visual_smoothing: float = 0.9
    exchange: Path | None = None
    keep_global_label: bool = False

    def __post_init__(self) -> None:
        require_smoothing("denoiser ma", self)

    def build(self, spec: DataSpec) -> MA:
        """Builds the label source, which learns what to remove at the first step."""
        return MA(self, spec)


class Exchange(nn.Module):
    """What was removed from the training labels; a module so that a run folder holds it.

    Attributes:
        removed: Mask (2, N, C), bool: audio, visual; N is 0 until it is known.
    """

    removed: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("removed", torch.zeros(2, 0, classes, dtype=torch.bool))

    @property
    def known(self) -> bool:
        """Whether it is known what to remove."""
        return self.removed.shape[1] > 0

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # How many videos there are is known only from the file.
        found = state_dict.get(f"{prefix}removed")
        if isinstance(found, Tensor):
            self.removed = torch.zeros_like(found, device=self.removed.device)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class MA(Denoiser):
    """Removes the labels that a network does not find once the other track is another video's.

    Attributes:
        config: Its options.
        exchange: The labels that it removes.
    """

    replayable = True
    networks_are_fixed = True

    def __init__(self, config: Config, spec: DataSpec) -> None:
        self.config = config
        self.exchange = Exchange(len(spec.classes))
        self._context: Context | None = None

    def prepare(self, context: Context) -> None:
        """Reads the labels to remove, or leaves them to the first step."""
        self._context = context
        self.exchange.to(context.device)
        if self.config.exchange is not None:
            labels = context.train.labels
            removed = read_exchange(self.config.exchange, *labels.shape).to(context.device)
            _require_labelled(self.config.exchange, removed, context.train)
            self.exchange.removed = removed

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the targets of step 3; the prediction is not looked at."""
        if not self.exchange.known:
            self.exchange.removed = self._exchanged()
        return targets(batch.labels, self.exchange.removed[:, batch.index], self.config)

    def training_keep(self) -> Tensor | None:
        """Returns 1 for the training labels that stayed and 0 for the others (N, 2, C)."""
        return (~self.exchange.removed.transpose(0, 1)).float() if self.exchange.known else None

    def networks(self) -> dict[str, nn.Module]:
        """Returns the labels that were removed."""
        return {"exchange": self.exchange}

    def state_dict(self) -> dict[str, Any]:
        """Returns the labels to remove; nothing before the first step."""
        return {"removed": self.exchange.removed.clone()} if self.exchange.known else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        if state:
            self.exchange.load_state_dict(state)

    @torch.no_grad()
    def _exchanged(self) -> Tensor:
        if self._context is None:
            raise RuntimeError("revise came before prepare")
        train, seed = self._context.train, self._context.seed
        nothing = torch.zeros_like(train.labels, dtype=torch.bool).expand(2, -1, -1)
        network = self._context.fit(targets(train.labels, nothing, self.config))
        generator = torch.Generator().manual_seed((seed * 1_000_003) ^ STREAM)
        partner, alone = partners(train.labels, generator)
        own = _probabilities(network, train)
        error = class_error(own, train.labels)
        foreign_sound = _probabilities(network, train, audio=partner)
        foreign_picture = _probabilities(network, train, visual=partner)
        removed = removals(train.labels, error, foreign_sound, foreign_picture)
        return removed & ~alone[:, None]


def targets(labels: Tensor, removed: Tensor, config: Config) -> ModalityLabels:
    """Returns the targets of a training on labels of which some were removed.

    Args:
        labels: Weak labels (B, C).
        removed: Mask (2, B, C), bool: audio, visual. The target of a removed label is exactly 0,
            whereas classes that are not labelled keep their smoothed value.
        config: Smoothing, and whether the fused target follows the audio labels.
    """
    removed = removed & labels.bool()
    audio = smooth(labels, config.audio_smoothing).masked_fill(removed[AUDIO], 0)
    visual = smooth(labels, config.visual_smoothing).masked_fill(removed[VISUAL], 0)
    video = labels if config.keep_global_label else labels.masked_fill(removed[AUDIO], 0)
    return ModalityLabels(audio, visual, video)


def class_error(probability: Tensor, labels: Tensor) -> Tensor:
    """Returns how often the decision on a class differs from its weak label.

    Args:
        probability: Video-level probabilities of the videos themselves (2, N, C).
        labels: Weak labels (N, C).

    Returns:
        Shares (2, C).
    """
    right = (probability > THRESHOLD) == labels.bool()
    return 1 - right.to(probability.dtype).mean(1)


def removals(
    labels: Tensor, error: Tensor, foreign_sound: Tensor, foreign_picture: Tensor
) -> Tensor:
    """Chooses the labels to remove (``estimate_label``).

    With k_m = error_m / max error_m, a label goes from visual where both probabilities under
    foreign sound are below k_visual / 2, and from audio where both under a foreign picture are
    below k_audio / 2. The two decisions are independent.

    Args:
        labels: Weak labels (N, C).
        error: Errors by class (2, C). A class without error loses no label.
        foreign_sound: Probabilities (2, N, C) of own picture with another video's sound.
        foreign_picture: Probabilities (2, N, C) of own sound with another video's picture.

    Returns:
        Mask (2, N, C), bool: audio, visual.
    """
    relative = error / error.amax(1, keepdim=True)
    # Divided, not multiplied out: 0 / 0 is NaN and a probability over 0 infinite, neither is low.
    low = torch.stack([foreign_picture, foreign_sound]) / relative[:, None, None] < THRESHOLD
    return low.all(1) & labels.bool()


def partners(labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws for each video another one with which it shares no label, uniformly.

    Args:
        labels: Weak labels (N, C).
        generator: The source of chance, on the CPU.

    Returns:
        Indices (N,), and whether there is no such video (N,), bool; the index is then its own.
    """
    draws = torch.rand(len(labels), generator=generator, dtype=torch.float64).to(labels.device)
    everyone = torch.arange(len(labels), device=labels.device)
    chosen, alone = [], []
    for rows in torch.split(everyone, CHUNK):
        allowed = labels[rows] @ labels.T == 0
        # A video without any label shares none with itself.
        allowed[torch.arange(len(rows), device=rows.device), rows] = False
        count = allowed.cumsum(1)
        rank = (draws[rows, None] * count[:, -1:]).floor() + 1
        found = (allowed & (count == rank)).int().argmax(1)
        none = count[:, -1] == 0
        chosen.append(torch.where(none, rows, found))
        alone.append(none)
    return torch.cat(chosen), torch.cat(alone)


def _probabilities(
    network: Network, split: Split, audio: Tensor | None = None, visual: Tensor | None = None
) -> Tensor:
    """Returns video-level probabilities (2, N, C), with tracks of other videos where given."""
    said = torch.zeros(2, *split.labels.shape, device=split.device)
    for batch in split.portions(CHUNK):
        streams = dict(batch.streams)
        for names, source in ((("audio",), audio), (("visual_2d", "visual_3d"), visual)):
            if source is not None:
                other = split.batch(source[batch.index])
                foreign = {n: other.streams[n] for n in names if n in streams}
                streams |= {n: _lasting(rows, other, batch) for n, rows in foreign.items()}
        found = network(streams, batch.mask)
        said[:, batch.index] = torch.stack([found.audio, found.visual]).float()
    return said


def _lasting(rows: Tensor, other: Batch, batch: Batch) -> Tensor:
    """Lets tracks (B, T, D) of others last as long as the videos of a batch: cut, or repeated."""
    if other.mask is None and batch.mask is None and other.segments == batch.segments:
        return rows
    everyone = torch.arange(len(rows), device=rows.device)
    lengths = torch.full_like(everyone, other.segments)
    if other.mask is not None:
        lengths = other.mask.sum(1)
    place = torch.arange(batch.segments, device=rows.device) % lengths[:, None]
    return rows[everyone[:, None], place]


def _require_labelled(path: Path, removed: Tensor, train: Split) -> None:
    wrong = (removed & ~train.labels.bool()).nonzero()
    if len(wrong):
        _, video, label = wrong[0].tolist()
        raise RlldError(
            f"{path}: removes {train.spec.classes[label]} from training video {video} "
            f"({train.ids[video]}), which is not labelled with it; it belongs to another training "
            "split or another order of its videos"
        )
