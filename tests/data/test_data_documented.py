"""The hand-written data set of docs/data.md, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parse_kit import make_clip
from rlld.data.dataset import load_data, load_split
from rlld.data.pack import pack
from rlld.data.spec import read_spec
from rlld.errors import RlldError
from rlld.features.job import Where
from rlld.features.to_stores import extract_dataset

PAGE = Path(__file__).parents[2] / "docs/data.md"


@pytest.fixture
def aviary(tmp_path) -> Path:
    """The folder that the page describes."""
    text = PAGE.read_text(encoding="utf-8").partition("\n### Clips\n")[2]
    tags, spec = re.findall(r"```\w*\n(.*?)```", text.partition("\n### ")[0], re.DOTALL)
    for name in ("annotations", "videos"):
        (tmp_path / name).mkdir()
    (tmp_path / "annotations/tags.csv").write_text(tags)
    (tmp_path / "dataset.yaml").write_text(spec)
    for video in ("-crow_at_dawn", "feeder-3"):
        make_clip(tmp_path / f"videos/{video}.mp4", 2.0)
    return tmp_path


def test_the_shown_files_make_a_data_set(aviary):
    assert (read_spec(aviary).segment_seconds, read_spec(aviary).streams) == (1.0, {})
    extract_dataset(aviary, where=Where(1))
    data = load_data(aviary)
    assert data.spec.dims["audio"] == 128 and data.spec.features == "light"
    assert data.train.ids == ("-crow_at_dawn", "feeder-3")
    assert data.train.labels.tolist() == [[1, 0, 0], [1, 0, 1]]
    assert data.train.streams["audio"][:, :2].any() and not data.train.streams["audio"][:, 2:].any()


def test_without_streams_nothing_but_extraction_begins(aviary):
    for load in (load_data, lambda folder: load_split(folder, "train")):
        with pytest.raises(RlldError, match=r"dataset.yaml: names no streams; 'rlld extract' sets"):
            load(aviary)
    with pytest.raises(RlldError, match="data set 'aviary': names no streams"):
        pack(aviary / "annotations", aviary, aviary / "out", read_spec(aviary))
    assert not (aviary / "out").exists()
