"""Annotation files: the real ones, every trap, and the way there and back."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llp_kit import AUDIO, DAMAGED, VISUAL, damaged
from rlld import RlldError
from rlld.data.annotations import (
    LLP_AUDIO_VERSIONS,
    DenseRow,
    audio_version,
    covered,
    rasterise,
    read_dense,
    read_weak,
    write_dense,
    write_weak,
)
from rlld.data.lines import unquoted
from rlld.data.problems import Problem
from rlld.data.spec import LLP_SPEC, DataSpec
from rlld.taxonomy import LLP, Taxonomy

WEAK = "filename\tevent_labels\n"
DENSE = "filename\tonset\toffset\tevent_labels\n"


def _file(folder: Path, text: str | bytes) -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "videos", "labels"),
    [
        ("AVVP_train.csv", 10000, 16057),
        ("AVVP_val_pd.csv", 649, 1170),
        ("AVVP_test_pd.csv", 1200, 2178),
        ("AVVP_dataset_full.csv", 11849, 16057 + 1170 + 2178),
    ],
)
def test_real_weak_files(shared_llp: Path, name: str, videos: int, labels: int) -> None:
    weak = read_weak(shared_llp / name, LLP)
    assert len(weak.ids) == videos
    assert weak.labels.shape == (videos, 25)
    assert weak.labels.sum(dtype=int) == labels


def test_real_ids_and_repeated_label(shared_llp: Path) -> None:
    train = read_weak(shared_llp / "AVVP_train.csv", LLP)
    assert sum(video.startswith("-") for video in train.ids) == 132
    assert "AP0061o0Nvk_101.8_111.8" in train.ids
    assert train.ids[0] == "BjCEufrlXm4_20_30"
    assert train.labels[:, 0].sum(dtype=int) == 4988
    test = read_weak(shared_llp / "AVVP_test_pd.csv", LLP)
    clapping = test.labels[test.ids.index("LcFWKgFphXI_20_30")]
    assert clapping.tolist() == [0] * 24 + [1]


@pytest.mark.parametrize(
    ("split", "audio", "visual"),
    [("AVVP_val_pd.csv", 1440, 856), ("AVVP_test_pd.csv", 2638, 1625)],
)
def test_real_events(shared_llp: Path, split: str, audio: int, visual: int) -> None:
    """The runs of the rasterised map are the numbers of events that ``metrics.md`` counts."""
    ids = read_weak(shared_llp / split, LLP).ids
    for name, events in (("AVVP_eval_audio.csv", audio), ("AVVP_eval_visual.csv", visual)):
        rows = read_dense(shared_llp / name, LLP, 10.0)
        cells = rasterise(rows, ids, LLP_SPEC)
        starts = np.diff(cells.astype(int), axis=1, prepend=0) == 1
        assert starts.sum() == events


def test_real_rasterising_equals_published_rule(shared_llp: Path) -> None:
    rows = read_dense(shared_llp / "AVVP_eval_audio.csv", LLP)
    assert len(rows) == 4131
    ids = read_weak(shared_llp / "AVVP_test_pd.csv", LLP).ids
    expected = np.zeros((len(ids), 10, 25), dtype=bool)
    for n, video in enumerate(ids):
        for row in rows:
            if row.id == video:
                expected[n, int(row.onset) : int(row.offset), LLP.index(row.label)] = True
    np.testing.assert_array_equal(rasterise(rows, ids, LLP_SPEC), expected)


def test_versions_of_the_audio_file(shared_llp: Path, tmp_path: Path) -> None:
    assert "corrected" in audio_version(shared_llp / AUDIO)
    bad = tmp_path / AUDIO
    bad.write_text(damaged((shared_llp / AUDIO).read_text()))
    assert "damaged" in audio_version(bad)
    assert audio_version(shared_llp / VISUAL) == ""
    lines = {row.line: row.id for row in read_dense(bad, LLP)}
    assert lines[930] == lines[931] == "Baby_cry_infant_cry"
    assert lines[2449] == "KvIjsmANkxI_10_20`"


# --- the same of invented videos ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "videos", "labels"),
    [
        ("AVVP_train.csv", 8, 14),
        ("AVVP_val_pd.csv", 6, 10),
        ("AVVP_test_pd.csv", 8, 16),
        ("AVVP_dataset_full.csv", 22, 14 + 10 + 16),
    ],
)
def test_invented_weak_files(invented_llp: Path, name: str, videos: int, labels: int) -> None:
    weak = read_weak(invented_llp / name, LLP)
    assert weak.labels.shape == (len(weak.ids), 25) == (videos, 25)
    assert weak.labels.sum(dtype=int) == labels


def test_invented_ids_and_repeated_label(invented_llp: Path) -> None:
    train = read_weak(invented_llp / "AVVP_train.csv", LLP)
    assert train.ids[:3] == ("-aTrain_001_30_40", "bTrain00002_101.8_111.8", "c_Train-003_0_10")
    assert train.labels[:, 0].sum(dtype=int) == 5
    test = read_weak(invented_llp / "AVVP_test_pd.csv", LLP)
    clapping = test.labels[test.ids.index("dTest000004_20_30")]
    assert clapping.tolist() == [0] * 24 + [1]


def test_invented_rows_by_hand(invented_llp: Path) -> None:
    """Rows apart, twice, overlapping, touching, empty, reversed, and of no video of the split."""
    maps = {}
    for split in ("val", "test"):
        ids = read_weak(invented_llp / f"AVVP_{split}_pd.csv", LLP).ids
        for name in (AUDIO, VISUAL):
            rows = read_dense(invented_llp / name, LLP, 10.0)
            found = rasterise(rows, ids, LLP_SPEC).nonzero()
            for video, segment, label in zip(*found, strict=True):
                key = (ids[video][0:2].strip("_"), name == VISUAL, LLP.classes[label])
                maps.setdefault(key, []).append(int(segment))
    every = list(range(10))
    assert {key: spans for key, spans in maps.items() if not key[1]} == {
        ("-b", False, "Speech"): every,
        ("bV", False, "Violin_fiddle"): every,
        ("eV", False, "Singing"): [2, 3, 6, 7, 8],
        ("fV", False, "Dog"): [1, 2],
        ("fV", False, "Speech"): [5, 6, 7, 8],
        ("-c", False, "Blender"): [8, 9],
        ("-c", False, "Speech"): every[:8],
        ("bT", False, "Baby_cry_infant_cry"): [0, 1, 2, 3],
        ("dT", False, "Clapping"): [2, 3, 4, 5, 6],
        ("eT", False, "Speech"): [0, 1, 2, 3, 4, 5],
        ("fT", False, "Speech"): [0, 1, 2, 3, 7, 8, 9],
        ("fT", False, "Dog"): [3, 4, 5, 6, 7],
        ("gT", False, "Cat"): [0, 4, 5],
        ("hT", False, "Motorcycle"): [0, 1],
        ("hT", False, "Speech"): [6, 7],
    }
    assert {key: spans for key, spans in maps.items() if key[1]} == {
        ("-b", True, "Dog"): every,
        ("bV", True, "Violin_fiddle"): every[1:],
        ("dV", True, "Car"): [4, 5, 6, 7],
        ("fV", True, "Dog"): [1, 2, 3],
        ("fV", True, "Accordion"): every,
        ("bT", True, "Baby_cry_infant_cry"): every,
        ("-c", True, "Blender"): every,
        ("dT", True, "Clapping"): every[:9],
        ("eT", True, "Speech"): [2, 3, 4, 5],
        ("fT", True, "Dog"): every,
        ("gT", True, "Cat"): every,
        ("gT", True, "Dog"): [2, 3, 4],
        ("hT", True, "Motorcycle"): [0, 1],
        ("hT", True, "Car"): [6, 7],
    }


def test_a_version_is_known_by_its_bytes(
    invented_llp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256((invented_llp / DAMAGED).read_bytes()).hexdigest()
    monkeypatch.setitem(LLP_AUDIO_VERSIONS, digest, "the damaged one")
    assert audio_version(invented_llp / DAMAGED) == "the damaged one"
    assert audio_version(invented_llp / AUDIO) == ""


def test_rows_of_the_damaged_file_name_no_video(invented_llp: Path) -> None:
    lines = {row.line: row.id for row in read_dense(invented_llp / DAMAGED, LLP)}
    assert lines[13] == lines[14] == "Baby_cry_infant_cry"
    assert lines[16] == "gTest000007_10_20`"


def test_bom_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    text = (WEAK + "a_0_10\tDog,Speech\n").replace("\n", "\r\n")
    weak = read_weak(_file(tmp_path, b"\xef\xbb\xbf" + text.encode()), LLP)
    assert weak.ids == ("a_0_10",)
    assert np.flatnonzero(weak.labels[0]).tolist() == [0, 3]


def test_the_quotes_of_a_spreadsheet_are_no_part_of_a_cell(tmp_path: Path) -> None:
    rows = '"filename"\t"event_labels"\n"a_0_10"\t"Dog,Speech"\n-b\tCat\n'
    text = b"\xef\xbb\xbf" + rows.replace("\n", "\r\n").encode()
    found: list[Problem] = []
    weak = read_weak(_file(tmp_path, text), LLP, found.append)
    assert weak.ids == ("a_0_10", "-b")
    assert [np.flatnonzero(row).tolist() for row in weak.labels] == [[0, 3], [4]]
    assert [(problem.line, problem.grade) for problem in found][-1] == (1, "note")
    assert "quotes around the cells of 2 lines" in str(found[-1])
    dense = _file(tmp_path, DENSE + '"a"\t"0"\t2.5\t"Dog"\n')
    assert [row[:4] for row in read_dense(dense, LLP)] == [("a", 0.0, 2.5, "Dog")]


@pytest.mark.parametrize(
    ("cell", "content"),
    [
        ('"', '"'),
        ('""', ""),
        ('"a""b"', 'a"b'),
        ('"a"b"', '"a"b"'),
        ('a"', 'a"'),
        ('"""a"""', '"a"'),
    ],
)
def test_quotes_are_taken_off_in_pairs(cell: str, content: str) -> None:
    assert unquoted(cell) == content


def test_no_final_line_end_and_no_label(tmp_path: Path) -> None:
    weak = read_weak(_file(tmp_path, WEAK + "a\tDog\nb\t"), LLP)
    assert weak.ids == ("a", "b")
    assert weak.labels.sum(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (WEAK + "a\tDog\nb\tDogg\n", 3, "unknown class 'Dogg'; did you mean 'Dog'?"),
        (WEAK + "a\tDog, Cat\n", 2, "unknown class ' Cat'; did you mean 'Cat'?"),
        (WEAK + "a\tDog\rx\n", 2, "unknown class"),
        (WEAK + "a,Dog\n", 2, "separated by commas"),
        (WEAK + "a Dog\n", 2, "separated by spaces"),
        (WEAK + "a\tDog\tCat\n", 2, "found 3"),
        (WEAK + "a\tDog\na\tCat\n", 3, "listed before, on line 2"),
        (WEAK + '"a\tDog\n', 2, "no video id"),
        (WEAK + '"a"b"\tDog\n', 2, "no video id"),
        (WEAK + "\tDog\n", 2, "no video id"),
        ("filename,event_labels\na,Dog\n", 1, "separated by commas"),
        ("a\tDog\n", 1, "add the header"),
        ("", 1, "empty"),
        (DENSE + "a\t0\t1\tDog\n", 1, "expected the tab-separated header"),
    ],
)
def test_weak_errors_name_the_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(RlldError, match=re.escape(f"{path}:{line}: ")) as caught:
        read_weak(path, LLP)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("a\t0\tten\tDog", "offset is 'ten'"),
        ("a\tnan\t3\tDog", "onset is 'nan'"),
        ("a\t0\t1_0\tDog", "offset is '1_0'"),
        ("a\t0\t\u0663\tDog", "offset is '\u0663'"),
        ("a\t-1\t3\tDog", "outside the video"),
        ("a\t0\t11\tDog", "outside the video (0 to 10 s)"),
        ("a\t0\t5\tWolf", "unknown class 'Wolf'"),
        ("a 0 5 Dog", "separated by spaces"),
        ("a;0;5;Dog", "separated by semicolons"),
        ("a\t0\t5\tDog,Cat", "unknown class 'Dog,Cat'"),
    ],
)
def test_dense_errors_name_the_line(tmp_path: Path, row: str, words: str) -> None:
    path = _file(tmp_path, DENSE + "a\t0\t1\tDog\n" + row + "\n")
    with pytest.raises(RlldError, match=re.escape(f"{path}:3: ")) as caught:
        read_dense(path, LLP, 10.0)
    assert words in str(caught.value)


def test_not_utf8_and_missing(tmp_path: Path) -> None:
    path = _file(tmp_path, WEAK.encode() + b"a\tDog\nb\t\xff\n")
    with pytest.raises(RlldError, match=r"labels.csv:3: not UTF-8"):
        read_weak(path, LLP)
    with pytest.raises(RlldError, match="no such annotation file"):
        read_weak(tmp_path / "none.csv", LLP)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf16_is_one_error_that_says_so(tmp_path: Path, encoding: str) -> None:
    path = _file(tmp_path, (WEAK + "a\tDog\n").encode(encoding))
    found: list[Problem] = []
    read_weak(path, LLP, found.append)
    (problem,) = found
    assert "save the file as UTF-8" in problem.text or "as UTF-16 does" in problem.text


@pytest.mark.parametrize(("seconds", "segments"), [(0.96, 11), (0.96, 31), (0.3, 9), (0.7, 27)])
def test_an_event_may_end_where_its_video_ends(tmp_path: Path, seconds, segments) -> None:
    """0.96 s times 11 is 10.559999999999999 in binary, and the file says 10.56."""
    spec = DataSpec("aviary", ("Crow",), segments=segments, segment_seconds=seconds)
    write_dense(tmp_path / "dense.csv", ["a"], np.ones((1, segments, 1), bool), spec)
    (row,) = read_dense(tmp_path / "dense.csv", spec.taxonomy, spec.duration)
    assert rasterise([row], ["a"], spec).all()
    assert float(f"{row.offset:.9f}") == spec.duration


def test_rasterise_traps(spec: DataSpec) -> None:
    """Overlaps, duplicates, zero length, reversed, foreign ids, rows apart."""
    rows = [
        DenseRow("a", 0.0, 1.0, "Owl", 2),
        DenseRow("b", 1.5, 1.5, "Crow", 3),
        DenseRow("a", 0.5, 1.5, "Owl", 4),
        DenseRow("a", 0.5, 1.5, "Owl", 5),
        DenseRow("b", 2.0, 0.5, "Wren", 6),
        DenseRow("foreign", 0.0, 2.0, "Wren", 7),
    ]
    cells = rasterise(rows, ["b", "a"], spec)
    expected = np.zeros((2, 4, 3), dtype=bool)
    expected[1, :3, 1] = True
    np.testing.assert_array_equal(cells, expected)


@given(
    onset=st.integers(0, 400),
    length=st.integers(-50, 400),
    seconds=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_half_coverage(onset: int, length: int, seconds: float) -> None:
    """Against the definition, in exact hundredths of a segment."""
    offset = onset + length
    first, stop = covered(onset * seconds / 100, offset * seconds / 100, seconds)
    expected = {t for t in range(10) if min(offset, 100 * t + 100) - max(onset, 100 * t) >= 50}
    assert set(range(first, stop)) == expected


@given(cuts=st.sets(st.integers(0, 400), min_size=2, max_size=30), data=st.data())
def test_an_event_that_was_marked_in_pieces_is_the_event(
    cuts: set[int], data: st.DataObject
) -> None:
    spec = DataSpec("aviary", ("Crow", "Owl"), segments=4)
    bounds = sorted(cut / 100 for cut in cuts)
    pieces = [DenseRow("a", *times, "Crow", 2) for times in itertools.pairwise(bounds)]
    whole = rasterise([DenseRow("a", bounds[0], bounds[-1], "Crow", 2)], ["a"], spec)
    np.testing.assert_array_equal(rasterise(data.draw(st.permutations(pieces)), ["a"], spec), whole)


def test_pieces_that_do_not_touch_stay_events_of_their_own(spec: DataSpec) -> None:
    rows = [DenseRow("a", 0.0, 0.24, "Owl", 2), DenseRow("a", 0.25, 0.49, "Owl", 3)]
    rows += [DenseRow("a", 0.24, 0.25, "Crow", 4), DenseRow("b", 0.24, 0.25, "Owl", 5)]
    assert not rasterise(rows, ["a", "b"], dataclasses.replace(spec, segment_seconds=1.0)).any()


@given(onset=st.integers(0, 12), offset=st.integers(0, 12))
def test_whole_multiples_follow_the_published_rule(onset: int, offset: int) -> None:
    first, stop = covered(onset * 0.96, offset * 0.96, 0.96)
    assert list(range(first, stop)) == list(range(onset, offset))


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters=',"'),
    min_size=1,
    max_size=8,
)


@given(
    data=st.data(),
    classes=st.lists(NAMES, min_size=1, max_size=5, unique=True),
    ids=st.lists(NAMES, max_size=6, unique=True),
    seconds=st.sampled_from([1.0, 0.5, 0.96, 1 / 3, 2.5]),
)
def test_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    classes: list[str],
    ids: list[str],
    seconds: float,
) -> None:
    spec = dataclasses.replace(
        LLP_SPEC,
        classes=tuple(classes),
        segments=data.draw(st.integers(1, 7)),
        segment_seconds=seconds,
    )
    bits = data.draw(st.integers(0, 2 ** (len(ids) * spec.segments * len(classes)) - 1))
    size = len(ids) * spec.segments * len(classes)
    maps = np.array([bits >> n & 1 for n in range(size)], dtype=bool)
    maps = maps.reshape(len(ids), spec.segments, len(classes))
    folder = tmp_path_factory.mktemp("round")
    write_dense(folder / "dense.csv", ids, maps, spec)
    rows = read_dense(folder / "dense.csv", spec.taxonomy, math.ceil(spec.duration))
    np.testing.assert_array_equal(rasterise(rows, ids, spec), maps)
    weak = maps.any(axis=1)
    write_weak(folder / "weak.csv", ids, weak, spec.taxonomy)
    back = read_weak(folder / "weak.csv", spec.taxonomy)
    assert back.ids == tuple(ids)
    np.testing.assert_array_equal(back.labels, weak)


def test_written_bytes(tmp_path: Path, spec: DataSpec) -> None:
    maps = np.zeros((1, 4, 3), dtype=bool)
    maps[0, [0, 1, 3], 2] = True
    write_dense(tmp_path / "d.csv", ["-x_1.5_3.5"], maps, spec)
    assert (tmp_path / "d.csv").read_text() == (
        DENSE + "-x_1.5_3.5\t0\t1\tWren\n-x_1.5_3.5\t1.5\t2\tWren\n"
    )
    write_weak(tmp_path / "w.csv", ["a"], np.array([[1, 0, 1]]), Taxonomy(spec.classes))
    assert (tmp_path / "w.csv").read_text() == WEAK + "a\tCrow,Wren\n"


def test_ids_that_would_break_the_file_are_refused(tmp_path: Path, spec: DataSpec) -> None:
    with pytest.raises(RlldError, match="cannot be written"):
        write_weak(tmp_path / "w.csv", ["a\tb"], np.ones((1, 3)), spec.taxonomy)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_cell_says_that_nothing_occurs_and_is_counted(tmp_path):
    path, told = tmp_path / "train.csv", []
    path.write_text("filename\tevent_labels\na\tCrow\nb\t\nc\t\nd\tOwl\n")
    found = read_weak(path, Taxonomy(("Crow", "Owl")), told.append)
    assert found.ids == ("a", "b", "c", "d")
    assert found.labels.tolist() == [[1, 0], [0, 0], [0, 0], [0, 1]]
    (problem,) = told
    assert (problem.line, problem.grade) == (3, "note")
    assert problem.text.startswith("2 videos have no label, which says that none of the classes")
