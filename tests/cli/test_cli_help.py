"""Help and information: quick, complete, and without loading torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rlld.cli import verbs

HELP = """
import contextlib, io, json, sys
from rlld.cli import _main, verbs
heavy = {"torch", "numpy", "av", "matplotlib"}
for verb in ("", *verbs()):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            status = _main([*verb.split(), "--help"])
        except SystemExit as stop:
            status = stop.code or 0
    print(json.dumps([verb, status, out.getvalue(), sorted(heavy & set(sys.modules))]))
"""


@pytest.fixture(scope="module")
def helped():
    """What ``rlld VERB --help`` says of every verb and has loaded after it, in one interpreter."""
    result = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return {verb: rest for verb, *rest in map(json.loads, result.stdout.splitlines())}


@pytest.mark.parametrize("verb", ["", *verbs()])
def test_help_loads_nothing_heavy(helped, verb):
    status, text, heavy = helped[verb]
    assert (status, heavy) == (0, [])
    assert f"rlld {verb}".strip() in text


def test_the_overview_names_every_verb_with_a_summary(run_cli):
    result = run_cli("--help")
    assert result.returncode == 0
    for verb in verbs():
        line = next(row for row in result.stdout.splitlines() if row.startswith(f"  rlld {verb} "))
        assert len(line.split(verb, 1)[1].split()) >= 3


def test_unknown_commands_name_the_nearest(run_cli):
    result = run_cli("trian", "han")
    assert result.returncode == 2
    assert "did you mean 'train'" in result.stderr


def test_a_group_lists_its_commands(run_cli):
    result = run_cli("data")
    assert result.returncode == 0
    assert "rlld data pack" in result.stdout
    assert "rlld train" not in result.stdout


def test_info_as_json(installed):
    report = json.loads(installed("info", "--json").stdout)
    assert report["packages"]["torch"]
    assert report["rlld"]


def test_info_refuses_what_it_does_not_know(run_cli):
    result = run_cli("info", "--xml")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_version(installed):
    assert installed("--version").stdout.startswith("rlld 0.")
