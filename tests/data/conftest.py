"""A small data set with its own classes, segments and streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlld.data.spec import AnnotationFiles, DataSpec, StreamSpec

SPEC = DataSpec(
    name="birds",
    classes=("Crow", "Owl", "Wren"),
    segments=4,
    segment_seconds=0.5,
    streams={"audio": StreamSpec(3, "sound"), "visual_2d": StreamSpec(5, "look", 2)},
    annotations=AnnotationFiles(),
)

IDS = {
    "train": ("-aaaaaaaaaa_0_2", "bbbbbbbbbbb_1.5_3.5", "ccccccccccc_0_2"),
    "validation": ("ddddddddddd_0_2", "eeeeeeeeeee_0_2"),
    "test": ("fffffffffff_0_2",),
}


@pytest.fixture
def spec() -> DataSpec:
    return SPEC


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder with ``annotations`` and ``features`` of the small data set, as a user has them."""
    annotations = tmp_path / "raw" / "annotations"
    annotations.mkdir(parents=True)
    for split, ids in IDS.items():
        rows = "".join(f"{video}\t{'Owl,Crow' if n else 'Wren'}\n" for n, video in enumerate(ids))
        (annotations / f"{split}.csv").write_text("filename\tevent_labels\n" + rows)
    header = "filename\tonset\toffset\tevent_labels\n"
    (annotations / "audio.csv").write_text(
        header + "ddddddddddd_0_2\t0\t1\tWren\nfffffffffff_0_2\t0.5\t2\tWren\n"
    )
    (annotations / "visual.csv").write_text(header + "eeeeeeeeeee_0_2\t1.5\t2\tOwl\n")
    random = np.random.default_rng(0)
    for name, stream in SPEC.streams.items():
        folder = tmp_path / "raw" / "features" / stream.folder
        folder.mkdir(parents=True)
        for ids in IDS.values():
            for video in ids:
                shape = (SPEC.segments * stream.frames, stream.dim)
                value = random.standard_normal(shape, dtype=np.float32)
                # Half of the streams are named in full, half by the first 11 characters.
                stem = video if name == "audio" else video[:11]
                np.save(folder / f"{stem}.npy", value)
    return tmp_path / "raw"
