"""``rlld data pack``, ``rlld data check`` and ``rlld data answers``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SPEC = """\
name: birds
classes: [Crow, Owl]
segments: 4
segment_seconds: 0.5
streams:
  audio: {dim: 3, folder: sound}
  visual_2d: {dim: 5, folder: look, frames: 2}
annotations: {test: ""}
"""


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A user's folder: ``spec.yaml``, ``annotations`` and ``features`` of four videos."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    (annotations / "train.csv").write_text("filename\tevent_labels\n-a\tOwl\nb\tOwl,Crow\n")
    (annotations / "validation.csv").write_text("filename\tevent_labels\nc\tOwl\nd\tCrow\n")
    header = "filename\tonset\toffset\tevent_labels\n"
    (annotations / "audio.csv").write_text(header + "c\t0\t1.5\tOwl\n")
    (annotations / "visual.csv").write_text(header + "d\t1\t2\tCrow\n")
    for folder, shape in (("sound", (4, 3)), ("look", (8, 5))):
        (tmp_path / "features" / folder).mkdir(parents=True)
        for video in ("-a", "b", "c", "d"):
            np.save(tmp_path / "features" / folder / f"{video}.npy", np.ones(shape, np.float32))
    return tmp_path


PACK = ("data", "pack", "--annotations", "annotations", "--features", "features", "--out", "D")


def test_pack_and_check(birds: Path, fresh: Callable) -> None:
    result = fresh(*PACK, "--spec", "spec.yaml", cwd=birds)
    assert (result.returncode, result.stderr) == (0, "")
    assert "packed 2 train, 2 validation videos into D" in result.stdout
    files = sorted(str(path.relative_to(birds / "D")) for path in (birds / "D").rglob("*.*"))
    assert files == [
        "annotations/audio.csv",
        "annotations/train.csv",
        "annotations/validation.csv",
        "annotations/visual.csv",
        "dataset.yaml",
        "features/train.safetensors",
        "features/validation.safetensors",
    ]
    checked = fresh("data", "check", "D", cwd=birds)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "0 errors, 0 warnings, 0 notes" in checked.stdout
    assert "2 read whole, checksums compared" in checked.stdout


def test_pack_fails_in_one_sentence(birds: Path, run_cli: Callable, fails_with: Callable) -> None:
    (birds / "features" / "look" / "d.npy").write_text("no array")
    result = run_cli(*PACK, "--spec", "spec.yaml", cwd=birds)
    fails_with(result, "features of 1 videos cannot be packed: d validation: visual_2d: d.npy")
    assert not list((birds / "D").rglob("*.safetensors"))
    assert not (birds / "D" / "dataset.yaml").exists()
    assert not (birds / "D" / "annotations").exists()


def test_pack_skip_missing(birds: Path, run_cli: Callable) -> None:
    (birds / "features" / "look" / "d.npy").unlink()
    result = run_cli(*PACK, "--spec", "spec.yaml", "--skip-missing", cwd=birds)
    assert result.returncode == 0
    assert "left out 1: D/skipped.txt" in result.stdout
    assert (birds / "D" / "skipped.txt").read_text().startswith("d\tvalidation: visual_2d: no file")


def test_pack_names_the_line_of_a_wrong_annotation(
    birds: Path, run_cli: Callable, fails_with: Callable
) -> None:
    (birds / "annotations" / "train.csv").write_text("filename\tevent_labels\na\tOwwl\n")
    result = run_cli(*PACK, "--spec", "spec.yaml", cwd=birds)
    fails_with(result, "annotations/train.csv:2: unknown class 'Owwl'; did you mean 'Owl'?")
    assert not (birds / "D").exists()


def test_check_real_files(shared_llp: Path, run_cli: Callable, fails_with: Callable) -> None:
    result = run_cli("data", "check", shared_llp)
    assert (result.returncode, result.stderr) == (0, "")
    assert "the corrected LLP audio file (134,355 bytes)" in result.stdout
    assert "AVVP_eval_audio.csv:100: warning: Speech of 'Gg3pK71kApY_30_40'" in result.stdout
    fails_with(run_cli("data", "check", shared_llp, "--strict"), "21 warnings (listed above)")


def test_check_invented_files(invented_llp: Path, run_cli: Callable, fails_with: Callable) -> None:
    result = run_cli("data", "check", invented_llp)
    assert (result.returncode, result.stderr) == (0, "")
    assert "corrected LLP audio file" not in result.stdout
    assert "AVVP_eval_audio.csv:20: warning: Dog of '-bValid_001_30_40'" in result.stdout
    fails_with(run_cli("data", "check", invented_llp, "--strict"), "10 warnings (listed above)")


def test_check_lists_errors_and_fails(
    invented_llp: Path, tmp_path: Path, run_cli: Callable, fails_with: Callable
) -> None:
    shutil.copytree(invented_llp, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "AVVP_val_pd.csv"
    path.write_bytes(path.read_bytes().replace(b"\t", b","))
    result = run_cli("data", "check", tmp_path)
    fails_with(result, "1 error (listed above); correct them")
    assert "AVVP_val_pd.csv:1: error: expected the tab-separated header" in result.stdout
    assert "separated by commas" in result.stdout


def test_check_lists_twenty_of_a_kind_and_all_when_asked(birds: Path, run_cli: Callable) -> None:
    rows = "".join(f"{number}\t[/red]\x1b[2J{number}\n" for number in range(30))
    (birds / "annotations" / "train.csv").write_text(f"filename\tevent_labels\n{rows}")
    short = run_cli("data", "check", "annotations", "--spec", "spec.yaml", cwd=birds)
    full = run_cli("data", "check", "annotations", "--spec", "spec.yaml", "--all", cwd=birds)
    assert short.returncode == full.returncode == 2
    assert short.stderr == full.stderr
    count = full.stdout.count(": error: ")
    assert count >= 30
    assert f"and {count - 20} more errors; --all lists them" in short.stdout
    assert "--all lists them" not in full.stdout
    assert short.stdout.count(": error: ") == 20
    listed = [line for line in full.stdout.splitlines() if ": error: " in line]
    assert listed[:20] == [line for line in short.stdout.splitlines() if ": error: " in line]
    assert "[/red]\\x1b[2J29" in full.stdout
    assert "\x1b" not in full.stdout


def test_check_needs_a_data_set(tmp_path: Path, run_cli: Callable, fails_with: Callable) -> None:
    fails_with(run_cli("data", "check", tmp_path), "holds neither dataset.yaml nor")


def test_a_collection_of_tags_alone_and_its_answers(
    birds: Path, run_cli: Callable, fresh: Callable
) -> None:
    """No dense annotation, no validation split: packed, checked and answered all the same."""
    bare = 'annotations: {validation: "", test: "", audio: "", visual: ""}'
    spec = SPEC.replace('annotations: {test: ""}', bare)
    (birds / "spec.yaml").write_text(spec)
    for name in ("validation", "audio", "visual"):
        (birds / "annotations" / f"{name}.csv").unlink()
    (birds / "mine.csv").write_text("video,class,modality,present\nb,Crow,visual,no\n")
    result = run_cli(*PACK, "--spec", "spec.yaml", "--answers", "mine.csv", cwd=birds)
    assert (result.returncode, result.stderr) == (0, "")
    assert "packed 2 train videos into D" in result.stdout
    assert "answers: 1" in result.stdout
    (birds / "more.csv").write_text("video,class,modality,present\nb,Owl,audio,1\n-a,Owl,audio,\n")
    added = fresh("data", "answers", "D", "more.csv", cwd=birds)
    assert (added.returncode, added.stderr) == (0, "")
    assert "1 answers added, 2 in all" in added.stdout
    checked = run_cli("data", "check", "D", cwd=birds)
    assert (checked.returncode, checked.stderr) == (0, "")
    row = next(line for line in checked.stdout.splitlines() if "bare answers" in line)
    assert row.split("│")[-2].strip() == "2"
    text = (birds / "D" / "annotations" / "answers.csv").read_text()
    assert text == ("video\tclass\tmodality\tpresent\nb\tCrow\tvisual\tno\nb\tOwl\taudio\tyes\n")
