"""What is no file of a format, or not a good one: refused in a sentence that names the place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from parse_kit import make_parse
from rlld.errors import RlldError
from rlld.export import format_names, load_format

TIMES = '{"OTIO_SCHEMA": "RationalTime.1", "rate": 25.0, "value": 1.0}'
SPAN = f'{{"OTIO_SCHEMA": "TimeRange.1", "start_time": {TIMES}, "duration": {TIMES}}}'
MARKER = f'{{"OTIO_SCHEMA": "Marker.2", "name": "Bell", "color": "RED", "marked_range": {SPAN}}}'
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa">]>\n'


def written(name: str) -> str:
    return load_format(name).dumps(make_parse())


@pytest.mark.parametrize("name", sorted(set(format_names()) - {"rttm"}))
@pytest.mark.parametrize("text", ["nonsense", "{}x", "<a><b></a>", "[1]", '{"a": 1}'])
def test_another_file_is_refused(name: str, text: str) -> None:
    with pytest.raises(RlldError, match=r"x\.file"):
        load_format(name).loads(text, "x.file")


@pytest.mark.parametrize("name", format_names())
def test_what_is_cut_short_or_damaged_is_read_or_refused(name: str) -> None:
    text = written(name)
    for at in range(0, len(text), max(1, len(text) // 60)):
        for damaged in (text[:at], text[:at] + text[at + 1 :], text[:at] + "7" + text[at:]):
            try:
                load_format(name).loads(damaged, "x.file")
            except RlldError as error:
                assert str(error).startswith(("x.file", "format")), damaged


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("elan", "audio: Bell", "Bell", "x: tier 'Bell': annotation a1: 'Bell' says neither audio"),
        ("elan", ">Bell<", ">Rain<", "annotation a1: says 'Rain' and its lane 'Bell'; move it"),
        ("elan", 'TIME_VALUE="6000"', "", "annotation a1: begins or ends at no time of its own"),
        ("elan", "ANNOTATION_DOCUMENT", "OTHER", "no file of ELAN: it begins with <OTHER>"),
        ("elan", "<ANNOTATION_DOCUMENT", f"{BOMB}<ANNOTATION_DOCUMENT", "it is no plain XML"),
        ("textgrid", "size = 3", "size = 9", "no whole TextGrid, a number is missing"),
        ("textgrid", "size = 3", "size = 2.5", "found 2.5 where a number of things is expected"),
        ("textgrid", "xmax = 6.0", "xmax = 6,0", "no whole TextGrid, a number is missing"),
        ("textgrid", '"Bell"', '"Rain"', "interval 2: says 'Rain' and its lane 'Bell'"),
        ("textgrid", "ooTextFile", "ooBinary", "no text file of Praat that holds a TextGrid"),
        ("webvtt", "00:00:06.000", "6", "x:9: '6' is no time; expected hours:minutes:seconds"),
        ("webvtt", "<v audible>Bell</v>", "Bell", "says neither audio nor visual"),
        ("webvtt", "WEBVTT", "VTT", "no WebVTT, which begins with that word"),
        ("srt", "00:00:06,000", "6", "x:10: '6 ' is no time; expected hours:minutes:seconds"),
        ("srt", "3\n", "three\n", "x:9: found 'three', expected the number of a subtitle"),
        ("srt", "[audible] Bell", "[loud] Bell", "'[loud] Bell' says neither audio nor visual"),
        ("jams", '"value": "Bell"', '"value": 7', "data[1]: value: expected a text, found int 7"),
        ("jams", '"time": 6.0', '"time": null', "time: expected a number, found null"),
        ("jams", '"modality": "audio"', '"modality": "x"', "modality is 'x', expected audio or"),
        ("rttm", "clip.mp4 1", "clip.mp4 3", "found channel '3', expected 1 for what is heard"),
        ("rttm", " <NA> <NA> Bell", "", "x:3: found 7 fields, expected 9 or 10"),
        ("dcase", "\tonset", "\tstart", "x:1: has no column onset"),
        ("dcase", "audio", "loud", "modality is 'loud', expected audio or visual"),
        ("dcase", "6.0\t", "6,0\t", "x:4: '6,0' is no number; write a point for the comma"),
        ("activitynet", '"results"', '"x"', "which has 'results' or 'database'"),
        ("activitynet", "6.0,", "6.0, 7,", "segment: expected start and end, found 3 numbers"),
        ("activitynet", '"score": 0.75', '"score": 7', "expected a confidence in [0, 1], found 7"),
        ("labelstudio", '"from_name": "audio"', '"from_name": "x"', "modality is 'x'"),
        ("labelstudio", '"fps": 25.0', '"fps": 0', "fps: expected frames per second, found 0"),
        ("labelstudio", '"start": 151', '"start": "x"', "start: expected a number, found text"),
        ("via", '"vid": "1"', '"vid": "9"', "expected start and end in 'z', and a view in 'vid'"),
        ("via", '"view"', '"x"', "no project of VIA 3"),
        ("via", '"1": "1"', '"1": "77"', "option '77': expected a text, found null"),
        ("premiere", "<in>150</in>", "<in>x</in>", "marker 'audio: Bell': in: 'x' is no number"),
        ("premiere", "<out>250</out>", "<out>-1</out>", "'Bell' lasts from 6 to -0.04 s"),
        ("premiere", "<media>", "<media><marker/>", "markers are on clips, or in another"),
        ("premiere", "audio: Bell", "Bell", "'Bell' says neither audio nor visual"),
        ("premiere", ">25<", ">0<", "timebase: expected frames per second, found 0"),
        ("edl", "Bell (audible)", "Bell", "'Bell' says neither audio nor visual"),
        ("edl", "01:00:02:00 01", "00:59:02:00 01", "'Dog_bark' lasts from -58 to -55 s"),
        ("edl", "|D:75", "|D:0", "'Dog_bark' lasts from 2 to 2 s"),
        ("fcpxml", '"audio: Bell"', '"Bell"', "x: keyword 'Bell': 'Bell' says neither audio nor"),
        ("fcpxml", 'start="6s"', 'start="6.5s"', "start: '6.5s' is no time; expected seconds such"),
        ("fcpxml", 'start="6s"', 'start="-6s"', "'Bell' lasts from -6 to -2 s"),
        ("fcpxml", 'ref="r1"', 'ref="r9"', "x: a clip is of the asset 'r9', which is missing"),
        ("fcpxml", "<keyword", "<marker", "is a marker, which has no length; give its range that"),
        ("fcpxml", "asset-clip", "sync-clip", "3 keywords are on compound or synchronised clips"),
        ("otio", '"markers": []', f'"markers": [{MARKER}]', "x: 2 markers are on the timeline or"),
        ("otio", "Timeline.1", "Marker.2", "x: "),
        ("otio", "{", "[" * 100_000, "x: not valid JSON"),
        ("otio", "audio: Bell", "Bell", "'clip.mp4': marker 'Bell': 'Bell' says neither audio"),
    ],
)
def test_a_bad_file_is_refused_by_its_place(name: str, old: str, new: str, words: str) -> None:
    text = written(name)
    assert old in text
    with pytest.raises(RlldError) as caught:
        load_format(name).loads(text.replace(old, new), "x")
    assert words in str(caught.value)
    assert str(caught.value).startswith("x")


def regions(name: str = "annotations", **entry: Any) -> dict[str, Any]:
    value = {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["Dog"]}
    result = [
        {"from_name": "audio", "type": "timelinelabels", "value": value},
        {"from_name": "note", "type": "textarea", "value": {"text": ["?"]}},
    ]
    return {
        "data": {"video": "/data/upload/3/0a1b2c3d-a b.mp4"},
        name: [{"result": result, **entry}],
    }


def test_label_studio_gives_what_people_annotated():
    read = load_format("labelstudio").loads
    task = regions()
    task["predictions"] = [{"result": "never looked at"}]
    task["annotations"].insert(0, {"was_cancelled": True, "result": "nor this"})
    (event,) = read(json.dumps([task]), "x")["a b.mp4"]
    assert (event.label, event.modality, event.start, event.end) == ("Dog", "audio", 0.0, 1.0)
    (event,) = read(json.dumps([task]), "x", fps=50.0)["a b.mp4"]
    assert event.end == 0.5
    task["annotations"] *= 2
    with pytest.raises(RlldError, match=r"x\[0\]: has 2 annotations; keep one"):
        read(json.dumps([task]), "x")
    least = {
        "video": "/data/local-files/?d=clips/a.mp4",
        "visual": [{"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["Dog"]}],
    }
    (event,) = read(json.dumps([least]), "x")["a.mp4"]
    assert (event.modality, event.start, event.end) == ("visual", 1.0, 2.0)


def test_via_passes_over_what_is_no_event():
    data = json.loads(written("via"))
    data["attribute"]["3"] = {"aname": "remark", "type": 1, "options": {}}
    data["metadata"]["x"] = {"vid": "1", "z": [], "xy": [2, 1, 1, 5, 5], "av": {"1": "0"}}
    data["metadata"]["y"] = {"vid": "1", "z": [0, 1], "xy": [], "av": {"3": "hm", "2": ""}}
    read = load_format("via").loads
    assert read(json.dumps(data), "x") == read(written("via"), "x")


def test_annotation_of_activitynet_is_read_too():
    entry = {"subset": "training", "annotations": [{"segment": [1, 2.5], "label": "Dog"}]}
    text = json.dumps({"version": "1.3", "database": {"v_1": entry, "v_2": {"annotations": []}}})
    found = load_format("activitynet").loads(text, "audio.json")
    assert [(e.label, e.modality, e.start, e.end) for e in found["v_1"]] == [
        ("Dog", "audio", 1, 2.5)
    ]
    assert found["v_2"] == ()
