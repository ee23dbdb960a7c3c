"""``rlld parse --zero-shot`` as a user calls it, with small CLIP and CLAP of random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models_kit import write_clap, write_clip
from parse_kit import make_clip
from rlld.cli._zero_shot import _rule
from rlld.export import csv_events, json_events
from rlld.features.weights import VARIABLE
from rlld.utils import pool
from rlld.utils.pool import each

CLASSES = "glass breaking,applause,Dog_bark"
NAMES = ("glass breaking", "applause", "Dog_bark")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with weights and a clip; tests only read it."""
    folder = tmp_path_factory.mktemp("made")
    write_clip(folder / "weights")
    write_clap(folder / "weights")
    make_clip(folder / "clip.mp4", 3.0)
    return folder


@pytest.fixture
def call(made, run_cli, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(made / "weights"))
    return lambda *args: run_cli("parse", *args, "--device", "cpu")


@pytest.fixture(scope="module")
def parsed(made) -> dict[str, str]:
    """What is printed as JSON by each rule: decoding and networks take their time."""
    from cli_kit import called

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(made / "weights"))
        found = {}
        for rule in ("calibrated", "published"):
            words = ("--classes", CLASSES, "--zero-shot", "--rule", rule, "--format", "json")
            result = called("parse", made / "clip.mp4", *words, "--device", "cpu")
            assert result.returncode == 0, result.stderr
            found[rule] = result.stdout
    return found


@pytest.mark.parametrize("rule", ["calibrated", "published"])
def test_a_parse_has_what_every_parse_has(parsed, rule):
    parse = json_events.loads(parsed[rule], "stdout")
    assert parse.classes == NAMES and parse.name == "clip.mp4"
    assert parse.duration == pytest.approx(3, abs=0.2)
    assert len(parse.probabilities) == round(parse.duration)
    assert all(0 <= p <= 1 for row in parse.probabilities for track in row for p in track)
    highest = [[max(row[m][c] for row in parse.probabilities) for c in range(3)] for m in range(2)]
    assert [list(row) for row in parse.gates] == highest
    assert parse.model == f"{rule} rule for named classes, clip,clap"
    assert ("rest on this clip alone" in " ".join(parse.notes)) == (rule == "calibrated")


def test_files_and_pages_are_written(call, made, tmp_path, monkeypatch):
    # In this process: a fresh one takes long to load what compares.
    monkeypatch.setattr(pool, "each", lambda task, jobs, workers, apart: each(task, jobs, workers))
    clips = tmp_path / "clips"
    clips.mkdir()
    shutil.copy(made / "clip.mp4", clips / "a.mp4")
    (clips / "b.mp4").write_bytes(b"no clip")
    out = tmp_path / "out"
    result = call(clips, "--classes", CLASSES, "--zero-shot", "--format", "html", "--out", out)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "1 of 2 clips could not be parsed: b.mp4" in result.stderr
    assert [file.name for file in out.iterdir()] == ["a.html"]
    assert '"Dog_bark"' in (out / "a.html").read_text()


def test_a_table_of_events_is_the_parse(call, made, parsed, tmp_path):
    out = tmp_path / "events.csv"
    words = ("--classes", CLASSES, "--zero-shot", "--rule", "calibrated", "--out", out)
    result = call(made / "clip.mp4", *words)
    assert result.stdout == f"written: {out}\n"
    parse = json_events.loads(parsed["calibrated"], "stdout")
    assert csv_events.loads(out.read_text(), "csv").get("clip.mp4", ()) == parse.events


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--zero-shot",), "--classes is missing"),
        (("--zero-shot", "--classes", ""), "found none"),
        (("--zero-shot", "--classes", " , "), "found none"),
        (("--zero-shot", "--classes", "dog,,cat"), "name 2 of 3 is empty"),
        (("--zero-shot", "--classes", "dog"), "found 'dog' alone"),
        (("--zero-shot", "--classes", "dog,cat,Dog"), "'dog' is listed twice"),
        (("--zero-shot", "--classes", "dog bark,Dog_bark"), "'dog bark' is listed twice"),
        (("--zero-shot", "--classes", "<b>dog</b>,cat"), "'<b>dog</b>' holds markup"),
        (("--zero-shot", "--classes", "dog,cat", "--tags", "dog"), "goes without --tags"),
        (("--zero-shot", "--classes", "dog,cat", "--encoders", "light"), "'light' knows no words"),
        (("--zero-shot", "--classes", "dog,cat", "--encoders", "clip"), "makes stream 'audio'"),
        (("--zero-shot", "--classes", "dog,cat", "--encoders", "clop"), "did you mean 'clip'"),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, made, fails_with, words, told):
    fails_with(call(made / "clip.mp4", *words), told)


def test_missing_weights_are_told_once_with_how_to_fetch_them(
    run_cli, made, fails_with, tmp_path, monkeypatch
):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    words = ("--classes", CLASSES, "--zero-shot", "--device", "cpu")
    fails_with(run_cli("parse", made / "clip.mp4", *words), "fetch it with 'rlld weights clip'")


@pytest.mark.parametrize(
    ("asked", "clips", "taken"),
    [
        ("auto", 9, "published"),
        ("auto", 10, "calibrated"),
        ("calibrated", 1, "calibrated"),
        ("published", 50, "published"),
    ],
)
def test_few_clips_are_judged_one_by_one(asked, clips, taken):
    assert _rule(asked, clips, NAMES)[1] == taken
