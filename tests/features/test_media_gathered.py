"""Clips of a folder with its sub-folders, their lasting ids, and the links to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.media.gathered import clips_below, lasting_ids
from rlld.media.listing import Listed, link_clips, read_listing, write_listing


def made(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_clips_are_found_wherever_they_lie(tmp_path):
    made(tmp_path, "b.MP4", "day/a.mov", ".hidden/c.mp4", "day/._a.mov", "t.txt", "D/videos/b.mp4")
    (tmp_path / "day/lost.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "day/pipe.mp4")
    (tmp_path / "round").symlink_to(tmp_path)
    found = clips_below(tmp_path, tmp_path / "D/videos")
    assert list(found.values()) == ["b.MP4", "day/a.mov", "day/lost.mp4"]
    with pytest.raises(RlldError, match=r"only 1 other files \(.txt\)"):
        clips_below(made(tmp_path / "texts", "a.txt"), tmp_path)


def ids(*paths: str, before: dict[str, str] | None = None) -> dict[str, str]:
    clips = {Path("/c") / path: path for path in paths}
    known = {f"/c/{path}": video for path, video in (before or {}).items()}
    return {clips[clip]: video for video, clip in lasting_ids(clips, known).items()}


def test_ids_are_short_where_they_can_be():
    assert ids("a.mp4", "x/b.mp4") == {"a.mp4": "a", "x/b.mp4": "b"}
    assert ids("a.mp4", "x/a.mp4", "y/x/a.mp4") == {
        "a.mp4": "a", "x/a.mp4": "x_a", "y/x/a.mp4": "y_x_a",
    }  # fmt: skip
    assert ids("a.mp4", "a.avi") == {"a.mp4": "a.mp4", "a.avi": "a.avi"}
    assert ids("A.mp4", "a.mp4", "x/a.mp4") == {
        "A.mp4": "A.mp4", "a.mp4": "a.mp4_2", "x/a.mp4": "x_a",
    }  # fmt: skip


def test_names_that_no_annotation_can_bear_are_mended():
    odd = ids("\n1.mp4", ' "2" .mp4', "a\\b.mp4", "x:y/\u202e.mp4", "...mp4")
    assert sorted(odd.values()) == ["_", "_1", "_2_", "a_b", "clip"]
    with pytest.raises(RlldError, match="is reserved by Windows; rename the clip"):
        ids("aux.mp4")


names = st.lists(st.sampled_from("aAb_"), min_size=1, max_size=3).map("/".join)
files = st.builds(str.__add__, names, st.sampled_from([".mp4", ".avi"]))


@given(st.sets(files, min_size=1, max_size=8), st.sets(files, max_size=4))
def test_ids_are_different_and_stay_when_others_join(first, later):
    before = ids(*sorted(first))
    after = ids(*sorted(first | later), before=before)
    assert len({video.casefold() for video in after.values()}) == len(first | later)
    assert {path: after[path] for path in first} == before


def test_the_list_of_clips_is_read_back(tmp_path):
    clips = {"-a": Listed("/c/=1.mp4", "train", 2.5, "3-4"), "b": Listed("/c/\tb", "test", 1.0, "")}
    write_listing(tmp_path, clips)
    assert read_listing(tmp_path) == clips
    (tmp_path / "clips.tsv").write_text("video\tfile\nx")
    with pytest.raises(RlldError, match=r"clips.tsv: cannot be read .*; delete it and run again"):
        read_listing(tmp_path)


def test_links_follow_the_clips(tmp_path):
    made(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    links = tmp_path / "D/videos"
    link_clips(links, {"a": tmp_path / "a.mp4", "b": tmp_path / "b.mp4"})
    link_clips(links, {"a": tmp_path / "c.mp4"})
    assert {link.name: os.readlink(link) for link in links.iterdir()} == {
        "a.mp4": str(tmp_path / "c.mp4")
    }
    (links / "b.mp4").write_bytes(b"mine")
    with pytest.raises(RlldError, match="is no link of 'rlld data new'; move it"):
        link_clips(links, {"b": tmp_path / "b.mp4"})
    assert (links / "b.mp4").read_bytes() == b"mine"
