"""``rlld data scores`` from the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rlld.cli import main
from rlld.data.dataset import load_split
from rlld.data.scores import load_scores


def run(*argv: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(part) for part in argv])
    return int(caught.value.code or 0)


def test_published_pseudo_labels_are_imported(tiny_data: Path, tmp_path: Path, capsys):
    folder, source = tmp_path / "data", tmp_path / "labels"
    shutil.copytree(tiny_data, folder)
    source.mkdir()
    rng = np.random.default_rng(0)
    ids = load_split(folder, "train").ids
    for video in ids:
        np.save(source / f"{video}.npy", rng.integers(0, 2, (6, 4)))
    assert run("data", "scores", folder, "--audio", source, "--visual", source) == 0
    assert "train: scores 'classes' of 48 videos" in capsys.readouterr().out
    found = load_scores(load_split(folder, "train"), "classes", {"audio": 4, "visual": 4})
    assert set(found["audio"].unique().tolist()) == {0.0, 1.0}
    (source / f"{ids[0]}.npy").write_bytes(b"broken")
    assert run("data", "scores", folder, "--audio", source, "--visual", source) == 2
    error = capsys.readouterr().err
    assert error.startswith("rlld: ")
    assert "not a whole .npy file" in error
