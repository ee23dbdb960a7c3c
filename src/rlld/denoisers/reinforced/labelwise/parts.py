"""Everything that a run folder keeps of the labelwise learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlld.denoisers.reinforced.labelwise.evidence import States
from rlld.denoisers.reinforced.labelwise.judge import Judge
from rlld.denoisers.reinforced.labelwise.worlds import WORLDS, Fit


class Parts(nn.Module):
    """Everything that a run folder keeps.

    Attributes:
        states: Networks trained on the bare tags.
        judges: Policies that read features.
        plain: The policy that reads evidence alone.
        uses_features: Whether ``judges`` decide, else ``plain``.
        taught: Which (modality, class) annotation teaches, 1 or 0 (2, C), LENT where the rate is
            borrowed; those of 0 are spared.
        rates: Shares of the labels that are taken to be wrong where nobody looked (2, C), zeros
            where annotation says it.
        worlds: How probable what other data sets say is in each track (2, 3), see ``worlds.Fit``.
        cutoffs: Logits below which a label is removed (2, C), zero unless priors set them.
        keep: Keep probabilities of the training labels (N, 2, C), empty before they are known.
    """

    uses_features: Tensor
    taught: Tensor
    rates: Tensor
    worlds: Tensor
    cutoffs: Tensor
    keep: Tensor

    def __init__(self, states: States, judges: Sequence[Judge], plain: Judge, classes: int) -> None:
        super().__init__()
        self.states, self.plain = states, plain
        self.judges = nn.ModuleList(judges)
        self.register_buffer("uses_features", torch.zeros(1))
        self.register_buffer("taught", torch.ones(2, classes))
        self.register_buffer("rates", torch.zeros(2, classes))
        self.register_buffer("worlds", torch.zeros(2, len(WORLDS)))
        self.register_buffer("cutoffs", torch.zeros(2, classes))
        self.register_buffer("keep", torch.zeros(0, 2, classes))

    @property
    def policies(self) -> list[Judge]:
        """The policies that read features."""
        return [judge for judge in self.judges if isinstance(judge, Judge)]

    @property
    def fit(self) -> Fit:
        """What is supposed without annotation."""
        return Fit(self.rates, self.worlds)

    def suppose(self, fit: Fit) -> None:
        """Keeps what is supposed without annotation."""
        self.rates.copy_(fit.rates)
        self.worlds.copy_(fit.worlds)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # The number of training videos is known only now.
        keep = state_dict.get(f"{prefix}keep")
        if keep is not None:
            self.keep = self.keep.new_empty(keep.shape)
        # Runs of earlier versions lack them; nothing that is still to be decided reads them.
        for name in ("rates", "worlds"):
            state_dict.setdefault(f"{prefix}{name}", getattr(self, name))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
