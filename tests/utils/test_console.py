"""Texts that nobody vouches for, on a terminal: shown as they are, steering nothing."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from rlld.errors import HEAD, TAIL, RlldError, listed, shortened, visible
from rlld.utils import console
from rlld.utils.console import Terminal, progress, quiet

HOSTILE = {
    "\x1b[2J\x1b]0;title\x07": "\\x1b[2J\\x1b]0;title\\x07",
    "\x9b31m": "\\x9b31m",
    "a\rb\x08c": "a\\rb\\x08c",
    "gpj.\u202eexe": "gpj.\\u202eexe",
    "\u2066a\u2069\u200f": "\\u2066a\\u2069\\u200f",
    "\ufeffa\u2028b": "\\ufeffa\\u2028b",
    "a\udcff": "a\\udcff",
    "[/red] [bold]x[/bold]": "[/red] [bold]x[/bold]",
    "[link=https://a.example]x[/link]": "[link=https://a.example]x[/link]",
    ":smile: $x^{$ {0} %s": ":smile: $x^{$ {0} %s",
    "Ünïcode 名\tand\nlines": "Ünïcode 名\tand\nlines",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_what_steers_a_terminal_is_shown(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown


@given(st.text())
def test_nothing_hidden_is_left(text):
    kept = {unicodedata.category(letter) for letter in visible(text) if letter not in "\t\n"}
    assert not kept & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(visible(text)) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printed(*things: object, terminal: bool) -> str:
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=terminal, width=200, no_color=True)
    console.print(*things)
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("text", HOSTILE)
def test_sentences_and_tables_show_it_too(text, terminal):
    if "\t" in text:  # of which rich makes blanks and rows
        return
    table = Table(text, "other", title=text, caption=text)
    table.add_row(text, text)
    for thing in (text, table):
        found = printed(thing, terminal=terminal)
        assert HOSTILE[text] in found
        assert all(letter.isprintable() or letter == "\n" for letter in plain(found)), found


def plain(text: str) -> str:
    """Takes off the styles that rich itself gives a table."""
    return re.sub(r"\x1b\[[0-9;]+m", "", text)


def test_content_is_shown_on_a_terminal_and_is_itself_elsewhere():
    text = "\x1b[31mred\u202e\tx"
    for terminal, expected in ((True, "\\x1b[31mred\\u202e\tx"), (False, text)):
        out = io.StringIO()
        Terminal(file=out, force_terminal=terminal).content(text)
        assert out.getvalue() == expected


def test_errors_are_one_short_line_whatever_was_found():
    told = str(RlldError("x.yaml: found " + "\x1b[2J" * 100_000 + "; change it"))
    assert len(told) < HEAD + TAIL + 60
    assert told.startswith("x.yaml: found \\x1b[2J")
    assert told.endswith("; change it")
    assert told.isprintable()


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """A clock that stands still until it is set, and no terminal."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_told_in_lines_where_there_is_no_terminal(clock, capsys):
    """A step takes a second: the first line comes after 5 s, the others 30 s apart."""
    with progress("reading", 100, 20) as tick:
        for _ in range(80):
            clock[0] += 1
            tick()
    assert capsys.readouterr().err.splitlines() == [
        "reading 25 of 100, 75 s left",
        "reading 55 of 100, 45 s left",
        "reading 85 of 100, 15 s left",
    ]


def test_what_is_soon_done_tells_nothing(clock, capsys):
    for _ in range(10):
        with progress("reading", 4) as tick:
            clock[0] += 4.9
            tick(4)
    assert capsys.readouterr().err == ""


def test_long_work_of_short_parts_is_told_whole(clock, capsys):
    with progress("cleaning", 10) as outer:
        for _ in range(2):
            with progress("training\x1b[2J", None) as tick:
                clock[0] += 4
                tick(1000, "type 1 / 2")
            outer()
        clock[0] += 120
        outer(0)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "cleaning 1 of 10, 72 s left > training\\x1b[2J 1,000, type 1 / 2"
    assert second == "cleaning 2 of 10, 9 min left"


def test_one_bar_of_many_jobs_is_all_that_is_told(clock, capsys):
    with quiet(), progress("job", 2) as tick:
        clock[0] += 60
        tick()
    assert capsys.readouterr().err == ""


def test_long_texts_and_lists_lose_their_middle_or_end():
    assert shortened("x" * (HEAD + TAIL)) == "x" * (HEAD + TAIL)
    assert "[... 1 characters ...]" in shortened("x" * (HEAD + TAIL + 1))
    assert listed(range(20)) == ", ".join(map(str, range(20)))
    assert listed(range(1021)).endswith("18, 19 and 1,001 more")
