"""Whatever is packaged learns from videos of any length, and judges and parses them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rlld
from rlld.data.annotations import write_dense
from rlld.data.dataset import load_data
from rlld.data.similarities import ScoreSpec, scores_files
from rlld.data.spec import ANNOTATIONS, FILE_NAME, StreamSpec, read_spec, spec_text
from rlld.data.store import StoreWriter, read_store, store_path
from rlld.errors import RlldError
from rlld.networks.han import HAN
from rlld.parsing.parse import parse
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.types import MODALITIES
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)
SHORT = {"schedule.updates": 4}


def shortened(path: Path, spec: ScoreSpec, lengths: dict[str, int]) -> None:
    """Writes a store again in which every video has its own number of segments."""
    store = read_store(path)
    dims = {name: StreamSpec(value.shape[-1]) for name, value in store.streams.items()}
    rows = {
        video: {name: value.numpy()[: lengths[video]].copy() for name, value in streams.items()}
        for video, streams in ((v, store.video(i)) for i, v in enumerate(store.ids))
    }
    path.unlink()
    shape = replace(spec, streams=dims, any_length=True)
    with StoreWriter(path, store.split, shape, provenance=store.provenance) as writer:
        for video, own in rows.items():
            writer.add(video, own)
        writer.finish(list(rows))


@pytest.fixture(scope="module")
def mixed_data(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set, its videos cut to one to six segments."""
    folder = tmp_path_factory.mktemp("mixed") / "data"
    shutil.copytree(tiny_data, folder)
    spec = read_spec(folder)
    (folder / FILE_NAME).write_text(spec_text(replace(spec, any_length=True)))
    rng = np.random.default_rng(0)
    shape = ScoreSpec(spec.segments, {}, True)
    data = load_data(tiny_data, with_truth=True)
    events: dict[str, dict[str, np.ndarray]] = {"truth_": {}, "": {}}
    for split in (data.train, data.validation, data.test):
        drawn = rng.integers(1, spec.segments + 1, len(split)).tolist()
        lengths = dict(zip(split.ids, [spec.segments, *drawn[1:]], strict=True))
        files = [file for file in scores_files(folder) if file.stem == split.name]
        for file in (store_path(folder, split.name), *files):
            shortened(file, shape, lengths)
        maps = split.truth if split.dense is None else split.dense
        kept = events["truth_" if split.dense is None else ""]
        for video, own in zip(split.ids, maps.numpy(), strict=True):
            own[lengths[video] :] = False
            kept[video] = own
    for prefix, kept in events.items():
        for modality, name in enumerate(MODALITIES):
            file = folder / ANNOTATIONS / getattr(spec.annotations, f"{prefix}{name}")
            write_dense(file, list(kept), np.stack(list(kept.values()))[:, :, modality], spec)
    return folder


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_learns_from_videos_of_any_length(name, mixed_data, tmp_path):
    run = rlld.train(name, mixed_data, tmp_path / "run", overrides=SHORT, compute=COMPUTE)
    scores = rlld.evaluate(tmp_path / "run").scores.as_dict()
    assert len(scores) == 10
    assert all(0 <= value <= 100 for value in scores.values())
    test = load_data(mixed_data).test
    batch = test.batch(torch.arange(4))
    assert batch.mask is not None
    together = run.predict(batch.streams, batch.mask)
    for video, length in enumerate(batch.mask.sum(1).tolist()):
        alone = run.predict({key: value[[video], :length] for key, value in batch.streams.items()})
        for part in ("audio", "visual", "video"):
            found = getattr(together, part)[video]
            torch.testing.assert_close(found, getattr(alone, part)[0], rtol=0, atol=1e-4)
        found = together.segment[video, :length]
        torch.testing.assert_close(found, alone.segment[0], rtol=0, atol=1e-4)
    # Clips may be shorter and longer than any video of the training.
    for length in (1, 3 * run.spec.segments + 1):
        shape = {name: (length, dim) for name, dim in run.spec.dims.items()}
        rows = {name: np.random.default_rng(1).normal(size=each) for name, each in shape.items()}
        parsed = parse(run, {name: value.astype(np.float32) for name, value in rows.items()})
        assert parsed.duration == length * run.spec.segment_seconds
        assert all(0 <= event.start < event.end <= parsed.duration for event in parsed.events)


def test_a_network_that_cannot_tell_padding_is_refused(mixed_data, monkeypatch):
    def forward(self, streams):
        raise AssertionError("not called")

    monkeypatch.setattr(HAN, "forward", forward)
    spec = read_spec(mixed_data)
    with pytest.raises(RlldError, match="network han: its forward takes no mask"):
        load_recipe("han").build_network(spec)
    load_recipe("han").build_network(replace(spec, any_length=False))
