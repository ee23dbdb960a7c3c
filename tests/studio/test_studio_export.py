"""Corrected events as files of other programs, in one zip file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

import rlld.parsing.parse
from rlld.export import event_formats, load_format
from rlld.export.files import read_events
from rlld.parsing.result import Parse, Source
from rlld.training.run_folder import Run
from tiny import CLASSES

EVENTS = [
    {"c": 0, "m": "audio", "s": 0.5, "e": 1.5, "p": None},
    {"c": 1, "m": "visual", "s": 0.0, "e": 3.0, "p": 0.75},
]


def unzipped(page, folder: Path, name: str, what: str = "corrected") -> list[Path]:
    answer = page.client.post("/api/export", json={"format": name, "what": what})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="events-{name}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(folder / name)
    return sorted((folder / name).iterdir())


@pytest.mark.parametrize("name", event_formats())
def test_every_format_brings_corrected_events_back(page, tmp_path: Path, name: str):
    if name == "otio":
        pytest.importorskip("opentimelineio")
    for video in ("train_000", "test_001"):
        page.put(f"/api/clips/{video}/events", person="Ada", base=0, events=EVENTS)
    files = unzipped(page, tmp_path, name)
    suffix = load_format(name).SUFFIX
    assert [file.name for file in files] == [f"test_001.{suffix}", f"train_000.{suffix}"]
    for file in files:
        (events,) = read_events(file, name).values()
        found = {(e.label, e.modality, round(e.start, 1), round(e.end, 1)) for e in events}
        assert found == {(CLASSES[0], "audio", 0.5, 1.5), (CLASSES[1], "visual", 0.0, 3.0)}


def test_all_are_those_of_the_run_where_nobody_corrected(
    data: Path, trained: Path, opened: Callable[..., object], tmp_path: Path
):
    studio, page = opened(data, str(trained))
    page.put("/api/clips/train_000/events", person="Ada", base=0, events=EVENTS)
    files = unzipped(page, tmp_path, "audacity", "all")
    assert len(files) == len(studio.catalogue.videos)
    parsed = studio.beliefs.parse("train_001").events
    (events,) = read_events(tmp_path / "audacity" / "train_001.txt").values()
    assert {(e.label, e.start) for e in events} == {(e.label, e.start) for e in parsed}


def test_clips_without_events_are_told_where_there_is_no_run(page, tmp_path: Path):
    page.put("/api/clips/train_000/events", person="Ada", base=0, events=EVENTS)
    answer = page.client.post("/api/export", json={"format": "audacity", "what": "all"})
    told = unquote(answer.headers["rlld-lacking"])
    assert told.startswith("left out: 79 clips (")
    assert told.endswith("; nobody corrected them; open the studio with --run RUN")
    assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) == 1
    answer = page.client.post("/api/export", json={"format": "audacity", "what": "corrected"})
    assert answer.headers["rlld-lacking"] == ""


def test_every_clip_is_parsed_once_for_all_exports(
    data: Path, trained: Path, opened: Callable[..., object], monkeypatch: pytest.MonkeyPatch
):
    parsed: list[str] = []
    parse = rlld.parsing.parse.parse_source

    def counting(run: Run, source: Source, tags: list[str] | None) -> Parse:
        parsed.append(source.name)
        return parse(run, source, tags)

    monkeypatch.setattr("rlld.parsing.parse.parse_source", counting)
    monkeypatch.setattr("rlld.studio.beliefs.HELD", 1)
    studio, page = opened(data, str(trained))
    page.put("/api/clips/train_000/events", person="Ada", base=0, events=EVENTS)

    def export(name: str) -> int:
        sent = {"format": name, "what": "all"}
        return page.client.post("/api/export", json=sent).status_code

    with ThreadPoolExecutor(2) as pool:  # one after the other all the same
        assert list(pool.map(export, ["csv", "audacity"])) == [200, 200]
    assert export("elan") == 200
    others = sorted(set(studio.catalogue.videos) - {"train_000"})
    assert sorted(parsed) == others
    studio.write()  # clips may have other tags now
    assert export("elan") == 200
    assert sorted(parsed) == sorted(2 * others)


def test_what_cannot_be_exported_is_told(page):
    sent = {"format": "elan", "what": "corrected"}
    assert "correct one first" in page.refused(400, "POST", "/api/export", sent)["error"]
    sent = {"format": "elan", "what": "all"}
    assert "--run" in page.refused(400, "POST", "/api/export", sent)["error"]
    sent = {"format": "elam", "what": "all"}
    assert "did you mean 'elan'" in page.refused(400, "POST", "/api/export", sent)["error"]
    sent = {"format": "elan", "what": "some"}
    assert "corrected or all" in page.refused(400, "POST", "/api/export", sent)["error"]
    assert "format" in page.refused(400, "POST", "/api/export", {})["error"]
