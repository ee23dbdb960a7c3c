from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rlld.parsing.events import events_from
from rlld.parsing.result import Event
from rlld.utils.runs import runs


@given(st.lists(st.booleans(), max_size=40))
def test_runs_are_those_found_cell_by_cell(cells: list[bool]) -> None:
    expected, start = [], None
    for position, cell in enumerate([*cells, False]):
        if cell and start is None:
            start = position
        elif not cell and start is not None:
            expected.append((start, position))
            start = None
    assert runs(np.array(cells, dtype=bool)) == expected


def test_events_of_a_hand_made_map() -> None:
    probability = np.full((4, 2, 2), 0.1)
    probability[0:3, 0, 1] = [0.6, 0.8, 1.0]
    probability[1:4, 1, 1] = [0.5, 0.7, 0.9]
    probability[3, 0, 0] = 0.75
    found = events_from(probability >= 0.5, probability, ("Cat", "Dog"), 0.5, 1.9)
    assert found == (
        Event("Dog", "audio", 0.0, 1.5, np.mean([0.6, 0.8, 1.0])),
        Event("Dog", "visual", 0.5, 1.9, np.mean([0.5, 0.7, 0.9])),
        Event("Dog", "audio_visual", 0.5, 1.5, np.mean([0.5, 0.7])),
        Event("Cat", "audio", 1.5, 1.9, 0.75),
    )


def test_audio_visual_events_can_be_more_fragmented_than_either_track() -> None:
    active = np.ones((5, 2, 1), dtype=bool)
    active[2, 1] = False
    found = events_from(active, np.full((5, 2, 1), 0.9), ("Dog",), 1.0, 5.0)
    both = [(e.start, e.end) for e in found if e.modality == "audio_visual"]
    assert both == [(0.0, 2.0), (3.0, 5.0)]
    assert [(e.start, e.end) for e in found if e.modality == "audio"] == [(0.0, 5.0)]


def test_no_event_reaches_past_the_end() -> None:
    active = np.ones((3, 2, 1), dtype=bool)
    assert {e.end for e in events_from(active, np.ones((3, 2, 1)), ("Dog",), 1.0, 2.4)} == {2.4}
    assert {e.end for e in events_from(active, np.ones((3, 2, 1)), ("Dog",), 1.0, 2.0)} == {2.0}
