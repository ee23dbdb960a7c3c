"""What commands write: inside their output, one process at a time, and whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli_kit import limited
from rlld.cli import main
from rlld.utils.files import held, owned

SPEC = """\
name: birds
classes: [Crow, Owl]
segments: 4
segment_seconds: 0.5
streams:
  audio: {dim: 3, folder: sound}
  visual_2d: {dim: 5, folder: look}
annotations: {validation: "", test: "", audio: "", visual: ""}
"""
PACK = (
    *("data", "pack", "--annotations", "annotations", "--features", "features"),
    *("--spec", "spec.yaml", "--out", "D"),
)


@pytest.fixture
def birds(tmp_path, monkeypatch) -> Path:
    """A user's folder to pack, as the working folder."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/train.csv").write_text("filename\tevent_labels\na\tOwl\nb\tCrow\n")
    for folder, dim in (("sound", 3), ("look", 5)):
        (tmp_path / "features" / folder).mkdir(parents=True)
        for video in "ab":
            np.save(tmp_path / "features" / folder / f"{video}.npy", np.ones((4, dim), np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys, *argv: object) -> tuple[int, str]:
    """Runs a command and returns its status and what it wrote to stderr."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in argv])
    return end.value.code, capsys.readouterr().err


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_data_set_cannot_write_outside_its_output(birds, capsys):
    precious = birds / "precious"
    precious.write_text("filename\tevent_labels\na\tOwl\nb\tCrow\n")
    before = precious.read_bytes()
    for name in ("../precious", str(precious), "..\\precious", "C:/precious", "a/../../precious"):
        text = SPEC.replace("{validation", f"{{train: '{name}', validation")
        (birds / "spec.yaml").write_text(text)
        for more in ((), ("--skip-missing",)):
            status, error = told(capsys, *PACK, *more)
            assert status == 2
            assert error.startswith("rlld: spec.yaml: annotations.train: ")
            assert error.count("\n") == 1
    assert precious.read_bytes() == before
    assert not (birds / "D").exists()


def test_features_of_a_data_set_lie_in_the_given_folder(birds, capsys):
    (birds / "spec.yaml").write_text(SPEC.replace("folder: sound", "folder: ../elsewhere"))
    status, error = told(capsys, *PACK)
    assert (status, "spec.yaml: streams.audio.folder: '../elsewhere'" in error) == (2, True)


def test_an_annotation_file_that_is_a_link_away_is_refused(birds, capsys):
    (birds / "secret.csv").write_text("filename\tevent_labels\na\tOwl\nb\tCrow\n")
    (birds / "annotations/train.csv").unlink()
    (birds / "annotations/train.csv").symlink_to(birds / "secret.csv")
    status, error = told(capsys, *PACK)
    assert (status, "a symbolic link leads out of annotations" in error) == (2, True)


def test_ids_cannot_lead_a_page_out_of_its_folder(birds, tiny_data, capsys):
    assert told(capsys, "train", "han", "--data", tiny_data, "--out", "R", *ONE)[0] == 0
    store = tiny_data / "features/test.safetensors"
    for out in ((), ("--out", birds / "annotations")):
        status, error = told(
            capsys, "parse", "R", "--features", store, "--id", "../../x", "--format", "html", *out
        )
        assert (status, "'../../x.html' leads out of its folder" in error) == (2, True)


def test_packing_again_says_that_all_is_done(birds, capsys):
    assert told(capsys, *PACK)[0] == 0
    before = tree(birds / "D")
    status, error = told(capsys, *PACK)
    assert (status, error.startswith("D: finished already")) == (0, True)
    (birds / "annotations/train.csv").write_text("filename\tevent_labels\na\tOwl\nb\tOwl\n")
    status, error = told(capsys, *PACK)
    assert (status, "already holds a data set" in error) == (2, True)
    assert tree(birds / "D") == before


def test_packing_again_without_the_missing_says_so_too(birds, capsys):
    (birds / "features/look/b.npy").unlink()
    assert told(capsys, *PACK, "--skip-missing")[0] == 0
    before = tree(birds / "D")
    status, error = told(capsys, *PACK, "--skip-missing")
    assert (status, error.startswith("D: finished already")) == (0, True)
    assert tree(birds / "D") == before


SIMULATE = ["data", "simulate", "--videos", "6", "3", "3", "--out", "S"]


def test_simulating_again_says_that_all_is_done(birds, capsys):
    assert told(capsys, *SIMULATE)[0] == 0
    before = tree(birds / "S")
    status, error = told(capsys, *SIMULATE)
    assert (status, error) == (0, "S: finished already\n")
    assert told(capsys, *SIMULATE, "--seed", 1)[0] == 2
    assert tree(birds / "S") == before
    assert not list(birds.glob(".*"))


def test_no_simulated_folder_takes_the_place_of_the_current_one(birds, capsys):
    status, error = told(capsys, "data", "simulate", "--videos", "6", "3", "3", "--out", ".")
    assert (status, error.count("\n"), "the name of a new folder" in error) == (2, 1, True)


ONE = ["--schedule.updates", "2", "--network.hidden", "8"]


@pytest.mark.parametrize("verb", ["train", "pack", "simulate", "render", "extract"])
def test_a_second_process_is_refused_in_one_sentence(verb, birds, tiny_data, capsys):
    commands = {
        "train": ["train", "han", "--data", tiny_data, "--out", "D", *ONE],
        "pack": PACK,
        "simulate": ["data", "simulate", "--videos", "6", "3", "3", "--out", "D"],
        "render": ["data", "render", "--out", "D", "--videos", "1,1,1", "--workers", "1"],
        "extract": ["extract", "clips", "--out", "D"],
    }
    (birds / "clips").mkdir()
    (birds / "clips/a.mp4").touch()
    lock = held(Path("D")) if verb == "simulate" else owned(Path("D"))
    with lock:
        status, error = told(capsys, *commands[verb])
    expected = "rlld: D: another process is writing it; wait for that one, or choose another place"
    assert (status, error) == (2, f"{expected}\n")
    assert not (birds / "D").exists()


def test_a_finished_training_says_so_and_clears_what_a_kill_left(birds, tiny_data, capsys):
    for more, runs in (((), ("R",)), (("--seeds", 2), ("M/seed-0", "M/seed-1"))):
        out = runs[0].partition("/")[0]
        command = ["train", "han", "--data", tiny_data, "--out", out, *ONE, *more]
        assert told(capsys, *command)[0] == 0
        before = tree(birds / out)
        (birds / out / "resume").mkdir()
        (birds / out / "resume/.state.pt.host.1.part").write_bytes(b"half")
        (birds / out / ".lock").touch()
        status, error = told(capsys, *command, "--resume")
        told_of = [line for line in error.splitlines() if not line.startswith("warning: ")]
        assert (status, told_of) == (0, [f"{run}: finished already" for run in runs])
        assert tree(birds / out) == before


def test_a_full_disk_is_one_sentence_and_a_later_run_goes_on(birds, tiny_data, capsys):
    train = ["train", "han", "--data", tiny_data, "--seed", "1", *ONE, "--out"]
    assert told(capsys, *train, "whole")[0] == 0
    for size in (0, 3000, 20000):  # of the largest file: the log, the state, the weights
        done = limited(size, *train, "R", "--resume")
        assert done.returncode == 2, done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("rlld: R")
        assert "cannot be written (File too large)" in last
        assert "Traceback" not in done.stderr
    assert told(capsys, *train, "R", "--resume")[0] == 0
    for file in ("model.safetensors", "golden.safetensors"):
        assert (birds / "R" / file).read_bytes() == (birds / "whole" / file).read_bytes()
    assert sorted(tree(birds / "R")) == sorted(tree(birds / "whole"))


def test_a_full_disk_says_to_make_room(birds, monkeypatch, capsys):
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    status, error = told(capsys, *PACK)
    assert status == 2
    assert "No space left on device); make room and run again, or choose another place" in error


def test_what_the_system_refuses_is_one_sentence(birds, capsys):
    status, error = told(capsys, "train", "han", "--data", "x" * 300, "--out", "R")
    assert (status, error.count("\n")) == (2, 1)
    assert "File name too long" in error


def unfinished(run: Path, data: Path, capsys, monkeypatch) -> None:
    """Leaves a run as a kill after its first state does."""
    from rlld.training import loop

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        command = ["train", "han", "--data", data, "--out", run, *ONE, "--checkpoint-seconds", 0]
        assert told(capsys, *command)[0] == 130
    assert (run / "resume/state.pt").is_file()


def test_a_log_that_was_changed_is_written_anew(birds, tiny_data, capsys, monkeypatch):
    unfinished(birds / "R", tiny_data, capsys, monkeypatch)
    log = birds / "R/metrics.jsonl"
    whole = log.read_bytes()
    target = birds / "precious"
    target.write_text("precious")
    for damage in ("cut", "gone", "link"):
        shutil.copytree(birds / "R", birds / damage)
        hurt = birds / damage / "metrics.jsonl"
        hurt.unlink()
        if damage == "cut":
            hurt.write_bytes(whole[: len(whole) // 2])
        if damage == "link":
            hurt.symlink_to(target)
        command = ["train", "han", "--data", tiny_data, "--out", damage, *ONE, "--resume"]
        assert told(capsys, *command)[0] == 0
        assert hurt.read_bytes().startswith(whole)
        assert all(json.loads(line) for line in hurt.read_text().splitlines())
    assert target.read_text() == "precious"


def test_states_cannot_lead_out_of_a_run(birds, tiny_data, capsys, monkeypatch):
    unfinished(birds / "R", tiny_data, capsys, monkeypatch)
    (birds / "R/resume").rename(birds / "elsewhere")
    (birds / "R/resume").symlink_to(birds / "elsewhere")
    before = tree(birds / "elsewhere")
    command = ["train", "han", "--data", tiny_data, "--out", "R", *ONE, "--resume"]
    status, error = told(capsys, *command)
    assert (status, "a symbolic link leads out of" in error) == (2, True)
    assert tree(birds / "elsewhere") == before
