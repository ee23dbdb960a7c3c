"""Help and information: quick, complete, and without loading torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rlld.cli import verbs

WITHOUT_TORCH = """
import sys
from rlld.cli import _main
sys.argv = ["rlld"]
try:
    _main({arguments!r})
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {{"torch", "numpy", "av", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], *([*verb.split(), "--help"] for verb in verbs())]
)
def test_help_loads_nothing_heavy(arguments):
    code = WITHOUT_TORCH.format(arguments=arguments)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert arguments[0] == "--help" or f"rlld {' '.join(arguments[:-1])}" in result.stdout


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


def test_info_as_json(run_cli):
    report = json.loads(run_cli("info", "--json").stdout)
    assert report["packages"]["torch"]
    assert report["rlld"]


def test_info_refuses_what_it_does_not_know(run_cli):
    result = run_cli("info", "--xml")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_version(run_cli):
    assert run_cli("--version").stdout.startswith("rlld 0.")
