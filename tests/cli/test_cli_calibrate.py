"""``rlld parse --zero-shot --calibrate``, of clips and of a source that goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from live_kit import make_stream
from models_kit import write_clap, write_clip
from parse_kit import make_clip
from rlld.data.annotations import write_dense, write_weak
from rlld.data.spec import FILE_NAME, AnnotationFiles, DataSpec, spec_text
from rlld.data.store import StoreWriter, store_path
from rlld.export import json_events
from rlld.features.weights import VARIABLE
from rlld.open_classes.calibrated import Calibrated, evidence
from rlld.open_classes.mixture import middles
from rlld.open_classes.named import Namer

SECONDS = 3


def write_data(folder: Path, spec: DataSpec, ids: list[str], maps: np.ndarray) -> None:
    """Writes what is known of the validation videos (2, N, T, C)."""
    places = folder / "annotations"
    places.mkdir(parents=True)
    (folder / FILE_NAME).write_text(spec_text(spec))
    write_weak(places / "train.csv", ["t"], np.ones((1, 2)), spec.taxonomy)
    write_weak(places / "validation.csv", ids, np.ones((len(ids), 2)), spec.taxonomy)
    write_dense(places / "audio.csv", ids, maps[0], spec)
    write_dense(places / "visual.csv", ids, maps[1], spec)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Weights, a clip that goes on, and a data set that knows when it beeps."""
    folder = tmp_path_factory.mktemp("calibrate")
    write_clip(folder / "weights")
    write_clap(folder / "weights")
    make_stream(folder / "clip.ts", 12.4)
    videos = folder / "D" / "videos"
    videos.mkdir(parents=True)
    make_clip(videos / "a.mp4", SECONDS)
    shutil.copy(videos / "a.mp4", videos / "b.mp4")
    maps = np.zeros((2, 2, SECONDS, 2), bool)
    maps[0, :, ::2, 0] = maps[1, :, :, 1] = True
    spec = DataSpec("D", ("Beep", "Square"), SECONDS, annotations=AnnotationFiles(test=""))
    write_data(folder / "D", spec, ["a", "b"], maps)
    return folder


@pytest.fixture
def call(home, run_cli, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(home / "weights"))
    monkeypatch.chdir(home)
    return lambda *args: run_cli("parse", *args, "--zero-shot", "--device", "cpu")


def extracted(folder: Path, clip: Path) -> None:
    """A data set of forty videos with the features of a clip, and what is where by its scores."""
    namer = Namer(("beep", "square"))
    features = namer.extractor.extract(clip).streams
    alike = namer.similarities([features])
    count = len(alike)
    told = [evidence(rows, middles(rows), Calibrated()) for rows in (alike.audio, alike.visual)]
    maps = np.stack([part > np.median(part, axis=0) for part in told])
    spec = DataSpec(
        *("E", ("Square", "Beep"), count),
        streams=namer.streams(),
        annotations=AnnotationFiles(test=""),
        features="clip,clap",
        features_version=namer.extractor.version,
    )
    ids = [f"v{number:02d}" for number in range(40)]
    write_data(folder, spec, ids, np.repeat(maps[:, None, :, ::-1], len(ids), axis=1))
    with StoreWriter(store_path(folder, "validation"), "validation", spec) as writer:
        for video in ids:
            writer.add(video, features)
        writer.finish(ids)


def key(event: dict) -> tuple[str, str, float, float]:
    return event["label"], event["modality"], event["start"], event["end"]


def test_a_source_that_goes_on_has_the_events_of_the_clip(call, home):
    extracted(home / "E", home / "clip.ts")
    names = ("--classes", "beep,square")
    whole = call("clip.ts", *names, "--calibrate", "E", "--format", "json")
    parse = json_events.loads(whole.stdout, "json")
    assert "calibrated by 40 annotated videos of E: beep, square" in whole.stderr
    assert parse.model.endswith("clip,clap; beep, square calibrated by E") and not parse.notes
    wanted = json.loads(whole.stdout)["events"]
    assert {event["label"] for event in wanted} == {"beep", "square"}
    live = call("E", *names, "--live", "clip.ts", "--patience", "0.3")
    assert live.returncode == 0, live.stderr
    assert "an event is told 19 s after it ended, or before" in live.stderr
    lines = [json.loads(line) for line in live.stdout.splitlines()]
    assert sorted(key(each) for each in lines if each["state"] == "end") == sorted(map(key, wanted))


def test_classes_that_the_data_set_lacks_are_judged_by_the_clips(call, fails_with):
    names = ("--classes", "beep,glass breaking")
    told = call("D/videos/a.mp4", *names, "--calibrate", "D")
    assert "annotated videos of D: beep" in told.stderr
    assert "no classes of it, judged by the clips given: glass breaking" in told.stderr
    assert "probabilities rest on this clip alone" in told.stdout
    live = call("D", *names, "--live", "clip.ts")
    assert live.returncode == 2 and "D does not have glass breaking" in live.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("clip.ts", "--live", "clip.ts"), "clip.ts: expected a data set"),
        (("D", "--calibrate", "D", "--live", "clip.ts"), "goes without calibrate"),
        (("D", "--live", "clip.ts", "--out", "x"), "--live: goes without out"),
        (("D", "--live", "clip.ts", "--rule", "published"), "nothing calibrates"),
        (("clip.ts", "--calibrate", "D", "--rule", "published"), "nothing calibrates"),
        (("clip.ts", "--calibrate", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, fails_with, words, told):
    fails_with(call(*words, "--classes", "beep,square"), told)


def test_runs_are_not_calibrated(run_cli, fails_with):
    fails_with(run_cli("parse", "run", "--calibrate", "D"), "--calibrate: tells what --zero-shot")
