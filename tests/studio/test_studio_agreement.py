"""Agreement, against published examples and by hand."""

from __future__ import annotations

import math
import random
from contextlib import closing
from typing import Any

import pytest

from rlld.studio.agreement import (
    agreement,
    cohen_kappa,
    disagreements,
    krippendorff_alpha,
    settled,
    votes_of,
)
from rlld.studio.marks import lanes_apart, lanes_of, marks_of
from rlld.studio.store import Answered, Store, Version
from tiny import CLASSES

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


def marked(person: str, *events: tuple[str, float, float], video: str = "v") -> Version:
    rows = [
        {"class": "Dog", "modality": modality, "start": s, "end": e, "confidence": None}
        for modality, s, e in events
    ]
    return Version(video, person, 1, tuple(rows), "")


def test_events_agree_segment_by_segment():
    # Of four seconds Ada hears 1100 and sees 0000, Bo hears 1001 and sees 1111.
    versions = [
        marked("Ada", ("audio", 0, 1.2), ("audio", 1.1, 2.4)),
        marked("Bo", ("audio_visual", 0, 1), ("visual", 1, 4), ("audio", 3.5, 4)),
    ]
    lanes = lanes_of(versions, {"v": ("Dog", "Cat")}.__getitem__)
    assert lanes["v", "Dog", "audio"] == {"Ada": [(0, 2.4)], "Bo": [(0, 1), (3.5, 4)]}
    assert lanes["v", "Cat", "visual"] == {"Ada": [], "Bo": []}
    marks = marks_of(lanes, 1.0, {"v": 4.3}.__getitem__)
    assert len(marks) == 2 * 2 * 4

    def of(label: str, modality: str) -> dict[str, Any]:
        return agreement({m: said for m, said in marks.items() if m[1:3] == (label, modality)})

    heard, seen = of("Dog", "audio"), of("Dog", "visual")
    # Heard: 2 of 4 alike, chance 0.5. Alpha: 7 pairs of 8 values, 4 of them ones, 4 apart.
    assert heard["items"] == 4
    assert heard["pairs"] == [{"a": "Ada", "b": "Bo", "common": 4, "kappa": 0}]
    assert heard["alpha"] == pytest.approx(1 - 7 * 4 / 32)
    # Seen: nothing alike, and no chance of it. Alpha: all 8 apart.
    assert seen["pairs"][0]["kappa"] == 0
    assert seen["alpha"] == pytest.approx(1 - 7 * 8 / 32)
    assert of("Cat", "audio")["alpha"] is None  # nobody marked it: they said the same of everything
    assert lanes_apart(lanes, marks, 1.0) == [
        {"video": "v", "class": "Dog", "modality": modality, "spans": spans, "at": at, "end": end}
        for modality, spans, at, end in (
            ("audio", {"Ada": [(0, 2.4)], "Bo": [(0, 1), (3.5, 4)]}, 1.0, 2.0),
            ("visual", {"Ada": [], "Bo": [(0, 4)]}, 0.0, 4.0),
        )
    ]


def test_of_each_person_the_last_version_counts(tmp_path):
    with closing(Store(tmp_path)) as store:
        event = {"class": "Dog", "modality": "audio", "start": 0, "end": 1, "confidence": None}
        store.save("v", "Ada", 0, [event])
        store.save("w", "Ada", 0, [event])
        assert store.shared() == []
        store.save("v", "Bo", 1, [])
        store.save("v", "Ada", 2, [])
        assert [(each.person, each.revision) for each in store.shared()] == [("Bo", 2), ("Ada", 3)]
        assert store.corrected_by() == {"Ada": 2, "Bo": 1}
        assert store.count_corrected() == 2


def test_clips_whose_events_differ_are_in_the_queue(page):
    shown = page.get("/api/clips/train_000")
    tag = shown["tags"][0]
    path = "/api/clips/train_000/events"
    mine = [{"c": tag, "m": "audio", "s": 0, "e": 1, "p": None}]
    page.put(path, person="Ada", base=0, events=mine)
    assert page.get("/api/disagreements") == []
    said = {"person": "Bo", "video": "train_000", "class": CLASSES[tag], "audio": True}
    page.post("/api/answers", **said, visual=False)
    assert page.get("/api/clips/train_000?person=Ada")["answers"] == []
    page.put(path, person="Bo", base=1, events=[{**mine[0], "e": 3}])
    (row,) = page.get("/api/disagreements")
    assert row["spans"] == {"Ada": [[0, 1]], "Bo": [[0, 3]]}
    assert (row["at"], row["end"]) == (1, 3)
    table = page.get("/api/clips?person=Ada")
    disputed = [r[0] for r in table["rows"] if r[table["columns"].index("disagreement")]]
    assert disputed == ["train_000"]
    (told,) = page.get("/api/clips/train_000?person=Ada")["answers"]
    assert told["person"] == "Bo"  # who looks closer sees what the others answered, too
    found = page.get("/api/agreement")
    segments = round(shown["duration"] / shown["step"])
    assert found["events"]["audio"]["items"] == segments * len(shown["tags"])
    assert found["corrected"] == {"Ada": 1, "Bo": 1}
    page.put(path, person="Ada", base=2, events=[{**mine[0], "e": 3}])
    assert page.get("/api/disagreements") == []
