"""Agreement, against published examples and by hand."""

from __future__ import annotations

import math
import random

import pytest

from rlld.studio.agreement import (
    agreement,
    cohen_kappa,
    disagreements,
    krippendorff_alpha,
    settled,
    votes_of,
)
from rlld.studio.store import Answered

NOTHING = "."


def test_kappa_of_the_textbook():
    # 20 both yes, 5 and 10 apart, 15 both no: (0.7 - 0.5) / (1 - 0.5).
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_kappa_at_its_ends():
    assert cohen_kappa([1, 0, 1], [1, 0, 1]) == 1
    assert cohen_kappa([1, 0], [0, 1]) == -1
    assert cohen_kappa([1, 1], [1, 1]) is None
    assert cohen_kappa([], []) is None


def test_alpha_of_krippendorffs_examples():
    # Computing Krippendorff's Alpha-Reliability (2011): B, binary data of two observers.
    a = "0100000010"
    b = "1110010000"
    assert krippendorff_alpha(zip(a, b, strict=True)) == pytest.approx(0.095, abs=5e-4)
    # C, nominal data of four observers with missing values.
    observers = (
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    units = zip(*(row.split() for row in observers), strict=True)
    values = [[value for value in unit if value != NOTHING] for unit in units]
    assert krippendorff_alpha(values) == pytest.approx(0.743, abs=5e-4)


def slow_alpha(items: list[list[int]]) -> float:
    """The definition: disagreement of pairs within items over that of pairs of any values."""
    items = [values for values in items if len(values) > 1]
    every = [value for values in items for value in values]
    within = sum(
        sum(a != b for i, a in enumerate(values) for j, b in enumerate(values) if i != j)
        / (len(values) - 1)
        for values in items
    )
    across = sum(a != b for i, a in enumerate(every) for j, b in enumerate(every) if i != j)
    return 1 - (within / len(every)) / (across / (len(every) * (len(every) - 1)))


def test_alpha_is_what_its_definition_says():
    rng = random.Random(3)  # noqa: S311  (cases are drawn, not encrypted)
    for _ in range(50):
        items = [[rng.randint(0, 2) for _ in range(rng.randint(0, 4))] for _ in range(12)]
        found = krippendorff_alpha(items)
        assert found is not None
        assert math.isclose(found, slow_alpha(items), abs_tol=1e-12)
    assert krippendorff_alpha([[1], [0]]) is None
    assert krippendorff_alpha([[1, 1], [1, 1]]) is None


def test_votes_are_of_those_who_are_sure():
    answers = [
        Answered("Ada", "v", "Dog", True, None),
        Answered("Bo", "v", "Dog", False, False),
        Answered("Cy", "v", "Dog", True, False),
        Answered("Ada", "w", "Dog", True, True),
        Answered("Bo", "w", "Dog", False, True),
    ]
    votes = votes_of(answers)
    assert votes["v", "Dog", "visual"] == {"Bo": False, "Cy": False}
    assert settled(votes) == {
        ("v", "Dog", "audio"): True,
        ("v", "Dog", "visual"): False,
        ("w", "Dog", "visual"): True,
    }
    assert [(each["video"], each["modality"]) for each in disagreements(votes)] == [
        ("v", "audio"),
        ("w", "audio"),
    ]
    found = agreement(votes)
    assert found["people"] == ["Ada", "Bo", "Cy"]
    assert found["items"] == 4
    pairs = {(pair["a"], pair["b"]): (pair["common"], pair["kappa"]) for pair in found["pairs"]}
    assert pairs == {("Ada", "Bo"): (3, 0.0), ("Ada", "Cy"): (1, None), ("Bo", "Cy"): (2, 0.0)}
