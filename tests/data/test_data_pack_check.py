"""Importing published features, checking data sets, loading splits."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from llp_kit import AUDIO, DAMAGED, damaged
from rlld import RlldError
from rlld.data.annotations import rasterise
from rlld.data.checks.check import CheckReport, check
from rlld.data.dataset import load_data, load_split
from rlld.data.pack import pack
from rlld.data.spec import LLP_SPEC, SPLITS, DataSpec, spec_text
from rlld.data.store import StoreWriter, read_store, store_path

PER_CLASS = {
    "train": "4988 624 528 761 192 343 455 218 299 602 186 1172 437 1457 495 146 "
    "445 224 411 587 503 99 430 291 164",
    "validation": "365 43 46 59 21 18 35 12 18 33 14 84 34 73 41 12 29 16 22 35 51 8 34 22 45",
    "test": "625 91 86 110 36 47 46 24 27 89 31 181 64 159 58 20 52 28 60 68 104 11 43 34 84",
}
"""Weak labels of LLP by class."""


def _pack(raw: Path, spec: DataSpec, **options: object) -> Path:
    out = raw.parent / "D"
    pack(raw / "annotations", raw / "features", out, spec, **options)  # type: ignore[arg-type]
    return out


def test_packed_values_and_labels(raw: Path, spec: DataSpec) -> None:
    data = load_data(_pack(raw, spec))
    assert data.spec == spec
    train = data.train
    assert train.ids == ("-aaaaaaaaaa_0_2", "bbbbbbbbbbb_1.5_3.5", "ccccccccccc_0_2")
    assert train.labels.tolist() == [[0, 0, 1], [1, 1, 0], [1, 1, 0]]
    assert train.labels.dtype == torch.float32
    assert train.dense is None
    assert train.truth is None
    look = np.load(raw / "features" / "look" / "bbbbbbbbbbb.npy")
    expected = torch.from_numpy((look[0::2] + look[1::2]) / np.float32(2))
    assert torch.equal(train.streams["visual_2d"][1], expected)
    sound = np.load(raw / "features" / "sound" / "bbbbbbbbbbb_1.5_3.5.npy")
    assert torch.equal(train.streams["audio"][1], torch.from_numpy(sound))


def test_dense_maps(raw: Path, spec: DataSpec) -> None:
    data = load_data(_pack(raw, spec))
    dense = data.validation.require_dense()
    assert dense.shape == (2, 4, 2, 3)
    assert dense.nonzero().tolist() == [[0, 0, 0, 2], [0, 1, 0, 2], [1, 3, 1, 1]]
    assert data.split("test").require_dense().nonzero().tolist() == [
        [0, 1, 0, 2],
        [0, 2, 0, 2],
        [0, 3, 0, 2],
    ]
    assert data.test is data.split("test")
    with pytest.raises(RlldError, match="unknown split 'val'; known: test, train"):
        data.split("val")


def test_truth_only_when_asked(raw: Path, spec: DataSpec) -> None:
    out = _pack(raw, spec)
    header = "filename\tonset\toffset\tevent_labels\n"
    (out / "annotations" / "ta.csv").write_text(header + "ccccccccccc_0_2\t0\t2\tOwl\n")
    (out / "annotations" / "tv.csv").write_text(header)
    text = (out / "dataset.yaml").read_text()
    text = text.replace("truth_audio: ''", "truth_audio: ta.csv")
    (out / "dataset.yaml").write_text(text.replace("truth_visual: ''", "truth_visual: tv.csv"))
    assert load_split(out, "train").truth is None
    truth = load_split(out, "train", with_truth=True).truth
    assert truth is not None
    assert truth.nonzero().tolist() == [[2, t, 0, 1] for t in range(4)]


def test_annotations_are_copied_byte_for_byte(raw: Path, spec: DataSpec) -> None:
    path = raw / "annotations" / "audio.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    out = _pack(raw, spec)
    for file in (raw / "annotations").iterdir():
        assert (out / "annotations" / file.name).read_bytes() == file.read_bytes()


def _damage(raw: Path) -> None:
    sound, look = raw / "features" / "sound", raw / "features" / "look"
    (sound / "ccccccccccc_0_2.npy").unlink()
    data = (look / "bbbbbbbbbbb.npy").read_bytes()
    (look / "bbbbbbbbbbb.npy").write_bytes(data[:-7])
    np.save(look / "ddddddddddd.npy", np.zeros((4, 5), np.float32))


def test_every_problem_is_listed_and_nothing_made(raw: Path, spec: DataSpec) -> None:
    _damage(raw)
    value = np.load(raw / "features" / "sound" / "-aaaaaaaaaa_0_2.npy")
    value[2, 1] = np.inf
    np.save(raw / "features" / "sound" / "-aaaaaaaaaa_0_2.npy", value)
    with pytest.raises(RlldError, match="features of 4 videos cannot be packed") as caught:
        _pack(raw, spec)
    for words in (
        "ccccccccccc_0_2 train: audio: no file",
        "bbbbbbbbbbb_1.5_3.5 train: visual_2d: bbbbbbbbbbb.npy: not a whole .npy file",
        "ddddddddddd_0_2 validation: visual_2d: ddddddddddd.npy: shape (4, 5), expected (8, 5)",
        "-aaaaaaaaaa_0_2 train: stream 'audio' holds values that are no finite float32",
    ):
        assert words in str(caught.value)
    out = raw.parent / "D"
    assert len((out / "problems.txt").read_text().splitlines()) == 4
    assert not (out / "dataset.yaml").exists()
    assert not list((out / "features").glob("*.safetensors"))


def test_skip_missing_drops_videos_everywhere(raw: Path, spec: DataSpec) -> None:
    _damage(raw)
    out = _pack(raw, spec, skip_missing=True)
    data = load_data(out)
    assert data.train.ids == ("-aaaaaaaaaa_0_2",)
    assert data.validation.ids == ("eeeeeeeeeee_0_2",)
    assert "ddddddddddd" not in (out / "annotations" / "audio.csv").read_text()
    skipped = {line.split("\t")[0] for line in (out / "skipped.txt").read_text().splitlines()}
    assert skipped == {"ccccccccccc_0_2", "bbbbbbbbbbb_1.5_3.5", "ddddddddddd_0_2"}
    assert not check(out).count("error")


def test_a_repaired_pack_goes_on_and_equals_a_fresh_one(raw: Path, spec: DataSpec) -> None:
    shutil.copytree(raw, raw.parent / "good" / "raw")
    fresh = _pack(raw.parent / "good" / "raw", spec)
    # A first attempt with one wrong and one missing file leaves finished rows behind.
    np.save(raw / "features" / "look" / "ccccccccccc.npy", np.ones((8, 5), np.float32))
    (raw / "features" / "look" / "fffffffffff.npy").unlink()
    with pytest.raises(RlldError, match="features of 1 videos"):
        _pack(raw, spec)
    for name in ("ccccccccccc.npy", "fffffffffff.npy"):
        good = raw.parent / "good" / "raw" / "features" / "look" / name
        (raw / "features" / "look" / name).write_bytes(good.read_bytes())
    out = _pack(raw, spec)
    files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file())
    for file in files:
        assert (out / file).read_bytes() == (fresh / file).read_bytes()


def test_an_ambiguous_short_name_is_refused(raw: Path, spec: DataSpec) -> None:
    with (raw / "annotations" / "train.csv").open("a") as file:
        file.write("bbbbbbbbbbb_7_9\tOwl\n")
    shutil.copy(
        raw / "features" / "sound" / "bbbbbbbbbbb_1.5_3.5.npy",
        raw / "features" / "sound" / "bbbbbbbbbbb_7_9.npy",
    )
    with pytest.raises(RlldError, match=r"'bbbbbbbbbbb.npy' may belong to several videos"):
        _pack(raw, spec)


def test_pickles_and_archives_are_not_opened(raw: Path, spec: DataSpec) -> None:
    sound = raw / "features" / "sound"
    np.save(sound / "ccccccccccc_0_2.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with (sound / "eeeeeeeeeee_0_2.npy").open("wb") as file:
        np.savez(file, a=np.zeros(1))
    (sound / "ddddddddddd_0_2.npy").write_bytes(b"")
    with pytest.raises(RlldError, match="features of 3 videos"):
        _pack(raw, spec)


def test_pack_refuses(raw: Path, spec: DataSpec) -> None:
    with pytest.raises(RlldError, match="features of stream 'audio' are expected there"):
        pack(raw / "annotations", raw, raw.parent / "D", spec)
    assert not (raw.parent / "D").exists()
    out = _pack(raw, spec)
    with pytest.raises(RlldError, match="already holds a data set"):
        pack(raw / "annotations", raw / "features", out, spec, dtype="float16")


def test_store_of_other_videos_or_streams_is_refused(raw: Path, spec: DataSpec) -> None:
    out = _pack(raw, spec)
    path = out / "annotations" / "test.csv"
    good = path.read_text()
    path.write_text(good + "ggggggggggg_0_2\tOwl\n")
    with pytest.raises(RlldError, match="holds 1 videos that are not the 2"):
        load_split(out, "test")
    path.write_text(good)
    (out / "dataset.yaml").write_text(spec_text(spec).replace("dim: 5", "dim: 6"))
    with pytest.raises(RlldError, match=r"dataset\.yaml says"):
        load_split(out, "test")


def _texts(report: CheckReport, grade: str) -> list[str]:
    return [str(problem) for problem in report.problems if problem.grade == grade]


def test_check_counts_of_the_real_files(shared_llp: Path) -> None:
    """Every count is one of ``llp.md``."""
    report = check(shared_llp)
    train, validation, test = report.splits
    assert report.count("error") == 0
    assert (train.videos, train.labels) == (10000, 16057)
    assert (validation.videos, validation.labels) == (649, 1170)
    assert (test.videos, test.labels) == (1200, 2178)
    assert (validation.audio_rows, validation.visual_rows) == (1451, 856)
    assert (test.audio_rows, test.visual_rows) == (2666, 1628)
    assert (validation.audio_events, validation.visual_events) == (1440, 856)
    assert (test.audio_events, test.visual_events) == (2638, 1625)
    assert (validation.inaudible, validation.invisible) == (4, 70)
    assert (test.inaudible, test.invisible) == (6, 121)
    assert (validation.wrong, validation.missing) == (13, 27)
    assert (test.wrong, test.missing) == (25, 38)
    assert "corrected" in report.audio_version
    for split in report.splits:
        assert " ".join(map(str, split.per_class)) == PER_CLASS[split.name]
    texts = "\n".join(map(str, report.problems))
    assert texts.count("has zero length") == 5
    assert texts.count("offset before its onset") == 1
    assert texts.count("in none of the splits") == 8 + 7
    assert texts.count(" repeats line ") == 8
    assert texts.count(" overlaps line ") == 21 - 8
    assert texts.count(" touches line ") == 11 + 3
    assert texts.count("are not together") == 2
    assert texts.count("repeats a label") == 1
    assert "AVVP_test_pd.csv:894: video 'LcFWKgFphXI_20_30' repeats a label" in texts
    assert "did you mean '19jWnmYnlD8_30_40'?" in texts


def test_check_counts_of_invented_files(invented_llp: Path) -> None:
    """Every count was made by hand."""
    report = check(invented_llp)
    train, validation, test = report.splits
    assert report.count("error") == 0
    assert (train.videos, train.labels) == (8, 14)
    assert (validation.videos, validation.labels) == (6, 10)
    assert (test.videos, test.labels) == (8, 16)
    assert (validation.audio_rows, validation.visual_rows) == (8, 5)
    assert (test.audio_rows, test.visual_rows) == (18, 10)
    assert (validation.audio_events, validation.visual_events) == (6, 5)
    assert (test.audio_events, test.visual_events) == (12, 9)
    assert (validation.inaudible, validation.invisible) == (2, 2)
    assert (test.inaudible, test.invisible) == (1, 1)
    assert (validation.wrong, validation.missing) == (3, 1)
    assert (test.wrong, test.missing) == (5, 1)
    assert report.audio_version == ""
    names = ("Speech", "Dog", "Clapping", "Helicopter")
    assert [train.per_class[LLP_SPEC.classes.index(name)] for name in names] == [5, 2, 1, 1]
    texts = "\n".join(map(str, report.problems))
    assert texts.count("has zero length") == 4
    assert texts.count("offset before its onset") == 1
    assert texts.count("in none of the splits") == 3 + 2
    assert texts.count(" repeats line ") == 1
    assert texts.count(" overlaps line ") == 2
    assert texts.count(" touches line ") == 1 + 1
    assert texts.count("are not together") == 2
    assert texts.count("repeats a label") == 1
    assert "AVVP_test_pd.csv:5: video 'dTest000004_20_30' repeats a label" in texts
    assert texts.count("did you mean") == texts.count("did you mean 'bValid00002_30_40'?") == 2
    assert report.count("warning") == 4 + 1 + 5


def test_check_counts_a_few_videos_at_once(invented_llp: Path, monkeypatch) -> None:
    """Memory is for some videos, not for a data set of a million segments each."""
    whole, asked = check(invented_llp), []

    def painted(rows, ids, spec):
        asked.append(len(ids))
        return rasterise(rows, ids, spec)

    monkeypatch.setattr("rlld.data.checks.check.rasterise", painted)
    monkeypatch.setattr("rlld.data.checks.check.AT_ONCE", 3 * 10 * 25)
    assert check(invented_llp) == whole
    assert max(asked) == 3


def test_check_of_an_invented_damaged_audio_file(invented_llp: Path, tmp_path: Path) -> None:
    shutil.copytree(invented_llp, tmp_path, dirs_exist_ok=True)
    shutil.copy(invented_llp / DAMAGED, tmp_path / AUDIO)
    warnings = "\n".join(_texts(check(tmp_path), "warning"))
    assert f"{AUDIO}:13: 'Baby_cry_infant_cry' (this row and 1 more)" in warnings
    assert f"{AUDIO}:16: 'gTest000007_10_20`' (this row)" in warnings
    assert "did you mean 'gTest000007_10_20'?" in warnings


def test_check_of_the_damaged_audio_file(shared_llp: Path, tmp_path: Path) -> None:
    for file in shared_llp.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / AUDIO).write_text(damaged((shared_llp / AUDIO).read_text()))
    report = check(tmp_path)
    assert "damaged" in report.audio_version
    warnings = "\n".join(_texts(report, "warning"))
    assert "AVVP_eval_audio.csv:930: 'Baby_cry_infant_cry' (this row and 1 more)" in warnings
    assert "did you mean 'KvIjsmANkxI_10_20'?" in warnings


def test_check_reports_every_line(raw: Path, spec: DataSpec) -> None:
    annotations = raw / "annotations"
    path = annotations / "train.csv"
    path.write_bytes(
        b"\xef\xbb\xbffilename\tevent_labels\r\na\tOwll\r\nb,Owl\r\nfffffffffff_0_2\tOwl\r\n"
    )
    with (annotations / "audio.csv").open("a") as file:
        file.write("ddddddddddd_0_2\t0\t9\tOwl\nzz\t0\t1\tOwl\n")
    (annotations / "visual.csv").unlink()
    report = check(annotations, spec)
    assert _texts(report, "error") == [
        f"{path}:2: unknown class 'Owll'; did you mean 'Owl'?",
        f"{path}:3: expected 2 tab-separated fields (filename, event_labels), found 1; its fields "
        "seem to be separated by commas; separate them by tabs",
        f"{annotations / 'test.csv'}: video 'fffffffffff_0_2' of test is in train too; keep it in "
        "one",
        f"{annotations / 'audio.csv'}:4: event from 0 to 9 s lies outside the video (0 to 2 s); "
        "correct it",
        f'{annotations / "visual.csv"}: no such annotation file; add it, or write audio: "" and '
        'visual: "" under annotations in dataset.yaml if there is none',
    ]
    warnings = _texts(report, "warning")
    assert warnings[0].startswith(f"{path}:1: the file starts with a byte order mark")
    assert warnings[1].startswith(f"{path}:1: Windows line ends in 4 lines")
    assert warnings[2].startswith(f"{annotations / 'audio.csv'}:5: 'zz' (this row)")
    assert len(warnings) == 3


def test_check_tells_of_events_that_mark_nothing(raw: Path, spec: DataSpec) -> None:
    annotations = raw / "annotations"
    path = annotations / "audio.csv"
    video = (annotations / "validation.csv").read_text().splitlines()[1].partition("\t")[0]
    rows = f"{video}\t0.35\t0.65\tOwl\n{video}\t0\t0.2\tCrow\n"
    with path.open("a") as file:
        file.write(rows)
    (warning,) = _texts(check(annotations, spec), "warning")
    told = f"{path}:4: Owl of '{video}' (0.35 to 0.65 s), as 1 more of its events, covers half of"
    assert warning == f"{told} a segment of 0.5 s nowhere and marks nothing"
    path.write_text("filename\tonset\toffset\tevent_labels\n" + rows)
    (warning,) = _texts(check(annotations, spec), "warning")
    assert warning.endswith(
        "none of its 2 events covers half of a segment of 0.5 s, so that nothing is annotated; "
        "correct the times (seconds), or segment_seconds in dataset.yaml"
    )


def test_check_verifies_stores(raw: Path, spec: DataSpec) -> None:
    out = _pack(raw, spec)
    assert check(out).stores == 3
    path = store_path(out, "train")
    data = bytearray(path.read_bytes())
    data[-1] ^= 64
    path.write_bytes(bytes(data))
    with StoreWriter(store_path(out, "test"), "test", spec) as writer:
        value = {name: np.zeros((4, dim)) for name, dim in spec.dims.items()}
        writer.add("other", value)
        writer.finish(["other"])
    os.truncate(store_path(out, "validation"), 300)
    errors = _texts(check(out), "error")
    assert len(errors) == 3
    assert "train.safetensors: stream 'visual_2d' differs from its checksum" in errors[0]
    assert "validation.safetensors: not a whole safetensors file" in errors[1]
    assert "test.safetensors: holds 1 videos that are not the 1" in errors[2]


@pytest.mark.parametrize("id", ["\\nclip0000.mp4", "../clip", "con", "x" * 256, "a."])
def test_check_refuses_ids_that_no_file_can_bear(raw: Path, spec: DataSpec, id: str) -> None:
    path = raw / "annotations" / spec.annotations.train
    head, first, *rest = path.read_text().splitlines()
    label = first.split("\t")[1]
    path.write_text("\n".join([head, f"{id}\t{label}", first, *rest]) + "\n")
    (error,) = _texts(check(raw / "annotations", spec), "error")
    assert "video id" in error and error.endswith("call the clip and its rows otherwise")


def test_check_refuses_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(RlldError, match=r"holds neither dataset\.yaml nor"):
        check(tmp_path)
    with pytest.raises(RlldError, match="no such folder"):
        check(tmp_path / "none")


@pytest.mark.slow
def test_published_layout_of_llp(shared_llp: Path, tmp_path: Path) -> None:
    """All 1,200 test and 649 validation videos in the published shapes, and a few of train."""
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for name in ("val_pd", "test_pd", "eval_audio", "eval_visual"):
        shutil.copy(shared_llp / f"AVVP_{name}.csv", annotations)
    lines = (shared_llp / "AVVP_train.csv").read_text().splitlines(keepends=True)
    (annotations / "AVVP_train.csv").write_text("".join(lines[:200]))
    ids = [
        line.split("\t")[0]
        for file in ("train", "val_pd", "test_pd")
        for line in (annotations / f"AVVP_{file}.csv").read_text().splitlines()[1:]
    ]
    features = tmp_path / "features"
    source = np.random.default_rng(0).standard_normal((80, 2048), dtype=np.float32)
    for name, value in (
        ("vggish", source[:10, :128]),
        ("res152", source),
        ("r2plus1d_18", source[:10, :512]),
    ):
        (features / name).mkdir(parents=True)
        np.save(features / "one.npy", value)
        for video in ids:
            os.link(features / "one.npy", features / name / f"{video[:11]}.npy")
        (features / "one.npy").unlink()
    out = tmp_path / "D"
    report = pack(annotations, features, out, LLP_SPEC, dtype="bfloat16")
    assert report.videos == {"train": 199, "validation": 649, "test": 1200}
    store = read_store(store_path(out, "test"))
    assert store.streams["visual_2d"].shape == (1200, 10, 2048)
    mean = torch.from_numpy(source.reshape(10, 8, 2048).mean(axis=1))
    assert torch.equal(store.streams["visual_2d"][-1], mean.bfloat16())


def _ids(raw: Path) -> dict[str, list[str]]:
    files = {split: raw / "annotations" / f"{split}.csv" for split in SPLITS}
    return {
        split: [line.split("\t")[0] for line in file.read_text().splitlines()[1:]]
        for split, file in files.items()
    }


def _vary(raw: Path, spec: DataSpec) -> dict[str, int]:
    """Gives every video of the published layout a length of its own."""
    lengths = {}
    for number, video in enumerate(video for ids in _ids(raw).values() for video in ids):
        lengths[video] = 4 + number
        for name, stream in spec.streams.items():
            stem = video if name == "audio" else video[:11]
            random = np.random.default_rng(number)
            rows = random.standard_normal((lengths[video] * stream.frames, stream.dim), np.float32)
            np.save(raw / "features" / stream.folder / f"{stem}.npy", rows)
    return lengths


def test_features_of_any_row_count_are_packed(raw: Path, spec: DataSpec) -> None:
    spec = replace(spec, any_length=True, segments=1)
    lengths = _vary(raw, spec)
    out = _pack(raw, spec)
    data = load_data(out)
    assert data.spec.segments == max(lengths.values()) == 9
    for split, ids in _ids(raw).items():
        store = read_store(store_path(out, split))
        assert store.lengths is not None
        assert store.lengths.tolist() == [lengths[video] for video in ids]
    video = _ids(raw)["train"][2]
    rows = np.load(raw / "features" / "look" / f"{video[:11]}.npy")
    found = read_store(store_path(out, "train")).video(2)["visual_2d"]
    np.testing.assert_allclose(found.numpy(), rows.reshape(-1, 2, 5).mean(1), rtol=1e-6)
    assert _pack(raw, spec) == out  # finished already


def test_rows_that_are_no_whole_segments_are_refused(raw: Path, spec: DataSpec) -> None:
    spec = replace(spec, any_length=True)
    _vary(raw, spec)
    np.save(raw / "features" / "look" / "bbbbbbbbbbb.npy", np.zeros((7, 5), np.float32))
    with pytest.raises(RlldError, match=r"shape \(7, 5\), expected \(rows, 5\), 2 rows for each"):
        _pack(raw, spec)
    np.save(raw / "features" / "look" / "bbbbbbbbbbb.npy", np.zeros((8, 5), np.float32))
    with pytest.raises(RlldError, match=r"5 \(audio\), 4 \(visual_2d\) segments"):
        _pack(raw, spec)


def test_packing_refuses_events_behind_the_end(raw: Path, spec: DataSpec) -> None:
    spec = replace(spec, any_length=True)
    _vary(raw, spec)
    path = raw / "annotations" / "audio.csv"
    path.write_text(path.read_text() + "ddddddddddd_0_2\t1\t3.8\tWren\n")
    with pytest.raises(RlldError, match=r"audio\.csv:4: .* lies outside the video"):
        _pack(raw, spec)
