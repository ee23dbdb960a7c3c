"""The map of the paper: nothing is left out, and every name in it exists."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from rlld.denoisers import reinforced
from rlld.denoisers.reinforced.options import InterRewardOptions, Options, TerminalRewardOptions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/paper.md"
PIECES = {
    "Algorithm 1",
    *(f"Eq. {number}" for number in range(1, 16)),
    *(f"Table {number}" for number in range(1, 4)),
    *(f"Figure {number}" for number in range(1, 12)),
    *(f"Section {number}" for number in range(1, 6)),
    *(f"Section 3.{number}" for number in range(1, 6)),
    *(f"Section 4.{number}" for number in range(1, 7)),
}
"""All that the paper numbers."""


def rows() -> list[list[str]]:
    """Returns the cells of every row of the page: paper, what, here, test."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "paper" and not set(row[0]) & {"-"}]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def exists(name: str) -> bool:
    """Says whether ``module:attribute.attribute`` does."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def test_every_piece_of_the_paper_has_its_row() -> None:
    found = [row[0] for row in rows() if row[0]]
    assert sorted(found) == sorted(PIECES)


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[1]}")
def test_every_name_exists(row: list[str]) -> None:
    _, _, here, test = row
    functions, tests = named(here), named(test)
    assert functions
    assert tests
    assert [name for name in functions if ":" not in name or not exists(name)] == []
    for name in tests:
        file, _, function = name.partition("::")
        assert function in functions_of(file), name


def test_names_that_do_not_exist_are_found() -> None:
    assert exists("rlld.denoisers.reinforced:Config.build")
    assert not exists("rlld.denoisers.reinforced:Config.built")
    assert "test_names_that_do_not_exist" not in functions_of("tests/test_paper_map.py")


def test_the_short_table_beside_the_code_names_what_exists() -> None:
    table = [line for line in str(reinforced.__doc__).splitlines() if line.startswith("|")]
    assert len(table) == 14
    names = re.findall(r"``([\w.]+)``", "".join(table))
    for name in names:
        if name.startswith("rlld."):
            importlib.import_module(name)
            continue
        module, _, function = name.rpartition(".")
        assert exists(f"rlld.denoisers.reinforced{'.' * bool(module)}{module}:{function}"), name


def test_defaults_are_the_settings_of_the_paper() -> None:
    """Section 4.1, and what of Table 1 and Algorithm 1 is an option."""
    options, inter, terminal = Options(), InterRewardOptions(), TerminalRewardOptions()
    assert (options.credit, options.mode, options.update) == ("paper", "joint", "step")
    assert (options.lr, options.empty_reward) == (1e-4, -1)
    assert (options.baseline, options.entropy) == ("none", 0)
    assert (inter.alpha1, inter.alpha2) == (0.6, 0.4)
    assert (terminal.audio, terminal.visual, terminal.scale) == (
        "segment_audio",
        "event_visual",
        0.1,
    )
