"""Decoding of a clip as segments of sound and pictures, in flat memory.

Sound and pictures are read through two independent handles of the file, so that nothing has to be
buffered however badly a file interleaves them, and both are placed by the one clock of the clip:
second 5 of the sound is what is heard while the pictures of second 5 are seen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlld.errors import RlldError
from rlld.media.clock import Clock, survey
from rlld.media.container import ClipInfo, open_media
from rlld.media.pictures import PictureRows
from rlld.media.reading import Track
from rlld.media.sound import SoundRows
from rlld.media.tracks import AS_PLAYED, TrackChoice, choose
from rlld.media.views import Row, Segment, View, segment_of, views_by_kind

SLACK = 0.1
"""A rest shorter than this many seconds makes no segment: codecs pad the end of a clip."""

CUT = 0.5
"""Seconds by which a clip may end before its header says so."""


def segment_count(duration: float, segment_seconds: float, pad: float = 0.0) -> int:
    """Returns the segments of a clip: the last one may be partial, a tiny rest makes none.

    Args:
        duration: Seconds.
        segment_seconds: Length of a segment in seconds.
        pad: Seconds at the end that make no segment of their own, when these are more.
    """
    rest = max(min(SLACK, segment_seconds / 2), pad)
    return max(1, math.ceil((duration - rest) / segment_seconds))


def probe(path: Path | str) -> ClipInfo:
    """Reads what is known of a clip without decoding it.

    Raises:
        RlldError: If the file is missing, empty, damaged, or holds neither sound nor pictures.
    """
    return Clip(path).info


class Clip:
    """A clip to be decoded.

    Args:
        path: The file.
        tracks: Which of several tracks are used; those of a player when not given.

    Attributes:
        info: What its header and its packets say.
        clock: The clock that all readers of the clip share.

    Raises:
        RlldError: If the file is missing, empty, damaged, or holds neither sound nor pictures.
    """

    def __init__(self, path: Path | str, tracks: TrackChoice = AS_PLAYED) -> None:
        self.path = Path(path)
        with open_media(self.path) as container:
            chosen = choose(container, self.path, tracks)
            self._indices = {kind: stream.index for kind, stream in chosen.streams.items()}
            video = chosen.streams.get("video")
            width, height = (video.width, video.height) if video is not None else (0, 0)
            self.clock: Clock = survey(container, self.path, chosen.streams)
        self.info = ClipInfo(
            path=str(self.path),
            duration=self.clock.end,
            has_audio="audio" in self._indices,
            has_video="video" in self._indices,
            width=width,
            height=height,
            notes=(*chosen.notes, *self.clock.notes),
        )
        self._read: dict[str, Track] = {}
        self._notes: list[str] = []

    def track(self, kind: str) -> Track | None:
        """Returns a reader of the track of a kind that is used, None when there is none."""
        if kind not in self._indices:
            return None
        return Track(self.path, self._indices[kind], kind, self.clock.tracks[kind])

    def count(self, segment_seconds: float, ends: Mapping[str, float] | None = None) -> int:
        """Returns the number of segments.

        Where there are sound and pictures, a rest that only the padding of one of them explains
        makes no segment.

        Args:
            segment_seconds: Length of a segment in seconds.
            ends: Seconds at which tracks were found to end, by kind; as their packets say when
                not given.
        """
        both = len(self._indices) > 1
        return max(
            segment_count(
                (ends or {}).get(kind, clock.end), segment_seconds, clock.pad if both else 0.0
            )
            for kind, clock in self.clock.tracks.items()
        )

    def segments(self, segment_seconds: float, views: Sequence[View]) -> Iterator[Segment]:
        """Decodes the clip segment by segment, each track once.

        Args:
            segment_seconds: Length of a segment in seconds.
            views: What is wanted of each segment.

        Yields:
            Segments from 0 without gaps, as long as any track lasts. What cannot be decoded is left
            out and noted in ``outcome``.

        Raises:
            RlldError: If nothing at all can be decoded.
        """
        self._read, self._notes = {}, []
        parts = [
            self._rows(track, segment_seconds, wanted)
            for kind, wanted in views_by_kind(views).items()
            if wanted and (track := self.track(kind)) is not None
        ]
        index = 0
        waiting: deque[Row] = deque()
        while row := _joined(parts):
            waiting.append(row)
            # What only padding may explain waits until more than padding has come.
            while waiting and self._certain(index, segment_seconds):
                yield segment_of(index, waiting.popleft(), views)
                index += 1
        if not any(track.decoded for track in self._read.values()) and self._all_read():
            raise RlldError(
                f"{self.path}: neither sound nor picture could be decoded; the file is damaged, "
                "get it again"
            )
        for number in range(index, self.count(segment_seconds, self._ends())):
            yield segment_of(number, waiting.popleft() if waiting else {}, views)

    def outcome(self) -> ClipInfo:
        """Returns what is known once ``segments`` has ended: decoded length and notes."""
        notes = [*self.info.notes, *self._notes]
        end = max((*self._ends().values(), *self._unread_ends()), default=0.0)
        if end < self.clock.stated - CUT:
            notes.append(
                f"ends after {end:.1f} s although its header says {self.clock.stated:.1f} s: "
                "damaged or cut off"
            )
        return replace(self.info, duration=end, notes=tuple(notes))

    def _rows(self, track: Track, seconds: float, views: list[Any]) -> Iterator[Row]:
        """Yields what the views of a track show of consecutive segments."""
        from av.error import FFmpegError

        self._read[track.kind] = track
        rows = (SoundRows if track.kind == "audio" else PictureRows)(views, seconds)
        try:
            for time, frame in track.frames():
                yield from rows.push(time, frame)
        except FFmpegError as error:
            raise RlldError(
                f"{self.path}: its {track.kind} cannot be converted ({error}); get the file again"
            ) from None
        if track.decoded:
            yield from rows.rest(segment_count(track.end, seconds))
        self._notes += [*track.notes(), *rows.notes()]

    def _certain(self, index: int, seconds: float) -> bool:
        return index < self.count(seconds, self._ends())

    def _ends(self) -> dict[str, float]:
        return {kind: track.end for kind, track in self._read.items()}

    def _unread_ends(self) -> list[float]:
        return [clock.end for kind, clock in self.clock.tracks.items() if kind not in self._read]

    def _all_read(self) -> bool:
        return self._read.keys() == self._indices.keys()


def _joined(parts: list[Iterator[Row]]) -> Row:
    """Returns what is shown of the next segment, nothing when all parts have ended."""
    return {view: shown for part in parts for view, shown in next(part, {}).items()}
