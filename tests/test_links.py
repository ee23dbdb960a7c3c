"""Every relative link of the Markdown in this repository leads to a file, and to a heading in it.

Read by CommonMark's parser, with GitHub's names for headings: the pages are read there too.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PARSER = MarkdownIt("commonmark").enable("table")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def pages() -> list[Path]:
    folders = (ROOT / name for name in ("benchmarks", "docs", "src", "tests"))
    return [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]


def inline(text: str) -> list[Token]:
    return [child for token in PARSER.parse(text) for child in token.children or ()]


def links(text: str) -> list[str]:
    return [
        str(token.attrs.get("href", token.attrs.get("src")))
        for token in inline(text)
        if token.type in ("link_open", "image")
    ]


def anchors(text: str) -> set[str]:
    """Returns the names that GitHub gives to headings: letters, digits, ``_`` and ``-`` stay."""
    tokens, seen, names = PARSER.parse(text), Counter[str](), set()
    for opened, heading in pairwise(tokens):
        if opened.type == "heading_open":
            shown = "".join(child.content for child in heading.children or ())
            name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            names.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return names


def broken(page: Path) -> list[str]:
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        if ELSEWHERE.match(link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", sorted(pages()), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    assert broken(page) == []


def test_a_wrong_file_and_a_wrong_heading_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# `rlld x`: R(2+1)D & more\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#rlld-x-r21d--more) [b](other.md#twice-1) [c](https://example.org/none)\n"
        "[d](other.md#twice-2) [e](gone.md) ![f](gone.png) [g](#here) [h](../outside.md)\n\n"
        "[i]: unused.md\n\n```\n[j](code.md)\n```\n\n| table |\n|--|\n| [k](cell.md) |\n"
    )
    assert broken(page) == [
        "other.md#twice-2", "gone.md", "gone.png", "#here", "../outside.md", "cell.md",
    ]  # fmt: skip
