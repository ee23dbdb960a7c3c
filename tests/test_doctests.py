"""The examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PROMPT = re.compile(r"^ *>>> ", re.MULTILINE)
SHOWN = {
    f"rlld.{name}"
    for name in (
        "data.annotations", "metrics.gates", "metrics.noise_detection", "metrics.scores",
        "metrics.tags", "parsing.events", "taxonomy", "utils.config",
    )
}  # fmt: skip
"""Modules whose central functions have examples."""


def with_examples() -> list[str]:
    shown = (path for path in sorted(SOURCE.rglob("*.py")) if PROMPT.search(path.read_text()))
    names = (".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in shown)
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", with_examples())
def test_examples_give_what_they_show(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0


def test_central_functions_have_examples():
    assert set(with_examples()) >= SHOWN


def test_a_wrong_example_is_found(tmp_path, monkeypatch):
    (tmp_path / "wrong_example.py").write_text('"""Adds.\n\n>>> 1 + 1\n3\n"""\n')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AssertionError):
        test_examples_give_what_they_show("wrong_example")
