"""The scores of sound event detection: PSDS and F with collars, by the package sed_scores_eval.

They are those of DCASE's task on sounds of a home. A lane is one track, or what is in both.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.metrics.detection import Timed
from rlld.utils.extras import optional

PSDS = {
    "psds1": {"dtc_threshold": 0.7, "gtc_threshold": 0.7, "alpha_st": 1.0},
    "psds2": {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
    },
}
"""DCASE's two settings: when an event begins and ends, and which it is."""
COLLARS = {"onset_collar": 0.2, "offset_collar": 0.2, "offset_collar_rate": 0.2}
"""Seconds by which times may differ; at the end a fifth of the event, where that is more."""

Scores = Mapping[str, NDArray[np.floating[Any]]]
"""Of each video, how certain each class is in each segment (T, C)."""


def psds(
    scores: Scores, truth: Iterable[Timed], classes: tuple[str, ...], segment_seconds: float
) -> dict[str, float]:
    """Returns PSDS 1 and 2, over the classes that truly occur.

    Args:
        scores: Certainty in [0, 1].
        truth: True events; those of other videos are left out.
        classes: Names of the C classes.
        segment_seconds: Length of a segment.

    Returns:
        Percent, by ``psds1`` and ``psds2``.

    Raises:
        RlldError: If the package is not installed, or events of less than two classes are true.
    """
    tables, true, lengths = _given(scores, truth, classes, segment_seconds)
    occurring = {label for own in true.values() for *_, label in own}
    if len(occurring) < 2:
        raise RlldError(
            f"only {occurring.pop()!r} occurs in these videos, and PSDS is over two classes or "
            "more; leave it out of --metrics"
        )
    module = _package().intersection_based
    return {
        name: 100 * float(module.psds(tables, true, lengths, max_efpr=100.0, **setting)[0])
        for name, setting in PSDS.items()
    }


def collar_f(
    found: Scores, truth: Iterable[Timed], classes: tuple[str, ...], segment_seconds: float
) -> float:
    """Returns the F-score of events whose times agree within collars, the mean over classes.

    Args:
        found: 1 where a class is found, 0 elsewhere.
        truth: True events; those of other videos are left out.
        classes: Names of the C classes.
        segment_seconds: Length of a segment.

    Returns:
        Percent, over the classes that truly occur.

    Raises:
        RlldError: If the package is not installed, or no event is true.
    """
    tables, true, _ = _given(found, truth, classes, segment_seconds)
    values = _package().collar_based.fscore(tables, true, 0.5, **COLLARS)[0]
    return 100 * float(values["macro_average"])


def merged(events: Iterable[Timed]) -> list[Timed]:
    """Returns events of which no two of a class and video overlap: those that do are one."""
    found: list[Timed] = []
    for event in sorted(events):
        last = found[-1] if found else None
        if last is not None and last[:2] == event[:2] and event.onset < last.offset:
            found[-1] = last._replace(offset=max(last.offset, event.offset))
        else:
            found.append(event)
    return found


def _package(part: str = "") -> Any:
    with warnings.catch_warnings():  # it is about how the package finds its own version
        warnings.simplefilter("ignore", UserWarning)
        return optional(f"sed_scores_eval{part}", "a score of sound event detection")


def _given(
    scores: Scores, truth: Iterable[Timed], classes: tuple[str, ...], segment_seconds: float
) -> tuple[dict[str, Any], dict[str, list[tuple[float, float, str]]], dict[str, float]]:
    """Returns scores, true events and lengths as the package takes them."""
    true: dict[str, list[tuple[float, float, str]]] = {video: [] for video in scores}
    for video, label, onset, offset, _ in merged(e for e in truth if e.video in true):
        true[video].append((onset, offset, label))
    occurring = {label for own in true.values() for *_, label in own}
    if not occurring:
        raise RlldError("no event is true in these videos, so that none can be found or missed")
    kept = [at for at, name in enumerate(classes) if name in occurring]
    names = [classes[at] for at in kept]
    make = _package(".base_modules.scores").create_score_dataframe
    tables = {
        video: _writable(
            make(
                np.asarray(value, np.float64)[:, kept],
                timestamps=np.arange(len(value) + 1) * segment_seconds,
                event_classes=names,
            )
        )
        for video, value in scores.items()
    }
    lengths = {video: len(value) * segment_seconds for video, value in scores.items()}
    return tables, {video: sorted(own) for video, own in true.items()}, lengths


def _writable(table: Any) -> Any:
    """Returns a table whose arrays can be written to, as the package's compiled part asks.

    Those of pandas 3 cannot.
    """

    class Writable(type(table)):  # type: ignore[misc]
        @property
        def _constructor(self) -> type[Any]:
            return Writable

        def to_numpy(self, *args: Any, **options: Any) -> NDArray[Any]:
            return np.array(super().to_numpy(*args, **options))

    return Writable(table)
