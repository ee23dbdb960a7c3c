"""Sampling rules against the figures of the publication, and their properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlld.media.sampling import (
    frame_indices,
    repeats_and_zeros,
    stretch_indices,
    window_bounds,
)


def test_the_published_frames_and_fillings():
    assert frame_indices(80, 10).tolist() == [0, 9, 18, 26, 35, 44, 53, 61, 70, 79]
    assert frame_indices(1, 4).tolist() == [0, 0, 0, 0]
    assert repeats_and_zeros(48_000, 480_000) == (10, 0)
    assert repeats_and_zeros(47_923, 480_000) == (10, 770)
    assert repeats_and_zeros(48_025, 480_000) == (9, 47_775)


@given(st.integers(1, 5000), st.integers(2, 40))
def test_frames_and_windows_cover_a_clip_in_order(count, segments):
    frames = frame_indices(count, segments)
    assert frames[0] == 0
    assert frames[-1] == count - 1
    assert (np.diff(frames) >= 0).all()
    windows = window_bounds(count, segments)
    assert (windows[:, 1] - windows[:, 0] == count // segments).all()
    assert windows[0, 0] == 0
    assert windows[-1, 1] <= count
    assert (windows[1:, 0] >= windows[:-1, 1]).all()


@given(st.integers(1, 3000), st.integers(2, 3000))
def test_stretching_keeps_order_and_both_ends(samples, length):
    index = stretch_indices(samples, length)
    assert len(index) == length
    assert (index[0], index[-1]) == (0, samples - 1)
    assert (np.diff(index) >= 0).all()
    if length == samples:
        assert (index == np.arange(samples)).all()
