"""Validation: which videos may reward and select, what a network scores, and what is kept best."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.metrics.gates import Gate
from rlld.metrics.moments import moment_precision
from rlld.metrics.scores import EXCLUSIVE, MOMENT_NAMES, Scorer, named_score, require_score
from rlld.metrics.tags import TAGS, tag_score
from rlld.networks._ensemble import MEMBER
from rlld.recipes.selection import Selection
from rlld.types import Prediction


class Validation:
    """Validation videos, and what can be measured on them.

    Args:
        split: The videos, on the run's device.
        rule: What selects by them, which may need more than the ten scores.
    """

    def __init__(self, split: Split, rule: Selection | None = None) -> None:
        self.split, self.rule = split, rule or Selection()

    def scores(self, prediction: Prediction, gate: Gate) -> dict[str, Tensor]:
        """Returns the ten scores, without dense annotation ``tags``, without videos nothing."""
        if not len(self.split):
            return {}
        if self.split.dense is None:
            return {TAGS: tag_score(prediction.video, self.split.labels)}
        maps = gate.apply(prediction)
        found = self.scorer(maps)
        if self.rule.looks_alone:
            only = self.exclusive_scorer(maps)
            found |= {f"{EXCLUSIVE}{name}": value for name, value in only.items()}
        if self.rule.looks_at_moments:
            segment, truth = prediction.segment, self.split.require_dense()
            means = 100 * moment_precision(segment, truth, prediction.mask).double().mean(0)
            found |= dict(zip(MOMENT_NAMES, means, strict=True))
        return found

    @cached_property
    def scorer(self) -> Scorer:
        """Made when first needed: no annotated video may be there to teach."""
        return Scorer(self.split.require_dense())

    @cached_property
    def exclusive_scorer(self) -> Scorer:
        """The same for what is heard or seen alone."""
        return Scorer(self.split.require_dense(), exclusive=True)


class KeptParts:
    """The kept weights of parts, see ``Selection.parts``.

    Args:
        rule: Says which parts there are and by which score each is kept.
        network: The network in training.
        name: Its name, for messages.

    Attributes:
        kept: By part the ``score``, the ``round`` and the ``weights``.

    Raises:
        RlldError: If the network does not have a part, or a score is unknown.
    """

    def __init__(self, rule: Selection, network: nn.Module, name: str) -> None:
        self.rule = rule
        self.kept: dict[str, dict[str, Any]] = {}
        for part, score in rule.parts.items():
            require_score(score)
            if not _weights(network, part):
                raise RlldError(
                    f"selection.parts: network {name} has no part {part!r}; set selection.parts "
                    "to {} to keep the network as a whole"
                )

    def see(self, network: nn.Module, number: int, scores: Mapping[str, float]) -> None:
        """Looks at the network of a round and at its scores, which are empty without validation."""
        for part, name in self.rule.parts.items() if scores else ():
            score = named_score(scores, name)
            if self.rule.better(score, self.kept.get(part, {}).get("score")):
                weights = {key: v.detach().clone() for key, v in _weights(network, part).items()}
                self.kept[part] = {"score": score, "round": number, "weights": weights}

    def weights(self) -> dict[str, Tensor]:
        """Returns the kept weights of all parts, by their names in the network."""
        return {key: value for part in self.kept.values() for key, value in part["weights"].items()}

    def rounds(self) -> dict[str, int]:
        """Returns the round of each part."""
        return {name: part["round"] for name, part in self.kept.items()}


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
    if count > len(split):
        raise RlldError(
            f"selection.annotated is {count}, but there are {len(split)} validation videos"
        )
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
    return tuple(split.ids[number] for number in order[:count].tolist())


def _weights(network: nn.Module, part: str) -> dict[str, Tensor]:
    where = re.compile(rf"({MEMBER})?{re.escape(part)}\.")
    return {k: v for k, v in network.state_dict().items() if where.match(k)}
