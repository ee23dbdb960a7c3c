"""The ten F-scores of audio-visual video parsing.

Source: ``segment_level`` and ``event_level`` of AVVP-ECCV20 ``utils/eval_metrics.py`` (Tian, Li
and Xu, ECCV 2020) and the averages of its ``main_avvp.py``; every later method scores alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor

from rlld.errors import RlldError, nearest
from rlld.metrics.counting import Counts, make_counter
from rlld.types import MODALITIES

LEVELS = ("segment", "event")
KINDS = ("audio", "visual", "audio_visual", "type", "event")
NAMES = tuple(f"{level}_{kind}" for level in LEVELS for kind in KINDS)
"""Names of the ten scores, in the published order."""

COLUMNS = tuple(name for name in NAMES if not name.endswith("_type"))
"""Names of the eight values of a video; the two Type scores are means of averages."""

MEAN = "mean"

EXCLUSIVE = "exclusive_"
"""What stands before the names of the ten scores where they are of what is heard or seen alone."""

EXCLUSIVE_NAMES = tuple(f"{EXCLUSIVE}{name}" for name in NAMES)

MOMENT = "moment_"
"""What stands before the names of the scores of ``metrics.moments``."""

MOMENT_NAMES = tuple(f"{MOMENT}{kind}" for kind in KINDS[:3])
"""They, in the order of their columns."""

Value = TypeVar("Value", float, Tensor)


@dataclass(frozen=True)
class Scores:
    """The ten F-scores of a split, in percent.

    Audio, visual and audio-visual score one kind of event each, Type is their mean, Event pools
    audio and visual counts. The segment level compares single segments, the event level whole
    events.
    """

    segment_audio: float
    segment_visual: float
    segment_audio_visual: float
    segment_type: float
    segment_event: float
    event_audio: float
    event_visual: float
    event_audio_visual: float
    event_type: float
    event_event: float

    @property
    def mean(self) -> float:
        """The mean of the ten, the eleventh figure of CMPAE, CoLeaF, MM-CSE and ADDA."""
        return float(sum(astuple(self)) / len(NAMES))

    def modality_mean(self, modality: str) -> float:
        """Returns DHHN's score of a modality, the mean of its segment- and event-level score.

        Args:
            modality: ``audio`` or ``visual``.

        Raises:
            RlldError: If there is no such modality.
        """
        if modality not in MODALITIES:
            raise RlldError(f"unknown modality {modality!r}{nearest(modality, MODALITIES)}")
        values = self.as_dict()
        return (values[f"segment_{modality}"] + values[f"event_{modality}"]) / 2

    def as_dict(self) -> dict[str, float]:
        """Returns the scores by name, ``segment_audio`` ... ``event_event``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def nested(self) -> dict[str, dict[str, float]]:
        """Returns ``{"segment": {"audio": ...}, "event": {...}}``."""
        values = self.as_dict()
        return {level: {kind: values[f"{level}_{kind}"] for kind in KINDS} for level in LEVELS}

    def __str__(self) -> str:
        heads = ("Audio", "Visual", "Audio-visual", "Type", "Event")
        rows = ["         " + "".join(f"{head:>14}" for head in heads)]
        for level, values in self.nested().items():
            cells = "".join(f"{value:>14.1f}" for value in values.values())
            rows.append(f"{level.capitalize():<9}{cells}")
        return "\n".join(rows)


class Scorer:
    """Scores predictions against one ground truth, as often as wanted.

    The ground truth is prepared once. Calling the scorer neither waits for the device nor has
    shapes that depend on values, so rewards cost no synchronisation and a CUDA graph can hold it.

    Args:
        truth: True maps (N, T, 2, C), bool, on the device of later predictions; N >= 1.
        iou: Events match from this intersection over union on, in (0, 1].
        exclusive: CoLeaF's audible-only and visible-only variant: audio and visual count only
            in segments where the other modality is silent (in the prediction for predicted, in
            the ground truth for true segments); audio-visual is as usual.

    Raises:
        RlldError: If the maps have another shape or type, or ``iou`` is out of range.
    """

    def __init__(self, truth: Tensor, iou: float = 0.5, exclusive: bool = False) -> None:
        _check_maps(truth, "true")
        self._shape = truth.shape
        self._counter = make_counter(truth, iou, exclusive)

    def counts(self, predicted: Tensor, level: str) -> Counts:
        """Returns the counts (3, N, C) of one level, ``segment`` or ``event``.

        Raises:
            RlldError: If the maps do not fit the ground truth.
        """
        return self._counts(self._encode(predicted), level)

    def per_video(self, predicted: Tensor) -> Tensor:
        """Returns the eight values of each video (N, 8), float64 fractions, as in ``COLUMNS``."""
        encoded = self._encode(predicted)
        return torch.cat([mean_f(self._counts(encoded, level)) for level in LEVELS]).T

    def __call__(self, predicted: Tensor, names: Sequence[str] = NAMES) -> dict[str, Tensor]:
        """Scores predictions.

        Args:
            predicted: Predicted maps (N, T, 2, C), bool.
            names: The scores wanted; levels that none of them needs are not computed.

        Returns:
            Percentages by name, zero-dimensional float64 tensors on the device of the maps.

        Raises:
            RlldError: If the maps do not fit the ground truth, or a name is unknown.
        """
        for name in names:
            _check_name(name, NAMES)
        encoded = self._encode(predicted)
        values: dict[str, Tensor] = {}
        for level in LEVELS:
            if any(name.startswith(f"{level}_") for name in names):
                means = mean_f(self._counts(encoded, level)).mean(1)
                values.update(_percentages(means, level))
        return {name: values[name] for name in names}

    def scores(self, predicted: Tensor) -> Scores:
        """Returns the ten scores as plain numbers; this waits for the device."""
        values = torch.stack(list(self(predicted).values()))
        return Scores(*values.tolist())

    def _encode(self, predicted: Tensor) -> Tensor:
        _check_maps(predicted, "predicted")
        if predicted.shape != self._shape:
            raise RlldError(
                f"predicted maps have shape {tuple(predicted.shape)}, the true ones "
                f"{tuple(self._shape)}; score the same videos, segments and classes"
            )
        return self._counter.encode(predicted)

    def _counts(self, encoded: Tensor, level: str) -> Counts:
        _check_name(level, LEVELS)
        if level == "segment":
            return self._counter.segments(encoded)
        return self._counter.events(encoded)


def scores(predicted: Tensor, truth: Tensor, iou: float = 0.5) -> Scores:
    """Returns the ten F-scores.

    Args:
        predicted: Predicted maps (N, T, 2, C), bool.
        truth: True maps of the same shape and device.
        iou: Events match from this intersection over union on, in (0, 1].

    Raises:
        RlldError: If the maps have another shape or type, or ``iou`` is out of range.

    Examples:
        One video of four segments and one class, heard and seen throughout. The prediction hears
        it in the first half only and sees it in the first three segments:

        >>> truth = torch.ones(1, 4, 2, 1, dtype=torch.bool)
        >>> predicted = truth.clone()
        >>> predicted[0, 2:, 0] = False
        >>> predicted[0, 3:, 1] = False
        >>> found = scores(predicted, truth)
        >>> round(found.segment_audio, 1), round(found.segment_visual, 1)
        (66.7, 85.7)
        >>> found.event_audio, found.event_visual
        (100.0, 100.0)
        >>> scores(predicted, truth, iou=0.75).event_audio  # half of the event is no match any more
        0.0
    """
    return Scorer(truth, iou).scores(predicted)


def exclusive_scores(predicted: Tensor, truth: Tensor, iou: float = 0.5) -> Scores:
    """Returns CoLeaF's audible-only and visible-only scores; see ``Scorer``."""
    return Scorer(truth, iou, exclusive=True).scores(predicted)


def per_video(
    predicted: Tensor, truth: Tensor, iou: float = 0.5, exclusive: bool = False
) -> Tensor:
    """Returns the eight values of each video (N, 8); see ``Scorer.per_video``."""
    return Scorer(truth, iou, exclusive).per_video(predicted)


def event_counts(predicted: Tensor, truth: Tensor, iou: float = 0.5) -> Tensor:
    """Returns event counts (N, 3, C, 3): modality, class, then TP, FP, FN; int64."""
    counts = Scorer(truth, iou).counts(predicted, "event")
    return torch.stack(counts, -1).transpose(0, 1).long()


def ten_scores(columns: Tensor) -> Tensor:
    """Returns the ten percentages (10,), as in ``NAMES``, from the averages (8,) of ``COLUMNS``."""
    values: dict[str, Tensor] = {}
    for level, means in zip(LEVELS, columns.chunk(2), strict=True):
        values.update(_percentages(means, level))
    return torch.stack(list(values.values()))


def require_score(name: str) -> None:
    """Refuses what ``named_score`` cannot look up.

    Raises:
        RlldError: If a name is unknown; the message offers the nearest one.
    """
    named_score(dict.fromkeys((*NAMES, *EXCLUSIVE_NAMES, *MOMENT_NAMES), 0.0), name)


def named_score(values: Mapping[str, Value], name: str) -> Value:
    """Returns a score, a sum of scores, or the mean of the ten.

    Args:
        values: The ten scores by name; those of ``exclusive_scores`` and of ``metrics.moments``
            where the name asks for them.
        name: One of ``NAMES`` or ``MOMENT_NAMES``, several joined by ``+``, or ``mean``; with
            ``exclusive_`` before it, that of ``exclusive_scores``.

    Raises:
        RlldError: If a name is unknown; the message offers the nearest one.

    Examples:
        >>> values = dict.fromkeys(NAMES, 50.0) | {"segment_audio": 60.0, "event_visual": 40.0}
        >>> named_score(values, "segment_audio"), named_score(values, "segment_audio+event_visual")
        (60.0, 100.0)
        >>> named_score(values, "mean")
        50.0
    """
    total: Value | None = None
    for part in name.split("+"):
        term = _single_score(values, part.strip())
        total = term if total is None else total + term
    if total is None:
        raise RlldError("a score needs a name, found none")
    return total


def _single_score(values: Mapping[str, Value], name: str) -> Value:
    means: dict[str, Sequence[str]] = {MEAN: NAMES, f"{EXCLUSIVE}{MEAN}": EXCLUSIVE_NAMES}
    _check_name(name, (*NAMES, *EXCLUSIVE_NAMES, *MOMENT_NAMES, *means))
    if name not in means:
        return values[name]
    first, *rest = (values[each] for each in means[name])
    for value in rest:
        first = first + value
    return first / len(NAMES)


def mean_f(counts: Counts) -> Tensor:
    """Averages the F-scores of each video over the classes that are predicted or present.

    Args:
        counts: Counts of audio, visual and audio-visual, (3, N, C) each.

    Returns:
        (4, N) float64 fractions: audio, visual, audio-visual, and Event, which is audio and visual
        counts added. A video in which nothing is predicted or present has 1.
    """
    twice = _with_pool(2 * counts.tp)
    total = twice + _with_pool(counts.fp + counts.fn)
    # Inactive classes are 0 / 1 here, so they add nothing.
    summed = twice.double().div_(total.clamp(min=1).double()).sum(-1)
    active = total.clamp(max=1).float().sum(-1)
    return torch.where(active > 0, summed / active.clamp(min=1), 1)


def class_f(counts: Counts) -> Tensor:
    """Returns the F-score of each class (4, N, C), float64, NaN where the class is not active.

    The rows are audio, visual, audio-visual and Event, which is audio and visual counts added.
    """
    twice = _with_pool(2 * counts.tp)
    return twice.double() / (twice + _with_pool(counts.fp + counts.fn))


def _with_pool(counts: Tensor) -> Tensor:
    return torch.cat((counts, counts[:1] + counts[1:2]))


def _percentages(means: Tensor, level: str) -> dict[str, Tensor]:
    """Names the averages (4,) of one level, with Type, in percent."""
    audio, visual, both, event = (100 * means).unbind()
    values = (audio, visual, both, (audio + visual + both) / 3, event)
    return {f"{level}_{kind}": value for kind, value in zip(KINDS, values, strict=True)}


def _check_maps(maps: Tensor, which: str) -> None:
    if maps.dtype != torch.bool or maps.dim() != 4 or maps.shape[2] != len(MODALITIES):
        raise RlldError(
            f"{which} maps must be bool of shape (videos, segments, 2, classes), found "
            f"{str(maps.dtype).removeprefix('torch.')} {tuple(maps.shape)}"
        )
    if maps.numel() == 0:
        raise RlldError(f"{which} maps of shape {tuple(maps.shape)} are empty; nothing to score")


def _check_name(name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise RlldError(f"unknown score {name!r}{nearest(name, known)}")
