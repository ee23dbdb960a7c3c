"""``rlld parse --live``: the events of the clip, told while it comes; its end is one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli_kit import called
from live_kit import make_stream
from parse_kit import make_run


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    make_stream(folder / "clip.ts", 17.4)
    make_run(folder / "run")
    return folder


def told(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def key(event: dict) -> tuple[str, str, float, float]:
    return event["label"], event["modality"], event["start"], event["end"]


def test_events_are_those_of_the_clip(home):
    live = called("parse", home / "run", "--live", home / "clip.ts", "--patience", "0.3")
    assert live.returncode == 0, live.stderr
    whole = called("parse", home / "run", home / "clip.ts", "--format", "json")
    wanted = json.loads(whole.stdout)["events"]
    lines = told(live.stdout)
    assert sorted(key(each) for each in lines if each["state"] == "end") == sorted(map(key, wanted))
    assert len(wanted) > 3 and sum(each["state"] == "begin" for each in lines) == len(wanted)
    assert "an event is told 22 s after it ended, or before" in live.stderr
    assert "ended after 17." in live.stderr and "nothing more came for 0.3 s" in live.stderr


def test_a_causal_run_tells_as_soon_as_an_event_is_over(home):
    run = make_run(home / "causal", causal=True)
    live = called("parse", run, "--live", home / "clip.ts", "--patience", "0.3")
    assert live.returncode == 0, live.stderr
    assert "an event is told 2 s after it ended, or before" in live.stderr
    whole = called("parse", run, home / "clip.ts", "--format", "json")
    wanted, lines = json.loads(whole.stdout)["events"], told(live.stdout)
    assert sorted(key(each) for each in lines if each["state"] == "end") == sorted(map(key, wanted))
    assert len(wanted) > 3


@pytest.mark.slow
def test_a_pipe_that_ends_and_one_that_stalls(home, tmp_path):
    content = (home / "clip.ts").read_bytes()
    for stall in (False, True):
        pipe, hold = tmp_path / f"pipe-{stall}", threading.Event()
        os.mkfifo(pipe)

        def write(pipe: Path = pipe, hold: threading.Event = hold, stall: bool = stall) -> None:
            with pipe.open("wb") as file:
                file.write(content)
                file.flush()
                if stall:
                    hold.wait()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        done = called("parse", home / "run", "--live", pipe, "--patience", "2")
        hold.set()
        writer.join()
        assert done.returncode == (2 if stall else 0), done.stderr
        assert any(each["state"] == "end" for each in told(done.stdout))
        words = "nothing more came for 2 s, after 17." if stall else "ended after 17."
        assert words in done.stderr.splitlines()[-1]


def test_standard_input_is_a_source(home):
    """In a process of its own, for its standard input is its own."""
    words = [sys.executable, "-m", "rlld", "parse", home / "run", "--live", "-"]
    with (home / "clip.ts").open("rb") as clip:
        pipe = subprocess.run(["cat"], stdin=clip, capture_output=True, check=True).stdout
    done = subprocess.run(list(map(str, words)), input=pipe, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(each["state"] == "end" for each in told(done.stdout.decode()))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--live", "clip.ts", "other.ts"), "--live: goes without clips"),
        (("--live", "clip.ts", "--tags", "Bell"), "--live: goes without tags"),
        (("--live", "clip.ts", "--patience", "0"), "--patience: expected seconds above 0"),
        (("--live", "nowhere.ts"), "nowhere.ts: cannot be read (No such file or directory)"),
        (("--live", "run/config.json", "--patience", "0.2"), "run/config.json: cannot be read"),
    ],
)
def test_wrong_sources_are_one_sentence(home, words, said):
    done = called("parse", "run", *words, cwd=home)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr and done.stdout == ""
