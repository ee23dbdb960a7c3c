"""What the rooms of the package hand to each other.

Shapes: B videos, T segments, C classes, D feature dimensions, R segments of all videos together.
Modality index 0 is audio, 1 is visual. Nothing here imports torch at run time, so that the command
line starts quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rlld.errors import RlldError

if TYPE_CHECKING:
    from torch import Tensor

AUDIO = 0
VISUAL = 1
MODALITIES = ("audio", "visual")
STREAMS = ("audio", "visual_2d", "visual_3d")
"""Names of the feature streams: audio, pictures, motion. A data set may lack the last one."""
PARTS = ("segment", "audio", "visual", "video")
"""The probabilities of a prediction, in the order of its fields."""

Modality = Literal["audio", "visual", "audio_visual"]


@dataclass(frozen=True)
class Batch:
    """Some videos of a split.

    Attributes:
        streams: Features by stream name, each (B, T, D of that stream), floating point; T is that
            of the longest video of the batch, and what lies behind the end of another is 0.
        labels: Weak labels (B, C), 0 or 1, floating point.
        index: Position of each video in its split (B,), int64.
        mask: Which segments are of the video (B, T), bool; None where all are.
        tracks: Which tracks the videos have (B, 2), bool; None where each has both.
    """

    streams: Mapping[str, Tensor]
    labels: Tensor
    index: Tensor
    mask: Tensor | None = None
    tracks: Tensor | None = None

    @property
    def segments(self) -> int:
        """Segments of the longest video."""
        return next(iter(self.streams.values())).shape[1]

    def part(self, values: Tensor) -> Tensor:
        """Returns what a split knows of the segments of these videos (B, T, ...).

        Args:
            values: Of all its videos, each as long as the longest of the split (N, T, ...).
        """
        return values[self.index, : self.segments]


@dataclass(frozen=True)
class Prediction:
    """What any task network returns; all values are probabilities in [0, 1].

    Attributes:
        segment: Segment-level probabilities (B, T, 2, C).
        audio: Video-level probabilities of the audio track (B, C).
        visual: Video-level probabilities of the visual track (B, C).
        video: Fused video-level probabilities (B, C), called global probability in HAN.
        extras: What an objective of the same method needs besides (embeddings, logits ...).
        mask: Which segments belong to their video (B, T), bool, True for those that do; None where
            all do. It is the batch's, and here for whoever sums over segments: elsewhere
            ``segment`` is 0, while extras with a T hold values that mean nothing.
        held: How probable it is that a class that occurs in the video is in each track (B, 2, C),
            by a policy that judged it; None where none did.
    """

    segment: Tensor
    audio: Tensor
    visual: Tensor
    video: Tensor
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None
    held: Tensor | None = None

    def within(self, mask: Tensor | None) -> Prediction:
        """Returns the prediction with a mask, and without events behind the end of a video.

        Args:
            mask: Which segments belong to their video (B, T), bool; None leaves all as it is.
        """
        if mask is None:
            return self
        return replace(self, segment=self.segment * mask[..., None, None], mask=mask)

    def of(self, tracks: Tensor | None) -> Prediction:
        """Returns the prediction without events in tracks that a video lacks.

        Args:
            tracks: Which tracks the videos have (B, 2), bool; None where each has both.
        """
        if tracks is None:
            return self
        heard, seen = tracks[:, AUDIO, None], tracks[:, VISUAL, None]
        segment = self.segment * tracks[:, None, :, None]
        return replace(self, segment=segment, audio=self.audio * heard, visual=self.visual * seen)

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

    def of(self, tracks: Tensor | None) -> ModalityLabels:
        """Returns the targets without events in tracks that a video lacks; ``video`` keeps all.

        Args:
            tracks: Which tracks the videos have (B, 2), bool; None where each has both.
        """
        if tracks is None:
            return self
        heard, seen = tracks[:, AUDIO, None], tracks[:, VISUAL, None]
        segment = None if self.segment is None else self.segment * tracks[:, None, :, None]
        return replace(self, audio=self.audio * heard, visual=self.visual * seen, segment=segment)

    def at(self, index: Tensor, segments: int | None = None) -> ModalityLabels:
        """Returns the targets of some videos; extras belong to all of them.

        Args:
            index: Which videos (n,), int64.
            segments: Segments of the longest of them; as many as there are when None.
        """
        segment = None if self.segment is None else self.segment[index, :segments]
        audio, visual, video = (part[index] for part in (self.audio, self.visual, self.video))
        return ModalityLabels(audio, visual, video, segment, self.extras)
