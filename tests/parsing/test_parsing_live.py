"""Events told while a source runs: those of the whole, no later than promised, in flat memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rlld.metrics.gates import Gate
from rlld.parsing import live
from rlld.parsing.events import events_from
from rlld.parsing.live import LiveEvents, LiveWindows, Told, live_events
from rlld.parsing.result import Event
from rlld.parsing.windows import Windows, decide
from windows_kit import CLASSES, GATES, features, key, pooling, spec_of, streams


def offline(values: Tensor, length: int, gate: Gate) -> tuple[Event, ...]:
    windows = Windows(pooling, length)
    windows.push(streams(values))
    evidence = windows.finish()
    active = decide(evidence, gate)
    return events_from(active, evidence.segment.numpy(), CLASSES, 0.5, len(values) * 0.5)


def told(values: Tensor, length: int, gate: Gate, chunk: int) -> list[Told]:
    parts = [streams(part) for part in values.split(chunk)]
    reader, spec = LiveWindows(pooling, length), spec_of(length)
    return list(live_events(reader, spec, gate, parts, (True, True), lambda: len(values) * 0.5))


@given(
    seed=st.integers(0, 2**32 - 1),
    segments=st.integers(1, 70),
    length=st.sampled_from((1, 2, 3, 6, 10)),
    chunk=st.sampled_from((1, 3, 10)),
    gate=st.sampled_from(GATES),
)
def test_what_is_told_is_what_is_found_in_the_whole(seed, segments, length, chunk, gate):
    values = features(seed, segments)
    wanted = offline(values, length, gate)
    lines = told(values, length, gate, chunk)
    ended = [line.event for line in lines if line.state == "end"]
    assert sorted(map(key, ended)) == sorted(map(key, wanted))
    confidence = {key(event): event.confidence for event in wanted}
    for event in ended:
        assert event.confidence == pytest.approx(confidence[key(event)], abs=1e-6)
    begun = [key(line.event)[:3] for line in lines if line.state == "begin"]
    assert sorted(begun) == sorted(key(event)[:3] for event in wanted)
    places = {(line.state, *key(line.event)[:3]): number for number, line in enumerate(lines)}
    assert all(places["begin", *each] < places["end", *each] for each in begun)


@given(seed=st.integers(0, 2**32 - 1), gate=st.sampled_from(GATES))
@settings(max_examples=15)
def test_an_event_ends_a_window_and_three_segments_later_at_most(seed, gate):
    """A segment is settled with the one behind its window, and read with its neighbour."""
    length, values = 6, features(seed, 60)
    spec, windows = spec_of(length), LiveWindows(pooling, length)
    events = LiveEvents(spec, gate, (True, True))
    lines: dict[tuple[str, str, float, float], int] = {}
    for row in range(60):
        settled = windows.push(streams(values[row : row + 1]))
        for line in events.push(settled) if settled is not None else ():
            if line.state == "end":
                lines[key(line.event)] = row
    for event in offline(values, length, gate):
        last = round(event.end / 0.5)
        # One of both tracks may wait for the other: until the gate opens in its run.
        if last + length + 2 < 60 and event.modality != "audio_visual":
            assert lines[key(event)] <= last + length + 2


def test_memory_is_flat_while_nothing_runs_on():
    length, events = 6, LiveEvents(spec_of(6), Gate(), (True, True))
    windows = LiveWindows(pooling, length)
    values = features(1, 400)
    values[::20] = 0.0  # an end of every event
    sizes = []
    for row in range(400):
        settled = windows.push(streams(values[row : row + 1]))
        list(events.push(settled) if settled is not None else ())
        held = 0 if events._held is None else len(events._held.segment)
        ours = [len(windows._weights), len(windows._features["audio"]), held, len(events._ended)]
        sizes.append(max(ours))
    assert max(sizes) <= 2 * length + 20 + 2 * 3 * len(CLASSES)


def test_what_runs_on_for_very_long_is_told_in_pieces(monkeypatch):
    monkeypatch.setattr(live, "LONGEST", 20)
    values = torch.full((100, 2, 3), 0.9)
    ended = [line.event for line in told(values, 6, Gate(), 5) if line.state == "end"]
    crow = [event for event in ended if (event.label, event.modality) == ("Crow", "audio")]
    assert len(crow) > 2 and crow[0].start == 0 and crow[-1].end == 50.0
    assert all(before.end == after.start for before, after in pairwise(crow))


def test_a_modality_that_is_not_there_has_no_events():
    values = torch.full((30, 2, 3), 0.9)
    parts = [streams(values)]
    reader = LiveWindows(pooling, 6)
    lines = live_events(reader, spec_of(6), Gate(), parts, (False, True), lambda: 15.0)
    assert {line.event.modality for line in lines} == {"visual"}


def test_the_last_segment_may_be_cut_short():
    values = torch.full((7, 2, 3), 0.9)
    reader, parts = LiveWindows(pooling, 6), [streams(values)]
    lines = live_events(reader, spec_of(6), Gate(), parts, (True, True), lambda: 3.2)
    assert {line.event.end for line in lines if line.state == "end"} == {3.2}


def test_nothing_is_told_of_nothing():
    reader = LiveWindows(pooling, 6)
    assert list(live_events(reader, spec_of(6), Gate(), [], (True, True), float)) == []
    assert LiveWindows(pooling, 6).finish() is None


def test_lines_leave_out_what_is_not_known_yet():
    event = Event("Owl", "audio", 1.0, 2.5, 0.75)
    assert Told("begin", event).as_dict() == {
        "state": "begin",
        "label": "Owl",
        "modality": "audio",
        "start": 1.0,
    }
    assert Told("end", event).as_dict()["end"] == 2.5
