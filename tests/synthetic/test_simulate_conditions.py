"""Simulated worlds other than LLP's: each differs from it in what its name says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlld.data.dataset import load_data
from rlld.data.rates.table import load_table, taken_for
from rlld.data.spec import LLP_SPEC
from rlld.errors import RlldError
from rlld.synthetic.features.conditions import Conditions
from rlld.synthetic.features.drawn import draw_labels
from rlld.synthetic.features.labels import SplitLabels, generator
from rlld.synthetic.features.statistics import load_statistics
from rlld.synthetic.features.writing import _labels, appearances, simulate
from rlld.taxonomy import LLP

VIDEOS = 4000
LLP_NOISE = (0.053, 0.355)
"""Shares of LLP's tags that are not heard and not seen."""


def labels_of(conditions: Conditions) -> SplitLabels:
    known = conditions.statistics()
    return draw_labels(known, known.evaluation, tuple(map(str, range(VIDEOS))), generator(3))


def noise(labels: SplitLabels) -> tuple[float, float, float]:
    """Shares of tags that are not heard, not seen, and neither."""
    tags = labels.weak > 0
    heard, seen = (labels.events[:, :, number].any(1)[tags] for number in (0, 1))
    return 1 - heard.mean(), 1 - seen.mean(), 1 - (heard | seen).mean()


def test_without_conditions_it_is_llp() -> None:
    standard = Conditions()
    assert standard.names == LLP.classes
    assert standard.statistics() == load_statistics()
    assert str(standard) == ""
    assert len(standard.groups) == 9


def test_the_noise_is_that_of_its_name() -> None:
    found = {kind: noise(labels_of(Conditions(kind))) for kind in ("llp", "both", "none", "nobody")}
    assert found["none"] == (0, 0, 0)
    assert found["llp"][:2] == pytest.approx(LLP_NOISE, abs=0.02)
    # As many are not heard as not seen: LLP's 0.355 less what Speech has beyond a half.
    assert found["both"][0] == pytest.approx(found["both"][1], abs=0.02)
    assert found["both"][0] == pytest.approx(0.28, abs=0.02)
    # 1.1 % of LLP's tags are seen and heard by nobody.
    assert found["nobody"][2] == pytest.approx(0.113 / 1.102, abs=0.02)
    assert found["nobody"][2] > 6 * found["llp"][2]
    nothing_more = labels_of(Conditions("none"))
    assert not (nothing_more.events.any(1).any(1) & ~(nothing_more.weak > 0)).any()


def test_mirrored_events_are_those_of_llp_on_the_other_track() -> None:
    plain, mirrored = (
        _labels(LLP_SPEC, None, (300, 20, 20), 4, Conditions(kind))["train"]
        for kind in ("llp", "mirrored")
    )
    assert (plain.weak == mirrored.weak).all()
    assert (plain.events[:, :, 0] == mirrored.events[:, :, 1]).all()
    assert (plain.events[:, :, 1] == mirrored.events[:, :, 0]).all()


@pytest.mark.parametrize("kind", ["lfav", "vggsounder"])
def test_classes_have_the_rates_that_another_data_set_counted(kind: str) -> None:
    conditions = Conditions(kind)
    labels, plain = labels_of(conditions), labels_of(Conditions())
    assert (labels.weak == plain.weak).all()
    tagged = labels.weak[:, 0] > 0
    speech = {
        "lfav": (34 / 1972, 1346 / 1972),
        "vggsounder": (28 / 4556, 2313 / 4556),  # a man, a woman, a child
    }
    for number, share in enumerate(speech[kind]):
        found = 1 - labels.events[tagged, :, number, 0].any(1).mean()
        assert found == pytest.approx(share, abs=0.03)
    # Classes that the source does not have take the rates of others.
    frying = LLP.index("Frying_(food)")
    states = np.array(conditions.statistics().states[frying]).sum(0)
    rates = (states[2:].sum() / states.sum(), states[1::2].sum() / states.sum())
    known = [
        (row.not_heard / row.tags, row.not_seen / row.tags)
        for row in load_table()
        if row.source.casefold() == kind
    ]
    assert any(rates == pytest.approx(each, abs=2e-3) for each in known)


def test_what_other_rates_made_bears_their_name_and_borrows_elsewhere(tmp_path: Path) -> None:
    spec = simulate(tmp_path / "D", "compact", videos=(8, 2, 2), conditions=Conditions("lfav"))
    assert spec.name == "simulated-compact-lfav"
    assert [each.name for each in taken_for(spec.name, spec.classes, load_table())] == ["LFAV"]
    plain = simulate(tmp_path / "E", "compact", videos=(8, 2, 2))
    assert [each.name for each in taken_for(plain.name, plain.classes, load_table())] == ["LLP"]


@pytest.mark.parametrize("classes", [2, 3, 25, 100])
def test_any_number_of_classes(classes: int) -> None:
    conditions = Conditions(classes=classes)
    assert len(set(conditions.names)) == classes
    assert conditions.names[:3] == LLP.classes[: min(classes, 3)]
    labels = labels_of(conditions)
    assert labels.weak.shape == (VIDEOS, classes)
    assert (labels.weak.sum(1) > 0).all()
    found = [len(conditions.names), *(len(look.prototypes) for look in appearances(conditions))]
    assert found == [classes] * 3
    assert all(len(group) > 1 and max(group) < classes for group in conditions.groups)


def test_copies_of_a_class_are_as_frequent_as_it_and_never_together() -> None:
    labels = labels_of(Conditions(classes=100))
    speech = labels.weak[:, :: len(LLP)]
    assert LLP.classes[0] == "Speech" and Conditions(classes=100).names[50] == "Speech_3"
    assert speech.sum(1).max() == 1
    counts = speech.sum(0)
    assert counts.max() < 1.4 * counts.min()
    assert speech.sum() == pytest.approx(labels_of(Conditions()).weak[:, 0].sum(), rel=0.1)


@pytest.mark.parametrize("classes", [3, 25, 100])
def test_no_simulation_of_llp_borrows_its_rates(classes: int, tmp_path: Path) -> None:
    conditions = Conditions(classes=classes)
    spec = simulate(tmp_path / "out", "compact", videos=(4, 0, 2), conditions=conditions)
    assert [each.name for each in taken_for(spec.name, spec.classes, load_table())] == ["LLP"]


@pytest.mark.parametrize("track", ["audio", "visual"])
def test_a_missing_track_has_labels_but_no_features(track: str, tmp_path: Path) -> None:
    whole, part = (
        load_data(_made(tmp_path / name, Conditions(missing=name)))  # type: ignore[arg-type]
        for name in ("none", track)
    )
    for name, rows in whole.train.streams.items():
        missing = name.startswith(track)
        assert bool(part.train.streams[name].any()) != missing
        assert missing or bool((part.train.streams[name] == rows).all())
    assert (part.test.require_dense() == whole.test.require_dense()).all()


def _made(folder: Path, conditions: Conditions) -> Path:
    simulate(folder, "compact", videos=(20, 4, 6), conditions=conditions)
    return folder


def test_a_data_set_without_validation_videos(tmp_path: Path) -> None:
    simulate(tmp_path / "bare", "compact", videos=(12, 0, 5))
    data = load_data(tmp_path / "bare")
    assert (len(data.train), len(data.steering), len(data.test)) == (12, 0, 5)
    assert data.test.dense is not None
    simulate(tmp_path / "with", "compact", videos=(12, 3, 5))
    same = load_data(tmp_path / "with").test
    assert all((same.streams[name] == rows).all() for name, rows in data.test.streams.items())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": "pink"}, "noise: expected one of llp, mirrored"),
        ({"missing": "smell"}, "missing: expected one of none, audio, visual, found 'smell'"),
        ({"classes": 1}, "classes: expected 2 to 1000, found 1"),
        ({"classes": 1001}, "found 1001"),
    ],
)
def test_bad_conditions(options: dict[str, object], words: str) -> None:
    with pytest.raises(RlldError, match=words):
        Conditions(**options)  # type: ignore[arg-type]


def test_annotation_files_have_their_own_noise(invented_llp: Path, tmp_path: Path) -> None:
    with pytest.raises(RlldError, match="leave out --noise both, or the annotation files"):
        simulate(
            tmp_path / "out", "compact", annotations=invented_llp, conditions=Conditions("both")
        )
    assert not (tmp_path / "out").exists()
