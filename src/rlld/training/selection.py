"""Which weights a run keeps: the best on validation by a named score."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rlld.errors import RlldError
from rlld.metrics.tags import TAGS

if TYPE_CHECKING:
    from rlld.data.split import Split


@dataclass(frozen=True)
class Selection:
    """The rule that picks the kept weights.

    Attributes:
        score: A score by name (``segment_type``), several joined by ``+``, ``mean`` of the ten,
            or ``last`` to keep the weights of the last round. Without dense annotation see
            ``possible``.
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

    def better(self, new: float, best: float | None) -> bool:
        """Says whether a round of score ``new`` replaces the kept one of score ``best``."""
        if best is None or self.score == "last":
            return True
        return new > best or (self.ties == "later" and new == best)


def require_validation(split: Split, purpose: str) -> Split:
    """Returns the split if it may steer training.

    Args:
        split: The split that somebody wants to use.
        purpose: For what, in the message: ``selection``, ``reward``.

    Raises:
        RlldError: If it is the test split, which nothing may be chosen on.
    """
    if split.name == "test":
        raise RlldError(
            f"the test split must not be used for {purpose}: scores on it would be chosen, not "
            "measured; use the validation split"
        )
    return split


def possible(rule: Selection, split: Split) -> Selection:
    """Returns the rule that a validation split allows.

    Without dense annotation the tags of the videos select (``tags``, their mean average precision),
    without any video the last round is kept; in either case the network is kept as a whole.
    """
    if rule.score == "last":
        return replace(rule, parts={})
    if split.dense is not None:
        return rule
    return replace(rule, score=TAGS if len(split) else "last", parts={})


def partition(
    split: Split, reward_share: float, seed: int, annotated: int | tuple[str, ...] | None = None
) -> tuple[Split, Split]:
    """Divides a validation split into a reward part and a selection part.

    Args:
        split: The validation split.
        reward_share: Share of its videos in the reward part, in (0, 1].
        seed: Seed of the division.
        annotated: How many or which videos are in the reward part, none of them too; see
            ``Selection``.

    Returns:
        The reward and the selection part; the whole split twice when the share is 1, or when
        there is no dense annotation that both could look at (tags select then). With
        ``annotated`` the second is the whole split, for watching. Fewer annotated videos of one
        seed are among the more of it.

    Raises:
        RlldError: If a part would be empty, or the split may not steer training.
    """
    import torch

    require_validation(split, "reward and selection")
    if annotated is not None:
        chosen = drawn(split, annotated, seed) if isinstance(annotated, int) else annotated
        place = {name: number for number, name in enumerate(split.ids)}
        for name in chosen:
            if name not in place:
                raise RlldError(f"selection.annotated: {name!r} is no validation video")
        index = torch.tensor(sorted(place[name] for name in chosen), dtype=torch.int64)
        return split.subset(index), split
    if reward_share == 1 or split.dense is None:
        return split, split
    count = round(reward_share * len(split))
    if not 0 < count < len(split):
        raise RlldError(
            f"selection.reward_share {reward_share} leaves an empty part of {len(split)} "
            "validation videos; choose another share"
        )
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    reward, rest = order[:count].sort().values, order[count:].sort().values
    return split.subset(reward), split.subset(rest)


def drawn(split: Split, count: int, seed: int) -> tuple[str, ...]:
    """Returns the ids of some videos of a split, drawn by a seed; fewer are among more.

    Raises:
        RlldError: If there are not so many.
    """
    import torch

    if count > len(split):
        raise RlldError(
            f"selection.annotated is {count}, but there are {len(split)} validation videos"
        )
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    return tuple(split.ids[number] for number in order[:count].tolist())
