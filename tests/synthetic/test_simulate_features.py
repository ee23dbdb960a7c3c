"""Simulated feature vectors: their parts, their independence, their scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlld.synthetic.features import features, presets
from rlld.synthetic.features.drawn import draw_labels
from rlld.synthetic.features.labels import generator
from rlld.synthetic.features.presets import AUDIO, CONFUSED, DIMENSIONS, PRESETS, VISUAL, Difficulty
from rlld.synthetic.features.statistics import load_statistics
from rlld.synthetic.features.writing import LEVELS, appearances
from rlld.taxonomy import LLP

SILENT = Difficulty(0.6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
SCALE = 0.5 * np.sqrt(DIMENSIONS)


def draw(level: Difficulty, weak: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, ...]:
    looks = appearances()[1]
    (found,) = features.draw_segments([looks], [level], weak, events, generator(1))
    return found, looks


def one_event() -> tuple[np.ndarray, np.ndarray]:
    weak = np.zeros((6, 25), np.uint8)
    weak[:, 4] = 1
    events = np.zeros((6, 10, 1, 25), bool)
    events[:, 2:5, 0, 4] = True
    return weak, events


def test_without_variation_a_segment_is_the_sum_of_prototypes() -> None:
    weak, events = one_event()
    events[:, 4, 0, 7] = True
    found, looks = draw(SILENT, weak, events)
    expected = np.zeros((6, 10, DIMENSIONS))
    expected[:, 2:5] += looks.prototypes[4]
    expected[:, 4] += looks.prototypes[7]
    assert found == pytest.approx(SCALE * expected, abs=1e-5)


def test_context_depends_on_the_label_and_not_on_the_event() -> None:
    weak, events = one_event()
    found, looks = draw(replace(SILENT, context=1.0), weak, events & False)
    assert (found == found[:, :1]).all()
    cosine = (found[:, 0] @ looks.contexts[4]) / np.linalg.norm(found[:, 0], axis=1)
    assert cosine == pytest.approx(np.linalg.norm(looks.contexts[4]), rel=1e-5)
    silent, _ = draw(replace(SILENT, context=1.0), weak * 0, events & False)
    assert not silent.any()


def test_an_instance_is_the_same_throughout_its_video() -> None:
    weak, events = one_event()
    found, _ = draw(replace(SILENT, instance=1.0, sub=1.0, amplitude_sd=0.5), weak, events)
    assert (found[:, 2:3] == found[:, 2:5]).all()
    assert not (found[0, 2] == found[1, 2]).any()


def test_distractors_come_at_their_rate_from_one_class_per_video() -> None:
    weak = np.zeros((400, 25), np.uint8)
    events = np.zeros((400, 10, 1, 25), bool)
    level = replace(SILENT, distractor=0.3, distractor_amplitude=0.5)
    found, looks = draw(level, weak, events)
    amount = np.linalg.norm(found, axis=-1) / SCALE
    assert (amount > 0).mean() == pytest.approx(0.3, abs=0.03)
    assert amount.max() <= 0.5
    assert amount[amount > 0].mean() == pytest.approx(0.25, abs=0.02)
    for video, rows in enumerate(found[:50]):
        stray = rows[amount[video] > 0.01]
        closeness = (stray @ looks.prototypes.T) / np.linalg.norm(stray, axis=1, keepdims=True)
        assert (closeness.max(1) > 0.9999).all()
        assert len(set(closeness.argmax(1))) <= 1


def test_modalities_share_something_beyond_the_events() -> None:
    weak = np.zeros((1500, 25), np.uint8)
    events = np.zeros((1500, 2, 2, 25), bool)
    levels = [replace(SILENT, nuisance=1.0)] * 2
    looks = appearances()
    audio, visual = features.draw_segments(looks, levels, weak, events, generator(2))
    # Cov(audio, visual) = shared_a' shared_v / D: the private halves are independent.
    found = audio[:, 0].T @ visual[:, 0] / len(weak) / SCALE**2
    expected = looks[0].shared.T @ looks[1].shared / DIMENSIONS
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.7


def test_confused_classes_are_closer_than_others() -> None:
    for look in appearances():
        assert np.linalg.norm(look.prototypes, axis=1) == pytest.approx(1, abs=1e-5)
        cosine = look.prototypes @ look.prototypes.T
        together = np.zeros((25, 25), bool)
        for group in CONFUSED:
            index = LLP.indices(group)
            together[np.ix_(index, index)] = True
        np.fill_diagonal(together, False)
        apart = ~together & ~np.eye(25, dtype=bool)
        assert cosine[together].mean() > cosine[apart].mean() + 0.1


def test_any_number_of_classes_and_groups() -> None:
    look = features.draw_appearance(AUDIO, 3, [(0, 2)], generator(0))
    weak = np.eye(3, dtype=np.uint8)
    events = np.repeat(weak[:, None, None] > 0, 7, axis=1)
    (found,) = features.draw_segments([look], [AUDIO], weak, events, generator(0))
    assert found.shape == (3, 7, DIMENSIONS)
    assert found.dtype == np.float32


def test_lift_has_orthonormal_rows_and_keeps_distances() -> None:
    rows = features.draw_lift(512, generator(0))
    assert rows @ rows.T == pytest.approx(np.eye(DIMENSIONS), abs=1e-5)
    segments = generator(1).standard_normal((2, 3, DIMENSIONS), np.float32)
    lifted = features.lift(segments, rows, 2.0, 0.0, generator(2))
    assert lifted @ rows.T == pytest.approx(2 * segments, abs=1e-4)
    noisy = features.lift(segments, rows, 2.0, 0.1, generator(2)) - lifted
    assert noisy.std() == pytest.approx(0.1, rel=0.05)


def test_lifted_features_have_the_intended_scale() -> None:
    known = load_statistics()
    labels = draw_labels(known, known.train, tuple(map(str, range(1000))), generator(0))
    segments = features.draw_segments(
        appearances(), LEVELS, labels.weak, labels.events, generator(1)
    )
    for number, stream in enumerate(PRESETS["llp"].streams.values()):
        rows = features.draw_lift(stream.dim, generator(2, number))
        lifted = features.lift(
            segments[stream.modality], rows, stream.gain, stream.noise, generator(3)
        )
        assert lifted.std() == pytest.approx(0.8, abs=0.05)


def test_presets_have_the_published_dimensions() -> None:
    dims = {
        name: {stream: value.dim for stream, value in preset.streams.items()}
        for name, preset in presets.PRESETS.items()
    }
    assert dims == {
        "compact": {"audio": 40, "visual_2d": 40},
        "llp": {"audio": 128, "visual_2d": 2048, "visual_3d": 512},
    }
    assert VISUAL.context > AUDIO.context
