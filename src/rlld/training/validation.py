"""Validation videos, and what a network scores on them."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from rlld.data.split import Split
from rlld.metrics.gates import Gate
from rlld.metrics.scores import Scorer
from rlld.metrics.tags import TAGS, tag_score
from rlld.types import Prediction


class Validation:
    """Validation videos, and what can be measured on them.

    Args:
        split: The videos, on the run's device.
    """

    def __init__(self, split: Split) -> None:
        self.split = split

    def scores(self, prediction: Prediction, gate: Gate) -> dict[str, Tensor]:
        """Returns the ten scores, without dense annotation ``tags``, without videos nothing."""
        if not len(self.split):
            return {}
        if self.split.dense is None:
            return {TAGS: tag_score(prediction.video, self.split.labels)}
        return self.scorer(gate.apply(prediction))

    @cached_property
    def scorer(self) -> Scorer:
        """Made when first needed: no annotated video may be there to teach."""
        return Scorer(self.split.require_dense())
