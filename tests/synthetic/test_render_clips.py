"""Rendered clips show and sound what their labels say, the same every time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.spec import SPLITS, read_spec
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.media.decode import Clip
from rlld.media.views import Pictures, Sound
from rlld.synthetic.clips.canvas import Canvas
from rlld.synthetic.clips.dataset import RenderConfig, render
from rlld.synthetic.clips.labels import draw_dataset, rendered_classes
from rlld.synthetic.clips.pictures import PICTURES
from rlld.synthetic.clips.scene import HEIGHT, WIDTH, Scene, frames_of, sound_of
from rlld.synthetic.clips.sounds import RATE, SOUNDS, Voice

STREAMS = load_extractor("light").streams(1.0)
SMALL = RenderConfig((3, 1, 1), 3, seed=2)


def scene(events, seed=(0, 0)):
    return Scene(rendered_classes(12), events, 1.0, seed)


def content(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered") / "set"
    render(folder, SMALL, STREAMS)
    return folder


def test_every_class_has_a_sound_and_a_picture():
    assert len(PICTURES) >= 10 and set(PICTURES) == set(SOUNDS)


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_fill_their_time(name):
    sound = SOUNDS[name](np.random.default_rng(0), 4.0, Voice(0.3, 2.0, 0.6))
    assert sound.shape == (4 * RATE,) and np.isfinite(sound).all()
    strength = np.sqrt((sound.reshape(4, -1) ** 2).mean(1))
    assert strength.min() > 0.2 * strength.max()


@pytest.mark.parametrize("label", range(12))
def test_sound_is_heard_and_seen_in_its_segments_only(label):
    events = np.zeros((4, 2, 12), bool)
    events[1:3, 0, label] = True
    events[2:, 1, label] = True
    nothing = scene(np.zeros((4, 2, 12), bool))
    heard = np.abs(sound_of(scene(events)) - sound_of(nothing)).reshape(4, -1).max(1)
    assert (heard > 1e-3).tolist() == [False, True, True, False]
    seen = np.stack(
        [
            np.abs(a.astype(int) - b).max()
            for a, b in zip(frames_of(scene(events)), frames_of(nothing), strict=True)
        ]
    ).reshape(4, 12)
    assert (seen.max(1) > 30).tolist() == [False, False, True, True]


def test_pictures_move():
    for label in range(12):
        events = np.zeros((1, 2, 12), bool)
        events[:, 1, label] = True
        frames = np.stack(list(frames_of(scene(events)))).astype(int)
        assert np.abs(np.diff(frames, axis=0)).max() > 60, rendered_classes(12)[label]


def test_scenes_depend_on_their_seed_alone():
    events = np.zeros((2, 2, 12), bool)
    events[:, :, 3:5] = True
    one, same, other = (scene(events, seed=s) for s in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(sound_of(one), sound_of(same))
    np.testing.assert_array_equal(np.stack(list(frames_of(one))), np.stack(list(frames_of(same))))
    assert not np.array_equal(sound_of(one), sound_of(other))


@pytest.mark.parametrize("shape", ["ellipse", "box", "polygon", "line", "ring"])
def test_painted_area_is_the_area_of_the_shape(shape):
    pixels = np.zeros((120, 160, 3), np.float32)
    pen = Canvas(pixels, 80.0, 60.0, 30.0, tilt=0.4, flip=-1.0)
    white = (1.0, 1.0, 1.0)
    area = {
        "ellipse": lambda: pen.ellipse(0, 0, 1.2, 0.7, white) or np.pi * 1.2 * 0.7,
        "box": lambda: pen.box(0, 0, 1.2, 0.7, white, angle=0.3) or 4 * 1.2 * 0.7,
        "polygon": lambda: pen.polygon([(-1, -1), (1, -1), (0, 1)], white) or 2.0,
        "line": lambda: pen.line(-1, 0, 1, 0.5, 0.2, white) or 0.2 * np.hypot(2, 0.5) + np.pi / 100,
        "ring": lambda: pen.ring(0, 0, 1.0, 0.2, white) or 2 * np.pi * 0.2,
    }[shape]()
    # Shading lightens the top by as much as it darkens the bottom.
    assert pixels[..., 0].sum() / 900 == pytest.approx(area, rel=0.03)


def test_folder_holds_a_data_set_that_agrees_with_the_draw(rendered):
    spec = read_spec(rendered)
    assert spec.name == "rendered" and spec.features == "light" and spec.segments == 10
    labels = draw_dataset(spec.classes, SMALL.videos, SMALL.seed)
    folder, files = rendered / "annotations", spec.annotations
    names = {"train": files.train, "validation": files.validation, "test": files.test}
    for split in SPLITS:
        weak = read_weak(folder / names[split], spec.taxonomy)
        assert weak.ids == labels[split].ids
        np.testing.assert_array_equal(weak.labels, labels[split].weak)
        pair = (files.audio, files.visual)
        if split == "train":
            pair = (files.truth_audio, files.truth_visual)
        for modality, name in enumerate(pair):
            rows = read_dense(folder / name, spec.taxonomy, spec.duration)
            painted = rasterise(rows, weak.ids, spec)
            np.testing.assert_array_equal(painted, labels[split].events[:, :, modality])
        for video in weak.ids:
            assert (rendered / f"videos/{video}.mp4").is_file()


def test_clips_decode_to_what_was_rendered(rendered):
    spec = read_spec(rendered)
    labels = draw_dataset(spec.classes, SMALL.videos, SMALL.seed)["validation"]
    clip = Clip(rendered / f"videos/{labels.ids[0]}.mp4")
    sound_view, frames_view = Sound(16000), Pictures(12, WIDTH, HEIGHT)
    segments = list(clip.segments(1.0, (sound_view, frames_view)))
    assert len(segments) == 10
    info = clip.outcome()
    assert (info.width, info.height, info.notes) == (WIDTH, HEIGHT, ())
    original = Scene(spec.classes, labels.events[0], 1.0, (SMALL.seed, 1, 0))
    frames = np.stack(list(frames_of(original))).reshape(10, 12, HEIGHT, WIDTH, 3).astype(int)
    sound = sound_of(original).reshape(10, RATE)
    for segment in segments:
        assert np.abs(segment.views[frames_view].astype(int) - frames[segment.index]).mean() < 6
        alike = np.corrcoef(segment.views[sound_view], sound[segment.index])[0, 1]
        assert alike > 0.8


def test_the_number_of_workers_changes_no_byte(rendered, tmp_path):
    render(tmp_path / "set", SMALL, STREAMS, workers=2)
    assert content(tmp_path / "set") == content(rendered)


def test_a_killed_rendering_is_completed_to_the_same_bytes(rendered, tmp_path):
    script, out = Path(sys.executable).with_name("rlld"), tmp_path / "set"
    command = [script, "data", "render", "--out", out, "--videos", "3,1,1"]
    command += ["--classes", "3", "--seed", "2", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(out.glob("videos/*.mp4")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "dataset.yaml").exists()
    render(out, SMALL, STREAMS)
    assert content(out) == content(rendered)


def test_a_folder_of_other_content_is_refused(rendered, tmp_path):
    with pytest.raises(RlldError, match="other settings"):
        render(rendered, RenderConfig((4, 1, 1), 3, seed=2), STREAMS)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(RlldError, match="not empty"):
        render(tmp_path, SMALL, STREAMS)
    with pytest.raises(RlldError, match="is a file"):
        render(tmp_path / "note.txt", SMALL, STREAMS)


@pytest.mark.parametrize(
    "wrong", [{"videos": (0, 1, 1)}, {"classes": 1}, {"classes": 13}, {"seed": -1}]
)
def test_numbers_are_checked(wrong):
    with pytest.raises(RlldError, match=next(iter(wrong))):
        RenderConfig(**wrong)
