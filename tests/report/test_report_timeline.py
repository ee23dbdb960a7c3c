"""The timeline of long clips, its strips, and that it is one with what tests can call."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser_kit import FILM_DRAWN
from parse_kit import CLASSES, make_clip, make_parse
from rlld.media.decode import Clip
from rlld.media.strips import peaks
from rlld.parsing.result import Event
from rlld.report.page import Glance, glance, render_page, write_page

pytestmark = pytest.mark.browser

LIMIT = 1000
"""Nodes of events that may be in the document; a fast page has no more whatever a clip holds."""


def long_parse(duration: float, count: int) -> Any:
    """A parse with short events all over it, in every lane of two classes."""
    step = duration / count
    lanes = [(label, modality) for label in CLASSES[:2] for modality in ("audio", "visual")]
    events = tuple(
        Event(*lanes[number % 4], round(number * step, 3), round((number + 0.6) * step, 3), 0.5)
        for number in range(count)
    )
    return make_parse(duration=duration, events=events)


def bars(page: Any) -> int:
    return int(page.locator(".event").count())


def test_hours_with_thousands_of_events_stay_light(tmp_path, open_page) -> None:
    write_page(long_parse(10_800.0, 20_000), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    page.locator(".event").first.wait_for()
    assert 0 < bars(page) < LIMIT
    for _ in range(12):
        if page.locator("#in").is_disabled():
            break
        page.locator("#in").click()
        assert bars(page) < LIMIT
    # Four seconds fill the view: the first event, of 0.324 s, is a twelfth of it.
    view = page.locator("#scroller").bounding_box()["width"] - 226
    first = page.get_by_role("button", name="Bell, audible, 0 to 0.32 seconds, confidence 0.50")
    assert first.bounding_box()["width"] == pytest.approx(view * 0.324 / 4, abs=2)
    page.keyboard.press("End")
    last = page.get_by_role("button", name="Dog bark, visible, 10799.46 to 10799.78 seconds")
    last.wait_for()
    box = last.bounding_box()
    assert 226 < box["x"] < 1280
    assert bars(page) < LIMIT
    # The table is part of the document too.
    assert page.locator("#table tbody tr").count() == 1000
    assert page.get_by_text("And 19,000 more").count() == 1
    assert page.evaluate("() => document.querySelectorAll('*').length") < 20 * LIMIT


def test_a_click_takes_thin_events_apart(tmp_path, open_page) -> None:
    write_page(long_parse(3600.0, 6000), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    cluster = page.locator(".event.cluster").nth(2)
    cluster.wait_for()
    assert ": zoom in" in cluster.get_attribute("aria-label")
    start = float(cluster.get_attribute("aria-label").split(" from ")[1].split(" to ")[0])
    cluster.click()
    page.wait_for_function("() => document.querySelectorAll('.event:not(.cluster)').length > 5")
    named = page.locator(".track.audio .event:not(.cluster)").evaluate_all(
        "found => found.map(each => each.getAttribute('aria-label'))"
    )
    assert any(f"{start:g} to " in name for name in named)


def test_wheel_and_control_zoom_where_the_pointer_is(tmp_path, open_page) -> None:
    write_page(make_parse(duration=600.0), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    ticks = page.locator("#ticks").bounding_box()
    x, y = ticks["x"] + ticks["width"] / 2, page.locator("#lanes").bounding_box()["y"] + 20
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -240)
    page.keyboard.up("Control")
    page.wait_for_function("() => document.getElementById('sheet').clientWidth > 3000")
    box = page.locator("#ticks").bounding_box()
    assert (x - box["x"]) / box["width"] == pytest.approx(0.5, abs=0.01)


def test_strips_end_where_lanes_end(tmp_path, open_page) -> None:
    """Also in a view whose width is no whole number of pixels."""
    clip = make_clip(tmp_path / "clip.mp4", 60.0, picture=None)
    write_page(make_parse(duration=60.0), tmp_path / "page.html", clip)
    page = open_page((tmp_path / "page.html").as_uri(), 1333)
    for _ in range(3):
        page.locator("#in").click()
    page.keyboard.press("End")
    page.wait_for_function("""() => {
        const right = (name) => document.querySelector(name).getBoundingClientRect().right;
        return Math.abs(right(".wave svg") - right("#ticks")) < 1;
    }""")


def test_keys_zoom(tmp_path, open_page) -> None:
    write_page(make_parse(duration=600.0), tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    width = "() => document.getElementById('sheet').clientWidth"
    whole = page.evaluate(width)
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert page.evaluate(width) > 3 * whole
    page.keyboard.press("-")
    page.keyboard.press("0")
    assert page.evaluate(width) == whole


# --- strips ------------------------------------------------------------------------------------


def test_the_page_holds_waveform_and_film_strip(tmp_path) -> None:
    clip = Clip(make_clip(tmp_path / "clip.mp4", 4.0))
    seen = glance(clip, 4.0)
    held = np.frombuffer(base64.b64decode(seen.peaks), np.int8).reshape(-1, 2)
    np.testing.assert_array_equal(held, peaks(clip, 0.0, 4.0, 200))
    assert seen.film["count"] == 4
    assert len(seen.film["url"]) < 20_000
    assert glance(Clip(make_clip(tmp_path / "s.mp4", 1.0, picture=None)), 1.0).film is None
    assert glance(Clip(make_clip(tmp_path / "p.mp4", 1.0, sound=None)), 1.0).peaks is None


def test_waveform_and_film_strip_stand_above_the_lanes(tmp_path, open_page) -> None:
    write_page(make_parse(), tmp_path / "page.html", make_clip(tmp_path / "clip.mp4"))
    page = open_page((tmp_path / "page.html").as_uri())
    page.wait_for_function("() => document.querySelector('.wave path').getAttribute('d')")
    # The beep is on in even seconds: its path is high there and flat in odd ones.
    heights = page.evaluate("""() => {
        const high = Array(10).fill(0);
        for (const [, x, y] of document.querySelector(".wave path").getAttribute("d")
            .matchAll(/([\\d.]+) (-[\\d.]+)/g)) {
            const second = Number(x) / 100;
            if (second % 1 > 0.1 && second % 1 < 0.9) {
                high[Math.floor(second)] = Math.max(high[Math.floor(second)], -Number(y));
            }
        }
        return high;
    }""")
    assert [height > 40 for height in heights] == [True, False] * 5
    page.wait_for_function(FILM_DRAWN)


def test_a_page_without_strips_has_no_rows_for_them(tmp_path, open_page) -> None:
    write_page(make_parse(), tmp_path / "page.html")
    assert open_page((tmp_path / "page.html").as_uri()).locator(".strip").count() == 0


def test_strips_cannot_end_the_script_of_the_data() -> None:
    page = render_page(make_parse(), None, None, Glance("</script>", None))
    assert "</script>" not in page.split('id="data">')[1].split("\n")[0].removesuffix("</script>")


# --- five minutes ------------------------------------------------------------------------------


def test_five_minutes_open_at_once_and_lanes_are_readable(tmp_path, open_page) -> None:
    parse = make_parse(
        duration=300.0,
        events=tuple(
            Event(label, modality, 10.0 * n + k, 10.0 * n + k + 4, 0.5)
            for k, label in enumerate(CLASSES)
            for modality in ("audio", "visual", "audio_visual")
            for n in range(29)
        ),
    )
    write_page(parse, tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri(), 1440)
    page.locator(".event").first.wait_for()
    timing = page.evaluate("() => performance.getEntriesByType('navigation')[0].toJSON()")
    print(json.dumps({"load_ms": round(timing["loadEventEnd"])}))
    assert bars(page) == 29 * 12
    widths = page.locator(".event").evaluate_all("all => all.map(one => one.clientWidth)")
    assert min(widths) >= 8
    assert Path(tmp_path / "page.html").stat().st_size < 400_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(tmp_path, open_page, scheme) -> None:
    from axe_playwright_python.sync_playwright import Axe

    truth = (Event("Dog_bark", "audio", 2.0, 4.0, 1.0),)
    write_page(make_parse(), tmp_path / "page.html", make_clip(tmp_path / "clip.mp4", 2.0), truth)
    page = open_page((tmp_path / "page.html").as_uri(), scheme=scheme)
    page.locator("#export summary").click()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []
    for width in (320, 390, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
