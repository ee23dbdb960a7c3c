"""AV2A's rule (Shaar et al., CVPR 2025): scores among the classes of a clip, falling thresholds.

Source: ``video_parser_optmizer.py``, ``label_shift.py``, ``backbones.py`` of ``eitan159/AV2A`` at
b0d6db8, method ``bbse-cosine``, fusion ``early``. Three things are not the published ones, so that
clips of any length are heard and seen once: a clip, and the stretch of an event, is scored by its
own segments (there: by eight pictures, and its whole sound heard at once); names are put in small
letters; and a segment without sound or picture counts for nothing (there: every clip has both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.open_classes.similarities import Array, Found, Similarities
from rlld.utils.runs import runs


@dataclass(frozen=True)
class Published:
    """Settings of the rule; the defaults are the published ones for CLIP and CLAP.

    Attributes:
        alpha: Weight of the sound in the scores of what is heard and seen at once, in [0, 1].
        keep: Score of the whole clip above which a class is looked for in it, in [0, 1).
        threshold: Score of a segment above which it holds a class, in the first segment of a
            clip, in (0, 1).
        again: Score that the stretch of an event must exceed for the event to stay, in [0, 1).
        gamma: How much slower the threshold of a class falls with every segment that held it.

    Raises:
        RlldError: If a setting is out of range.
    """

    alpha: float = 0.45
    keep: float = 0.5
    threshold: float = 0.75
    again: float = 0.75
    gamma: float = 1.0

    def __post_init__(self) -> None:
        for name in ("alpha", "keep", "threshold", "again"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise RlldError(f"published rule: {name} {value} is out of range; give 0 to 1")
        if not self.gamma >= 0:
            raise RlldError(f"published rule: gamma {self.gamma} is out of range; give 0 or more")

    def __call__(self, clips: Sequence[Similarities]) -> list[Found]:
        """Finds the events of clips; none tells anything of another."""
        return [self._found(clip) for clip in clips]

    def _found(self, clip: Similarities) -> Found:
        segments, classes = clip.audio.shape
        found = Found(np.zeros((3, segments, classes), bool), np.zeros((3, segments, classes)))
        with np.errstate(invalid="ignore", divide="ignore"):
            for track, weight in enumerate((1.0, 0.0, self.alpha)):
                kept = np.flatnonzero(_stretch(clip, weight) > self.keep)
                if len(kept):
                    self._track(clip, weight, kept, found.active[track], found.scores[track])
        return found

    def _track(
        self,
        clip: Similarities,
        weight: float,
        kept: NDArray[np.intp],
        active: NDArray[np.bool_],
        scores: Array,
    ) -> None:
        """Writes what is found of the kept classes in one of the three maps."""
        some = Similarities(clip.audio[:, kept], clip.visual[:, kept], clip.steady)
        values = np.nan_to_num(_segments(some, weight))
        steady = np.ones(len(clip) - 1) if weight == 1 else clip.steady
        above = values > thresholds(values, steady, self)
        stays = np.zeros_like(above)
        for start, end, label in self._again(some, weight, lasting(above)):
            stays[start:end, label] = True
        active[:, kept] = stays
        scores[:, kept] = values

    def _again(
        self, clip: Similarities, weight: float, events: list[tuple[int, int, int]]
    ) -> list[tuple[int, int, int]]:
        """Keeps events whose own stretch holds their class; the best one if none does."""
        if len(events) < 2:
            return events
        scores = [_stretch(clip, weight, start, end)[label] for start, end, label in events]
        stay = [event for event, score in zip(events, scores, strict=True) if score > self.again]
        return stay or [events[int(np.argmax(np.nan_to_num(scores)))]]


def standing(similarities: Array) -> Array:
    """Returns how far classes stand out among the others, by the sigmoid of their z-score.

    So a score says "above the other classes of this segment", not "present". It is NaN where there
    is one class, or all are alike.

    Args:
        similarities: (..., C).
    """
    if similarities.shape[-1] < 2:
        return np.full_like(similarities, np.nan)
    middle = similarities.mean(-1, keepdims=True)
    z = (similarities - middle) / similarities.std(-1, ddof=1, keepdims=True)
    result: Array = 1 / (1 + np.exp(-z))
    return result


def thresholds(scores: Array, steady: Array, rule: Published) -> Array:
    """Returns the threshold of every segment and class (S, C).

    It falls from segment to segment by ``threshold * exp(-gamma n) * steady * w * score``, where n
    is the number of segments so far above their threshold, and w the weight of the class by the
    label shift within the clip (black-box shift estimation with a ridge of 1). Of a class that was
    not above it yet w is 0, so that its threshold stays where it was.

    Args:
        scores: (S, C), in [0, 1].
        steady: Cosine of each segment with the next one (S - 1,).
        rule: The settings.
    """
    segments, classes = scores.shape
    result = np.full((segments, classes), rule.threshold)
    counts, joint = np.zeros(classes), np.zeros((classes, classes))
    for row in range(segments - 1):
        above = scores[row] > result[row]
        counts += above
        joint += np.outer(scores[row], above)
        mean, ahead = joint / (row + 1), scores[row + 1]
        shift = np.linalg.solve(mean.T @ mean + np.eye(classes), mean.T @ ahead)
        fall = rule.threshold * np.exp(-rule.gamma * counts) * steady[row]
        result[row + 1] = result[row] - fall * shift * ahead
    return result


def lasting(above: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Returns events of two segments or more as (first, one past the last, class).

    Single segments are dropped, and then gaps of one segment are closed. The classes are in the
    order of their first segment, dropped ones as well; of equally good events the first is best.

    Args:
        above: Decisions (S, C).
    """
    seen = np.flatnonzero(above.any(0))
    found = []
    for label in sorted(seen.tolist(), key=lambda label: int(above[:, label].argmax())):
        joined: list[tuple[int, int]] = []
        for start, end in runs(above[:, label]):
            if end - start < 2:
                continue
            if joined and start <= joined[-1][1] + 1:
                start = joined.pop()[0]
            joined.append((start, end))
        found += [(start, end, label) for start, end in joined]
    return found


def _segments(clip: Similarities, weight: float) -> Array:
    """Returns the scores of segments (S, C); all sounds are as their mean, as in the source."""
    heard = np.broadcast_to(standing(_mean(clip.audio)), clip.audio.shape)
    return _mixed(heard, standing(clip.visual), weight)


def _stretch(clip: Similarities, weight: float, start: int = 0, end: int | None = None) -> Array:
    """Returns the scores (C,) of some segments together, of all when not given."""
    heard = standing(_mean(clip.audio[start:end]))
    return _mixed(heard, _mean(standing(clip.visual[start:end])), weight)


def _mixed(heard: Array, seen: Array, weight: float) -> Array:
    if weight in (0, 1):
        return heard if weight else seen
    return weight * heard + (1 - weight) * seen


def _mean(rows: Array) -> Array:
    """Returns the mean of the rows (S, C) that hold numbers, NaN when none does."""
    there = ~np.isnan(rows).any(1)
    mean: Array = rows[there].mean(0) if there.any() else np.full(rows.shape[1], np.nan)
    return mean
