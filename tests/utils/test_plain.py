"""Plain data of anybody: read within bounds, refused in a sentence, written so that it reads."""

from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import rlld
from rlld.errors import RlldError
from rlld.utils.config import read_yaml
from rlld.utils.plain import (
    DEEPEST,
    MOST_BYTES,
    MOST_VALUES,
    json_text,
    json_value,
    parsed,
    yaml_value,
)

SOURCE = Path(rlld.__file__).parent

REFUSED = {
    "a: &x [1]\nb: *x": r"line 2, column 4: aliases \(\*name\) are not read",
    "a: !!int x": "line 1, column 4: found what is no int",
    "a: !!float x": "found what is no float",
    "a: !!bool x": "found what is no bool",
    "a: !!python/object/apply:os.system [x]": "could not determine a constructor",
    "a: !!binary x": "could not determine a constructor",
    "a: !!set {x}": "could not determine a constructor",
    "a: !!timestamp 2001-01-01": "could not determine a constructor",
    f"a: {'9' * 5000}": "found what is no int",
    "[1": "expected ',' or ']'",
    "{1: 2, 1: 3}": "'1' is given more than once",
    "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1): f"nested more than {DEEPEST} levels deep",
    "[" * 100_000: f"nested more than {DEEPEST} levels deep",
    f"[{'0,' * MOST_VALUES}0]": "more than 20,000 values",
    "a: \x07": "special characters are not allowed",
}
BOMB = "a: &a [x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=lambda text: text[:20])
def test_yaml_is_refused_in_a_short_sentence(text, reason):
    with pytest.raises(RlldError, match=reason) as caught:
        yaml_value(text, "x.yaml")
    told = str(caught.value)
    assert told.startswith("x.yaml: cannot be read (")
    assert told.isprintable()
    assert len(told) < 300


def test_aliases_that_multiply_cost_nothing():
    started = time.process_time()
    with pytest.raises(RlldError, match="aliases"):
        yaml_value(BOMB, "x.yaml")
    assert time.process_time() - started < 1


def test_a_long_text_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(RlldError, match=r"x: cannot be read \(longer than 4 MB\); shorten it"):
        yaml_value("a" * (MOST_BYTES + 1), "x")
    path = tmp_path / "recipe.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no room
    with pytest.raises(RlldError, match=r"recipe\.yaml: "):
        read_yaml(path)


def test_what_looks_like_a_date_is_text():
    for text in ("2001-99-99", "2001-01-01", "2001-01-01 10:00:00"):
        assert yaml_value(f"a: {text}", "x") == {"a": text}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text("ab: -é#'", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner),
    max_leaves=12,
)


@given(VALUES)
def test_plain_values_come_back(value):
    assert yaml_value(yaml.safe_dump(value), "x") == value
    assert json_value(json_text(value, "x"), "x") == value
    assert parsed(json_text(value, "x")) == value


def test_json_with_what_it_does_not_know_is_refused():
    for text, reason in {
        "NaN": "NaN is no finite number",
        "[1, -Infinity]": "-Infinity is no finite number",
        "1e999": "1e999 is no finite number",
        "9" * 5000: "digits",
        "[" * 200_000: "recursion",
        "{'a': 1}": "double quotes",
        "": "Expecting value",
    }.items():
        with pytest.raises(RlldError, match=rf"^x.json: not valid JSON .*{reason}") as caught:
            json_value(text, "x.json")
        assert len(str(caught.value)) < 300
    with pytest.raises(ValueError, match="nested without end"):
        parsed("[" * 200_000)


def test_whole_numbers_that_no_float_holds_are_refused():
    text = f'{{"a": -1{"0" * 400}}}'
    with pytest.raises(ValueError, match="larger than any float"):
        parsed(text)
    with pytest.raises(RlldError, match="larger than any float"):
        json_value(text, "x.json")
    assert parsed(str(2**1000)) == 2**1000


def test_numbers_that_json_does_not_know_are_not_written():
    for value in (float("nan"), float("inf"), {"a": [float("-inf")]}):
        with pytest.raises(RlldError, match=r"^out.json: holds NaN or an infinite number"):
            json_text(value, "out.json")
    assert json_text({"é": 1.5}, "x", indent=1) == json.dumps({"é": 1.5}, indent=1)


KEYS = frozenset(
    {
        # Identities: compared or hashed where they are made, and read by nobody.
        "[self.name, self.parameters()]",
        "[settings, where]",
        "found.get(key)",
        "parts",
        "self.head",
        "settings",
        "state['identity']",
        # Settings as they are typed, whose numbers were checked when they were read.
        "to_dict(self.priors)",
        "value",
        "values",
        # Text and whole numbers.
        "list(ids)",
        "{'__metadata__': metadata, **tensors}",
    }
)
"""What is made JSON without ``json_text``: nothing of it is a file whose numbers are measured."""


def test_nothing_else_writes_json():
    found = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module != "json", file
            if file.name == "plain.py" or not isinstance(node, ast.Call):  # the one place
                continue
            if ast.unparse(node.func) in ("json.dump", "json.dumps"):
                found.add(ast.unparse(node.args[0]))
    assert sorted(found - KEYS) == []
    assert sorted(KEYS - found) == []
