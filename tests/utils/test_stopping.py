"""Stopping on request: after a step, never within one, and by whoever can be begun again."""

from __future__ import annotations

import os
import signal

import pytest

from rlld.utils.stopping import repeatable, stop_here, stop_requested


def test_nothing_stops_unasked():
    stop_here()
    with stop_requested():
        stop_here()
        assert list(repeatable("counting", range(3), 3)) == [0, 1, 2]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_what_can_be_repeated_after_its_step(sent):
    seen = []
    with stop_requested(), pytest.raises(KeyboardInterrupt):
        for step in repeatable("counting", range(9), 9):
            if step == 4:
                os.kill(os.getpid(), sent)
            seen.append(step)
    assert seen == [0, 1, 2, 3, 4]
    stop_here()


def test_an_outer_request_is_heard_within_an_inner_one():
    with stop_requested() as outer:
        os.kill(os.getpid(), signal.SIGTERM)
        assert outer == [signal.SIGTERM]
        with stop_requested(), pytest.raises(KeyboardInterrupt):
            stop_here()
        with pytest.raises(KeyboardInterrupt):
            stop_here()
    stop_here()
