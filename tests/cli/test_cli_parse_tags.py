"""Tags known when clips are parsed: from a table, from the data set of the run, or none."""

from __future__ import annotations

import json
import shutil

import pytest

from parse_kit import make_clip, make_run
from rlld.data.spec import AnnotationFiles, DataSpec, spec_text
from rlld.export import csv_events, json_events

FIRST, SECOND = "Bell", "Dog_bark"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run whose data set has two clips, one of which lies elsewhere and is linked."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder / "run")
    (folder / "data/videos").mkdir(parents=True)
    (folder / "data/annotations").mkdir()
    (folder / "phone").mkdir()
    make_clip(folder / "data/videos/a.mp4", 3.0)
    for name in ("b.mp4", "stranger.mp4"):
        shutil.copy(folder / "data/videos/a.mp4", folder / f"phone/{name}")
    (folder / "data/videos/day_b.mp4").symlink_to(folder / "phone/b.mp4")
    (folder / "data/clips.tsv").write_text(
        f"video\tfile\tsplit\tseconds\tstamp\nday_b\t{folder}/phone/b.mp4\ttrain\t3.0\tx\n"
    )
    files = AnnotationFiles(validation="", test="", audio="", visual="")
    spec = DataSpec("own", (FIRST, SECOND, "Owl"), 10, annotations=files)
    (folder / "data/dataset.yaml").write_text(spec_text(spec))
    (folder / "data/annotations/train.csv").write_text(
        f"filename\tevent_labels\na\t{FIRST}\nday_b\t{SECOND},Owl\n"
    )
    config = json.loads((folder / "run/config.json").read_text())
    config["facts"]["data"] = str(folder / "data")
    (folder / "run/config.json").write_text(json.dumps(config))
    return folder


def parsed(run_cli, made, clip, *args):
    result = run_cli("parse", made / "run", clip, "--format", "json", *args)
    assert result.returncode == 0, result.stderr
    return json_events.loads(result.stdout, "stdout")


def test_clips_of_the_data_set_bring_their_tags(run_cli, made):
    own = parsed(run_cli, made, made / "data/videos/a.mp4")
    assert own.tags == (FIRST,) and {event.label for event in own.events} == {FIRST}
    assert f"its tags in {made / 'data'} were taken as known" in own.notes[-1]
    for clip in ("phone/b.mp4", "data/videos/day_b.mp4"):
        linked = parsed(run_cli, made, made / clip)
        assert linked.tags == (SECOND,)
        assert linked.notes[-1] == "the run does not know the tags Owl"
    assert parsed(run_cli, made, made / "phone/stranger.mp4").tags is None
    bare = parsed(run_cli, made, made / "data/videos/a.mp4", "--tags", "none")
    assert bare.tags is None and {event.label for event in bare.events} == {FIRST, SECOND}


def test_a_table_says_the_tags_of_every_clip(run_cli, made, tmp_path):
    table = tmp_path / "tags.csv"
    table.write_text("what,file,when\ndog_bark;bee,b.mp4,1\nnone,a,2\n")
    out = tmp_path / "out"
    clips = (made / "phone", made / "data/videos/a.mp4")
    told = ("--tags", table, "--columns", "what=tags", "--out", out, "--format", "json")
    result = run_cli("parse", made / "run", *clips, *told)
    assert result.returncode == 0, result.stderr
    found = {
        name: json_events.loads((out / f"{name}.json").read_text(), name)
        for name in ("a", "b", "stranger")
    }
    assert {name: parse.tags for name, parse in found.items()} == {
        "a": None, "b": (SECOND,), "stranger": None,
    }  # fmt: skip
    assert "the run does not know the tags bee" in found["b"].notes
    assert "tags.csv has no tags of this clip; parsed without" in found["stranger"].notes
    assert "tags.csv says that nothing occurs in this clip; parsed without tags" in found["a"].notes


def test_a_table_that_cannot_be_used_is_refused_once(run_cli, made, tmp_path, fails_with):
    clip = made / "data/videos/a.mp4"
    fails_with(run_cli("parse", made / "run", clip, "--tags", "gone.csv"), "gone.csv: no such file")
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    fails_with(
        run_cli("parse", made / "run", clip, clip, made / "phone/b.mp4", "--tags",
                tmp_path / "t.csv", "--out", tmp_path / "out"),
        "none of its 2 rows names one of the 2 clips",
    )  # fmt: skip


def test_every_format_says_whether_tags_were_used(run_cli, made, tmp_path):
    clip = made / "data/videos/a.mp4"
    for tags, used in ((), True), (("--tags", "none"), False):
        for form in ("text", "html", "csv"):
            out = tmp_path / f"x.{form}"
            run_cli("parse", made / "run", clip, "--format", form, "--out", out, *tags)
            words = {"text": f"tags: {FIRST}", "html": "known tags:", "csv": "known_tags"}
            assert (words[form] in out.read_text()) == used, form
            if form == "csv":
                assert csv_events.loads(out.read_text(), "x")["a.mp4"]
