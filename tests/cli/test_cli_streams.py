"""What becomes of output where it cannot be written as it is."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from parse_kit import make_clip, make_run
from rlld.cli import main
from rlld.errors import RlldError
from rlld.utils.console import LEAST
from rlld.utils.streams import PIPE_STATUS

RLLD = (sys.executable, "-m", "rlld")


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of the shell, in which ``rlld`` is this one."""
    line = f'rlld() {{ "{sys.executable}" -m rlld "$@"; }}; {command}'
    environment = {**os.environ, **variables}
    return subprocess.run(
        ["bash", "-c", line], env=environment, capture_output=True, encoding="utf-8", check=False
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A command that parses a clip of an odd name."""
    folder = tmp_path_factory.mktemp("streams")
    run, clip = make_run(folder / "run"), make_clip(folder / "caf\u00e9 \u2603.mp4", 1.0)
    return "parse", str(run), str(clip)


@pytest.fixture
def table(words):
    """Returns what a parse as a user's prints under an encoding."""

    def printed(encoding: str, *options: str) -> str:
        variables = {"PYTHONIOENCODING": encoding, "COLUMNS": "100"}
        done = subprocess.run(
            [*RLLD, *words, *options],
            env={**os.environ, **variables},
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode("utf-8" if options else encoding)

    return printed


@pytest.fixture
def page(words, monkeypatch):
    """Returns what a parse in this process prints to a stream of an encoding."""

    def printed(encoding: str, columns: int = 100) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as end:
            main(list(words))
        monkeypatch.undo()
        err.flush()
        assert (end.value.code, err.buffer.getvalue()) == (0, b"")
        return out.buffer.getvalue().decode(encoding)

    return printed


def test_a_code_page_gets_what_it_has(page):
    assert page("utf-8").startswith("caf\u00e9 \u2603.mp4  1")
    latin = page("cp1252")
    assert latin.startswith("caf\u00e9 \\u2603.mp4  1") and "##########" in latin
    assert page("ascii").startswith("caf\\xe9 \\u2603.mp4  1")


def test_what_programs_read_is_utf8_everywhere(table):
    assert "\ncaf\u00e9 \u2603.mp4\t" in table("ascii", "--format", "csv")


def test_a_narrow_terminal_loses_nothing(page, monkeypatch):
    whole = page("utf-8", LEAST)
    assert page("utf-8", 20) == whole
    monkeypatch.setattr("rlld.utils.console.LEAST", 20)
    assert page("utf-8", 20) != whole


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_one_sentence():
    for command in ("rlld --version", "rlld parse --help"):
        done = shell(f"{command} > /dev/full")
        told = "rlld: standard output: No space left on device; make it possible and run again\n"
        assert (done.returncode, done.stderr) == (2, told)
    assert shell("rlld nonsense 2> /dev/full").returncode == 2


def test_closed_streams_change_no_status():
    done = shell("rlld --version >&-; echo $?; rlld nonsense 2>&-; echo $?")
    assert (done.stdout, done.stderr) == ("0\n2\n", "")


def test_a_reader_that_goes_is_no_fault():
    for command, status in {"rlld info": "141\n", "rlld nonsense 2>&1": "2\n"}.items():
        done = shell(f"{command} | true; echo ${{PIPESTATUS[0]}}")
        assert (done.stdout, done.stderr) == (status, "")


@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    """A run, a clip and a data set to show."""
    folder = tmp_path_factory.mktemp("readable")
    make_run(folder / "run")
    make_clip(folder / "clip.mp4", 1.0)
    return folder


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["--version"],
        ["info"],
        ["info", "--json"],
        ["weights"],
        ["train", "--help"],
        ["data", "simulate", "--videos", "6", "3", "3", "--out", "S"],
        ["data", "check", "S"],
        ["parse", "run", "clip.mp4"],
        ["parse", "run", "clip.mp4", "--format", "json"],
        ["parse", "run", "clip.mp4", "nothing.mp4"],
        ["evaluate", "nothing"],
    ],
    ids=" ".join,
)
def test_every_verb_ends_quietly_when_its_reader_goes(command, stream, readable, monkeypatch):
    monkeypatch.chdir(readable)
    other, kept = {"stdout": "stderr", "stderr": "stdout"}[stream], io.StringIO()
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering=1, encoding="utf-8") as gone:
        monkeypatch.setattr(sys, stream, gone)
        monkeypatch.setattr(sys, other, kept)
        with pytest.raises(SystemExit) as end:
            main(command)
    refused = "nothing" in command[-1]
    if stream == "stdout" and not refused:
        assert (end.value.code, kept.getvalue()) == (PIPE_STATUS, "")
    assert end.value.code in (2 if refused else 0, PIPE_STATUS)
    assert "Traceback" not in kept.getvalue()


@pytest.fixture
def interruptible():
    """As in a foreground shell: what a shell starts in the background ignores interrupts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_in_a_destructor_comes_again(monkeypatch, capsys):
    class Holder:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def work(argv: list[str]) -> None:
        Holder()  # goes at once, and its interrupt with it
        time.sleep(20)

    monkeypatch.setattr("rlld.cli._dispatch", work)
    with pytest.raises(SystemExit) as end:
        main(["info"])
    assert end.value.code == 130
    assert capsys.readouterr().err == "rlld: interrupted\n"


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_a_library_makes_an_error_of_is_one(monkeypatch, capsys):
    def work(argv: list[str]) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RlldError("model.safetensors: not readable") from None

    monkeypatch.setattr("rlld.cli._dispatch", work)
    with pytest.raises(SystemExit) as end:
        main(["info"])
    assert end.value.code == 130
    assert capsys.readouterr().err == "rlld: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
