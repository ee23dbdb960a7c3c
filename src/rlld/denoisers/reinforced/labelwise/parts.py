"""Everything that a run folder keeps of the labelwise learner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlld.denoisers.reinforced.labelwise.evidence import States
from rlld.denoisers.reinforced.labelwise.judge import Judge


class Parts(nn.Module):
    """Everything that a run folder keeps.

    Attributes:
        states: Networks trained on the bare tags.
        judges: Policies that read features.
        plain: The policy that reads evidence alone.
        uses_features: Whether ``judges`` decide, else ``plain``.
        taught: Which (modality, class) annotation teaches, 1 or 0 (2, C), LENT where the rate is
            borrowed; those of 0 are spared.
        cutoffs: Logits below which a label is removed (2, C), zero unless priors set them.
        keep: Keep probabilities of the training labels (N, 2, C), empty before they are known.
    """

    uses_features: Tensor
    taught: Tensor
    cutoffs: Tensor
    keep: Tensor

    def __init__(self, states: States, judges: Sequence[Judge], plain: Judge, classes: int) -> None:
        super().__init__()
        self.states, self.plain = states, plain
        self.judges = nn.ModuleList(judges)
        self.register_buffer("uses_features", torch.zeros(1))
        self.register_buffer("taught", torch.ones(2, classes))
        self.register_buffer("cutoffs", torch.zeros(2, classes))
        self.register_buffer("keep", torch.zeros(0, 2, classes))

    @property
    def policies(self) -> list[Judge]:
        """The policies that read features."""
        return [judge for judge in self.judges if isinstance(judge, Judge)]

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # The number of training videos is known only now.
        keep = state_dict.get(f"{prefix}keep")
        if keep is not None:
            self.keep = self.keep.new_empty(keep.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
