"""Our files in the programs' own readers, and what their writers make in ours."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import jams
import pandas as pd
import pytest
import srt
import webvtt
from praatio import textgrid
from pympi.Elan import Eaf

from rlld.export import (
    dcase_events,
    elan_events,
    jams_events,
    srt_events,
    textgrid_events,
    webvtt_events,
)
from rlld.export.lanes import lane_name, lanes
from rlld.parsing.result import Event, Parse

CLASSES = ("Dog", 'a "b" & <c>', "Säge")
EVENTS = (
    Event("Dog", "audio", 0.0, 2.5, 0.875),
    Event(CLASSES[1], "visual", 1.25, 10.0, 0.5),
    Event("Dog", "audio_visual", 1.0, 2.0, 0.25),
    Event("Säge", "audio", 3.0, 9.999, 0.75),
    Event("Dog", "audio", 5.0, 6.0, 1.0),
)


@pytest.fixture
def parse() -> Parse:
    return Parse("a b.mp4", 10.0, 1.0, CLASSES, EVENTS, (), ((0.0,) * 3,) * 2)


def spans(parse: Parse, unit: float = 1.0) -> dict[str, list[tuple[float, float, str]]]:
    """Returns the events of every lane in the units of a program."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for event in lanes(parse):
        found.setdefault(lane_name(event), []).append(
            (event.start * unit, event.end * unit, event.label)
        )
    return found


def test_elan(parse, tmp_path):
    file = tmp_path / "x.eaf"
    file.write_text(elan_events.dumps(parse), encoding="utf-8")
    theirs = Eaf(file)
    expected = spans(parse, 1000)
    assert set(theirs.get_tier_names()) == set(expected)
    for lane, rows in expected.items():
        assert sorted(theirs.get_annotation_data_for_tier(lane)) == rows
    assert theirs.media_descriptors[0]["RELATIVE_MEDIA_URL"] == "./a%20b.mp4"
    theirs.remove_annotation("audio: Dog", 100)
    theirs.add_annotation("audio: Dog", 4000, 4500, "Dog")
    theirs.add_tier("audible: Säge")
    theirs.add_annotation("audible: Säge", 0, 1000, "")
    theirs.to_file(file)
    found = elan_events.loads(file.read_text(encoding="utf-8"), "x.eaf")["a b.mp4"]
    changed = {lane_name(event): [] for event in found}
    for event in found:
        changed[lane_name(event)].append((event.start, event.end))
    assert {lane: sorted(rows) for lane, rows in changed.items()} == {
        "audio: Dog": [(4.0, 4.5), (5.0, 6.0)],
        "audio: Säge": [(0.0, 1.0), (3.0, 9.999)],
        'visual: a "b" & <c>': [(1.25, 10.0)],
    }


def test_praat(parse, tmp_path):
    file = tmp_path / "x.TextGrid"
    file.write_text(textgrid_events.dumps(parse), encoding="utf-8")
    theirs = textgrid.openTextgrid(str(file), includeEmptyIntervals=False)
    expected = spans(parse)
    assert set(theirs.tierNames) == set(expected)
    for lane, rows in expected.items():
        assert [tuple(entry) for entry in theirs.getTier(lane).entries] == rows
    assert (theirs.minTimestamp, theirs.maxTimestamp) == (0, 10)
    events = textgrid_events.loads(file.read_text(encoding="utf-8"), "x")[""]
    for form in ("long_textgrid", "short_textgrid"):
        theirs.save(str(file), form, includeBlankSpaces=True)
        again = textgrid_events.loads(file.read_text(encoding="utf-8"), "x")[""]
        assert sorted(again, key=str) == sorted(events, key=str)


def test_webvtt(parse):
    text = webvtt_events.dumps(parse)
    theirs = [
        (cue.start_in_seconds, cue.end_in_seconds, cue.voice) for cue in webvtt.from_string(text)
    ]
    words = {"audio": "audible", "visual": "visible"}
    expected = lanes(parse)
    assert theirs == [(int(e.start), int(e.end), words[e.modality]) for e in expected]
    assert [cue.start for cue in webvtt.from_string(text)][1] == "00:00:01.250"


def test_srt(parse):
    theirs = list(srt.parse(srt_events.dumps(parse)))
    words = {"audio": "audible", "visual": "visible"}
    assert [(cue.start, cue.end, cue.content) for cue in theirs] == [
        (
            timedelta(milliseconds=round(event.start * 1000)),
            timedelta(milliseconds=round(event.end * 1000)),
            f"[{words[event.modality]}] {event.label}",
        )
        for event in lanes(parse)
    ]
    again = srt_events.loads(srt.compose(theirs), "x")
    assert again == srt_events.loads(srt_events.dumps(parse), "x")


def test_jams(parse):
    theirs = jams.load(io.StringIO(jams_events.dumps(parse)), strict=True, fmt="jams")
    assert theirs.validate() and theirs.file_metadata.duration == 10
    for annotation in theirs.search(namespace="segment_open"):
        rows = [
            (row.time, row.time + row.duration, row.value, row.confidence) for row in annotation
        ]
        assert rows == [
            (event.start, event.end, event.label, event.confidence)
            for event in lanes(parse)
            if event.modality == annotation.sandbox.modality
        ]
    text = json.dumps(json.loads(theirs.dumps()))
    assert jams_events.loads(text, "x") == jams_events.loads(jams_events.dumps(parse), "x")


def test_tables_of_sound_event_detection(parse):
    table = pd.read_csv(io.StringIO(dcase_events.dumps(parse)), sep="\t")
    assert list(table.columns[:4]) == ["filename", "onset", "offset", "event_label"]
    assert list(zip(table.onset, table.offset, table.event_label, strict=True)) == [
        (event.start, event.end, event.label) for event in lanes(parse)
    ]
    strong = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\nx_30000\t0.5\t1\t/m/09x0r\n"
    assert dcase_events.loads(strong, "audio_strong.tsv") == {
        "x_30000": (Event("/m/09x0r", "audio", 0.5, 1.0, 1.0),)
    }
