"""Files that the page makes of its events, against those of `rlld export`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parse_kit import make_clip, make_parse
from rlld.export import load_format
from rlld.parsing.result import Event, Parse
from rlld.report.page import write_page

pytestmark = pytest.mark.browser

ODD = ("=sum(A1)", 'tab\tand "quotes" <b> & more', "\U0001f415 dog", "\uff5e wave")
"""Class names that a table, a subtitle or a label track must not take for something else."""


def odd_parse() -> Parse:
    events = (
        Event(ODD[0], "audio", 0.0, 2.0005, 0.75),
        Event(ODD[3], "audio", 0.0, 2.0005, 0.00001234),
        Event(ODD[2], "visual", 0.0, 2.0005, 1.0),
        Event(ODD[1], "visual", 1.0005, 3.1234567, 0.1 + 0.2),
        Event(ODD[1], "audio", 2.0, 2.0000001, 0.5),
        Event(ODD[1], "audio_visual", 2.0, 2.0000001, 0.5),
    )
    return make_parse("-id = 1.mp4", classes=ODD, events=events)


def saved(page: Any, label: str, folder: Path) -> tuple[str, str]:
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label).click()
    waiting.value.save_as(folder / "saved")
    return waiting.value.suggested_filename, (folder / "saved").read_bytes().decode("utf-8")


@pytest.mark.parametrize("tags", [None, (ODD[0], ODD[2])])
def test_the_same_bytes_as_the_command_writes(tmp_path, open_page, tags) -> None:
    parse = replace(odd_parse(), tags=tags)
    write_page(parse, tmp_path / "page.html")
    page = open_page((tmp_path / "page.html").as_uri())
    for label, form, suffix in (
        ("Table (csv", "csv", "csv"),
        ("WebVTT", "webvtt", "vtt"),
        ("Audacity", "audacity", "txt"),
    ):
        name, text = saved(page, label, tmp_path)
        assert name == f"-id _ 1.{suffix}"
        assert text == load_format(form).dumps(parse), form


def test_the_json_is_read_back(tmp_path, open_page) -> None:
    """Probabilities of the test's parse are sixteenths, of which the page holds three decimals."""
    parse = replace(odd_parse(), notes=("a note",))
    write_page(parse, tmp_path / "page.html")
    _, text = saved(open_page((tmp_path / "page.html").as_uri()), "JSON", tmp_path)
    read = load_format("json").loads(text, "saved")
    assert isinstance(read, Parse)
    assert replace(read, probabilities=parse.probabilities) == parse
    for mine, theirs in zip(read.probabilities, parse.probabilities, strict=True):
        for row, other in zip(mine, theirs, strict=True):
            assert row == pytest.approx(other, abs=0.000501)


def test_the_menu_works_from_the_keyboard(tmp_path, open_page) -> None:
    write_page(make_parse(), tmp_path / "page.html", make_clip(tmp_path / "clip.mp4", 2.0))
    page = open_page((tmp_path / "page.html").as_uri())
    page.locator("#export summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename == "clip.csv"
    assert not page.locator("#export ul").is_visible()
    assert page.evaluate("() => document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert not page.locator("#export ul").is_visible()
