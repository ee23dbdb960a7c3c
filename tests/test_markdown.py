"""Markdown that is right in the repository and on the site: links and lists.

Every relative link leads to a file, and to a heading in it. Read by CommonMark's parser, with
GitHub's names for headings; `make docs` checks the same links by its own.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

ROOT = Path(__file__).parents[1]
PARSER = MarkdownIt("commonmark").enable("table")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def pages() -> list[Path]:
    folders = (ROOT / name for name in ("benchmarks", "docs", "src", "tests"))
    return [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]


@cache
def parsed(text: str) -> list[Token]:
    return PARSER.parse(text)


def inline(text: str) -> list[Token]:
    return [child for token in parsed(text) for child in token.children or ()]


def links(text: str) -> list[str]:
    return [
        str(token.attrs.get("href", token.attrs.get("src")))
        for token in inline(text)
        if token.type in ("link_open", "image")
    ]


def anchors(text: str) -> set[str]:
    """Returns the names that GitHub gives to headings: letters, digits, ``_`` and ``-`` stay."""
    tokens, seen, names = parsed(text), Counter[str](), set()
    for opened, heading in pairwise(tokens):
        if opened.type == "heading_open":
            shown = "".join(child.content for child in heading.children or ())
            name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            names.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return names


def shallow(text: str) -> list[int]:
    """Returns the lines, from 1, of blocks in lists that the parser of the site does not see there.

    GitHub takes what follows the first block of an item at the column of its text, the site at
    four columns for each list around it; and after such a block, the site wants an empty line
    before the next item.
    """
    lines, found = text.splitlines(), []
    for node in SyntaxTreeNode(parsed(text)).walk():
        if node.type == "list_item":
            columns = 4 * around(node)
            starts = [block.map[0] for block in node.children[1:] if block.map]
            found += [at + 1 for at in starts if not lines[at].startswith(" " * columns)]
            after = node.next_sibling
            if starts and "list" not in node.children[-1].type and after and after.map:
                found += [after.map[0] + 1] if lines[after.map[0] - 1].strip() else []
    return found


def around(node: SyntaxTreeNode) -> int:
    """Returns how many items of lists a node lies in, itself among them."""
    return (node.type == "list_item") + (around(node.parent) if node.parent else 0)


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


@pytest.mark.parametrize("page", sorted(pages()), ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_in_lists_are_indented_for_both_parsers(page):
    assert shallow(page.read_text(encoding="utf-8")) == []


def test_a_block_that_leaves_its_list_on_the_site_is_found():
    assert (
        shallow("1. a\n\n    more\n\n    ```\n    code\n    ```\n\n2. b\n    - nested\n3. c\n")
        == []
    )
    assert shallow("text\n\n- c\n  goes on\n- d\n") == []
    assert shallow("1. a\n\n   more\n") == [3]
    assert shallow("- a\n\n  ```\n  code\n  ```\n") == [3]
    assert shallow("- a\n  - nested\n") == [2]
    assert shallow("1. a\n\n    more\n2. b\n") == [4]
