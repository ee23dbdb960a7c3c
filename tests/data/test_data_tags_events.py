"""Events with times that people marked, and the splits and files that they make."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.annotations import read_dense, read_weak
from rlld.data.answers import Answer, read_answers, write_answers
from rlld.data.own import Place, doubts, known_of, placed, write_own
from rlld.data.spec import DataSpec, read_spec
from rlld.data.tags.events import Events, read_events
from rlld.data.tags.names import ClipNames
from rlld.errors import RlldError

CLIPS = ClipNames({"a": "day1/a.mp4", "b": "b.mp4", "c": "c.mp4"})


def events_of(tmp_path, text: str, name: str = "events.csv") -> Events:
    (tmp_path / name).write_text(text)
    return read_events((tmp_path / name,), CLIPS)


@pytest.mark.parametrize(
    "text",
    [
        "clip,class,modality,onset,offset\na,Dog,audio,0,2.5\na,Dog,visual,0,2.5\nb,,,,\nz,Cat,v,0,1\n",
        "start;end;label;track;file\n0:00;0:02,5;Dog;both;a.mp4\n;;none;;b.mp4\n0;1;x;a;z\n",
        # What 'rlld parse --format csv' writes.
        "filename\tonset\toffset\tevent_labels\tmodality\tconfidence\na.mp4\t0\t2.5\tDog\taudio\t0.9\n"
        "a.mp4\t0\t2.5\tDog\tvisual\t0.8\nb.mp4\t\t\t\t\t\nz.mp4\t0\t1\tx\taudio\t1\n",
    ],
)
def test_events_are_read_however_they_are_written(tmp_path, text):
    found = events_of(tmp_path, text)
    rows = {(row.video, row.label, row.modality, row.onset, row.offset) for row in found.rows}
    assert rows == {("a", "Dog", "audio", 0, 2.5), ("a", "Dog", "visual", 0, 2.5)}
    assert found.videos == {"a", "b"}
    assert [name.removesuffix(".mp4") for name in found.strangers] == ["z"]


def test_what_follows_from_others_in_a_parse_is_left_to_them(tmp_path):
    """A deleted visible event must not come back with what followed from it."""
    path = tmp_path / "parse.csv"
    path.write_text(
        "filename,onset,offset,event_labels,modality,confidence\n"
        "a,0,1,dog,audio,0.9\na,0,1,dog,audio_visual,0.9\na,2,3,owl,audio_visual,0.9\n"
        "a,4,5,dog,audio_visual,0.9\n"
    )
    rows = read_events([path], CLIPS).rows
    assert [row[:5] for row in rows] == [
        ("a", "dog", "audio", 0, 1), ("a", "owl", "audio", 2, 3), ("a", "owl", "visual", 2, 3),
        ("a", "dog", "audio", 4, 5), ("a", "dog", "visual", 4, 5),
    ]  # fmt: skip


def test_it_is_told_which_of_several_clips_of_a_name_is_taken(tmp_path):
    """'rlld parse day/x.mp4 --format csv' writes the file name alone."""
    names = ClipNames({"x": "x.mp4", "day_x": "day/x.mp4", "b": "day/b.mp4"})
    path = tmp_path / "parse.csv"
    head = "filename,onset,offset,event_labels,modality\n"
    path.write_text(f"{head}x.mp4,0,1,dog,audio\nx.mp4,2,3,dog,audio\nb.mp4,0,1,dog,audio\n")
    found = read_events((path,), names)
    assert found.videos == {"x", "b"}
    assert found.notes == (
        "parse.csv: 'x.mp4' is taken for 'x.mp4', not day/x.mp4: where another one is meant, write "
        "its folder before the name",
    )
    for also in ("day/x.mp4,0,1,dog,audio\n", ""):
        rows = f"{head}x.mp4,0,1,dog,audio\n{also}" if also else f"{head}x,0,1,dog,audio\n"
        path.write_text(rows)  # the other one is named, too, or this one by its id
        assert read_events((path,), names).notes == ()


def test_the_name_of_a_file_says_the_modality(tmp_path):
    text = "filename\tonset\toffset\tevent_labels\na\t0\t1\tDog\n"
    for name in ("audio.csv", "visual.csv"):
        assert events_of(tmp_path, text, name).rows[0].modality == name[:-4]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip,class,onset,offset\na,Dog,0,1\n", "no column modality"),
        ("a,Dog,audio,0,1\n", "no column class and no column modality"),
        ("clip,class,modality,onset,offset\na,Dog,smell,0,1\n", ":2: modality is 'smell'"),
        ("clip,class,modality,onset,offset\na,Dog,audio,soon,1\n", ":2: 'soon' is no time"),
        ("clip,class,modality,onset,offset\na,Dog,audio,2,1\n", ":2: the event ends at 1 and"),
        ("clip,class,modality,onset,offset\na,Dog;Cat,audio,0,1\n", ":2: 'Dog;Cat' names several"),
        ("clip,class,modality,onset,offset\nz,Dog,audio,0,1\n", "none of its 2 rows names one"),
    ],
)
def test_what_is_no_event_is_refused_at_its_line(tmp_path, text, told):
    with pytest.raises(RlldError, match=told):
        events_of(tmp_path, text)


def known(tmp_path, tags=None):
    events = events_of(
        tmp_path, "clip,class,modality,onset,offset\na,dog,audio,0,9.4\nb,Owl,visual,1,2\n"
    )
    return known_of(
        {"a": ("Dog", "Cat"), "c": ("Dog",)} if tags is None else tags, events.rows, events.videos
    )


def test_classes_are_spelled_as_the_tags_and_watched_clips_need_none(tmp_path):
    found = known(tmp_path)
    assert found.tags == {"a": ("Dog", "Cat"), "b": ("Owl",), "c": ("Dog",)}
    assert found.classes == ("Cat", "Dog", "Owl")
    assert {event.label for event in found.events} == {"Dog", "Owl"}
    assert "1 clips have events of classes that their tags lack" in str(
        known(tmp_path, {"a": ("Cat",), "c": ("Cat",)}).notes
    )


def test_watched_clips_are_for_validation_and_some_for_testing(tmp_path):
    found = known(tmp_path)
    assert placed(found, 0, {}) == {"train": ("c",), "validation": ("a", "b")}
    tested = placed(found, 1, {})
    assert len(tested["test"]) == len(tested["validation"]) == 1
    other = "b" if tested["test"] == ("a",) else "a"
    assert placed(found, 1, {other: Place("test", 1.0)})["test"] == (other,)
    for test, told in ((2, "leaves none for validation"), (1.5, "expected a number"), (-1, "exp")):
        with pytest.raises(RlldError, match=told):
            placed(found, test, {})
    with pytest.raises(RlldError, match="give them with --events"):
        placed(found.only(["c"]), 1, {})
    with pytest.raises(RlldError, match="all 2 tagged clips have events"):
        placed(found.only(["a", "b"]), 0, {})


@given(st.sets(st.text("abcdef", min_size=1, max_size=6), min_size=30), st.integers(0, 10**6))
def test_clips_keep_their_split_when_others_join(names, cut):
    from rlld.data.own import Known

    def split(videos):
        tags = dict.fromkeys([*videos, "-"], ("Dog",))
        return placed(Known(tags, (), frozenset(videos)), 0.4, {})

    all_of, some = split(names), sorted(names)[: max(20, cut % len(names))]
    for name in ("validation", "test"):
        assert set(split(some)[name]) == set(all_of[name]) & set(some)


SPEC = DataSpec("own", ("Cat", "Dog", "Owl"), 10)


def test_annotations_are_written_as_everything_reads_them(tmp_path):
    found = known(tmp_path)
    splits = placed(found, 0, {})
    write_own(tmp_path, SPEC, splits, found, dict.fromkeys("abc", 9.0))
    spec = read_spec(tmp_path)
    assert (spec.annotations.validation, spec.annotations.test) == ("validation.csv", "")
    weak = read_weak(tmp_path / "annotations/validation.csv", spec.taxonomy)
    assert weak.ids == ("a", "b") and weak.labels.tolist() == [[1, 1, 0], [0, 0, 1]]
    rows = read_dense(tmp_path / "annotations/audio.csv", spec.taxonomy, spec.duration)
    assert [row[:4] for row in rows] == [("a", 0, 9, "Dog")]


def test_an_event_outside_its_clip_is_refused(tmp_path):
    found = known(tmp_path)
    for seconds in (8.0, 0.5):
        with pytest.raises(RlldError, match=r"events.csv:[23]: the event from .* lies outside"):
            write_own(tmp_path, SPEC, placed(found, 0, {}), found, dict.fromkeys("abc", seconds))
    assert not (tmp_path / "dataset.yaml").exists()


def test_answers_stay_but_for_those_on_classes_that_are_gone(tmp_path):
    found = known(tmp_path)
    (tmp_path / "annotations").mkdir()
    path = tmp_path / "annotations/answers.csv"
    write_answers(path, [Answer("c", "Dog", "audio", True), Answer("c", "Bee", "audio", True)])
    spec = replace(SPEC, annotations=replace(SPEC.annotations, answers="answers.csv"))
    write_own(tmp_path, spec, placed(found, 0, {}), found, dict.fromkeys("abc", 10.0))
    assert read_spec(tmp_path).annotations.answers == "answers.csv"
    assert [answer[:4] for answer in read_answers(path, SPEC.taxonomy)] == [
        ("c", "Dog", "audio", True)
    ]


def test_odd_tags_are_told():
    assert doubts({"Dog": 3, "dogs": 1, "rain": 4}, 4) == [
        "'Dog' and 'dogs' are two classes; where one is meant, correct the tags and run again",
        "tagged once, which is too little to learn from: dogs",
        "tagged in every clip, so that nothing shows what is without it: rain",
    ]
