"""The table of methods says under which licence each method's code, weights and features are."""

from __future__ import annotations

import re
from itertools import takewhile, zip_longest
from pathlib import Path

import pytest

from rlld.recipes.recipe import recipe_names

METHODS = Path(__file__).parents[2] / "docs" / "methods"
HEADS = ["recipe", "network", "denoiser", "what it is", "code", "weights", "features", "page"]
NAMED = re.compile(
    r"(MIT|Apache-2\.0|BSD-[23]-Clause|[AL]?GPL-[23]\.[01]|CC0-1\.0|CC BY(-NC)?(-SA|-ND)? 4\.0)"
    r"( \(README\))?"
)
REPOSITORY = re.compile(r"\bcode\s+`[\w.-]+/[\w.-]+`")


def rows() -> list[dict[str, str]]:
    lines = (METHODS / "README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"| {' | '.join(HEADS)} |")
    table = list(takewhile(lambda line: line.startswith("|"), lines[start:]))
    return [dict(zip_longest(HEADS, _cells(line), fillvalue="")) for line in table[2:]]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["recipe"])
def test_every_method_says_the_licences_of_what_was_published(row):
    """`none`, `not seen` and `-` (nothing published) are answers, an empty cell is not."""
    for what, others in {
        "code": {"-", "none", "ours"},
        "weights": {"-", "none", "not seen"},
        "features": {"-", "none", "not seen", "LLP's"},
    }.items():
        assert row[what] in others or NAMED.fullmatch(row[what]), (
            f"docs/methods/README.md, {row['recipe']}: {what} {row[what]!r}; say the licence, or "
            f"one of {sorted(others)}"
        )


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["recipe"])
def test_a_method_has_a_licence_of_code_where_its_page_names_the_code(row):
    if row["code"] == "ours":
        assert row["weights"] == row["features"] == "-"
        return
    page = (METHODS / row["page"].split("](")[1].rstrip(")")).read_text(encoding="utf-8")
    assert bool(REPOSITORY.search(page)) == (row["code"] != "-"), row["page"]


def test_the_table_has_every_recipe_once():
    listed = [name for row in rows() for name in re.findall(r"`([^`]+)`", row["recipe"])]
    assert sorted(listed) == recipe_names()
