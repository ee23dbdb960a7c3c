"""Files appear whole or not at all."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from rlld.errors import RlldError
from rlld.utils.files import held, write_text, written_aside


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), written_aside(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_names_that_are_no_text_can_be_written(tmp_path):
    write_text(tmp_path / "list.txt", "caf\u00e9 " + os.fsdecode(b"by\xfete\n"))
    assert (tmp_path / "list.txt").read_bytes() == b"caf\xc3\xa9 by\\udcfete\n"


def test_what_killed_processes_left_is_removed_wherever_one_stands(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in ("one", "two"):  # each is called "out" where this process stands
        left = tmp_path / name / "out" / f".new.json.{platform.node()}.{ended.pid}.part"
        left.parent.mkdir(parents=True)
        left.touch()
        monkeypatch.chdir(tmp_path / name)
        write_text(Path("out/new.json"), "{}")
        assert [file.name for file in Path("out").iterdir()] == ["new.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_takes_what_is_written_and_stays_one(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for place in (pipe, link):
        reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
        write_text(place, "text")
        assert reader.communicate()[0] == b"text"
    assert pipe.is_fifo() and link.is_symlink() and len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_a_device_is_no_file_to_be_replaced():
    write_text(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()
    with pytest.raises(RlldError, match=r"/dev/full: cannot be written \(No space left"):
        write_text(Path("/dev/full"), "text")
    assert Path("/dev/full").is_char_device()


def test_a_link_to_a_file_is_replaced_and_the_file_is_not(tmp_path):
    """A folder that somebody sent may hold links to anything."""
    kept, link = tmp_path / "kept", tmp_path / "link"
    kept.write_text("old")
    link.symlink_to(kept)
    write_text(link, "new")
    assert kept.read_text() == "old" and link.read_text() == "new" and not link.is_symlink()


def test_folders_are_made(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "text")
    assert (tmp_path / "a" / "b.txt").read_text() == "text"


def test_an_impossible_place_is_named(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(RlldError, match="cannot be written"):
        write_text(taken / "x.json", "text")


def test_what_is_held_is_not_held_twice(tmp_path):
    path = tmp_path / "folder/file.txt"
    with held(path):
        with pytest.raises(RlldError, match="another process is writing it"), held(path):
            raise AssertionError("held twice")
        with held(path.with_name("other.txt")):
            pass
    assert not path.parent.exists()  # made here, and empty
    with held(path):
        assert not path.exists()


def test_a_folder_that_is_called_by_no_name_is_held_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with held(Path()), pytest.raises(RlldError, match="another process"), held(tmp_path):
        raise AssertionError("held twice")


def test_a_killed_process_holds_nothing(tmp_path):
    path = tmp_path / "file.txt"
    program = (
        "import os, signal, sys; from pathlib import Path; from rlld.utils.files import held\n"
        "with held(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    assert list(tmp_path.iterdir()) == [tmp_path / ".file.txt.lock"]
    with held(path):
        pass
    assert not list(tmp_path.iterdir())


def test_nothing_is_held_in_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RlldError, match=r"file/a\.txt: cannot be written"),
        held(tmp_path / "file/a.txt"),
    ):
        raise AssertionError("held")


@pytest.mark.parametrize("name", [".", "", "/"])
def test_a_place_without_a_name_is_told_as_the_folder_that_it_is(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RlldError, match=r"cannot be written \(Is a directory\)"):
        write_text(Path(name), "text")
    assert not list(tmp_path.rglob("*.part"))
