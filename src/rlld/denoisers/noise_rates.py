"""How many labels are wrong: what Co-teaching+ and JoCoR need to know; no label is changed.

Their objectives drop that share of the labels, those with the largest losses. Unless given, the
shares are the means over the classes of JoMoLD's noise ratios.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.denoisers import jomold
from rlld.denoisers.base import Context, Denoiser
from rlld.denoisers.weak import smooth
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.objectives._small_loss import RATES
from rlld.types import Batch, ModalityLabels, Prediction


@dataclass(frozen=True)
class Config:
    """Options of the shares of wrong labels.

    Attributes:
        audio: Share of the audible labels that are wrong, in [0, 1); estimated when None.
        visual: The same of the visible ones.
        ratios: A ``noise_ratios.npz`` of JoMoLD to read instead of training its estimator.
        estimator: JoMoLD's noise estimator.
        audio_smoothing: s of the audio targets s * y + (1 - s) / 2; 1 keeps them hard.
        visual_smoothing: s of the visual targets.
    """

    audio: float | None = None
    visual: float | None = None
    ratios: Path | None = None
    estimator: jomold.Estimator = field(default_factory=jomold.Estimator)
    audio_smoothing: float = 1.0
    visual_smoothing: float = 1.0

    def __post_init__(self) -> None:
        for name in ("audio", "visual"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise RlldError(f"denoiser noise_rates: {name} must lie in [0, 1), found {value}")
        for name in ("audio_smoothing", "visual_smoothing"):
            value = getattr(self, name)
            # At 0 every target would be 1/2 and no label would be positive.
            if not 0 < value <= 1:
                raise RlldError(f"denoiser noise_rates: {name} must lie in (0, 1], found {value}")

    def build(self, spec: DataSpec) -> NoiseRates:
        """Builds the label source, which learns the shares at the first step."""
        return NoiseRates(self, len(spec.classes))


class Rates(nn.Module):
    """Shares of wrong labels; a module so that a run folder holds them.

    Attributes:
        rates: Audio and visual (2,), float64.
    """

    rates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rates", torch.zeros(2, dtype=torch.float64))


class NoiseRates(Denoiser):
    """Gives every modality the labels of the video, and the objective the shares of wrong ones.

    Attributes:
        config: Its options.
        shares: The shares.
    """

    replayable = True
    networks_are_fixed = True

    def __init__(self, config: Config, classes: int) -> None:
        self.config, self.classes = config, classes
        self.shares = Rates()
        self._known = False
        self._context: Context | None = None

    def prepare(self, context: Context) -> None:
        """Remembers what to estimate from; that is done at the first step."""
        self._context = context
        self.shares.to(context.device)

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the (smoothed) weak labels, with the shares among the extras."""
        if not self._known:
            self.shares.rates.copy_(self._learnt())
            self._known = True
        return ModalityLabels(
            smooth(batch.labels, self.config.audio_smoothing),
            smooth(batch.labels, self.config.visual_smoothing),
            batch.labels,
            extras={RATES: self.shares.rates},
        )

    def networks(self) -> dict[str, nn.Module]:
        """Returns the shares."""
        return {"shares": self.shares}

    def state_dict(self) -> dict[str, Any]:
        """Returns the shares; nothing before the first step."""
        return {"rates": self.shares.rates.clone()} if self._known else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        if state:
            self.shares.load_state_dict(state)
            self._known = True

    def _learnt(self) -> Tensor:
        given = (self.config.audio, self.config.visual)
        if None not in given:
            return torch.tensor(given, dtype=torch.float64)
        if self._context is None:
            raise RuntimeError("revise came before prepare")
        options = jomold.Config(ratios=self.config.ratios, estimator=self.config.estimator)
        source = jomold.JoMoLD(options, self.classes)
        source.prepare(replace(self._context, fit=_plainly(self._context)))
        means = torch.stack([source.ratios.audio.mean(), source.ratios.visual.mean()])
        for number, share in enumerate(given):
            if share is not None:
                means[number] = share
        return means


def _plainly(context: Context) -> Any:
    """Returns the loop's ``fit`` with the usual objective: the estimator is no pair of learners."""

    def fit(
        labels: ModalityLabels,
        share: float = 1.0,
        videos: Tensor | None = None,
        unimodal: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> Network:
        chosen = {"objective": "mil", **(settings or {})}
        return context.fit(labels, share, videos, unimodal, chosen)

    return fit
