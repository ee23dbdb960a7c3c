"""Extras promise nothing that no code uses."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import rlld
from rlld.cli.info import collect
from rlld.utils.extras import EXTRAS

SOURCE = Path(rlld.__file__).parent
PROJECT = SOURCE.parents[1] / "pyproject.toml"
NEEDED_BY_OTHERS = {"setuptools"}
"""Packages that packages of an extra import without asking for them."""
NO_IMPORT = {"dev", "docs"}
"""Tools for those who work on rlld; the package imports none of them."""


def declared() -> dict[str, set[str]]:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    return {
        extra: {re.split(r"[\[<>=]", line)[0].replace("-", "_") for line in lines}
        - NEEDED_BY_OTHERS
        for extra, lines in extras.items()
    }


def test_the_package_knows_the_extras_that_are_declared():
    wanted = {extra: names for extra, names in declared().items() if extra not in NO_IMPORT}
    assert {extra: set(names) for extra, names in EXTRAS.items()} == wanted


def test_every_package_of_an_extra_is_imported_somewhere():
    files = [path for path in SOURCE.rglob("*.py") if path.name != "extras.py"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for name in {name for names in EXTRAS.values() for name in names}:
        used = rf"optional\(\s*f?\"{name}|import {name}|from {name}[. ]|package=\"{name}\""
        assert re.search(used, source), f"nothing imports {name}"


def test_a_make_target_uses_the_extra_of_the_docs():
    targets = (PROJECT.parent / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"^docs:.*\n((?:\t.*\n)+)", targets, re.MULTILINE)
    assert recipe
    assert ".[docs]" in recipe[1]
    assert "-m mkdocs" in recipe[1]
    site = (PROJECT.parent / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r"^ +name: material$", site, re.MULTILINE)
    assert re.search(r"^ +- mkdocstrings:$", site, re.MULTILINE)


def test_info_advertises_no_other_extras():
    assert set(collect()["missing_extras"]) <= set(EXTRAS)
