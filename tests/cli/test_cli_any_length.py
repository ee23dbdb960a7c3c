"""Clips of 4 to 60 seconds from files to events: every command, nothing cut anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli_kit import called
from rlld.data.dataset import load_data
from rlld.synthetic.clips.encode import RenderTask, render_clip
from rlld.synthetic.clips.labels import rendered_classes
from rlld.synthetic.clips.scene import Scene

CLASSES = rendered_classes(3)
SECONDS = {
    "train": [4, 9, 60, 15, 6, 12],
    "validation": [5, 20, 10],
    "test": [8, 33],
}


def events_of(seconds: int, number: int) -> np.ndarray:
    """One class is heard and seen in the last third of a clip, another is heard at the start."""
    events = np.zeros((seconds, 2, len(CLASSES)), bool)
    events[2 * seconds // 3 :, :, number % 3] = True
    events[:2, 0, (number + 1) % 3] = True
    return events


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of clips as a user writes it, before anything was extracted."""
    folder = tmp_path_factory.mktemp("sets") / "clips"
    (folder / "annotations").mkdir(parents=True)
    dense = {name: "filename\tonset\toffset\tevent_labels\n" for name in ("audio", "visual")}
    for place, (split, own) in enumerate(SECONDS.items()):
        weak = "filename\tevent_labels\n"
        for number, seconds in enumerate(own):
            name = f"{split}{number}"
            events = events_of(seconds, number)
            scene = Scene(CLASSES, events, 1.0, (0, place, number))
            render_clip(RenderTask(folder / "videos" / f"{name}.mp4", scene))
            tags = [CLASSES[c] for c in np.flatnonzero(events.any((0, 1)))]
            weak += f"{name}\t{','.join(tags)}\n"
            if split != "train":
                first, second = CLASSES[number % 3], CLASSES[(number + 1) % 3]
                late = f"{name}\t{2 * seconds // 3}\t{seconds}\t{first}\n"
                dense["audio"] += f"{late}{name}\t0\t2\t{second}\n"
                dense["visual"] += late
        (folder / f"annotations/{split}.csv").write_text(weak)
    for name, text in dense.items():
        (folder / f"annotations/{name}.csv").write_text(text)
    text = f"name: clips\nclasses: [{', '.join(CLASSES)}]\nsegments: 10\nany_length: true\n"
    (folder / "dataset.yaml").write_text(text)
    return folder


def test_from_clips_of_any_length_to_events(folder: Path, tmp_path: Path) -> None:
    made = called("extract", folder, "--workers", 1)
    assert made.returncode == 0 and "left out" not in made.stdout, made.stderr
    data = load_data(folder)
    assert data.spec.segments == 60
    assert data.train.lengths is not None
    assert data.train.lengths.tolist() == SECONDS["train"]
    assert called("data", "check", folder).returncode == 0

    small = ("--network.hidden", 16, "--denoiser.hidden", 16, "--schedule.batch_size", 4)
    quick = ("--denoiser.labelwise.folds", 2, "--denoiser.labelwise.judges", 1)
    steps = ("--denoiser.labelwise.steps", 5, "--schedule.updates", 12, "--device", "cpu")
    paths = ("--data", folder, "--out", tmp_path / "run")
    trained = called("train", "rlld-labelwise", *paths, *small, *quick, *steps)
    assert trained.returncode == 0, trained.stderr

    scored = called("evaluate", tmp_path / "run", "--json", tmp_path / "scores.json")
    assert scored.returncode == 0, scored.stderr
    assert json.loads((tmp_path / "scores.json").read_text())["videos"] == 2

    clip = folder / "videos/test1.mp4"
    parsed = called("parse", tmp_path / "run", clip, "--out", tmp_path / "clip.json")
    assert parsed.returncode == 0, parsed.stderr
    found = json.loads((tmp_path / "clip.json").read_text())
    assert found["duration"] == pytest.approx(33, abs=0.2)

    store = ("--features", folder / "features/test.safetensors", "--id", "test1")
    stored = called("parse", tmp_path / "run", *store, "--out", tmp_path / "store.json")
    assert stored.returncode == 0, stored.stderr
    again = json.loads((tmp_path / "store.json").read_text())
    assert len(again["probabilities"]) == len(found["probabilities"]) == 33
    np.testing.assert_allclose(again["probabilities"], found["probabilities"], atol=1e-5)
