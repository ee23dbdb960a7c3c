"""Good files of every kind that is read, made once; cases are damaged copies of them."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import torch
import yaml

from campaign.archives import bomb, hostile_pickles
from rlld.data.checks.verify import verify
from rlld.data.dataset import load_data
from rlld.data.spec import LLP_SPEC, DataSpec, read_spec
from rlld.export import csv_events, json_events
from rlld.parsing.result import Event, Parse
from rlld.recipes.recipe import RECIPES, load_recipe
from rlld.synthetic.features.writing import simulate
from rlld.taxonomy import Taxonomy
from rlld.training.loop import train
from rlld.training.trainer import Trainer

CLASSES = ("Speech", "Dog", "Car")
UNFINISHED = {"schedule.updates": 12, "schedule.batch_size": 6, "network.hidden": 8}
"""Settings of the run that is interrupted."""

VIDEOS = [f"vid{number}_0_10" for number in range(8)]


def put(folder: Path, name: str, data: bytes) -> Path:
    """Writes a file of a case and returns its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def buffer(write: Callable[[io.BytesIO], object]) -> bytes:
    """Returns what a function writes to a file."""
    out = io.BytesIO()
    write(out)
    return out.getvalue()


@contextmanager
def quiet() -> Iterator[None]:
    """Sends standard output and errors nowhere, those of libraries in C too."""
    saved = [os.dup(1), os.dup(2)]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        yield
    finally:
        for number, old in zip((1, 2), saved, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(null)


class Samples:
    """The good files.

    Attributes:
        sim: A small simulated data set.
        run: A run of the label-wise recipe on it, as small as they come.
        canary: A file that is made if code of a file ever runs.
    """

    def __init__(self, work: Path) -> None:
        torch.manual_seed(0)
        torch.set_num_threads(1)
        good = work / "good"
        good.mkdir(parents=True, exist_ok=True)
        self.good, self.canary = good, work / "code-of-a-file-ran"
        self.hostile = hostile_pickles(self.canary)
        bomb()  # for all workers, which are forked from here
        self.taxonomy = Taxonomy(CLASSES)
        self.sim, self.run = good / "sim", good / "run"
        simulate(self.sim, "compact", videos=(12, 6, 6))
        settings = {"schedule.updates": 3, "network.hidden": 8}
        recipe = load_recipe("rlld-labelwise", settings, self.spec.overrides)
        with quiet():
            train(recipe, load_data(self.sim), self.run)

    @cached_property
    def spec(self) -> DataSpec:
        """What the simulated data set is."""
        return read_spec(self.sim)

    @cached_property
    def spec_bytes(self) -> bytes:
        """Its dataset.yaml."""
        return (self.sim / "dataset.yaml").read_bytes()

    @cached_property
    def spec_plain(self) -> Any:
        """The same as plain data."""
        return yaml.safe_load(self.spec_bytes)

    @cached_property
    def unfinished(self) -> Path:
        """A run of HAN that was interrupted after a few updates."""
        whole = Trainer.steps

        def some(trainer: Trainer) -> Iterator[Any]:
            for number, step in enumerate(whole(trainer)):
                if number == 8:
                    raise KeyboardInterrupt
                yield step

        recipe = load_recipe("han", UNFINISHED, self.spec.overrides)
        folder = self.good / "unfinished"
        with quiet(), patch.object(Trainer, "steps", some), suppress(KeyboardInterrupt):
            train(recipe, load_data(self.sim), folder)
        return folder

    @cached_property
    def recipe_bytes(self) -> bytes:
        """A packaged recipe."""
        return (Path(RECIPES) / "rlld-labelwise.yaml").read_bytes()

    @cached_property
    def config(self) -> Any:
        """The config.json of the run."""
        return json.loads((self.run / "config.json").read_text())

    @cached_property
    def weak(self) -> bytes:
        """A file of weak labels."""
        rows = "".join(f"{video}\tSpeech,Dog\n" for video in VIDEOS)
        return f"filename\tevent_labels\n{rows}".encode()

    @cached_property
    def dense(self) -> bytes:
        """A file of events."""
        rows = "".join(
            f"{video}\t{number % 5}\t{number % 5 + 2.5}\tDog\n"
            for number, video in enumerate(VIDEOS)
        )
        return f"filename\tonset\toffset\tevent_labels\n{rows}".encode()

    @cached_property
    def answers(self) -> bytes:
        """A file of bare answers."""
        rows = "".join(
            f"{video}\tDog\taudio\t{'yes' if number % 2 else 'no'}\n"
            for number, video in enumerate(VIDEOS)
        )
        return f"video\tclass\tmodality\tpresent\n{rows}".encode()

    @cached_property
    def checkpoints(self) -> tuple[bytes, ...]:
        """Checkpoints: two of today's layout, one of the old."""
        small = {"a.weight": torch.zeros(3, 4), "b": torch.ones(2)}
        random_states = {"numpy_rng": np.random.get_state(), "torch_rng": torch.get_rng_state()}
        whole = {"model": small, "epochs": 3, **random_states}
        return (
            buffer(lambda file: torch.save(small, file)),
            buffer(lambda file: torch.save(whole, file)),
            buffer(lambda file: torch.save(small, file, _use_new_zipfile_serialization=False)),
        )

    @cached_property
    def han(self) -> dict[str, torch.Tensor]:
        """Weights of HAN of LLP's size, all zero."""
        network = load_recipe("han").build_network(LLP_SPEC)
        return {key: torch.zeros(value.shape) for key, value in network.state_dict().items()}

    @cached_property
    def npy(self) -> bytes:
        """Features of a video."""
        return buffer(lambda file: np.save(file, np.ones((10, 40), np.float32)))

    @cached_property
    def ratios(self) -> bytes:
        """JoMoLD's noise ratios."""
        return buffer(lambda file: np.savez(file, audio=np.ones(3) / 2, visual=np.ones(3) / 3))

    @cached_property
    def masks(self) -> bytes:
        """Removed labels as masks."""
        mask = np.zeros((8, 3), bool)
        return buffer(lambda file: np.savez_compressed(file, audio=mask, visual=mask))

    @cached_property
    def exchanges(self) -> tuple[bytes, bytes]:
        """Files of removed labels as MA writes them, of tensors and of numbers."""
        rows = [[[torch.tensor(1), torch.tensor(2)] for _ in CLASSES] for _ in range(2)]
        return pickle.dumps(rows), pickle.dumps([[[1, 2] for _ in CLASSES] for _ in range(2)])

    @cached_property
    def store(self) -> bytes:
        """A packed store."""
        return (self.sim / "features" / "test.safetensors").read_bytes()

    @cached_property
    def reference(self) -> bytes:
        """Statistics of the features of the simulated data set."""
        path = self.good / "reference.json"
        verify(self.sim, write=path)
        return path.read_bytes()

    @cached_property
    def parse_json(self) -> Any:
        """A parse as our JSON, as plain data."""
        return json.loads(json_events.dumps(self._parse))

    @cached_property
    def parse_csv(self) -> bytes:
        """A parse as tab-separated events."""
        return csv_events.dumps(self._parse).encode()

    @property
    def _parse(self) -> Parse:
        return Parse(
            name="clip.mp4",
            duration=3.0,
            segment_seconds=1.0,
            classes=CLASSES,
            events=(
                Event("Dog", "audio", 0.0, 2.0, 0.9),
                Event("Car", "audio_visual", 1.0, 3.0, 0.5),
            ),
            probabilities=(((0.1, 0.9, 0.2), (0.1, 0.2, 0.3)),) * 3,
            gates=((0.1, 0.9, 0.2), (0.3, 0.2, 0.1)),
            tags=("Dog",),
            notes=("a note",),
            model="run",
        )

    @cached_property
    def clip(self) -> bytes:
        """A clip of three seconds."""
        path = self.good / "clip.mp4"
        rng = np.random.default_rng(0)
        with av.open(str(path), "w", options={"movflags": "faststart"}) as out:
            video = out.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            sound = out.add_stream("aac", rate=16000)
            sound.layout = "mono"
            for number in range(30):
                pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
                picture = av.VideoFrame.from_ndarray(pixels, "rgb24")
                picture.pts = number
                out.mux(video.encode(picture))
            out.mux(video.encode(None))
            tone = (np.sin(np.arange(48000) / 8) * 9000).astype(np.int16)
            for at in range(0, 48000, 1024):
                part = np.ascontiguousarray(tone[at : at + 1024][None])
                frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
                frame.sample_rate, frame.pts = 16000, at
                out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
        return path.read_bytes()
