"""What an annotated data set teaches of class names that it knows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rlld.data.annotations import write_dense, write_weak
from rlld.data.spec import FILE_NAME, AnnotationFiles, DataSpec, StreamSpec, spec_text
from rlld.data.store import StoreWriter, store_path
from rlld.errors import RlldError
from rlld.open_classes.calibrated import Calibrated, CalibratedRule
from rlld.open_classes.similarities import Similarities
from rlld.workflows.zero_shot_calibration import calibrated_by

SEGMENTS = 6
VIDEOS = tuple(f"v{number:02d}" for number in range(8))
ANNOTATED = VIDEOS[:5]
STREAMS = {"audio": StreamSpec(3), "visual_2d": StreamSpec(3)}
SPEC = DataSpec(
    name="known",
    classes=("Dog_bark", "Rain", "Speech"),
    segments=SEGMENTS,
    streams=STREAMS,
    annotations=AnnotationFiles(test=""),
    features="fake",
    features_version="1",
)
ASKED = ("glass breaking", "dog bark", "speech")


def namer(version: str = "1") -> SimpleNamespace:
    """One whose features are similarities with the names that are asked for."""

    def similarities(chunks):
        (rows,) = chunks
        return Similarities(
            rows["audio"].astype(float), rows["visual_2d"].astype(float), np.ones(SEGMENTS - 1)
        )

    return SimpleNamespace(
        classes=ASKED,
        encoders="fake",
        extractor=SimpleNamespace(version=version),
        similarities=similarities,
    )


@pytest.fixture
def data(tmp_path):
    """A data set with five annotated validation videos of eight, and their features."""
    random = np.random.default_rng(0)
    maps = random.random((2, len(VIDEOS), SEGMENTS, 3)) < 0.4
    maps[0, :, 0, 0] = True
    tags = maps.any((0, 2))
    folder = tmp_path / "annotations"
    folder.mkdir()
    write_weak(folder / "train.csv", ["t"], np.ones((1, 3)), SPEC.taxonomy)
    write_weak(folder / "validation.csv", VIDEOS, tags, SPEC.taxonomy)
    for name, part in zip(("audio", "visual"), maps, strict=True):
        write_dense(folder / f"{name}.csv", ANNOTATED, part[: len(ANNOTATED)], SPEC)
    (tmp_path / FILE_NAME).write_text(spec_text(SPEC))
    features = random.normal(size=(2, len(VIDEOS), SEGMENTS, 3)).astype(np.float32)
    with StoreWriter(store_path(tmp_path, "validation"), "validation", SPEC) as writer:
        for video, pair in zip(VIDEOS, features.swapaxes(0, 1), strict=True):
            writer.add(video, dict(zip(STREAMS, pair, strict=True)))
        writer.finish(VIDEOS)
    return tmp_path, maps, features


def test_annotated_videos_teach_the_classes_that_bear_the_same_name(data):
    folder, maps, features = data
    found = calibrated_by(folder, namer())
    assert found.videos == len(ANNOTATED)
    assert found.taught.classes.tolist() == [False, True, True]
    clips = [
        Similarities(*features[:, n].astype(float), np.ones(SEGMENTS - 1))
        for n in range(len(ANNOTATED))
    ]
    known = {}
    for number in range(len(ANNOTATED)):
        known[number] = np.full((SEGMENTS, 2, 3), np.nan)
        known[number][:, :, 1] = maps[:, number, :, 0].T
        known[number][:, :, 2] = maps[:, number, :, 2].T
    rule = CalibratedRule(Calibrated(), ASKED, known)
    for modality in range(2):
        wanted, learned = rule.learned(clips, modality), found.taught.learned[modality]
        np.testing.assert_array_equal(learned.middle, wanted.middle)
        np.testing.assert_array_equal(learned.bells.share, wanted.bells.share)
        np.testing.assert_array_equal(learned.bells.present, wanted.bells.present)


def test_data_sets_that_cannot_teach_are_refused(data):
    folder = data[0]

    def refused(spec: DataSpec, told: str, version: str = "1") -> None:
        (folder / FILE_NAME).write_text(spec_text(spec))
        with pytest.raises(RlldError, match=told):
            calibrated_by(folder, namer(version))

    refused(replace(SPEC, segment_seconds=2.0), r"segments of 2 s, names .* of 1 s")
    refused(replace(SPEC, modalities="joint"), r"modalities: joint")
    refused(replace(SPEC, classes=("a", "b", "c")), "none of the classes, but a, b, c")
    bare = AnnotationFiles(test="", audio="", visual="")
    refused(replace(SPEC, annotations=bare), "no annotated validation videos")
    refused(SPEC, "no such folder; the clips of the data set", version="2")
    (folder / "videos").mkdir()
    (folder / "videos" / "other.mp4").write_bytes(b"")
    refused(SPEC, r"no clip of the annotated video 'v00'.*--features fake", version="2")
