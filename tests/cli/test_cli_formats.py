"""``rlld export`` and ``rlld data import``: out to other programs, and back into a data set."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from cli_kit import called, full_disk
from parse_kit import make_clip, make_parse, make_run
from rlld.data.dataset import load_data
from rlld.data.spec import FILE_NAME
from rlld.export import audacity_events, csv_events, event_formats, json_events, load_format
from rlld.parsing.result import Event, Parse
from rlld.utils.files import held
from tiny import make_tiny

TAGS = "file,tags\nbell.mp4,Bell\ndog.mp4,Bell;Dog bark\nrain.mp4,Dog bark\nday/bell.mp4,Bell\n"
NEW = ("data", "new", "D", "--videos", "phone", "--tags", "tags.csv", "--features", "light")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a data set of four clips of 2 s; tests only read it."""
    folder = tmp_path_factory.mktemp("made")
    clip = make_clip(folder / "clip.mp4", 2.0)
    for name in ("bell", "dog", "rain", "day/bell"):
        target = folder / f"phone/{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, target)
    (folder / "tags.csv").write_text(TAGS)
    result = called(*NEW, "--workers", 1, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def home(made, tmp_path) -> Path:
    shutil.copytree(made / "D", tmp_path / "D", symlinks=True)
    for name in ("phone", "tags.csv"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path


@pytest.fixture
def parses(tmp_path) -> Path:
    """Two parses as files of ``rlld parse --format json``."""
    folder = tmp_path / "parses"
    folder.mkdir()
    for name in ("a", "b"):
        text = json_events.dumps(make_parse(f"{name}.mp4"))
        (folder / f"{name}.json").write_text(text)
    return folder


def bring(home, name: str, text: str, *args: object):
    (home / name).write_text(text)
    return called("data", "import", "D", name, *args, cwd=home)


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): file.read_bytes() for file in files if file.name != ".lock"}


def test_parses_are_exported_each_or_together(run_cli, parses, tmp_path):
    out = tmp_path / "labels"
    result = run_cli("export", parses, "--to", "audacity", "--out", out)
    assert result.stdout == f"2 parses written: {out}\n"
    expected = audacity_events.dumps(make_parse())
    assert {file.name: file.read_text() for file in out.iterdir()} == {
        "a.txt": expected,
        "b.txt": expected,
    }
    table = tmp_path / "all.csv"
    result = run_cli("export", parses / "a.json", parses / "b.json", "--to", "csv", "--out", table)
    events = make_parse().events
    assert csv_events.loads(table.read_text(), "csv") == {"a.mp4": events, "b.mp4": events}
    assert run_cli("export", parses / "a.json", "--to", "audacity").stdout == expected


def test_what_cannot_be_exported_is_refused(run_cli, parses, tmp_path, fails_with):
    fails_with(run_cli("export", parses, "--to", "audacity"), "need a folder; give --out FOLDER")
    fails_with(run_cli("export", parses, "--to", "audacty"), "did you mean 'audacity'?")
    fails_with(run_cli("export", "--to", "csv"), "nothing to export")
    fails_with(run_cli("export", tmp_path / "no", "--to", "csv"), "no: cannot be read (No such")
    fails_with(run_cli("export", tmp_path, "--to", "csv"), "is no run, and no parses are in it")
    fails_with(
        run_cli("export", parses, parses / "a.json", "--to", "csv"), "two parses are called 'a'"
    )
    (parses / "c.json").write_text("[]")
    out = tmp_path / "out"
    fails_with(run_cli("export", parses, "--to", "audacity", "--out", out), "c.json: no parse of")
    assert not out.exists()
    (parses / "c.json").unlink()
    fails_with(
        run_cli("export", parses, "--to", "audacity", "--out", tmp_path / "parses/a.json"),
        "a.json: is a file",
    )


def test_a_run_exports_the_videos_of_its_data_set(run_cli, home, fails_with):
    make_run(home / "run", segments=2)
    config = json.loads((home / "run/config.json").read_text())
    for data in ("gone", str(home / "D")):
        config["facts"]["data"] = data
        (home / "run/config.json").write_text(json.dumps(config))
        result = run_cli("export", "run", "--to", "csv", "--out", "all.csv", cwd=home)
        if data == "gone":
            fails_with(result, "run: its data set is not in gone; say with --data where")
    assert result.stdout == "4 parses written: all.csv\n"
    found = csv_events.loads((home / "all.csv").read_text(), "csv")
    # The clips of the data set by their names, with its tags: rain.mp4 has none that the run knows.
    assert {name: {event.label for event in events} for name, events in found.items()} == {
        "bell": {"Bell"},  # two clips are called bell.mp4
        "day_bell": {"Bell"},
        "dog.mp4": {"Bell"},
        "rain.mp4": {"Bell", "Dog_bark"},
    }


def test_the_data_set_of_an_exported_run_may_be_named(run_cli, home, parses, fails_with):
    make_run(home / "run", segments=2)
    config = json.loads((home / "run/config.json").read_text())
    config["facts"].pop("data", None)  # as a run of the hub
    (home / "run/config.json").write_text(json.dumps(config))
    line = ("export", "run", "--to", "csv", "--out", "all.csv")
    fails_with(run_cli(*line, cwd=home), "does not say where its data are; say with --data where")
    result = run_cli(*line, "--data", "D", cwd=home)
    assert result.stdout == "4 parses written: all.csv\n", result.stderr
    (home / "D" / FILE_NAME).write_text(
        re.sub(
            "(?m)^features_version: .*",
            "features_version: other",
            (home / "D" / FILE_NAME).read_text(),
        )
    )
    config["dataset"]["features_version"] = "one"
    (home / "run/config.json").write_text(json.dumps(config))
    fails_with(run_cli(*line, "--data", "D", cwd=home), "features have version other")
    fails_with(run_cli("export", parses, "--to", "csv", "--data", "D", cwd=home), "only parses")


def test_parse_writes_every_format(run_cli, home):
    make_run(home / "run", segments=2)
    line = ("parse", "run", "phone/dog.mp4", "--tags", "Bell")
    (home / "out").mkdir()
    result = run_cli(*line, "--format", "audacity", "--out", "out", cwd=home)
    assert result.stdout == "written: out/dog.txt\n", result.stderr
    (events,) = audacity_events.loads((home / "out/dog.txt").read_text(), "x").values()
    assert {(e.label, e.modality, e.start, e.end) for e in events} == {
        ("Bell", "audio", 0, 2),
        ("Bell", "visual", 0, 2),
    }


def test_clips_of_one_name_are_told_apart_by_that_of_the_file(home, fails_with):
    text = "\t".join(csv_events.HEADER) + "\n"
    text += "bell.mp4\t0\t1\tBell\taudio\t1\n"
    fails_with(bring(home, "all.csv", text), "'bell.mp4' may be bell, day_bell; rename it")
    assert bring(home, "day_bell.csv", text).returncode == 0
    assert load_data(home / "D").validation.ids == ("day_bell",)


def test_imported_clips_are_watched_and_stay_so(run_cli, home):
    text = "0.000000\t1.000000\taudio: Bell\r\n0.5\t2.0\tvisual: dog_bark\r\n"
    result = bring(home, "dog.txt", text)
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        "for validation from now on, and not for training: 1 clips\n"
        "D: 2 events of 1 clips imported\n"
    )
    for again in (False, True):
        if again:  # what was imported is known when the data set is made anew
            result = run_cli(*NEW, "--workers", 1, cwd=home)
            assert "note: events.tsv holds imported events of 1 clips" in result.stdout
        data = load_data(home / "D")
        assert data.train.ids == ("bell", "day_bell", "rain")
        assert data.validation.ids == ("dog",)
        dense = data.validation.require_dense()[0]  # (T, 2, C): Bell, Dog bark
        assert dense.tolist() == [
            [[True, False], [False, True]],
            [[False, False], [False, True]],
        ]
        assert run_cli("data", "check", "D", cwd=home).returncode == 0


@pytest.mark.parametrize("line", ["import", "new", "answers"])
def test_a_data_set_goes_by_any_name_and_needs_no_place_beside_it(home, monkeypatch, line):
    """The current folder, and one that a volume is mounted at."""
    (home / ".D.lock").mkdir()  # nothing can be locked there
    (home / "link").symlink_to("D")
    (home / "dog.txt").write_text("0\t1\taudio: Bell\n")
    (home / "answers.csv").write_text("video,class,modality,present\ndog,Bell,audio,yes\n")
    for name in ("D", "link", "."):
        if name == ".":
            monkeypatch.chdir(home / "D")
        commands = {
            "import": ("data", "import", name, home / "dog.txt"),
            "new": ("data", "new", name, "--videos", home / "phone", "--tags", home / "tags.csv"),
            "answers": ("data", "answers", name, home / "answers.csv"),
        }
        result = called(*commands[line], cwd=None if name == "." else home)
        assert result.returncode == 0, result.stderr
    with held(home / "link" / FILE_NAME):
        result = called(*commands["import"])
    assert "dataset.yaml: another process is writing it" in result.stderr


def test_an_import_that_the_disk_is_too_full_for_goes_on_later(home):
    """As after a kill: nothing that was written by then takes a clip out of the data set."""
    shutil.copytree(home / "D", home / "bare", symlinks=True)
    assert bring(home, "dog.txt", "0\t1\taudio: Bell\n").returncode == 0
    whole = contents(home / "D")
    # events.tsv, clips.tsv, three files of validation, dataset.yaml, train.csv
    for room in range(8):
        shutil.rmtree(home / "D")
        shutil.copytree(home / "bare", home / "D", symlinks=True)
        with full_disk(room):
            first = called("data", "import", "D", "dog.txt", cwd=home)
        assert first.returncode == (2 if room < 7 else 0), (room, first.stderr)
        again = called("data", "import", "D", "dog.txt", cwd=home)
        assert again.returncode == 0, (room, again.stderr)
        assert contents(home / "D") == whole, room


@pytest.mark.parametrize("name", event_formats())
def test_every_format_comes_back_into_a_data_set(home, name):
    events = (
        Event("Bell", "audio", 0.0, 1.0, 0.75),
        Event("Dog bark", "visual", 1.0, 2.0, 0.5),
    )
    classes, row = ("Bell", "Dog bark"), (0.0, 0.0)
    parse = Parse("dog.mp4", 2.0, 1.0, classes, events, ((row, row),) * 2, (row, row))
    form = load_format(name)
    result = bring(home, f"dog.{form.SUFFIX}", form.dumps(parse))
    assert result.stdout.endswith("D: 2 events of 1 clips imported\n"), result.stderr
    data = load_data(home / "D")
    assert data.validation.ids == ("dog",)
    assert data.validation.require_dense().nonzero().tolist() == [[0, 0, 0, 0], [0, 1, 1, 1]]


def test_a_later_import_replaces_the_events_of_its_clips_alone(run_cli, home):
    bring(home, "dog.txt", "0\t1\taudio: Bell\n")
    bring(home, "rain.txt", "0\t1\taudio: Dog bark\n")
    assert bring(home, "dog.txt", "1\t2\tvisual: Bell\n").returncode == 0
    data = load_data(home / "D")
    assert data.validation.ids == ("dog", "rain")
    assert data.validation.require_dense().nonzero().tolist() == [[0, 1, 1, 0], [1, 0, 0, 1]]
    assert bring(home, "dog.txt", "").returncode == 0
    data = load_data(home / "D")
    assert data.validation.require_dense().nonzero().tolist() == [[1, 0, 0, 1]]
    result = run_cli(*NEW, "--workers", 1, cwd=home)
    assert load_data(home / "D").validation.ids == ("dog", "rain"), result.stderr


def test_what_changes_on_the_way_in_is_said(home):
    text = (
        "0\t1\taudio: Bell\n0.5\t1.5\taudio: Bell\n1\t9\tvisual: Bell\n0\t0.2\tvisual: dog bark\n"
    )
    result = bring(home, "day_bell.txt", text)
    assert result.returncode == 0, result.stderr
    for words in (
        "day_bell.txt: day_bell: Bell from 1 to 9 s is cut at the end of the clip, 2 s",
        "day_bell: 2 events of audio Bell overlap or touch, and are 1 now",
        "1 event fills no segment of 1 s by half; it is kept, but",
        "1 clips have events of classes that their tags lack, which stay as they are: day_bell",
        "D: 3 events of 1 clips imported",
    ):
        assert words in result.stdout
    rows = (home / "D/annotations/audio.csv").read_text().splitlines()
    assert rows[1:] == ["day_bell\t0\t1.5\tBell"]
    rows = (home / "D/annotations/visual.csv").read_text().splitlines()
    assert rows[1:] == ["day_bell\t0\t0.2\tDog bark", "day_bell\t1\t2\tBell"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("dog.txt", "0\t1\taudio: Bel\n", "did you mean 'Bell'?"),
        ("dog.txt", "3\t4\taudio: Bell\n", "lies behind the end of the clip, which lasts 2 s"),
        ("dog.txt", "0\t1\tBell\n", "dog.txt:1: 'Bell' says neither audio nor visual"),
        ("dog.txt", "0,5\t1,5\taudio: Bell\n", "'0,5' is no number; write a point for the comma"),
        ("dog.txt", "1\t1\taudio: Bell\n", "dog.txt:1: 'Bell' lasts from 1 to 1 s"),
        ("dog.txt", "1\taudio: Bell\n", "expected start, end and text, separated by tabs"),
        ("dgo.txt", "0\t1\taudio: Bell\n", "'dgo' is none of them; rename it"),
        ("dog.abc", "0\t1\taudio: Bell\n", "dog.abc: no format has files with this suffix"),
        ("dog.json", "{}", "dog.json: "),
    ],
)
def test_a_bad_import_changes_nothing(home, fails_with, name, text, words):
    before = contents(home / "D")
    fails_with(bring(home, name, text), words)
    fails_with(bring(home, "no", "", "--format", "audicity"), "did you mean 'audacity'?")
    assert contents(home / "D") == before


def test_clips_that_the_data_set_lost_are_told(home, fails_with):
    listing = (home / "D/clips.tsv").read_text().splitlines(keepends=True)
    (home / "D/clips.tsv").write_text("".join(row for row in listing if not row.startswith("rain")))
    fails_with(bring(home, "dog.txt", ""), "clips.tsv: lists no clip of rain, which the annotation")
    assert not (home / "D/events.tsv").exists()


def test_not_all_clips_can_be_watched(run_cli, home, fails_with):
    before = contents(home / "D")
    for name in ("bell", "dog", "rain", "day_bell"):
        (home / f"{name}.txt").write_text("")
    files = [f"{name}.txt" for name in ("bell", "dog", "rain", "day_bell")]
    fails_with(run_cli("data", "import", "D", *files, cwd=home), "none is left to train on")
    assert contents(home / "D") == before


def test_frames_are_those_of_the_timeline(run_cli, home, parses, fails_with):
    line = ("export", parses / "a.json", "--to", "edl")
    assert "01:00:02:00 01:00:02:01" in run_cli(*line, "--fps", 24).stdout
    text = run_cli(*line).stdout.replace("a.mp4", "dog.mp4")
    text = (
        text.split("\n002")[0].replace("Dog_bark", "dog bark").replace("01:00:02:00", "01:00:01:00")
    )
    assert bring(home, "x.edl", text.replace("|D:75", "|D:12"), "--fps", 24).returncode == 0
    assert (home / "D/annotations/audio.csv").read_text().endswith("dog\t1\t1.5\tDog bark\n")
    fails_with(
        bring(home, "dog.txt", "", "--fps", 24), "audacity counts no frames; formats that do"
    )
    fails_with(run_cli(*line, "--fps", 0), "expected 1 to 1,000 frames per second, found 0")
    fails_with(run_cli("export", parses, "--to", "premiere", "--fps", 24.5, "--out", home), "24.5")


def test_a_file_of_json_tells_its_format_by_its_content(run_cli, home, parses):
    for to in ("activitynet", "labelstudio", "via"):
        text = run_cli("export", parses / "a.json", "--to", to).stdout.replace("a.mp4", "dog.mp4")
        result = bring(home, "all.json", text.replace("Dog_bark", "Bell"))
        assert result.returncode == 2 and "lies behind the end of the clip" in result.stderr


def test_audio_visual_events_follow_from_what_was_corrected(home):
    head = "\t".join(csv_events.HEADER)
    rows = ["dog.mp4\t0\t1\tBell\taudio\t1", "dog.mp4\t0\t2\tBell\taudio_visual\t1"]
    result = bring(home, "dog.csv", "\n".join([head, *rows]) + "\n")
    assert result.stdout.endswith("1 events of 1 clips imported\n") and "note" not in result.stdout
    dense = load_data(home / "D").validation.require_dense()
    assert dense.nonzero().tolist() == [[0, 0, 0, 0]]
    bring(home, "dog.csv", f"{head}\n{rows[1]}\n")  # alone it is what a person wrote
    assert load_data(home / "D").validation.require_dense().sum() == 4


def test_a_folder_of_files_is_imported(run_cli, home, fails_with):
    (home / "labels").mkdir()
    fails_with(run_cli("data", "import", "D", "labels", cwd=home), "labels: no files of events in")
    for name in ("dog", "rain"):
        (home / f"labels/{name}.txt").write_text("0\t1\taudio: Bell\n")
    (home / "labels/read.me").write_text("")
    result = run_cli("data", "import", "D", "labels", cwd=home)
    assert result.stdout.endswith("D: 2 events of 2 clips imported\n"), result.stderr
    fails_with(run_cli("data", "import", "no", "labels", cwd=home), "no: no such folder")
    assert not (home / "no").exists()


def test_videos_of_one_length_end_with_their_last_segment(home):
    text = (home / "D" / FILE_NAME).read_text()
    assert "segments: 2\n" in text
    (home / "D" / FILE_NAME).write_text(text.replace("segments: 2\n", "segments: 1\n"))
    result = bring(home, "dog.txt", "0.5\t2\taudio: Bell\n1.5\t2\tvisual: Bell\n")
    assert "Bell from 1.5 to 2 s is left out: videos of this data set end at 1 s" in result.stdout
    rows = (home / "D/annotations/audio.csv").read_text().splitlines()
    assert rows[1:] == ["dog\t0.5\t1\tBell"]


def test_other_data_sets_have_events_of_validation_and_test_alone(run_cli, tmp_path, fails_with):
    make_tiny(tmp_path / "D")
    before = load_data(tmp_path / "D").validation.require_dense()
    result = bring(tmp_path, "validation_003.txt", "0\t1\taudio: bell\n0.5\t3\tvisual: Rain\n")
    assert result.returncode == 0, result.stderr
    after = load_data(tmp_path / "D").validation.require_dense()  # (N, T, 2, C), half seconds
    assert after[3].nonzero().tolist() == [
        *([0, 0, 0], [1, 0, 0]),
        *([segment, 1, 3] for segment in range(1, 6)),
    ]
    others = [n for n in range(len(before)) if n != 3]
    assert after[others].equal(before[others])
    assert run_cli("data", "check", tmp_path / "D").returncode == 0
    kept = contents(tmp_path / "D")
    fails_with(
        bring(tmp_path, "train_003.txt", ""), "only validation and test videos of this data set"
    )
    fails_with(bring(tmp_path, "test_003.txt", "3\t4\taudio: Bell\n"), "which lasts 3 s")
    assert contents(tmp_path / "D") == kept
