"""Rendered data sets have LLP's label noise."""

from __future__ import annotations

import numpy as np
import pytest

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.spec import LLP_SPEC
from rlld.synthetic.clips.labels import draw_dataset, draw_weak, rendered_classes
from rlld.synthetic.features.labels import generator
from rlld.synthetic.features.statistics import load_statistics, restrict
from rlld.taxonomy import LLP


@pytest.fixture(scope="module")
def drawn():
    return draw_dataset(rendered_classes(12), (10, 10, 6000), 0)["test"]


def perceived(weak, events, label, number):
    """How often a class is audible and visible where it is one of ``number`` labels."""
    chosen = (weak[:, label] > 0) & (weak.sum(1) == number)
    return events[chosen].any(1)[..., label].mean(0), int(chosen.sum())


def test_labels_are_perceived_as_often_as_the_statistics_say(drawn):
    known, compared = load_statistics(), 0
    for label, name in enumerate(rendered_classes(12)):
        both, heard, seen, neither = known.states[LLP.index(name)][1]
        number = both + heard + seen + neither
        ours, _ = perceived(drawn.weak, drawn.events, label, 2)
        if number >= 30:
            real = np.array([both + heard, both + seen]) / number
            np.testing.assert_allclose(ours, real, atol=0.06, err_msg=name)
            compared += 1
    assert compared >= 8


def test_labels_are_perceived_as_often_as_in_llp(drawn, shared_llp):
    names = ("AVVP_val_pd.csv", "AVVP_test_pd.csv")
    weak = [read_weak(shared_llp / name, LLP) for name in names]
    ids = [video for part in weak for video in part.ids]
    labels = np.concatenate([part.labels for part in weak])
    files = ("AVVP_eval_audio.csv", "AVVP_eval_visual.csv")
    maps = [rasterise(read_dense(shared_llp / name, LLP), ids, LLP_SPEC) for name in files]
    events = np.stack(maps, axis=2)
    compared = 0
    for label, name in enumerate(rendered_classes(12)):
        real, seen = perceived(labels, events, LLP.index(name), 2)
        ours, _ = perceived(drawn.weak, drawn.events, label, 2)
        if seen >= 30:
            np.testing.assert_allclose(ours, real, atol=0.06, err_msg=name)
            compared += 1
    assert compared >= 8


def test_videos_have_llps_number_of_labels(drawn):
    numbers = np.bincount(drawn.weak.sum(1), minlength=4) / len(drawn.weak)
    # 616, 1016 and 174 of the 1,849 validation and test videos.
    np.testing.assert_allclose(numbers[1:4], [0.333, 0.549, 0.094], atol=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_every_class_occurs_in_training(seed):
    weak = draw_dataset(rendered_classes(12), (24, 1, 1), seed)["train"].weak
    assert (weak.sum(0) > 0).all()


def test_classes_but_speech_are_equally_frequent():
    classes = rendered_classes(12)
    weak = draw_weak(classes, load_statistics().train, 1000, generator(0))
    others = np.delete(weak.sum(0), classes.index("Speech"))
    assert others.max() - others.min() <= 0.03 * others.mean() + 3


def test_ids_are_unique_and_of_llps_form():
    splits = draw_dataset(rendered_classes(3), (300, 50, 50), 1)
    ids = [video for split in splits.values() for video in split.ids]
    assert len({video.lower() for video in ids}) == 400
    for video in ids:
        youtube, start, end = video[:11], *video[12:].split("_")
        assert len(youtube) == 11 and youtube[0].isalpha() and int(end) - int(start) == 10


def test_the_seed_decides():
    first, again, other = (draw_dataset(rendered_classes(4), (9, 3, 3), s) for s in (5, 5, 6))
    for split in first:
        assert first[split].ids == again[split].ids
        np.testing.assert_array_equal(first[split].events, again[split].events)
    assert first["train"].ids != other["train"].ids


def test_restrict_keeps_the_rows_of_its_classes():
    whole = load_statistics()
    part = restrict(whole, ("Dog", "Speech"))
    dog, speech = LLP.index("Dog"), LLP.index("Speech")
    assert part.classes == ("Dog", "Speech")
    assert part.states == (whole.states[dog], whole.states[speech])
    assert part.train.pairs[1][0] == whole.train.pairs[speech][dog]
    assert part.masks["same"][0] == whole.masks["same"][dog]
