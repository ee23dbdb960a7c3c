"""What the rooms of the package hand to each other.

Shapes: B videos, T segments, C classes, D feature dimensions. Modality index 0 is audio, 1 is
visual. Nothing here imports torch at run time, so that the command line starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from rlld.errors import RlldError

if TYPE_CHECKING:
    from torch import Tensor

AUDIO = 0
VISUAL = 1
MODALITIES = ("audio", "visual")
STREAMS = ("audio", "visual_2d", "visual_3d")
"""Names of the feature streams: audio, pictures, motion. A data set may lack the last one."""

Modality = Literal["audio", "visual", "audio_visual"]


@dataclass(frozen=True)
class Batch:
    """Some videos of a split.

    Attributes:
        streams: Features by stream name, each (B, T, D of that stream), floating point.
        labels: Weak labels (B, C), 0 or 1, floating point.
        index: Position of each video in its split (B,), int64.
    """

    streams: Mapping[str, Tensor]
    labels: Tensor
    index: Tensor


@dataclass(frozen=True)
class Prediction:
    """What any task network returns; all values are probabilities in [0, 1].

    Attributes:
        segment: Segment-level probabilities (B, T, 2, C).
        audio: Video-level probabilities of the audio track (B, C).
        visual: Video-level probabilities of the visual track (B, C).
        video: Fused video-level probabilities (B, C), called global probability in HAN.
        extras: What an objective of the same method needs besides (embeddings, logits ...).
    """

    segment: Tensor
    audio: Tensor
    visual: Tensor
    video: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    def require_numbers(self, where: str) -> None:
        """Refuses probabilities that are none: a threshold would call them silence.

        Args:
            where: Whose features they were made of, for the message.

        Raises:
            RlldError: If a probability is not a number.
        """
        for part in (self.segment, self.audio, self.visual, self.video):
            if not part.isfinite().all():
                raise RlldError(
                    f"{where}: the features give probabilities that are no numbers, so their "
                    "values are far from those of the training; extract them again"
                )


@dataclass(frozen=True)
class ModalityLabels:
    """Targets for training, soft values allowed.

    Attributes:
        audio: (B, C) in [0, 1].
        visual: (B, C) in [0, 1].
        video: (B, C) in [0, 1], the target of the fused probability.
        segment: Segment-level targets (B, T, 2, C) where a label source has them.
        extras: What an objective of the same method needs besides (shares of wrong labels ...).
    """

    audio: Tensor
    visual: Tensor
    video: Tensor
    segment: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One event of a parsed video.

    Attributes:
        label: Class name.
        modality: Where it is perceived: ``audio``, ``visual`` or ``audio_visual``.
        start: Onset in seconds from the start of the video.
        end: Offset in seconds, exclusive, larger than ``start``.
        confidence: Mean segment probability over the event, in [0, 1].
    """

    label: str
    modality: Modality
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Parse:
    """A parsed video: its events and the probabilities that they were read from.

    Attributes:
        name: File name or id of the video.
        duration: Length of the video in seconds.
        segment_seconds: Length of a segment in seconds; the last one may reach past the end.
        classes: Class names, in the order of the last axis of ``probabilities``.
        events: Events ordered by start, modality and class.
        probabilities: Segment probabilities (segments, 2, C) as nested tuples of floats.
        gates: Video-level probabilities (2, C) that gated them, as nested tuples.
        tags: Known tags that gated the parse, None when none were given.
        notes: What the reader should know (no audio track, for instance).
        model: What parsed it: run folder, network and label source.
    """

    name: str
    duration: float
    segment_seconds: float
    classes: tuple[str, ...]
    events: tuple[Event, ...]
    probabilities: tuple[tuple[tuple[float, ...], ...], ...]
    gates: tuple[tuple[float, ...], ...]
    tags: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    model: str = ""

    def _repr_html_(self) -> str:
        """Shows the timeline in a notebook."""
        from rlld.report.notebook import notebook_html  # a notebook asks; nothing else pays

        return notebook_html(self)
