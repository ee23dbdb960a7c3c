"""``rlld data scores`` from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from rlld.data.dataset import load_split
from rlld.data.similarities import load_scores


def test_published_pseudo_labels_are_imported(
    tiny_data: Path, tmp_path: Path, fresh, run_cli, fails_with
):
    folder, source = tmp_path / "data", tmp_path / "labels"
    shutil.copytree(tiny_data, folder)
    source.mkdir()
    rng = np.random.default_rng(0)
    ids = load_split(folder, "train").ids
    for video in ids:
        np.save(source / f"{video}.npy", rng.integers(0, 2, (6, 4)))
    words = ("data", "scores", folder, "--audio", source, "--visual", source)
    assert "train: scores 'classes' of 48 videos" in fresh(*words).stdout
    found = load_scores(load_split(folder, "train"), "classes", {"audio": 4, "visual": 4})
    assert set(found["audio"].unique().tolist()) == {0.0, 1.0}
    (source / f"{ids[0]}.npy").write_bytes(b"broken")
    fails_with(run_cli(*words), "not a whole .npy file")
