"""Extraction jobs: the same bytes however they are run, and no clip lost to another's fault."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips_kit import beep, crashing_over_bb, flashes, write_test_clip

from rlld.data.spec import read_spec
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.base import ClipFeatures
from rlld.features.job import Task, Where, extract_task
from rlld.features.reuse import STAMPS
from rlld.features.to_files import extract_files
from rlld.features.to_stores import extract_dataset, fitted
from rlld.media.files import find_clips
from rlld.utils.files import owned

NAMES = ("aa", "bb", "-cc", "dd", "ee", "ff")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for number, name in enumerate(NAMES):
        sound = beep(2 + number % 2, 0.2 * number, 1.5) if name != "dd" else None
        write_test_clip(folder / f"{name}.mp4", sound=sound, pictures=flashes(3, 0.3 * number, 2))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    files = (file for file in files if file.name != STAMPS)  # where the age of clips stands
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_files_and_manifest(clips, tmp_path):
    report = extract_files(find_clips([clips]), tmp_path / "out")
    assert report.clips == 6 and not report.failed
    assert report.notes == {"dd": ("no audio track",)}
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert list(manifest["clips"]) == sorted(NAMES)
    assert manifest["extractor"] == "light" and manifest["segment_seconds"] == 1.0
    for name in NAMES:
        assert manifest["clips"][name]["segments"] == 3
        for stream, facts in manifest["streams"].items():
            value = np.load(tmp_path / "out" / facts["folder"] / f"{name}.npy")
            assert value.shape == (3, facts["dim"]), stream


def test_the_number_of_workers_changes_no_byte(clips, tmp_path):
    for workers in (1, 3):
        extract_files(find_clips([clips]), tmp_path / str(workers), where=Where(workers))
    assert content(tmp_path / "1") == content(tmp_path / "3")


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_job_goes_on_to_the_same_bytes(clips, tmp_path, blow):
    extract_files(find_clips([clips]), tmp_path / "whole", where=Where(1))
    script = Path(sys.executable).with_name("rlld")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [script, "extract", clips, "--out", out, "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("audio/*.npy")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, blow)
    _, errors = process.communicate()
    if blow == signal.SIGINT and process.returncode != 0:
        assert (process.returncode, errors) == (130, "rlld: interrupted\n")
        assert not list(out.rglob(".*"))
    extract_files(find_clips([clips]), out, where=Where(1))
    assert content(out) == content(tmp_path / "whole")


def test_a_journal_that_was_cut_off_is_read_up_to_there(clips, tmp_path):
    out = tmp_path / "out"
    extract_files(find_clips([clips]), out, where=Where(1))
    whole = content(out)
    manifest = json.loads((out / "manifest.json").read_text())
    facts = manifest.pop("clips")
    (out / "manifest.json").write_text(json.dumps({**manifest, "clips": {"aa": facts["aa"]}}))
    lines = [json.dumps([name, facts[name]]) for name in ("-cc", "bb", "dd")]
    (out / "clips.jsonl").write_text("\n".join(lines)[:-20])
    stamps = {name: (out / f"audio/{name}.npy").stat().st_mtime_ns for name in NAMES}
    report = extract_files(find_clips([clips]), out, where=Where(1))
    kept = {n for n in NAMES if (out / f"audio/{n}.npy").stat().st_mtime_ns == stamps[n]}
    assert report.clips == 6 and kept == {"aa", "-cc", "bb"}
    assert content(out) == whole


@pytest.mark.parametrize(
    "line",
    [b"5", b"[1, 2]", b'{"a": 1, "b": 2}', b'["bb", {}]', b'["bb", {"notes": 1}]', b"\xff\xfe"],
)
def test_a_damaged_journal_costs_its_clips_alone(clips, tmp_path, line):
    out, wanted = tmp_path / "out", {"aa": clips / "aa.mp4", "bb": clips / "bb.mp4"}
    extract_files(wanted, out, where=Where(1))
    whole = content(out)
    (out / "clips.jsonl").write_bytes(line + b"\n")
    extract_files(wanted, out, where=Where(1))
    assert content(out) == whole


@pytest.mark.parametrize("text", ["5", "[]", "{", '{"clips": []}', '{"clips": {"aa": {}}}'])
def test_a_damaged_manifest_is_refused_and_can_be_deleted(clips, tmp_path, text):
    out, wanted = tmp_path / "out", {"aa": clips / "aa.mp4"}
    extract_files(wanted, out, where=Where(1))
    whole = content(out)
    (out / "manifest.json").write_text(text)
    with pytest.raises(RlldError, match=r"no manifest of features .*; delete it, and all clips"):
        extract_files(wanted, out, where=Where(1))
    (out / "manifest.json").unlink()
    extract_files(wanted, out, where=Where(1))
    assert content(out) == whole


def test_a_journal_without_its_manifest_counts_for_nothing(clips, tmp_path):
    out, wanted = tmp_path / "out", {"aa": clips / "aa.mp4"}
    extract_files(wanted, out, where=Where(1))
    facts = json.loads((out / "manifest.json").read_text())["clips"]["aa"]
    (out / "manifest.json").unlink()
    (out / "clips.jsonl").write_text(json.dumps(["aa", facts]) + "\n")
    extract_files(wanted, out, "light(rate=8000)", where=Where(1))
    extract_files(wanted, tmp_path / "other", "light(rate=8000)", where=Where(1))
    assert content(out) == content(tmp_path / "other")


def test_a_clip_that_became_unreadable_leaves_no_features(clips, tmp_path):
    clip = tmp_path / "aa.mp4"
    clip.write_bytes((clips / "aa.mp4").read_bytes())
    sources = {"aa": clip, "bb": clips / "bb.mp4"}
    extract_files(sources, tmp_path / "out", where=Where(1))
    clip.write_text("no film")
    report = extract_files(sources, tmp_path / "out", where=Where(1), skip_failed=True)
    assert report.clips == 1
    assert [file.name for file in (tmp_path / "out").rglob("*.npy")] == ["bb.npy"] * 3


def test_a_second_process_on_the_same_folder_is_refused(clips, tmp_path):
    refused = pytest.raises(RlldError, match="another process is writing it; wait for that one")
    with owned(tmp_path / "out"), refused:
        extract_files({"aa": clips / "aa.mp4"}, tmp_path / "out", where=Where(1))
    assert not (tmp_path / "out").exists()


def test_workers_are_counted_from_none(clips, tmp_path):
    with pytest.raises(RlldError, match=r"workers: expected 0 \(one per core\) or more, found -1"):
        extract_files({"aa": clips / "aa.mp4"}, tmp_path / "out", where=Where(-1))


def test_a_bad_clip_is_listed_and_the_others_are_kept(clips, tmp_path):
    (tmp_path / "bad.mp4").write_text("no film")
    sources = find_clips([clips, tmp_path / "bad.mp4"])
    with pytest.raises(RlldError, match=r"1 clips failed: .*bad\.mp4: is no audio or video"):
        extract_files(sources, tmp_path / "out", where=Where(2))
    assert len(list((tmp_path / "out/audio").glob("*.npy"))) == 6
    before = (tmp_path / "out/audio/aa.npy").stat().st_mtime_ns
    report = extract_files(sources, tmp_path / "out", where=Where(1), skip_failed=True)
    assert report.clips == 6 and list(report.failed) == ["bad"]
    assert (tmp_path / "out/audio/aa.npy").stat().st_mtime_ns == before
    assert "bad.mp4" in (tmp_path / "out/failed.txt").read_text()


def test_two_clips_of_one_name_are_both_extracted(clips, tmp_path):
    sources = [tmp_path / "x.mkv", tmp_path / "x.mp4"]
    for source, name in zip(sources, ("aa", "ff"), strict=True):
        source.write_bytes((clips / f"{name}.mp4").read_bytes())
    extract_files(find_clips(sources), tmp_path / "out", where=Where(1))
    for source in sources:
        own = load_extractor("light").extract(source).streams["audio"]
        made = np.load(tmp_path / f"out/audio/{source.name}.npy")
        np.testing.assert_array_equal(made, own)


def test_a_replaced_clip_is_extracted_again(clips, tmp_path):
    clip = tmp_path / "aa.mp4"
    clip.write_bytes((clips / "aa.mp4").read_bytes())
    extract_files({"aa": clip}, tmp_path / "out")
    first = np.load(tmp_path / "out/audio/aa.npy")
    clip.write_bytes((clips / "ff.mp4").read_bytes())
    extract_files({"aa": clip}, tmp_path / "out")
    assert not np.array_equal(first, np.load(tmp_path / "out/audio/aa.npy"))


def test_clips_are_cut_or_filled_up_to_the_wanted_segments(clips, tmp_path):
    whole = {"bb": clips / "bb.mp4"}
    extract_files(whole, tmp_path / "own")
    own = np.load(tmp_path / "own/audio/bb.npy")
    for segments in (2, 4):
        report = extract_files(whole, tmp_path / str(segments), segments=segments)
        assert report.notes == {"bb": (f"3 segments instead of {segments}",)}
        value = np.load(tmp_path / str(segments) / "audio/bb.npy")
        filled = np.concatenate([own, np.zeros_like(own)])
        np.testing.assert_array_equal(value, filled[:segments])
    assert not extract_files(whole, tmp_path / "3", segments=3).notes


def test_other_settings_are_refused(clips, tmp_path):
    extract_files({"aa": clips / "aa.mp4"}, tmp_path)
    with pytest.raises(RlldError, match="holds features of light"):
        extract_files({"aa": clips / "aa.mp4"}, tmp_path, segment_seconds=0.5)


def make_dataset(folder: Path, clips: Path) -> Path:
    (folder / "annotations").mkdir(parents=True)
    (folder / "videos").mkdir()
    splits = {"train": NAMES[:4], "validation": NAMES[4:5], "test": NAMES[5:]}
    for split, names in splits.items():
        rows = "".join(f"{name}\tDog\n" for name in names)
        (folder / f"annotations/{split}.csv").write_text("filename\tevent_labels\n" + rows)
    for name in ("audio", "visual"):
        rows = "".join(f"{video}\t0\t1\tDog\n" for video in NAMES[4:])
        text = "filename\tonset\toffset\tevent_labels\n" + rows
        (folder / f"annotations/{name}.csv").write_text(text)
    for name in NAMES:
        (folder / f"videos/{name}.mp4").write_bytes((clips / f"{name}.mp4").read_bytes())
    (folder / "dataset.yaml").write_text(
        "name: own\nclasses: [Dog, Cat]\nsegments: 4\nsegment_seconds: 1.0\n"
        "streams: {audio: {dim: 1}, visual_2d: {dim: 1}}\n"
    )
    return folder


def test_a_dataset_folder_gets_stores_that_load(clips, tmp_path):
    from rlld.data.dataset import load_data

    folder = make_dataset(tmp_path / "own", clips)
    report = extract_dataset(folder, where=Where(1))
    assert report.clips == 6
    (remark,) = report.remarks
    assert remark.startswith("6 clips are shorter than 4 s: filled up with silence; to keep")
    data = load_data(folder)
    assert data.spec.features == "light" and data.spec.dims["audio"] == 128
    assert data.train.ids == NAMES[:4] and data.test.ids == NAMES[5:]
    alone = load_extractor("light").extract(clips / "bb.mp4")
    for name, value in data.train.streams.items():
        np.testing.assert_array_equal(value[1, :3].numpy(), alone.streams[name])
        assert not value[1, 3].any()
    before = content(folder)
    extract_dataset(folder, where=Where(1))
    assert content(folder) == before


def test_a_dataset_with_a_missing_clip_is_finished_later(clips, tmp_path):
    whole = make_dataset(tmp_path / "whole", clips)
    extract_dataset(whole, where=Where(1))
    folder = make_dataset(tmp_path / "own", clips)
    clip = folder / "videos/bb.mp4"
    kept = clip.rename(tmp_path / "kept.mp4")
    with pytest.raises(RlldError, match=r"1 clips failed: no clip videos/bb\.mp4"):
        extract_dataset(folder, where=Where(1))
    assert not (folder / "features/train.safetensors").exists()
    kept.rename(clip)
    extract_dataset(folder, where=Where(1))
    assert content(folder / "features") == content(whole / "features")


def test_stores_of_two_extractors_never_lie_side_by_side(clips, tmp_path, monkeypatch):
    from rlld.data.store import StoreWriter

    folder, other = make_dataset(tmp_path / "own", clips), "light(rate=8000)"
    extract_dataset(folder, where=Where(1))
    assert read_spec(folder).features_version == load_extractor("light").version
    finish = StoreWriter.finish

    def killed(writer, ids):
        finish(writer, ids)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StoreWriter, "finish", killed)
        extract_dataset(folder, other, where=Where(1))
    assert [file.name for file in (folder / "features").glob("*.safetensors")] == [
        "train.safetensors"
    ]
    assert read_spec(folder).features_version == load_extractor(other).version
    extract_dataset(folder, other, where=Where(1))
    whole = make_dataset(tmp_path / "whole", clips)
    extract_dataset(whole, other, where=Where(1))
    assert content(folder / "features") == content(whole / "features")


def test_packing_keeps_the_version_of_the_extractors(clips, tmp_path):
    from rlld.data.pack import pack

    folder = make_dataset(tmp_path / "own", clips)
    extract_files(find_clips([clips]), tmp_path / "feats", segments=4, where=Where(1))
    spec = replace(
        read_spec(folder), streams=load_extractor("light").streams(1.0), features="light"
    )
    pack(folder / "annotations", tmp_path / "feats", tmp_path / "packed", spec)
    assert read_spec(tmp_path / "packed").features_version == load_extractor("light").version


def test_a_skipped_clip_of_a_dataset_is_zero(clips, tmp_path):
    from rlld.data.dataset import load_data

    folder = make_dataset(tmp_path / "own", clips)
    (folder / "videos/bb.mp4").write_text("no film")
    report = extract_dataset(folder, where=Where(1), skip_failed=True)
    assert report.clips == 5 and list(report.failed) == ["bb"]
    assert not load_data(folder).train.streams["audio"][1].any()


def go_while_extracting(monkeypatch, videos: Path) -> None:
    """Lets bb be deleted before its turn, ff after it, and cc be out of reach from then on."""
    gone: set[str] = set()

    def extract(task: Task) -> ClipFeatures:
        (videos / "bb.mp4").unlink(missing_ok=True)
        found = extract_task(task)
        if task.video == "ff":
            task.path.unlink()
        if task.video == "-cc":
            gone.add(str(task.path))
        return found

    def looked_at(path: object, **options: object) -> os.stat_result:
        if str(path) in gone:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    stat = os.stat
    monkeypatch.setattr("rlld.features.job.extract_task", extract)
    monkeypatch.setattr(os, "stat", looked_at)


GOING = {
    "bb": r"bb\.mp4: .*No such file or directory",
    "ff": r"ff\.mp4: cannot be read \(No such file or directory\); bring it back",
    "-cc": r"-cc\.mp4: cannot be read \(Permission denied\); bring it back",
}


@pytest.mark.parametrize("kind", ["files", "data set"])
def test_clips_that_go_meanwhile_cost_themselves_alone(clips, tmp_path, monkeypatch, kind):
    folder = make_dataset(tmp_path / "own", clips)
    videos = folder / "videos"
    found = find_clips([videos])
    with monkeypatch.context() as patch:
        go_while_extracting(patch, videos)
        with pytest.raises(RlldError, match=r"^3 clips failed: .*; the others are kept") as caught:
            if kind == "files":
                extract_files(found, tmp_path / "out", where=Where(1))
            else:
                extract_dataset(folder, where=Where(1))
    for reason in GOING.values():
        assert re.search(reason, str(caught.value))
    listing = (tmp_path / "out" if kind == "files" else folder / "features") / "failed.txt"
    assert [line.split("\t")[0] for line in listing.read_text().splitlines()] == sorted(GOING)
    if kind == "files":
        made = sorted(file.name for file in (tmp_path / "out/audio").iterdir())
        assert {"aa.npy", "dd.npy", "ee.npy"} <= set(made)
    for name in GOING:  # brought back, they are all that is left to do
        (videos / f"{name}.mp4").write_bytes((clips / f"{name}.mp4").read_bytes())
    if kind == "files":
        assert extract_files(found, tmp_path / "out", where=Where(1)).clips == 6
    else:
        assert extract_dataset(folder, where=Where(1)).clips == 6


def test_a_finished_clip_that_is_gone_has_no_features(clips, tmp_path):
    sources = {name: tmp_path / f"{name}.mp4" for name in ("aa", "bb")}
    for path in sources.values():
        path.write_bytes((clips / path.name).read_bytes())
    extract_files(sources, tmp_path / "out", where=Where(1))
    sources["bb"].unlink()
    report = extract_files(sources, tmp_path / "out", where=Where(1), skip_failed=True)
    assert (report.clips, list(report.failed)) == (1, ["bb"])
    assert "No such file or directory" in report.failed["bb"]
    assert [file.name for file in (tmp_path / "out/audio").iterdir()] == ["aa.npy"]


def test_fitted_cuts_and_fills():
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(fitted(rows, 2), rows[:2])
    np.testing.assert_array_equal(fitted(rows, 4), [[0, 1], [2, 3], [4, 5], [0, 0]])


def test_a_clip_that_crashes_its_worker_is_named_and_costs_itself(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("rlld.features.job.extract_task", crashing_over_bb)
    sources = {name: clips / f"{name}.mp4" for name in ("aa", "bb", "ff")}
    with pytest.raises(RlldError, match=r"1 clips failed: .*bb\.mp4: the worker .* \(SIGSEGV\)"):
        extract_files(sources, tmp_path, where=Where(1, apart=True))
    assert sorted(file.name for file in (tmp_path / "audio").iterdir()) == ["aa.npy", "ff.npy"]


def test_a_clip_in_work_is_told(clips, tmp_path, monkeypatch, capsys):
    for name in ("FIRST", "EVERY"):
        monkeypatch.setattr(f"rlld.utils.console.{name}", 0.0)
    sources = {name: clips / f"{name}.mp4" for name in NAMES}
    extract_files(sources, tmp_path, where=Where(4, apart=True))
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "extracting 0 of 6, now aa, bb, -cc and 1 more"


def test_workers_need_no_torch():
    needed = "rlld.features.job, rlld.features.extractors.light"
    code = f"import sys, {needed}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
