"""Our files in the programs' own readers, and what their writers make in ours."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta

import opentimelineio as otio
import pandas as pd
import pytest
import srt
import webvtt
from praatio import textgrid
from pympi.Elan import Eaf

from rlld.errors import RlldError
from rlld.export import (
    dcase_events,
    edl_events,
    elan_events,
    jams_events,
    otio_events,
    premiere_events,
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
    import jams  # which loads half of SciPy: only where it is used

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


def framed(parse: Parse, fps: float) -> list[tuple[str, float, float]]:
    return [(lane_name(e), round(e.start * fps), round(e.end * fps)) for e in lanes(parse)]


def markers(found) -> list[tuple[str, float, float]]:
    spans = [(marker.name, marker.marked_range) for marker in found]
    return [
        (name, span.start_time.value, span.start_time.value + span.duration.value)
        for name, span in spans
    ]


@pytest.mark.parametrize(("fps", "rate"), [(25, 25), (29.97, 30000 / 1001), (60, 60)])
def test_premiere(parse, fps, rate):
    text = premiere_events.dumps(parse, fps=fps)
    (timeline,) = [otio.adapters.read_from_string(text, "fcp_xml")]
    stack = timeline.tracks if isinstance(timeline, otio.schema.Timeline) else timeline[0].tracks
    assert markers(stack.markers) == framed(parse, fps)
    assert stack.markers[0].marked_range.duration.rate == pytest.approx(rate, abs=0.01)
    theirs = otio.adapters.write_to_string(timeline, "fcp_xml")
    found = premiere_events.loads(theirs, "x")["a b.mp4"]
    assert [(lane_name(e), round(e.start * rate), round(e.end * rate)) for e in found] == framed(
        parse, fps
    )


def test_timelines(parse):
    timeline = otio.adapters.read_from_string(otio_events.dumps(parse, fps=24), "otio_json")
    (clip,) = timeline.find_clips()
    assert clip.media_reference.target_url == "a b.mp4"
    assert markers(clip.markers) == framed(parse, 24)
    assert clip.duration().to_seconds() == 10
    # A camera whose clock says one hour, and half of the clip cut away.
    hour, second = otio.opentime.RationalTime(24 * 3600, 24), otio.opentime.RationalTime(24, 24)
    clip.media_reference.available_range = otio.opentime.TimeRange(hour, clip.duration())
    clip.source_range = otio.opentime.TimeRange(hour + second, second)
    del clip.markers[:]
    clip.markers.append(
        otio.schema.Marker("visible: Dog", otio.opentime.TimeRange(hour + second, second))
    )
    text = otio.adapters.write_to_string(timeline, "otio_json")
    assert otio_events.loads(text, "x") == {"a b.mp4": (Event("Dog", "visual", 1.0, 2.0, 1.0),)}


def test_markers_of_resolve(parse):
    """The form is that of Resolve's own exports; no other program reads it."""
    text = edl_events.dumps(parse, fps=24)
    assert text.startswith(
        "TITLE: a b.mp4\nFCM: NON-DROP FRAME\n\n"
        "001  001      V     C        01:00:00:00 01:00:00:01 01:00:00:00 01:00:00:01  \n"
        "confidence 0.88 |C:ResolveColorBlue |M:Dog (audible) |D:60\n\n"
        "002  001      V     C        01:00:01:06 01:00:01:07 01:00:01:06 01:00:01:07  \n"
    )
    theirs = (
        "TITLE: Timeline 1\nFCM: NON-DROP FRAME\n\n"
        "001  001      V     C        01:00:02:00 01:00:02:01 01:00:02:00 01:00:02:01  \n"
        " |C:ResolveColorBlue |M:seen: Dog |D:12\n"
    )
    expected = {"Timeline 1": (Event("Dog", "visual", 2.0, 2.5, 1.0),)}
    assert edl_events.loads(theirs, "x", fps=24) == expected
    assert edl_events.loads(text, "x", fps=24)["a b.mp4"][0].end == 2.5
    crowd = replace(parse, events=EVENTS[:1] * 1000)
    with pytest.raises(RlldError, match="1,000 events are more than the 999 markers"):
        edl_events.dumps(crowd)
