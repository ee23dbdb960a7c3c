"""Gate rules: which probability gates what, ties, precision, tags, fused passes, search."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.metrics import (
    GLOBAL,
    PER_MODALITY,
    Gate,
    fuse,
    published_gate,
    scores,
    search_thresholds,
)
from rlld.metrics.gates import smoothed
from rlld.types import Prediction
from rlld.utils.config import from_dict, to_dict


def prediction(videos: int = 4, segments: int = 5, classes: int = 3, seed: int = 0) -> Prediction:
    generator = torch.Generator().manual_seed(seed)
    return Prediction(
        torch.rand(videos, segments, 2, classes, generator=generator),
        *(torch.rand(videos, classes, generator=generator) for _ in range(3)),
    )


@pytest.mark.parametrize(
    ("method", "audio", "visual", "video_level", "segment_level"),
    [
        *[(m, "video", "video", 0.5, 0.5) for m in ("han", "mm_pyramid", "mgn", "cvcms", "valor")],
        *[
            (m, "audio", "visual", 0.5, 0.5)
            for m in ("ma", "cpsp", "jomold", "dhhn", "lsld", "adda")
        ],
        ("mm_cse", "video", "visual", 0.5, 0.5),
        ("cmpae", "audio", "visual", 0.45, 0.25),
        ("coleaf", "audio", "visual", 0.52, 0.25),
        ("nrep", "audio", "visual", 0.45, 0.25),
    ],
)
def test_published_rules(
    method: str, audio: str, visual: str, video_level: float, segment_level: float
) -> None:
    given = prediction(seed=3)
    maps = published_gate(method, 3).apply(given)
    for index, source in enumerate((audio, visual)):
        gate = getattr(given, source)[:, None] >= video_level
        expected = (given.segment[:, :, index] >= segment_level) & gate
        assert torch.equal(maps[:, :, index], expected)


def test_defaults_and_unknown_method() -> None:
    assert Gate() == PER_MODALITY == published_gate("jomold", 25)
    assert published_gate("han", 25) == GLOBAL
    with pytest.raises(RlldError, match="did you mean 'jomold'"):
        published_gate("jomolt", 25)


def test_gate_survives_json() -> None:
    for gate in (Gate(), published_gate("coleaf", 3), published_gate("mm_cse", 3)):
        assert from_dict(Gate, json.loads(json.dumps(to_dict(gate))), "gate") == gate
    with pytest.raises(RlldError, match="expected one of video, modality"):
        from_dict(Gate, {"audio": "global"}, "gate")


def test_ties_count_and_precision_follows_the_published_code() -> None:
    """A probability equal to float32 0.45, which is below the float64 number 0.45."""
    just_below = np.float32(0.45)
    assert float(just_below) < 0.45
    value = torch.tensor([[float(just_below)]])
    tie = Prediction(torch.full((1, 2, 2, 1), 0.25), value, value, value)
    rule = Gate(audio_threshold=0.45, visual_threshold=(0.45,), segment_threshold=0.25)
    maps = rule.apply(tie)
    assert maps[:, :, 0].all()
    assert not maps[:, :, 1].any()
    # Half precision: 0.5 is exact, its lower neighbour is off.
    below = torch.tensor([[0.498]], dtype=torch.bfloat16)
    half = Prediction(torch.full((1, 1, 2, 1), 0.5, dtype=torch.bfloat16), *(below,) * 3)
    assert not Gate().apply(half).any()
    assert Gate(audio_threshold=0.25, visual_threshold=0.25).apply(half).all()


def test_thresholds_per_class() -> None:
    given = prediction(seed=5)
    limits = (0.2, 0.5, 0.8)
    maps = Gate(audio_threshold=limits, segment_threshold=0.0).apply(given)
    assert torch.equal(maps[:, 0, 0], given.audio.double() >= torch.tensor(limits).double())
    with pytest.raises(RlldError, match="2 thresholds for 3 classes"):
        Gate(visual_threshold=(0.1, 0.2)).apply(given)


@pytest.mark.parametrize("bad", [{"segment_threshold": 1.5}, {"audio_threshold": (0.5, -0.1)}])
def test_thresholds_out_of_range(bad: dict[str, object]) -> None:
    with pytest.raises(RlldError, match="out of range"):
        Gate(**bad)  # type: ignore[arg-type]


def test_tags_stand_in_for_the_video_level_gate() -> None:
    given = prediction(seed=7)
    tags = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]])
    without = Gate().apply(given)
    with_tags = Gate().apply(given, tags)
    for video, classes in enumerate(tags.tolist()):
        for label, known in enumerate(classes):
            tracks = given.segment[video, :, :, label].T.tolist()
            strongest = max(max(track) for track in tracks)
            for modality, track in enumerate(tracks):
                holds = known and max(track) >= 0.5 * min(strongest, 1.0)
                limit = min(0.5, 0.35 * max(track) ** 2) if holds else 2.0
                expected = [value >= limit for value in track]
                assert with_tags[video, :, modality, label].tolist() == expected
    assert torch.equal(Gate().apply(given, tags.bool()), with_tags)
    assert without[2].any()
    with pytest.raises(RlldError, match="tags have shape"):
        Gate().apply(given, tags[:2])


def test_a_known_tag_is_where_it_is_strongest_however_weak() -> None:
    heard, seen = torch.tensor([0.10, 0.30, 0.16]), torch.tensor([0.005, 0.14, 0.15])
    level = torch.zeros(1, 1)
    weak = Prediction(torch.stack([heard, seen], 1)[None, ..., None], level, level, level)
    assert not Gate().apply(weak).any()
    found = Gate().apply(weak, torch.ones(1, 1))[0, :, :, 0]
    assert found.tolist() == [[True, False], [True, True], [True, True]]
    silent = replace(weak, segment=torch.zeros_like(weak.segment))
    assert not Gate().apply(silent, torch.ones(1, 1)).any()


def test_fused_passes_are_mixed_in_float32() -> None:
    first, second = prediction(seed=1), prediction(seed=2)
    mixed = fuse(first, second)
    for name in ("segment", "audio", "visual", "video"):
        a, b = getattr(first, name).numpy(), getattr(second, name).numpy()
        expected = np.float32(0.7) * a + np.float32(1 - 0.7) * b
        found = getattr(mixed, name)
        assert found.dtype == torch.float32
        np.testing.assert_array_equal(found.numpy(), expected)
    assert torch.equal(fuse(first, second, 1.0).audio, first.audio)
    with pytest.raises(RlldError, match="fuse ratio"):
        fuse(first, second, 1.2)


def split_of(dense: torch.Tensor, name: str = "validation") -> Split:
    videos, segments, _, classes = dense.shape
    spec = DataSpec(
        "toy",
        tuple(f"class{c}" for c in range(classes)),
        segments,
        1.0,
        {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)},
    )
    ids = tuple(map(str, range(videos)))
    return Split(name, spec, ids, {}, torch.zeros(videos, classes), dense)


def test_search_equals_trying_every_class_alone() -> None:
    given = prediction(12, 6, 3, seed=11)
    generator = torch.Generator().manual_seed(12)
    dense = torch.rand(12, 6, 2, 3, generator=generator) > 0.6
    start = Gate(audio_threshold=0.45, visual_threshold=0.45, segment_threshold=0.25)
    found = search_thresholds(given, split_of(dense), start)
    candidates = [0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
    expected = []
    for c in range(3):
        best, kept = -1.0, 0.0
        for candidate in candidates:
            limits = [0.45, 0.45, 0.45]
            limits[c] = candidate
            maps = replace(start, visual_threshold=tuple(limits)).apply(given)
            value = scores(maps, dense).event_visual
            if value >= best:
                best, kept = value, candidate
        expected.append(kept)
    assert found == replace(start, visual_threshold=tuple(expected))
    assert len(set(expected)) > 1


def test_search_keeps_the_last_of_equal_candidates() -> None:
    """Probability 1 passes every threshold, so all candidates are equally good."""
    dense = torch.ones(2, 4, 2, 2, dtype=torch.bool)
    sure = Prediction(torch.ones(2, 4, 2, 2), *(torch.ones(2, 2),) * 3)
    for modality in ("audio", "visual"):
        found = search_thresholds(sure, split_of(dense), Gate(), modality, "mean")
        assert getattr(found, f"{modality}_threshold") == (0.7, 0.7)


def test_search_refuses_the_test_split_and_wrong_names() -> None:
    dense = torch.ones(4, 5, 2, 3, dtype=torch.bool)
    with pytest.raises(RlldError, match="never chosen on the test split"):
        search_thresholds(prediction(), split_of(dense, "test"), Gate())
    with pytest.raises(RlldError, match="unknown score 'event_visuel'"):
        search_thresholds(prediction(), split_of(dense), Gate(), score="event_visuel")
    with pytest.raises(RlldError, match="unknown modality"):
        search_thresholds(prediction(), split_of(dense), Gate(), modality="picture")
    with pytest.raises(RlldError, match="no dense annotation"):
        search_thresholds(prediction(), replace(split_of(dense), dense=None), Gate())


def test_smoothing_mixes_neighbours_up_to_the_end_of_each_video():
    segment = torch.tensor([[0.9, 0.1, 0.9, 0.0], [0.2, 0.8, 0.4, 0.6]])[..., None, None]
    segment = segment.expand(2, 4, 2, 1).clone()
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    segment[0, 3] = 0
    found = smoothed(segment, 0.25, mask)[:, :, 0, 0]
    # 0.9 / 2 + 0.9 / 4 + 0.1 / 4 and so on; the third segment of the first video is its last.
    wanted = torch.tensor([[0.7, 0.5, 0.7], [0.35, 0.55, 0.55]])
    assert torch.allclose(found[:, :3], wanted)
    level = torch.ones(2, 1)
    prediction = Prediction(segment, level, level, level, mask=mask)
    maps = Gate(smoothing=0.25, segment_threshold=0.45).apply(prediction)[:, :, 0, 0]
    assert maps.tolist() == [[True, True, True, False], [False, True, True, True]]


def test_smoothing_out_of_range_is_refused():
    with pytest.raises(RlldError, match=r"smoothing 0\.6 is out of range"):
        Gate(smoothing=0.6)
