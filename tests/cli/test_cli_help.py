"""Help and information: quick, complete, and without loading torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import rlld.cli
from rlld.cli import VERBS
from rlld.cli._bench import CurveArgs, FigureArgs, TableArgs
from rlld.cli._verb import call
from rlld.cli.bench import BENCHMARKS

PAGES = ("", "data", "bench")
COMMANDS = tuple(verb for verb in VERBS if verb != "bench")
NEW = tuple(f"bench {name}" for name in BENCHMARKS)
NUMBERED = ("table1", "table2", "table3", *(f"figure{number}" for number in range(2, 12)))
OLD = tuple(f"bench {name}" for name in NUMBERED)

HELP = """
import contextlib, io, json, sys
from rlld.cli import _main
heavy = {"torch", "numpy", "av", "matplotlib"}
for verb in json.loads(sys.argv[1]):
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
    words = json.dumps([*PAGES, *COMMANDS, *NEW, *OLD])
    result = subprocess.run([sys.executable, "-c", HELP, words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return {verb: rest for verb, *rest in map(json.loads, result.stdout.splitlines())}


@pytest.mark.parametrize("verb", [*PAGES, *COMMANDS, *NEW])
def test_help_loads_nothing_heavy(helped, verb):
    status, text, heavy = helped[verb]
    assert (status, heavy) == (0, [])
    assert f"rlld {verb}".strip() in text


def test_the_first_page_has_the_verbs_in_the_order_of_their_use(helped):
    rows = [row.split("  ") for row in helped[""][1].splitlines() if row.startswith("  rlld ")]
    assert [row[1].removeprefix("rlld ") for row in rows] == list(VERBS)
    assert all(len(row[-1].split()) >= 3 for row in rows)
    order = ["demo", "data pack", "train", "evaluate", "denoise", "suggest", "parse", "extract"]
    assert [verb for verb in VERBS if verb in order] == order
    assert VERBS[-1] == "bench"


def test_every_file_of_a_verb_is_in_the_table():
    folder = Path(rlld.cli.__file__).parent
    files = [file for file in folder.rglob("*.py") if not file.name.startswith("_")]
    found = {" ".join(file.relative_to(folder).with_suffix("").parts) for file in files}
    assert found == set(VERBS)


def test_the_benchmarks_have_a_page_of_their_own(helped):
    rows = [row for row in helped["bench"][1].splitlines() if row.startswith("  rlld bench ")]
    assert [" ".join(row.split("  ")[1].split()[2:]) for row in rows] == list(BENCHMARKS)
    assert "rlld train" not in helped["bench"][1]


@pytest.mark.parametrize("old", OLD)
def test_old_words_of_benchmarks_are_the_new_ones(helped, old):
    word = old.removeprefix("bench ")
    new = next(name for name in BENCHMARKS if name.replace(" ", "") == word)
    assert helped[old] == helped[f"bench {new}"]


@pytest.mark.parametrize("word", NUMBERED)
def test_old_words_take_their_options(monkeypatch, run_cli, word):
    taken = []
    monkeypatch.setattr("rlld.cli._verb.call", lambda *call: taken.append(call))
    options = ["--data", "a", "b", "--out", "o", "--seeds", "3"]
    assert run_cli("bench", word, *options).returncode == 0
    [(name, verb, argv)] = taken
    assert (name.replace(" ", ""), argv) == (f"bench{word}", options)
    assert verb is BENCHMARKS[name.removeprefix("bench ")]
    made = []
    call(name, replace(verb, run=made.append), argv)
    kinds = {"table1": TableArgs, "table2": TableArgs, "table3": FigureArgs}
    number = int(word.removeprefix("figure")) if word not in kinds else 0
    assert type(made[0]) is kinds.get(word, CurveArgs if number > 5 else FigureArgs)
    assert (made[0].data, made[0].seeds) == ((Path("a"), Path("b")), 3)


def test_unknown_commands_name_the_nearest(run_cli):
    result = run_cli("trian", "han")
    assert result.returncode == 2
    assert "did you mean 'train'" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bench", "figure12", "--data", "d"), "'bench figure 12'; did you mean 'bench figure "),
        (("bench", "table"), "'bench table'; did you mean 'bench table"),
        (("bench", "denosing"), "'bench denosing'; did you mean 'bench denoising'"),
        (("data", "pakc"), "'data pakc'; did you mean 'data pack'"),
    ],
)
def test_unknown_words_of_a_page_name_the_nearest(fails_with, run_cli, words, said):
    fails_with(run_cli(*words), said)


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
