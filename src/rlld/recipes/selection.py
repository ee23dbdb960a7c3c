"""Which weights a run keeps: the best on validation by a named score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rlld.errors import RlldError
from rlld.metrics.scores import EXCLUSIVE, MOMENT, require_score


@dataclass(frozen=True)
class Selection:
    """The rule that picks the kept weights.

    Attributes:
        score: A score by name (``segment_type``), several joined by ``+``, ``mean`` of the ten,
            or ``last`` to keep the weights of the last round. With ``exclusive_`` before it, it is
            that of what is heard or seen alone; ``moment_audio``, ``moment_visual`` and
            ``moment_audio_visual`` are of ``metrics.moments``. Without dense annotation see
            ``rlld.training.validation.possible``.
        ties: Whether the earlier or the later of equal rounds is kept.
        reward_share: Share of the validation videos that may reward or teach a denoiser. At 1
            the same videos reward and select, as in the paper; below 1 the rest selects and no
            video does both.
        annotated: Which validation videos count as annotated and may reward or teach: how many,
            drawn by the seed, or their ids; all when None. What the others show is only watched,
            so that the weights of the last round are kept.
        parts: Parts of the network that are kept from the round that is best by a score of their
            own: the score by the name of the part. All others go by ``score``.

    Raises:
        RlldError: If a value is out of range, or ``annotated`` goes with a score that would look
            at the other videos.
    """

    score: str = "segment_type"
    ties: Literal["earlier", "later"] = "later"
    reward_share: float = 1.0
    annotated: int | tuple[str, ...] | None = None
    parts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.reward_share <= 1:
            raise RlldError(f"selection.reward_share must lie in (0, 1], found {self.reward_share}")
        if self.annotated is None:
            return
        if isinstance(self.annotated, int) and self.annotated < 0:
            raise RlldError(f"selection.annotated must be 0 or more, found {self.annotated}")
        if self.score != "last" or self.reward_share != 1:
            raise RlldError(
                "selection.annotated needs selection.score last and selection.reward_share 1: "
                "choosing weights would look at videos that count as not annotated"
            )

    @property
    def looks_alone(self) -> bool:
        """Whether a score is of what is heard or seen alone."""
        return self._looks_at(EXCLUSIVE)

    @property
    def looks_at_moments(self) -> bool:
        """Whether a score is of how the classes of single segments are ranked."""
        return self._looks_at(MOMENT)

    def _looks_at(self, kind: str) -> bool:
        return any(kind in name for name in (self.score, *self.parts.values()))

    def require_known(self) -> None:
        """Refuses a score that there is not.

        Raises:
            RlldError: If its name is unknown.
        """
        if self.score != "last":
            require_score(self.score)

    def better(self, new: float, best: float | None) -> bool:
        """Says whether a round of score ``new`` replaces the kept one of score ``best``."""
        if best is None or self.score == "last":
            return True
        return new > best or (self.ties == "later" and new == best)
