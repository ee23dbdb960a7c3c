"""Which files are clips, and which ids they get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.cli._parsing import Args, jobs_of
from rlld.errors import RlldError
from rlld.media.files import SUFFIXES, clips_of_videos, find_clips, media_files, named


def made(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_every_kind_of_clip_counts_in_any_case(tmp_path, capsys):
    video = "mp4 m4v mov webm mkv avi mpg mpeg ts mts m2ts 3gp 3g2 ogv vob wmv flv gif mxf h264"
    audio = "wav mp3 m4a aac flac ogg oga opus wma aiff aif"
    kinds = f"{video} {audio}".split()
    written = [f"{case}.{case}" for kind in kinds for case in (kind, kind.upper())]
    assert names(media_files([made(tmp_path, *written)])) == sorted(written)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_parsing_and_extraction_see_the_same_clips(tmp_path, suffix):
    made(tmp_path, f"one{suffix}", f"two{suffix.upper()}", "three.txt")
    seen = [job.name for job in jobs_of(Args("run"), "text", [tmp_path])]
    assert seen == names(list(find_clips([tmp_path]).values()))
    assert seen == [f"one{suffix}", f"two{suffix.upper()}"]


@pytest.mark.parametrize("suffix", [".wmv", ".aac", ".opus"])
def test_suffixes_that_only_parsing_knew_are_clips(suffix):
    assert suffix in SUFFIXES


def test_what_is_passed_over_is_said_once_and_hidden_files_never(tmp_path, capsys):
    folder = made(tmp_path, "a.mp4", "._a.mp4", ".DS_Store", "b.txt", "c.JPG", "README")
    (folder / "more.mp4").mkdir()
    os.mkfifo(folder / "live.mp4")
    os.symlink("nowhere", folder / "lost.mp4")
    os.symlink("round.mp4", folder / "round.mp4")
    assert names(media_files([folder])) == ["a.mp4", "lost.mp4", "round.mp4"]
    assert capsys.readouterr().err == (
        f"{folder}: passed over 4 files that are no clips (.jpg, .mp4, .txt, without suffix) and "
        "1 folder\n"
    )


def test_a_folder_without_clips_says_what_it_holds(tmp_path):
    with pytest.raises(RlldError, match=r"no clips in it \(files such as .mp4 or .webm\)$"):
        media_files([made(tmp_path / "empty", ".x.mp4")])
    with pytest.raises(RlldError, match=r"or .webm\), only 1 file that is no clip \(a.txt\)$"):
        media_files([made(tmp_path / "texts", "a.txt")])


def test_sources_are_checked(tmp_path):
    with pytest.raises(RlldError, match="no such file or folder"):
        find_clips([tmp_path / "nothing"])
    with pytest.raises(RlldError, match="no such folder"):
        clips_of_videos(tmp_path / "nothing")


def test_a_clip_given_twice_is_one(tmp_path, monkeypatch):
    folder = made(tmp_path / "clips", "a.mp4", "b.mp4")
    monkeypatch.chdir(folder)
    assert names(media_files([folder, Path("b.mp4"), Path("../clips/a.mp4")])) == ["a.mp4", "b.mp4"]


def test_clips_that_share_a_name_are_kept_apart(tmp_path, capsys):
    one = made(tmp_path / "100MEDIA", "x.mp4", "x.avi", "y.mp4", "z.mp4")
    two = made(tmp_path / "101MEDIA", "y.mp4")
    expected = {
        "x.avi": one / "x.avi",
        "x.mp4": one / "x.mp4",
        "100MEDIA_y.mp4": one / "y.mp4",
        "101MEDIA_y.mp4": two / "y.mp4",
        "z": one / "z.mp4",
    }
    assert find_clips([one, two]) == expected
    told = "called by more of it: 100MEDIA_y.mp4, 101MEDIA_y.mp4, x.avi, x.mp4\n"
    assert capsys.readouterr().err.endswith(told)
    assert find_clips([two, *reversed(sorted(one.iterdir()))]) == expected


def test_an_id_is_not_taken_by_a_longer_name(tmp_path):
    folder = made(tmp_path, "x.mp4", "x.avi", "x.mp4.mkv")
    assert sorted(find_clips([folder])) == ["x.avi", "x.mp4", "x.mp4.mkv"]


def test_clips_that_nothing_keeps_apart_are_refused(tmp_path):
    one, two = made(tmp_path / "1/a", "x.mp4"), made(tmp_path / "2/a", "x.mp4")
    with pytest.raises(RlldError, match="has the name and the folder name of"):
        find_clips([one, two])


STEMS = ("a/x", "b/x", "a/y", "a/x.mp4", "b/x.avi", "a/a_x.mp4")
PATHS = tuple(Path(f"{stem}.{kind}") for stem in STEMS for kind in ("mp4", "avi"))


@given(st.sets(st.sampled_from(PATHS), min_size=1))
def test_ids_are_distinct_and_do_not_depend_on_the_order(paths):
    files = sorted(paths)
    ids = named(files)
    assert sorted(ids.values()) == sorted(files)
    assert named(files[::-1]) == ids


def test_a_video_of_a_data_set_has_one_clip(tmp_path):
    with pytest.raises(RlldError, match=r"a.webm: has the same id as .*a.mp4; keep one"):
        clips_of_videos(made(tmp_path, "a.mp4", "a.webm"))
