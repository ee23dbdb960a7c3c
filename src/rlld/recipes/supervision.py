"""How much annotated videos teach in every step of a training on weak labels."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlld.errors import RlldError
from rlld.utils.config import YOUNG, Share, Weight, Width


@dataclass(frozen=True)
class Supervision:
    """How much the reward (validation) videos teach the task network directly.

    Attributes:
        weight: Weight of the dense loss in every step; 0 leaves it out.
        batch_size: Annotated videos per step; all where there are fewer.
        mixing: Share of them that teach with the pictures of another one; their events are known
            in each modality, so every pair of tracks is one more annotated video.

    Raises:
        RlldError: If a value is out of range.
    """

    weight: Weight = 0.0
    batch_size: Width = 128
    mixing: Share = field(default=0.0, metadata=YOUNG)

    def __post_init__(self) -> None:
        if self.weight < 0 or self.batch_size < 1:
            raise RlldError(
                "supervision: weight must not be negative and batch_size must be positive, found "
                f"{self.weight} and {self.batch_size}"
            )
