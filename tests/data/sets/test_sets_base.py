"""What is common to published data sets: repairs, spelling, features of many clocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.sets import features_of_set, load_set, set_names
from rlld.data.sets._annotation import KNOWN
from rlld.data.sets._features import NpyFeatures, Part, by_second
from rlld.data.sets.base import SetEvent, repaired, spell
from rlld.errors import RlldError
from rlld.recipes.fitting import Sizes
from rlld.recipes.recipe import decided_recipe, recipe_names

TIMES = st.floats(0, 50, allow_nan=False)


@given(st.lists(st.tuples(TIMES, TIMES)), st.floats(1, 40))
def test_repaired_events_lie_in_their_video_and_the_others_are_told(times, end):
    events = [SetEvent("v", "Dog", "audio", *own, f"f:{at}") for at, own in enumerate(times)]
    kept, faults = repaired(events, {"v": end})
    assert all(0 <= e.onset < e.offset <= end for e in kept)
    sound = {e for e in events if e.onset < e.offset <= end}
    assert sound <= set(kept)
    assert {event for event, _ in faults} == set(events) - sound
    dropped = sum(text.endswith("dropped") for _, text in faults)
    assert len(kept) == len(events) - dropped


def test_two_names_that_would_become_one_are_refused():
    with pytest.raises(RlldError, match="differ in commas and spaces alone"):
        spell(["Violin, fiddle", "Violin fiddle"])


@given(st.integers(1, 60), st.floats(0.05, 1))
def test_rows_are_averaged_over_the_second_of_their_middle(count, hop):
    rows = np.random.default_rng(count).normal(size=(count, 2)).astype(np.float32)
    slow: dict[int, list[np.ndarray]] = {}
    for number, row in enumerate(rows):
        slow.setdefault(int((number + 0.5) * hop), []).append(row)
    expected = [np.mean(np.array(slow[second], np.float64), axis=0) for second in sorted(slow)]
    np.testing.assert_allclose(by_second(rows, hop), np.array(expected), rtol=1e-5, atol=1e-6)


def test_parts_stand_side_by_side(tmp_path):
    np.save(tmp_path / "v_rgb.npy", np.ones((5, 2), np.float32))
    np.save(tmp_path / "v_flow.npy", np.full((4, 3), 2, np.float32))
    np.save(tmp_path / "w_rgb.npy", np.ones((5, 9), np.float32))
    np.save(tmp_path / "w_flow.npy", np.ones((5, 3), np.float32))
    parts = (Part(2, suffix="_rgb", hop=0.5), Part(3, suffix="_flow", hop=0.5))
    finder = NpyFeatures(tmp_path, {"visual_2d": parts})
    assert finder.names() == {"v", "w"}
    files, missing = finder.find("v")
    assert not missing
    streams, problems = finder.rows("v", files)
    assert not problems
    assert streams["visual_2d"].tolist() == [[1, 1, 2, 2, 2]] * 2
    assert finder.rows("w", finder.find("w")[0]) == (
        {},
        ["visual_2d: w_rgb.npy: shape (5, 9), expected (rows, 2)"],
    )
    assert finder.find("x")[1] == [
        "visual_2d: no file 'x_rgb.npy'",
        "visual_2d1: no file 'x_flow.npy'",
    ]


def test_an_unknown_set_gets_the_nearest_name():
    with pytest.raises(RlldError, match="unknown data set 'lfva'; did you mean 'lfav'"):
        load_set("lfva")


@pytest.mark.parametrize("sizes", [Sizes(50, 20), Sizes(10_000, 649)])
def test_settings_of_sets_that_are_heard_alone_fit_every_recipe(sizes):
    for name in recipe_names():
        recipe, _ = decided_recipe(name, {}, KNOWN["audio"], sizes)
        assert recipe.selection.score == "segment_audio" and recipe.supervision.weight == 0


@pytest.mark.parametrize("name", set_names())
def test_every_set_says_where_files_are_that_are_missing(name, tmp_path):
    with pytest.raises(RlldError, match=str(tmp_path)):
        load_set(name).read(tmp_path)


def test_a_missing_folder_of_features_is_named(tmp_path):
    with pytest.raises(RlldError, match=r"vggish: no such folder.*or in audio-feat-vggish-align"):
        features_of_set("lfav", tmp_path)
