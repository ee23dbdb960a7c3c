"""``rlld parse`` as a user calls it: results, and bad input refused in a sentence."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from parse_kit import CLASSES, make_clip, make_run
from rlld.cli._parsing import Args, told
from rlld.cli.parse import Parser
from rlld.data.store import StoreWriter
from rlld.errors import RlldError
from rlld.export import csv_events, json_events
from rlld.training.run_folder import load_run


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a run and a clip of 3 s; tests only read it."""
    folder = tmp_path_factory.mktemp("made")
    make_run(folder / "run")
    make_clip(folder / "clip.mp4", 3.0)
    return folder


@pytest.fixture
def call(run_cli) -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_cli


@pytest.fixture
def copied_run(made, tmp_path) -> Path:
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def test_a_table_is_printed(installed, made) -> None:
    result = installed("parse", made / "run", made / "clip.mp4")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("clip.mp4  3.0")
    assert "Bell" in result.stdout and "Rain" not in result.stdout
    assert result.stderr == ""


def test_clips_without_any_event_are_counted_aloud(call, made, copied_run, tmp_path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    config = json.loads((copied_run / "config.json").read_text())
    config["recipe"]["gate"] = {"audio_threshold": 1.0, "visual_threshold": 1.0}
    (copied_run / "config.json").write_text(json.dumps(config))
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(made / "clip.mp4", clips / name)
    result = call("parse", copied_run, clips, "--out", tmp_path / "out")
    assert "warning: 2 of 2 clips got no event" in result.stderr
    assert "2 clips parsed, 2 of them without any event" in result.stdout
    result = call("parse", made / "run", clips, "--tags", "Bell", "--out", tmp_path / "out")
    assert result.stderr == ""
    assert "2 clips parsed, 0 of them without any event" in result.stdout


def test_json_csv_and_text_agree(call, made, tmp_path) -> None:
    printed = call("parse", made / "run", made / "clip.mp4", "--format", "json").stdout
    parse = json_events.loads(printed, "stdout")
    assert {event.label for event in parse.events} == set(CLASSES[:2])
    assert parse.model == "run: han trained by recipe han"
    table = tmp_path / "events.csv"
    result = call("parse", made / "run", made / "clip.mp4", "--out", table)
    assert result.stdout == f"written: {table}\n"
    assert csv_events.loads(table.read_text(), "csv") == {"clip.mp4": parse.events}
    text = tmp_path / "events.txt"
    call("parse", made / "run", made / "clip.mp4", "--format", "text", "--out", text)
    assert text.read_text().startswith("clip.mp4")


def test_tags_restrict(call, made) -> None:
    for tags, known in (("Dog_bark", ("Dog_bark",)), ("Rain, Dog_bark", ("Rain", "Dog_bark"))):
        result = call("parse", made / "run", made / "clip.mp4", "--tags", tags, "--format=json")
        parse = json_events.loads(result.stdout, "stdout")
        assert parse.tags == known
        assert {event.label for event in parse.events} == set(known)


def test_the_page_is_written_to_the_current_folder(call, made, tmp_path) -> None:
    result = call("parse", made / "run", made / "clip.mp4", "--format", "html", cwd=tmp_path)
    assert result.stdout == "written: clip.html\n"
    page = (tmp_path / "clip.html").read_text()
    assert "data:video/mp4;base64," in page
    assert [path.name for path in tmp_path.iterdir()] == ["clip.html"]


def test_of_one_clip_too_a_name_without_suffix_is_a_folder(call, made, tmp_path) -> None:
    made_of = ("parse", made / "run", made / "clip.mp4")
    result = call(*made_of, "--format", "json", "--out", f"{tmp_path / 'sub'}/")
    assert result.stdout == f"written: {tmp_path / 'sub/clip.json'}\n"
    (tmp_path / "there").write_text("old")  # what is a file stays one
    assert call(*made_of, "--out", tmp_path / "there").returncode == 0
    assert (tmp_path / "there").read_text().startswith("clip.mp4")


def test_a_linked_page_says_what_it_needs(call, made, tmp_path) -> None:
    page = tmp_path / "page.html"
    result = call("parse", made / "run", made / "clip.mp4", "--link-video", "--out", page)
    assert result.returncode == 0
    assert f"plays {made / 'clip.mp4'}" in result.stderr
    assert "data:video" not in page.read_text()


def test_ground_truth_is_shown(call, made, tmp_path) -> None:
    rows = "filename\tonset\toffset\tevent_labels\n"
    (tmp_path / "audio.csv").write_text(f"{rows}clip\t0\t2\tBell\n")
    (tmp_path / "visual.csv").write_text(f"{rows}other\t0\t2\tBell\n")
    page = tmp_path / "page.html"
    arguments = ("parse", made / "run", made / "clip.mp4", "--annotations", tmp_path)
    result = call(*arguments, "--out", page)
    assert (result.returncode, result.stderr) == (0, "")
    assert '"truth":[{"c":0,"m":"audio","s":0.0,"e":2.0,"p":1.0}]' in page.read_text()


def test_a_folder_is_parsed_past_bad_clips(call, made, tmp_path) -> None:
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for name in ("-x.mp4", "b.mp4", "same.mp4", "same.mov"):
        shutil.copy(made / "clip.mp4", clips / name)
    (clips / "._b.mp4").write_bytes(b"Mac OS X")
    (clips / "bad.mp4").write_text("text")
    for name in ("new\nline.mp4", os.fsdecode(b"by\xfete.mp4")):
        shutil.copy(made / "clip.mp4", clips / name)
    (clips / "notes.txt").write_text("not a clip")
    result = call("parse", made / "run", clips, "--format", "json", "--out", out)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "bad.mp4: is no audio or video file" in result.stderr
    assert "'new\\nline.json' holds a control character; rename the clip" in result.stderr
    assert "'by\\udcfete.json' is not written in UTF-8; rename the clip" in result.stderr
    assert "3 of 7 clips could not be parsed: bad.mp4, by" in result.stderr
    assert "passed over 1 file that is no clip (notes.txt)" in result.stderr
    names = ["-x.json", "b.json", "same.mov.json", "same.mp4.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        json_events.loads((out / name).read_text(), name)


def test_of_many_failures_some_are_named_at_the_end() -> None:
    with pytest.raises(RlldError, match=r"100 of 100 .*: 0, 1, .*, 19 and 80 more; the reasons"):
        told(Args("run"), [str(number) for number in range(100)], 100, 0, "")


UNNAMEABLE = {
    "n" * 251 + ".mp4": r"'n{80}\.\.\.' is longer than 255 bytes",
    "é" * 125 + "n.mp4": r"'é{80}\.\.\.' is longer than 255 bytes",
    os.fsdecode(b"by\xfete.mp4"): r"'by\\udcfete\.json' is not written in UTF-8",
}


def test_clips_whose_results_have_no_name_are_told_what_helps(call, made, tmp_path) -> None:
    out, alone = tmp_path / "out", tmp_path / "alone.json"
    clips = [made / "clip.mp4", *(shutil.copy(made / "clip.mp4", tmp_path / n) for n in UNNAMEABLE)]
    result = call("parse", made / "run", *clips, "--format", "json", "--out", out)
    *told, last = result.stderr.splitlines()
    assert result.returncode == 2
    for line, reason in zip(told, UNNAMEABLE.values(), strict=True):
        what = "rename the clip, or parse it alone with --out FILE"
        assert re.fullmatch(rf"rlld: {out}: name of the result: {reason}; {what}", line)
    assert last.startswith("rlld: 3 of 4 clips could not be parsed: ")
    assert [file.name for file in out.iterdir()] == ["clip.json"]
    first = json_events.loads((out / "clip.json").read_text(), "clip.json")
    for clip in clips[1:]:  # which helps
        result = call("parse", made / "run", clip, "--out", alone)
        assert (result.returncode, result.stderr) == (0, "")
        assert json_events.loads(alone.read_text(), "alone.json").events == first.events


class Crashing(Parser):
    """Dies over one clip, as a fault of a library does, and does not foresee another."""

    def _parse(self, run, job, tags):
        if job.name == "crash.mp4":
            os.kill(os.getpid(), signal.SIGSEGV)
        if job.name == "strange.mp4":
            raise TypeError("a film of no kind")
        return super()._parse(run, job, tags)


def test_a_clip_that_crashes_costs_itself_alone(call, made, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("rlld.cli.parse.Parser", Crashing)
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("a", "crash", "strange", "z"):
        shutil.copy(made / "clip.mp4", clips / f"{name}.mp4")
    result = call("parse", made / "run", clips, "--format", "csv", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "crash.mp4: the worker process died over it (SIGSEGV)" in result.stderr
    assert "strange.mp4: unexpected TypeError (a film of no kind)" in result.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["a.csv", "z.csv"]


def test_what_is_wrong_for_all_clips_is_said_once(call, fails_with, made, tmp_path) -> None:
    clips = [shutil.copy(made / "clip.mp4", tmp_path / f"{name}.mp4") for name in "ab"]
    fails_with(call("parse", made / "run", *clips, "--tags", "Dog_bork"), "mean 'Dog_bark'")


def test_several_clips_print_several_tables(call, made, tmp_path) -> None:
    other = Path(shutil.copy(made / "clip.mp4", tmp_path / "other.mp4"))
    result = call("parse", made / "run", made / "clip.mp4", other)
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines() if ".mp4" in line] == [
        "clip.mp4",
        "other.mp4",
    ]


def test_features_are_parsed_by_id(call, made, tmp_path) -> None:
    import numpy as np

    spec = load_run(made / "run").spec
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "s.safetensors", "test", spec, provenance="tests") as writer:
        rows = {n: rng.normal(size=(spec.segments, d)).astype("f") for n, d in spec.dims.items()}
        writer.add("-abc_0_10", rows)
        writer.finish(["-abc_0_10"])
    arguments = ("--features", tmp_path / "s.safetensors", "--id=-abc_0_10", "--format=json")
    result = call("parse", made / "run", *arguments)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["name"] == "-abc_0_10"


def test_a_name_that_starts_with_a_dash(call, made, tmp_path) -> None:
    shutil.copy(made / "clip.mp4", tmp_path / "-x.mp4")
    for arguments in (("--", "-x.mp4"), ("./-x.mp4",), (tmp_path / "-x.mp4",)):
        result = call("parse", made / "run", *arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith("-x.mp4")
    bare = call("parse", made / "run", "-x.mp4", cwd=tmp_path)
    assert bare.returncode == 2
    assert "Traceback" not in bare.stderr


def test_a_clip_without_sound_or_picture(call, made, tmp_path) -> None:
    mute = make_clip(tmp_path / "mute.mp4", 2.0, sound=None)
    result = call("parse", made / "run", mute)
    assert result.returncode == 0
    assert "no usable sound, so no audible events" in result.stdout
    assert "visible" in result.stdout and "audio-visual" not in result.stdout
    blind = make_clip(tmp_path / "blind.m4a", 2.0, picture=None)
    result = call("parse", made / "run", blind)
    assert result.returncode == 0
    assert "no usable picture, so no visible events" in result.stdout


# --- bad input ---------------------------------------------------------------------------------


def cut(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    return target


def test_an_mp4_cut_in_half(run_cli, fails_with, made, tmp_path) -> None:
    clip = cut(made / "clip.mp4", tmp_path / "cut.mp4")
    out = tmp_path / "out.json"
    fails_with(run_cli("parse", made / "run", clip, "--out", out), "probably cut off")
    assert not out.exists()


def test_a_cut_clip_with_its_index_in_front_gives_what_is_left(call, made, tmp_path) -> None:
    import av

    whole = tmp_path / "whole.mp4"
    with (
        av.open(str(made / "clip.mp4")) as source,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as out,
    ):
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    result = call("parse", made / "run", cut(whole, tmp_path / "cut.mp4"), "--format", "json")
    assert "Traceback" not in result.stderr
    assert result.returncode == 0, result.stderr
    parse = json_events.loads(result.stdout, "stdout")
    assert 0 < parse.duration <= 3.1
    assert all(event.end <= parse.duration for event in parse.events)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty (0 bytes)"), (b"This is text.\n" * 50, "is no audio or video file")],
)
def test_files_that_are_no_clips(call, fails_with, made, tmp_path, content, words) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(content)
    fails_with(call("parse", made / "run", clip), words)


def test_paths_that_are_no_files(call, fails_with, made, tmp_path) -> None:
    fails_with(call("parse", made / "run", tmp_path / "none.mp4"), "no such file")
    fails_with(call("parse", made / "run", tmp_path), "no clips in it")
    fails_with(call("parse", made / "run"), "nothing to parse")


def test_unknown_tags_and_formats(call, fails_with, made) -> None:
    clip = made / "clip.mp4"
    fails_with(call("parse", made / "run", clip, "--tags", "Dog_bork"), "mean 'Dog_bark'")
    fails_with(call("parse", made / "run", clip, "--tags", ","), "at least one class")
    fails_with(call("parse", made / "run", clip, "--format", "htm"), "did you mean 'html'")


def test_places_that_cannot_be_written(call, fails_with, made, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    for form in ("json", "csv", "html", "text"):
        out = tmp_path / "file" / f"out.{form}"
        result = call("parse", made / "run", made / "clip.mp4", "--format", form, "--out", out)
        fails_with(result, "cannot be written")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_arguments_that_contradict(call, fails_with, made, tmp_path) -> None:
    run, clip = made / "run", made / "clip.mp4"
    fails_with(call("parse", run, "--features", "x.safetensors"), "--id is missing")
    fails_with(call("parse", run, "--id", "x"), "--id: names a video in --features")
    other = tmp_path / "other.mp4"
    fails_with(call("parse", run, clip, other, "--format", "json"), "give --out FOLDER")
    missing = ("--features", "x.safetensors", "--id", "x")
    fails_with(call("parse", run, *missing), "x.safetensors: no such store")


def test_annotations_that_are_missing(call, fails_with, made, tmp_path) -> None:
    page = tmp_path / "page.html"
    arguments = ("parse", made / "run", made / "clip.mp4", "--out", page)
    fails_with(call(*arguments, "--annotations", tmp_path / "none"), "no such folder")
    assert not page.exists()


def test_a_run_that_is_none(call, fails_with, made, tmp_path) -> None:
    fails_with(call("parse", tmp_path, made / "clip.mp4"), "no run folder")


def test_a_run_of_a_newer_version(call, fails_with, made, copied_run) -> None:
    config = json.loads((copied_run / "config.json").read_text())
    (copied_run / "config.json").write_text(json.dumps({**config, "format_version": 99}))
    fails_with(call("parse", copied_run, made / "clip.mp4"), "update rlld")


def test_a_tampered_run_and_a_pickle(call, fails_with, made, copied_run) -> None:
    model = copied_run / "model.safetensors"
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(bytes(data))
    fails_with(call("parse", copied_run, made / "clip.mp4"), "SHA-256 differs")
    marker = copied_run / "ran"
    model.write_bytes(pickle.dumps(_Trap(str(marker))))
    fails_with(call("parse", copied_run, made / "clip.mp4"), "not a readable safetensors")
    assert not marker.exists()


class _Trap:
    """A pickle that would run a command."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_a_run_on_published_features_asks_for_them(call, fails_with, made, tmp_path) -> None:
    run = make_run(tmp_path / "run", features="published")
    fails_with(call("parse", run, made / "clip.mp4"), "rlld parse RUN --features STORE --id ID")
