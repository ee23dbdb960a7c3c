"""The page of a comparison: what it says, draws and plays, and that it fits and loads nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
import torch

from parse_kit import make_clip
from rlld.comparing.compared import Compared, Figure, judge
from rlld.comparing.sides import Side
from rlld.comparing.tables import remarks
from rlld.comparing.web import _forest, _reach, disputes, render_compare_page
from rlld.data.dataset import load_split
from rlld.data.split import Split
from rlld.metrics.paired import Difference

HOSTILE = "<script>hurt = 1</script>"


@pytest.fixture(scope="module")
def videos(tiny_data, tmp_path_factory) -> Split:
    """The test videos of a data set with a clip for one video in two."""
    home = tmp_path_factory.mktemp("side-by-side")
    shutil.copytree(tiny_data, home / "D")
    clip = make_clip(home / "clip.mp4", 1.0)
    (home / "D" / "videos").mkdir()
    found = load_split(home / "D", "test")
    for video in found.ids[::2]:
        shutil.copy(clip, home / "D" / "videos" / f"{video}.mp4")
    return found


@pytest.fixture(scope="module")
def compared(videos) -> Compared:
    truth, generator = videos.require_dense(), torch.Generator().manual_seed(1)
    sides = []
    for name, share in (("han", 0.3), ("rlld-best", 0.05), (HOSTILE, 0.2)):
        maps = truth ^ (torch.rand(truth.shape, generator=generator) < share)
        sides.append(Side(name, name, maps, {}, ("p names 3 <b>clips</b>",) * (name == HOSTILE)))
    return judge(videos, sides, "rlld compare <x>")


def test_the_page_says_what_the_tables_do(compared, tmp_path):
    text = render_compare_page(compared, tmp_path / "page.html")
    assert HOSTILE not in text and HOSTILE in unescape(text)
    for each in compared.judged:
        for figure in each.scores["published"].values():
            assert f'<td class="n">{figure.value:.1f}</td>' in text
    told = [each.scores["micro"]["event_type"].difference for each in compared.others]
    for each in told:
        assert f"{each.value:+.1f} [{each.low:.1f}, {each.high:.1f}]" in text
    assert remarks(compared)[-1] == "p names 3 <b>clips</b>."
    assert "p names 3 &lt;b&gt;clips&lt;/b&gt;." in text


def test_what_they_disagree_about_is_drawn(compared):
    """Nothing else, each lane whole, and the videos with most of it first."""
    maps, truth = [each.side.maps for each in compared.judged], compared.videos.require_dense()
    apart = sum((each ^ maps[0]).sum((1, 2, 3)) for each in maps[1:])
    found = disputes(compared)
    places = [compared.videos.ids.index(each.video) for each in found]
    assert [int(apart[place]) for place in places] == sorted(apart.tolist(), reverse=True)[:8]
    for each, place in zip(found, places, strict=True):
        assert each.segments == int(apart[place]) and each.duration == 3.0
        drawn = torch.zeros(len(maps) + 1, *truth.shape[1:], dtype=torch.bool)
        lanes = set()
        for lane in each.lanes:
            label, modality = compared.videos.spec.classes.index(lane.label), lane.modality
            lanes.add((int(modality == "visual"), label))
            for row, spans in enumerate((*lane.found, lane.true)):
                for span in spans:
                    first, last = round(span.start / 0.5), round(span.end / 0.5)
                    drawn[row, first:last, int(modality == "visual"), label] = True
        wanted = torch.stack([*(each[place] for each in maps), truth[place]])
        differ = (wanted[:-1] != wanted[0]).any(0).any(0)
        assert lanes == {tuple(cell) for cell in differ.nonzero().tolist()} and each.more == 0
        assert torch.equal(drawn, wanted & differ)


def test_intervals_lie_where_their_values_are(compared):
    """From -8 to 2 on an axis from -10 to 10: a difference of -4 is at 30 %."""
    scores = {
        way: {
            name: Figure(figure.value, Difference(-4.0, -8.0, 2.0)) for name, figure in row.items()
        }
        for way, row in compared.others[0].scores.items()
    }
    scores["published"]["segment_audio"] = Figure(50.0, None)
    scores["published"]["segment_visual"] = Figure(50.0, Difference(1.0, 0.5, 2.0))
    side = replace(compared.others[0], scores=scores)
    wide = {way: {n: Figure(1.0, Difference(1, 0, 30)) for n in row} for way, row in scores.items()}
    assert _reach([side, replace(side, scores=wide)]) == _reach([replace(side, scores=wide)]) == 40
    forest = _forest(side, _reach([side]))
    assert [(tick.text, tick.at) for tick in forest.ticks] == [("-10", 0), ("0", 50), ("+10", 100)]
    bars = forest.rows["segment"]
    assert bars["A"] is None
    assert (bars["V"].clear, bars["Type together"].clear) == (True, False)
    assert bars["Type together"].text == "-4.0 [-8.0, 2.0]"
    place = bars["Type together"]
    assert (place.at, place.left, place.width) == pytest.approx((30, 10, 50))


def test_sides_that_agree_are_said_to(videos, tmp_path):
    maps = videos.require_dense()
    text = render_compare_page(
        judge(videos, [Side(name, name, maps, {}) for name in "ab"], ""), tmp_path / "page.html"
    )
    assert "They agree on every segment of every video." in text
    assert "+0.0 [0.0, 0.0]" in text


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_fits_plays_and_loads_nothing(compared, tmp_path, open_page, width, scheme):
    path: Path = tmp_path / "page.html"
    path.write_text(render_compare_page(compared, path))
    page = open_page(path.as_uri(), width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clips = page.locator("video").all()
    here = sum(compared.videos.ids.index(each.video) % 2 == 0 for each in disputes(compared))
    assert len(clips) == here > 0
    page.wait_for_function("clip => clip.readyState >= 1", arg=clips[0].element_handle())
    assert page.get_by_text("Not played: its clip is not there.").count() == 8 - here
    assert page.evaluate("() => window.hurt") is None
    outside = page.evaluate(
        """() => [...document.querySelectorAll('.axis i, .strip i')].filter(mark => {
            const own = mark.getBoundingClientRect();
            const home = mark.parentElement.getBoundingClientRect();
            return own.left < home.left - 6 || own.right > home.right + 6;
        }).length"""
    )
    assert outside == 0
