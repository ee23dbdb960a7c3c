"""How far people agree on what is heard and seen: Cohen's kappa and Krippendorff's alpha.

Of answers an item is a class in a modality of a video; what a person is not sure of, nobody counts.
Of events it is a segment of that, see ``rlld.studio.marks``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from rlld.studio.store import Answered
from rlld.types import MODALITIES

Item = tuple[str, str, str]
Votes = dict[Item, dict[str, bool]]


def votes_of(answers: Iterable[Answered]) -> Votes:
    """Returns what people say of each item: video, class and modality."""
    found: Votes = {}
    for answer in answers:
        for modality in MODALITIES:
            present = getattr(answer, modality)
            if present is not None:
                item = (answer.video, answer.label, modality)
                found.setdefault(item, {})[answer.person] = present
    return found


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Returns the agreement of two people beyond chance (Cohen, 1960).

    Args:
        first: What one said of each item.
        second: What the other said of the same items.

    Returns:
        ``(observed - expected) / (1 - expected)``; None where there is no item, or both said one
        and the same of all of them, so that chance explains everything.

    Examples:
        Cohen's kappa of two readers who share 20 yes and 15 no of 50 grants is 0.4:

        >>> a = ["yes"] * 25 + ["no"] * 25
        >>> b = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
        >>> round(cohen_kappa(a, b), 6)
        0.4
    """
    count = len(first)
    if not count:
        return None
    observed = sum(x == y for x, y in zip(first, second, strict=True)) / count
    one, other = Counter(first), Counter(second)
    expected = sum(one[value] * other[value] for value in one) / count**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(items: Iterable[Sequence[Hashable]]) -> float | None:
    """Returns the agreement of any number of people, nominal values (Krippendorff, 2011).

    Args:
        items: What was said of each item; by one person alone, it counts nothing.

    Returns:
        ``1 - observed / expected`` disagreement; None where no two people said something of one
        item, or all of them said the same of everything.

    Examples:
        >>> krippendorff_alpha([[1, 1], [0, 0], [1, 1], [0, 0]])
        1.0
    """
    disagreed = 0.0
    totals: Counter[Hashable] = Counter()
    for values in items:
        if len(values) < 2:
            continue
        counts = Counter(values)
        totals.update(counts)
        apart = len(values) ** 2 - sum(often**2 for often in counts.values())
        disagreed += apart / (len(values) - 1)
    whole = sum(totals.values())
    expected = (whole**2 - sum(often**2 for often in totals.values())) / max(1, whole - 1)
    return 1 - disagreed / expected if expected else None


def agreement(votes: Mapping[Any, Mapping[str, bool]]) -> dict[str, Any]:
    """Returns the agreement of all, and of each two people who judged something in common.

    Args:
        votes: What people say of each item.
    """
    shared = {item: said for item, said in votes.items() if len(said) > 1}
    people = sorted({person for said in votes.values() for person in said})
    pairs = []
    for a, b in combinations(people, 2):
        common = [(said[a], said[b]) for said in shared.values() if a in said and b in said]
        if common:
            kappa = cohen_kappa(*zip(*common, strict=True))
            pairs.append({"a": a, "b": b, "common": len(common), "kappa": kappa})
    alpha = krippendorff_alpha([list(said.values()) for said in shared.values()])
    return {"people": people, "pairs": pairs, "alpha": alpha, "items": len(shared)}


def disagreements(votes: Votes) -> list[dict[str, Any]]:
    """Returns the items of which people say different things."""
    return [
        {"video": video, "class": label, "modality": modality, "answers": said}
        for (video, label, modality), said in votes.items()
        if len(set(said.values())) > 1
    ]


def settled(votes: Votes) -> Mapping[Item, bool]:
    """Returns what most people say of each item; where as many say the contrary, nothing."""
    found = {}
    for item, said in votes.items():
        yes = sum(said.values())
        if 2 * yes != len(said):
            found[item] = 2 * yes > len(said)
    return found
