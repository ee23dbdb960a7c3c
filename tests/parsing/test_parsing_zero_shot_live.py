"""Named classes in a source that goes on: the events of the whole, no later than promised."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.errors import RlldError
from rlld.open_classes.calibrated import Calibrated, CalibratedRule, Taught
from rlld.open_classes.similarities import Similarities
from rlld.parsing import zero_shot_live
from rlld.parsing.result import Source
from rlld.parsing.zero_shot import Compared, decide
from rlld.parsing.zero_shot_live import LATEST, LiveNames, name_live

NAMES = ("Speech", "Dog", "glass breaking")


def tracks(seed: int, segments: int) -> np.ndarray:
    """Similarities (S, 2, C) of a clip in which classes last for some seconds."""
    random = np.random.default_rng(seed)
    held = np.repeat(random.random((segments // 3 + 1, 2, 3)) < 0.3, 3, axis=0)[:segments]
    rows = 0.2 + 0.25 * held + 0.03 * random.normal(size=held.shape)
    rows[random.random(segments) < 0.1, 0] = np.nan
    return rows


def similarities(rows: np.ndarray) -> Similarities:
    return Similarities(rows[:, 0], rows[:, 1], np.ones(len(rows) - 1))


def taught_rule() -> CalibratedRule:
    plain = CalibratedRule(Calibrated(), NAMES)
    clips = [similarities(np.nan_to_num(tracks(n, 10), nan=0.2)) for n in range(30)]
    learned = (plain.learned(clips, 0), plain.learned(clips, 1))
    return CalibratedRule(Calibrated(), NAMES, taught=Taught(learned, np.ones(3, bool)))


RULE = taught_rule()
NAMER = SimpleNamespace(similarities=lambda chunks: similarities(chunks[0]["rows"]))
"""One that is given similarities and passes them on."""


def told(rows: np.ndarray, chunk: int, seconds: float):
    parts = [{"rows": rows[start : start + chunk]} for start in range(0, len(rows), chunk)]
    return list(name_live(NAMER, RULE, Source("s", parts, lambda: (seconds, ()))))


def key(event):
    return event.label, event.modality, event.start, event.end


@given(
    seed=st.integers(0, 2**32 - 1),
    segments=st.integers(1, 70),
    chunk=st.sampled_from((1, 3, 10)),
)
def test_what_is_told_is_what_is_found_in_the_whole(seed, segments, chunk):
    rows = tracks(seed, segments)
    seconds = segments - 0.4
    (parse,) = decide([Compared("s", seconds, similarities(rows))], NAMES, RULE, "m")
    lines = told(rows, chunk, seconds)
    ended = [line.event for line in lines if line.state == "end"]
    assert sorted(map(key, ended)) == sorted(map(key, parse.events))
    wanted = {key(event): event.confidence for event in parse.events}
    for event in ended:
        assert event.confidence == pytest.approx(wanted[key(event)], abs=1e-6)
    assert [line.state for line in lines] == ["begin", "end"] * len(ended)


def test_an_event_is_told_as_late_as_promised_at_most():
    rows = tracks(5, 300)
    arrived = 0

    def coming():
        nonlocal arrived
        for row in range(len(rows)):
            arrived = row + 1
            yield {"rows": rows[row : row + 1]}

    waits = [
        arrived - line.event.end
        for line in name_live(NAMER, RULE, Source("s", coming(), lambda: (300.0, ())))
        if line.state == "end" and line.event.modality != "audio_visual"
    ]
    assert len(waits) > 20 and max(waits[:-3]) <= LATEST and min(waits) >= 0


def test_memory_is_flat_and_what_runs_on_is_told_in_pieces(monkeypatch):
    monkeypatch.setattr(zero_shot_live, "LONGEST", 40)
    events = LiveNames(RULE)
    lines = []
    for second in range(200):
        likely = np.zeros((1, 2, 3))
        likely[0, 0, 1] = 0.9  # for ever
        likely[0, 1, 2] = 0.9 if second % 4 < 2 else 0.1
        lines += events.push(likely)
        assert len(events._held) <= 40 and sum(map(len, events._told.values())) <= 4
    lines += events.finish(200.0)
    ended = [key(line.event) for line in lines if line.state == "end"]
    assert [each[2:] for each in ended if each[0] == "Dog"] == [
        (float(start), start + 40.0) for start in range(0, 200, 40)
    ]
    assert len([each for each in ended if each[0] == "glass breaking"]) == 50


def test_odd_sources_are_refused():
    with pytest.raises(RlldError, match="no segment"):
        told(np.zeros((0, 2, 3)), 1, 0.0)
    rows = tracks(0, 3)
    rows[1, 1, 2] = np.nan
    with pytest.raises(RlldError, match="features that are no numbers"):
        told(rows, 1, 3.0)
