"""No denoising: the weak labels themselves, optionally smoothed, as HAN trains on them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.denoisers.base import Denoiser
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config:
    """Label smoothing per modality: a target becomes s * y + (1 - s) / 2.

    Attributes:
        audio_smoothing: s of the audio targets, in [0, 1]; 1 keeps them hard.
        visual_smoothing: s of the visual targets (HAN: 0.9).
    """

    audio_smoothing: float = 1.0
    visual_smoothing: float = 1.0

    def __post_init__(self) -> None:
        require_smoothing("denoiser weak", self)

    def build(self, spec: DataSpec) -> WeakLabels:
        """Builds the label source; it needs to know nothing of the data set."""
        return WeakLabels(self)


class WeakLabels(Denoiser):
    """Gives every modality the labels of the video; the fused target stays hard.

    Attributes:
        config: The smoothing.
    """

    replayable = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the (smoothed) weak labels; the prediction is not looked at."""
        return ModalityLabels(
            smooth(batch.labels, self.config.audio_smoothing),
            smooth(batch.labels, self.config.visual_smoothing),
            batch.labels,
        )


def require_smoothing(where: str, config: object) -> None:
    """Raises RlldError unless the smoothing of both modalities lies in [0, 1].

    Args:
        where: Whose options these are, for the message.
        config: Options with ``audio_smoothing`` and ``visual_smoothing``.
    """
    for name in ("audio_smoothing", "visual_smoothing"):
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise RlldError(f"{where}: {name} must lie in [0, 1], found {value}")


def smooth(labels: Tensor, keep: float) -> Tensor:
    """Returns keep * labels + (1 - keep) / 2 (``main_avvp.py: train`` of HAN)."""
    return labels if keep == 1 else keep * labels + (1 - keep) / 2
