"""What 'rlld data new' makes of a data set whose studio is open."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cli_kit import called
from parse_kit import make_clip
from rlld.data.annotations import read_dense
from rlld.data.spec import read_spec

TAGS = {"a": "bell", "b": "drum", "c": "horse", "d": "bell;horse", "e": "drum;horse"}
"""The tags of each clip; the classes are bell, drum and horse."""
OTHERS = {"a": "horse", "b": "drum", "c": "horse", "d": "wind;horse", "e": "drum;horse"}
"""Tags of which drum, horse and wind are the classes."""


class Home:
    """A folder of clips of two seconds, and the data set that is made of it."""

    def __init__(self, folder: Path) -> None:
        self.clips, self.tags, self.data = folder / "clips", folder / "tags.csv", folder / "D"
        self.clips.mkdir()
        for name in TAGS:
            make_clip(self.clips / f"{name}.mp4", 2.0)

    def new(self, tags: dict[str, str] = TAGS) -> None:
        """Makes the data set, or makes it anew with other tags."""
        self.tags.write_text("".join(["file,tags\n", *(f"{k}.mp4,{v}\n" for k, v in tags.items())]))
        words = ("--videos", self.clips, "--tags", self.tags, "--features", "light")
        made = called("data", "new", self.data, *words, "--workers", 1)
        assert made.returncode == 0, made.stderr

    def remove(self, name: str) -> None:
        """Removes a clip and makes the data set anew."""
        (self.clips / f"{name}.mp4").unlink()
        self.new({clip: tags for clip, tags in TAGS.items() if clip != name})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.new()
    return made


@pytest.fixture
def run(home: Home) -> str:
    """A run on the data set."""
    out = home.data.with_name("run")
    quick = ("--schedule.updates", 4, "--network.hidden", 16)
    trained = called("train", "weak", "--data", home.data, "--out", out, *quick)
    assert trained.returncode == 0, trained.stderr
    return str(out)


def sent(page: Any, clip: str, base: int = 0) -> dict[str, Any]:
    """What a page sends that marks the first class in a clip."""
    events = [{"c": 0, "m": "audio", "s": 0, "e": 1, "p": None}]
    classes = page.get(f"/api/clips/{clip}")["classes"]
    return {"person": "Ada", "base": base, "classes": classes, "events": events}


def test_a_page_that_counts_other_classes_stores_none_of_them(
    home: Home, opened: Callable[..., Any]
):
    studio, page = opened(home.data)
    old = sent(page, "a")
    assert page.put("/api/clips/a/events", **old) == {"revision": 1}
    home.new(OTHERS)
    # Until the studio reads them anew, both count as before.
    assert page.put("/api/clips/a/events", **{**old, "base": 1}) == {"revision": 2}
    studio.close()
    studio, page = opened(home.data)
    for method, path, more in (("PUT", "events", {}), ("POST", "revert", {"to": 1})):
        body = {**old, "base": 2, **more}
        told = page.refused(409, method, f"/api/clips/a/{path}", body)
        assert told["error"].startswith("classes: found others than those of the data set")
        assert "load the page again" in told["error"]
    assert {each["class"] for each in studio.store.latest("a").events} == {"bell"}
    assert page.get("/api/clips/a")["revision"] == 2
    assert page.put("/api/clips/b/events", **sent(page, "b")) == {"revision": 1}
    assert [each["class"] for each in studio.store.latest("b").events] == ["drum"]
    unsaid = {"person": "Ada", "base": 1, "events": []}
    told = page.refused(400, "PUT", "/api/clips/b/events", unsaid)
    assert told["error"] == "classes: expected a list, found null"


def test_a_corrected_clip_that_is_gone_is_told_and_stops_no_other(
    home: Home, opened: Callable[..., Any]
):
    studio, page = opened(home.data)
    for clip in ("a", "b", "c"):
        page.put(f"/api/clips/{clip}/events", **sent(page, clip))
    (home.clips / "b.mp4").unlink()
    home.new({clip: tags for clip, tags in OTHERS.items() if clip != "b"})
    written = page.post("/api/write")
    assert written["corrected"] == 2
    kept = f", kept in {home.data / 'studio'} alone"
    assert written["left_out"] == [
        f"left out: 1 corrected clip that the data set has no more (b){kept}",
        f"left out: events of classes that the data set has no more (bell){kept}",
    ]
    assert written["text"].endswith("; ".join(written["left_out"]))
    assert page.get("/api/state")["notes"] == written["left_out"]
    assert page.get("/api/state")["data"]["clips"] == 4
    page.put("/api/clips/a/events", **sent(page, "a", base=1))
    assert page.post("/api/train")["state"] == "running"  # which writes first
    page.remove("/api/train")
    taxonomy = read_spec(home.data).taxonomy
    rows = read_dense(home.data / "annotations" / "audio.csv", taxonomy)
    assert [(row.id, row.label) for row in rows] == [("a", "drum")]
    assert studio.store.latest("b") is not None
    told = called("data", "answers", home.data)
    assert told.returncode == 0, told.stderr
    assert all(each in told.stdout for each in written["left_out"])


def test_answers_that_the_data_set_asks_for_no_more_are_told(
    home: Home, opened: Callable[..., Any]
):
    _, page = opened(home.data)
    for clip, label in (("a", "bell"), ("b", "drum"), ("c", "horse")):
        about = {"person": "Ada", "video": clip, "class": label}
        page.post("/api/answers", **about, audio=True, visual=True)
    (home.clips / "b.mp4").unlink()
    home.new({clip: tags for clip, tags in OTHERS.items() if clip != "b"})
    written = page.post("/api/write")
    assert written["answers"] == 2  # of c, in both tracks
    assert written["left_out"] == [
        "left out: answers about 2 clips that are gone, test, or lack the tag now (a, b), kept in "
        f"{home.data / 'studio'} alone"
    ]


def test_a_clip_without_features_is_told_and_left_out_of_an_export(
    home: Home, run: str, opened: Callable[..., Any]
):
    studio, page = opened(home.data, run)
    studio.queue.pool()  # nothing is read any more
    home.remove("b")
    told = page.refused(400, "GET", "/api/clips/b")["error"]
    assert told.startswith(f"{home.data / 'features' / 'train.safetensors'}: holds no features of")
    assert "press Write" in told
    exported = page.client.post("/api/export", json={"format": "audacity", "what": "all"})
    assert exported.status_code == 200, exported.text
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        assert archive.namelist() == [f"{clip}.txt" for clip in "acde"]
    lacking = unquote(exported.headers["rlld-lacking"])
    assert lacking == f"left out: 1 clip (b); {told}"
    page.post("/api/write")
    assert "no such video" in page.refused(404, "GET", "/api/clips/b")["error"]
    exported = page.client.post("/api/export", json={"format": "audacity", "what": "all"})
    assert exported.headers["rlld-lacking"] == ""


def test_an_export_of_clips_without_features_alone_says_why(
    home: Home, run: str, opened: Callable[..., Any]
):
    studio, page = opened(home.data, run)
    studio.queue.pool()
    (home.data / "features" / "train.safetensors").unlink()
    told = page.refused(400, "POST", "/api/export", {"format": "audacity", "what": "all"})["error"]
    assert told.startswith("left out: 5 clips (a, b, c, d, e); ")
    assert "no such store" in told


def test_a_run_of_other_classes_is_not_used_after_a_write(
    home: Home, run: str, opened: Callable[..., Any]
):
    studio, page = opened(home.data, run)
    studio.queue.pool()
    assert len(page.get("/api/clips/a")["probabilities"][0]) == 3
    home.new({**TAGS, "a": "drum", "d": "horse"})
    page.post("/api/write")
    state = page.get("/api/state")
    assert state["run"] is None
    (note,) = state["notes"]
    assert note.startswith(f"the run run is not used any more: {home.data}: its classes differ")
    clip = page.get("/api/clips/a")
    assert (clip["classes"], clip["probabilities"]) == (["drum", "horse"], None)
    assert page.get("/api/questions?person=Ada&count=1")[0]["audio"] is None
    page.post("/api/write")
    assert page.get("/api/state")["notes"] == [note]
