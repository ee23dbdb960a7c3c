"""Clips, pictures and sound for the page: of the data set's clips and of nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from marked_kit import write_marked
from rlld.media.decode import Clip
from rlld.media.files import stamp_of
from rlld.media.listing import Listed, write_listing
from rlld.media.playable import inspect
from rlld.media.strips import peaks
from rlld.studio.media import AT_ONCE
from tiny import COUNTS


def test_the_page_and_its_files_are_served(page):
    home = page.client.get("/")
    assert home.headers["content-type"].startswith("text/html")
    assert page.client.get("/assets/app.js").headers["content-type"].startswith("text/javascript")
    assert page.client.get("/assets/page.css").headers["content-type"].startswith("text/css")
    for name in ("page.html", "..%2Fapp.py", "%2e%2e%2fapp.py", "nothing.js", ".js"):
        page.refused(404, "GET", f"/assets/{name}")


def test_a_clip_is_played_in_parts(page, data: Path):
    content = (data / "videos" / "train_000.mp4").read_bytes()
    whole = page.client.get("/media/train_000")
    assert whole.content == content
    assert whole.headers["content-type"] == "video/mp4"
    part = page.client.get("/media/train_000", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    behind = page.client.get("/media/train_000", headers={"Range": f"bytes={len(content)}-"})
    assert behind.status_code == 416


def test_pictures_and_peaks(page, data: Path):
    for path, kind in (
        ("/thumb/train_000.jpg", b"\xff\xd8\xff"),
        ("/strip/train_000.jpg?from=0.5&to=2&n=5", b"\xff\xd8\xff"),
        ("/spectrogram/train_000.png?from=0&to=3", b"\x89PNG"),
    ):
        assert page.client.get(path).content.startswith(kind)
        assert page.client.get(path).content.startswith(kind)  # as it is kept
    found = page.get("/api/peaks/train_000?from=0&to=3&n=30")
    assert (found["from"], found["to"]) == (0, 3)
    assert len(found["peaks"]) == 60
    assert all(-127 <= value <= 127 for value in found["peaks"])
    clip = Clip(data / "videos" / "train_000.mp4")
    assert found["peaks"] == peaks(clip, 0, 3, 30).ravel().tolist()
    assert page.get("/api/peaks/train_000?from=0&to=3&n=30") == found
    assert "range" in page.refused(400, "GET", "/api/peaks/train_000?from=2&to=1&n=30")["error"]
    assert "from" in page.refused(400, "GET", "/strip/train_000.jpg?from=x")["error"]
    page.refused(400, "GET", "/strip/train_000.jpg?from=NaN")
    page.refused(400, "GET", "/strip/train_000.jpg?from=-1")


def test_the_sound_is_read_once_for_all_wide_ranges(
    page, data: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[tuple[float, float]] = []

    def reading(clip: Clip, start: float, end: float, *more: Any) -> Any:
        read.append((start, end))
        return peaks(clip, start, end, *more)

    monkeypatch.setattr("rlld.studio.media.peaks", reading)
    monkeypatch.setattr("rlld.studio.media.WIDE", 1.5)
    clip = Clip(data / "videos" / "train_000.mp4")
    for start, end, count in ((0, 3, 30), (0.5, 3, 5), (1.25, 2.75, 150)):
        path = f"/api/peaks/train_000?from={start}&to={end}&n={count}"
        assert page.get(path)["peaks"] == peaks(clip, start, end, count).ravel().tolist()
    assert read == [(0, 3)]
    page.get("/api/peaks/train_000?from=1&to=2&n=100")  # finer than it holds
    assert read[1:] == [(1, 2)]


def test_pictures_do_not_wait_for_sound(studio, page):
    for _ in range(AT_ONCE):  # of other clips is decoded
        studio.media._sound.acquire()
    for path in ("/thumb/train_000.jpg", "/strip/train_000.jpg?from=0&to=3&n=4"):
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(page.client.get, path)
            try:
                assert asked.result(20).status_code == 200
            except TimeoutError:  # else it would wait for ever
                studio.media._sound.release()
                raise


@pytest.mark.parametrize("waiting", [False, True])
@pytest.mark.parametrize(
    "path", ["/thumb/train_000.jpg", "/spectrogram/train_000.png?from=0", "/api/peaks/train_000"]
)
def test_what_a_browser_has_given_up_is_not_made(
    studio, page, monkeypatch: pytest.MonkeyPatch, path: str, waiting: bool
):
    async def left(_request: Request) -> bool:
        return True

    monkeypatch.setattr(Request, "is_disconnected", left)
    for turns in (studio.media._sound, studio.media._pictures) if waiting else ():
        for _ in range(AT_ONCE):
            turns.acquire()
    assert "nobody waits" in page.refused(400, "GET", path)["error"]
    assert list(studio.media.cache.glob("*")) == []
    if waiting:
        return
    monkeypatch.undo()  # who comes after gets it
    assert page.client.get(path).status_code == 200


def test_what_no_browser_plays_is_converted_once(data: Path, opened: Callable[..., object]):
    clip = data / "videos" / "train_001.mp4"
    clip.unlink()
    write_marked(clip.with_suffix(".avi"), codecs=("mpeg4", "mp3"), seconds=3.0)
    studio, page = opened(data)
    sent = page.client.get("/media/train_001")
    assert sent.headers["content-type"] == "video/mp4"
    (kept,) = (data / "studio" / "cache").glob("*.mp4")
    assert sent.content == kept.read_bytes()
    assert inspect(kept)[0] == "video/mp4"
    assert Clip(kept).info.duration == pytest.approx(3.0, abs=0.1)
    before = kept.stat().st_mtime_ns
    page.client.get("/media/train_001")
    assert kept.stat().st_mtime_ns == before
    page.get("/api/peaks/train_001?from=0&to=3&n=30")
    page.client.get("/thumb/train_001.jpg")
    studio.close()
    _, page = opened(data)  # what was drawn of a time range goes, the rest stays
    assert {file.name.partition("-")[2] for file in kept.parent.iterdir()} == {
        "clip.mp4",
        "thumb.jpg",
    }


def test_sound_alone_has_no_picture_and_pictures_alone_no_sound(
    data: Path, opened: Callable[..., object]
):
    for name, codecs in (("train_001", (None, "aac")), ("train_002", ("libx264", None))):
        (data / "videos" / f"{name}.mp4").unlink()
        write_marked(data / "videos" / f"{name}.mp4", codecs=codecs, seconds=3.0)
    _, page = opened(data)
    assert not page.get("/api/clips/train_001")["any_video"]
    page.refused(404, "GET", "/thumb/train_001.jpg")
    page.refused(404, "GET", "/strip/train_001.jpg?from=0&to=3&n=4")
    assert page.get("/api/peaks/train_001?from=0&to=3&n=4")["peaks"]
    assert page.get("/api/clips/train_002")["any_video"]
    page.refused(404, "GET", "/api/peaks/train_002?from=0&to=3&n=4")
    page.refused(404, "GET", "/spectrogram/train_002.png?from=0&to=3")
    assert page.get("/api/clips/train_001")["any_audio"]
    assert not page.get("/api/clips/train_002")["any_audio"]
    lacks = {each["video"]: each["lacks"] for each in page.get("/api/questions?person=A&count=50")}
    rest = {video: lack for video, lack in lacks.items() if lack}
    assert rest.items() <= {"train_001": "visual", "train_002": "audio"}.items()
    silent = page.get("/api/clips/train_002")
    tag = silent["classes"][silent["tags"][0]]
    said = {"person": "A", "video": "train_002", "class": tag, "visual": True}
    page.post("/api/answers", **said, audio=False, unsure=False)
    assert page.post("/api/answers/undo", person="A")["question"]["lacks"] == "audio"


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e", "..%2f..%2fdataset.yaml", "%2Fetc%2Fpasswd", "dataset.yaml", "a%00b", "%ff"],
)
def test_nothing_but_clips_is_reached(page, name: str):
    for path in (f"/media/{name}", f"/thumb/{name}.jpg", f"/api/clips/{name}"):
        answer = page.client.get(path)
        assert answer.status_code in (404, 200)
        if answer.status_code == 200:  # the client itself made '/' of '..'
            assert answer.url.path in ("/", "/api/clips")


def test_a_list_that_names_other_files_shows_none(data: Path, opened: Callable[..., object]):
    secret = data.parent / "secret.txt"
    secret.write_text("secret")
    disguised = data.parent / "secret.mp4"
    disguised.write_text("secret")
    files = {"train_000": secret, "train_001": disguised}
    splits = [(f"{split}_{n:03d}", split) for split, count in COUNTS.items() for n in range(count)]
    listing = {}
    for video, split in splits:
        file = files.get(video, data / "videos" / f"{video}.mp4")
        listing[video] = Listed(str(file), split, 3.0, stamp_of(file))
    write_listing(data, listing)
    _, page = opened(data)
    assert "no clip by its suffix" in page.refused(400, "GET", "/media/train_000")["error"]
    assert "secret.mp4" in page.refused(400, "GET", "/media/train_001")["error"]
    page.refused(400, "GET", "/thumb/train_000.jpg")
    assert page.client.get("/media/train_002").status_code == 200


def test_a_clip_that_is_gone_or_replaced_is_told(data: Path, opened: Callable[..., object]):
    listing = {}
    for split, count in COUNTS.items():
        for number in range(count):
            file = data / "videos" / f"{split}_{number:03d}.mp4"
            listing[file.stem] = Listed(str(file), split, 3.0, stamp_of(file))
    write_listing(data, listing)
    (data / "videos" / "train_000.mp4").unlink()
    replaced = data / "videos" / "train_001.mp4"
    shutil.copy(replaced, data / "copy.mp4")
    os.replace(data / "copy.mp4", replaced)
    _, page = opened(data)
    assert "is gone; bring it back" in page.refused(404, "GET", "/media/train_000")["error"]
    (note,) = page.get("/api/clips/train_000")["notes"]
    assert "is gone" in note
    (note,) = page.get("/api/clips/train_001")["notes"]
    assert "was replaced" in note
    assert page.get("/api/clips/train_002")["notes"] == []
    page.put("/api/clips/train_000/events", person="Ada", base=0, events=[])


def test_a_clip_that_cannot_be_read_is_told_and_shown(data: Path, opened: Callable[..., object]):
    clip = data / "videos" / "train_000.mp4"
    clip.unlink()
    clip.write_bytes(b"no clip")
    _, page = opened(data)
    shown = page.get("/api/clips/train_000")
    (note,) = shown["notes"]
    assert "train_000.mp4" in note
    assert not shown["any_video"]
    assert shown["duration"] == 3.0
    page.refused(400, "GET", "/media/train_000")
    page.refused(400, "GET", "/thumb/train_000.jpg")
    assert page.get("/api/questions?person=Ada&count=1")
