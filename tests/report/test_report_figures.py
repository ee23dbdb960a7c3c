"""Figures: the same bytes every time, labels apart, and what the numbers say is drawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from rlld.report.figures import Curve, class_bars, learning_curve, spread, training_curves

POSITIONS = (0, 10, 25, 50, 100, 200, 400, 649)


def curve(level: float) -> Curve:
    mean = [level + number for number in range(len(POSITIONS))]
    return Curve(POSITIONS, mean, [value - 1 for value in mean], [value + 1 for value in mean])


def draw_curves(stem: Path, levels: dict[str, float]) -> list[Path]:
    series = {name: curve(level) for name, level in levels.items()}
    return learning_curve(stem, series, "annotated videos", "F-score (%)", "What they bring")


def draw_bars(stem: Path, visual: list[float | None]) -> list[Path]:
    panels = {
        "audio": {"removed": [0.0, 5.0, None], "truly noisy": [4.0, 6.0, None]},
        "visual": {"removed": visual, "truly noisy": [80.0, 50.0, None]},
    }
    return class_bars(stem, ["Speech (40)", "Dog (7)", "Cat (0)"], panels, "%", "Removed")


@pytest.mark.parametrize(
    "draw",
    [
        lambda stem: draw_curves(stem, {"a": 60, "b": 61}),
        lambda stem: draw_bars(stem, [90.0, 0.0, None]),
    ],
)
def test_the_same_numbers_give_the_same_bytes_whatever_the_settings(draw, tmp_path):
    first = draw(tmp_path / "first")
    with mpl.rc_context({"font.size": 20, "savefig.facecolor": "black"}):
        second = draw(tmp_path / "second")
    assert [path.suffix for path in first] == [".png", ".svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = first[1].read_text()
    assert "<dc:date>" not in svg
    assert "Date" not in svg


def test_names_are_no_formulas_and_no_markup(tmp_path):
    odd = ["$x^{$", "\\frac{", "a_b^c\x1b[2J", "<b>&amp;</b>\n]]>", "_hidden"]
    # matplotlib keeps names that begin with _ out of legends.
    draw_curves(tmp_path / "curves", {name: 60 + place for place, name in enumerate(odd)})
    panels = {name: {name: curve(60), "other": curve(61)} for name in odd}
    training_curves(tmp_path / "training", panels, *odd[:3])
    training_curves(tmp_path / "titles", {"a": {"b": curve(60)}}, *odd[2:])
    bars = {name: {"removed": [1.0] * len(odd)} for name in odd}
    for path in class_bars(tmp_path / "bars", odd, bars, odd[0], odd[1]):
        assert path.stat().st_size
    for path in tmp_path.glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314  our own file


def test_letters_that_no_font_has_are_told_once_in_a_sentence(tmp_path, capsys, recwarn):
    for name in ("one", "other"):
        class_bars(tmp_path / name, ["\U0001fad8"], {"audio": {"removed": [1.0]}}, "%", "Removed")
    told = capsys.readouterr().err.replace("\n", " ")
    assert told.count("no font of this machine has \U0001fad8") <= 1
    assert not [each for each in recwarn if "missing from font" in str(each.message)]


def test_figures_lie_on_white_ground(tmp_path):
    picture = imread(draw_curves(tmp_path / "x", {"a": 60})[0])
    assert np.all(picture[0, 0, :3] == 1)
    assert np.all(picture[-1, -1, :3] == 1)


def blue(path: Path) -> int:
    picture = imread(path)[..., :3]
    return int((np.abs(picture - np.array([0, 0x72, 0xB2]) / 255).max(-1) < 0.01).sum())


def test_a_bar_of_twice_the_length_has_twice_the_area(tmp_path):
    none, one, two = (
        blue(draw_bars(tmp_path / f"{value}", [value, None, None])[0])
        for value in (0.0, 40.0, 80.0)
    )
    assert two - none == pytest.approx(2 * (one - none), rel=0.03)


def test_a_curve_with_one_position_and_equal_curves_are_drawn(tmp_path):
    point = Curve([0], [60], [59], [61])
    series = {"a": curve(60), "the same": curve(60), "no annotation": point}
    for path in learning_curve(tmp_path / "x", series, "x", "y", "t"):
        assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("x", "mean"), [([], []), ([1, 2], [1.0]), ([2, 1], [1.0, 1.0]), ([1, 1], [1.0, 1.0])]
)
def test_a_curve_refuses_what_is_no_line(x, mean):
    with pytest.raises(ValueError, match="curve"):
        Curve(x, mean, mean, mean)


def test_no_series_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        learning_curve(tmp_path / "x", {}, "x", "y", "t")
    assert not list(tmp_path.iterdir())


@given(st.lists(st.floats(-100, 100), max_size=9), st.floats(0.1, 10))
def test_spread_labels_keep_their_distance_and_their_order(wanted, gap):
    places = spread(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for below, above in pairwise(order):
        assert places[above] - places[below] >= gap - 1e-9
    assert sum(places) == pytest.approx(sum(wanted), abs=1e-6)


def test_labels_with_room_stay_where_they_are():
    assert spread([5.0, 1.0, 3.0], 1.5) == [5.0, 1.0, 3.0]
    assert spread([2.0, 2.0], 1.0) == [1.5, 2.5]
