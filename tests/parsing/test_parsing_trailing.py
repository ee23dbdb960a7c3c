"""Causal parsing: every segment by the window that it ends, told when the next one has passed."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.parsing.events import events_from
from rlld.parsing.live import LiveEvents, live_events
from rlld.parsing.trailing import Trailing
from rlld.parsing.windows import Evidence, decide, joined
from rlld.types import PARTS
from windows_kit import CLASSES, GATES, features, key, pooling, spec_of, streams


def evidence_of(values: torch.Tensor, length: int, chunk: int, batch: int = 3) -> Evidence:
    reader = Trailing(pooling, length, batch)
    found = joined([reader.push(streams(part)) for part in values.split(chunk)])
    assert reader.finish() is None
    return found


@given(
    seed=st.integers(0, 2**32 - 1),
    segments=st.integers(1, 40),
    length=st.sampled_from((1, 2, 3, 6, 10)),
    chunk=st.sampled_from((1, 3, 10)),
)
def test_every_segment_is_said_by_the_window_that_it_ends(seed, segments, length, chunk):
    values = features(seed, segments)
    found = evidence_of(values, length, chunk)
    for last in range(segments):
        window = values[max(0, last + 1 - length) : last + 1]
        wanted = pooling({name: value[None] for name, value in streams(window).items()})
        torch.testing.assert_close(found.segment[last], wanted.segment[0, -1])
        for part in PARTS[1:]:
            torch.testing.assert_close(getattr(found, part)[last], getattr(wanted, part)[0])


@given(
    seed=st.integers(0, 2**32 - 1),
    segments=st.integers(1, 60),
    chunk=st.sampled_from((1, 4)),
    gate=st.sampled_from(GATES),
)
def test_what_is_told_live_is_what_is_found_in_the_whole(seed, segments, chunk, gate):
    values, spec = features(seed, segments), spec_of(6)
    whole = evidence_of(values, 6, 10)
    active = decide(whole, gate)
    wanted = events_from(active, whole.segment.numpy(), CLASSES, 0.5, segments * 0.5)
    parts, reader = [streams(part) for part in values.split(chunk)], Trailing(pooling, 6, 2)
    lines = live_events(reader, spec, gate, parts, (True, True), lambda: segments * 0.5)
    ended = [line.event for line in lines if line.state == "end"]
    assert sorted(map(key, ended)) == sorted(map(key, wanted))


@pytest.mark.parametrize("gate", GATES, ids=["plain", "video", "smooth"])
def test_an_event_is_over_when_the_next_segment_has_passed(gate):
    """Or the one behind it, where neighbours are mixed in.

    Of both tracks one may wait for the other: until the gate opens in its run.
    """
    values = features(7, 60)
    reader, events = Trailing(pooling, 6, 2), LiveEvents(spec_of(6), gate, (True, True))
    late = []
    for row in range(60):
        for line in events.push(reader.push(streams(values[row : row + 1]))):
            if line.state == "end" and line.event.modality != "audio_visual":
                late.append(row - round(line.event.end / 0.5))
    assert len(late) > 20 and set(late) == {1 if gate.smoothing else 0}


def test_memory_is_flat():
    reader = Trailing(pooling, 10, 4)
    for _ in range(200):
        reader.push(streams(torch.rand(3, 2, 3)))
        assert len(reader._features["audio"]) <= 9


def test_of_nothing_there_is_no_evidence():
    with pytest.raises(RlldError, match="no segment"):
        joined([])
