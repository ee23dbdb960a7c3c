"""A source that goes on, decoded as it comes: a growing file, a pipe, an address.

It is read once, and no further than it has come. Second 0 is the earliest start of its tracks, as
in a clip; time stamps that start over are laid behind what was before. What one track holds waits
for the other for ``LAG`` seconds at most.
"""

from __future__ import annotations

import math
import os
import re
import select
import stat
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.media.clock import (
    AHEAD,
    BACK,
    DISCONTINUOUS,
    EMPTY,
    PAD,
    REORDERED,
    TrackClock,
    fills_up,
    guesses,
    picture_seconds,
)
from rlld.media.container import packets
from rlld.media.decode import segment_count
from rlld.media.pictures import PictureRows
from rlld.media.reading import Track
from rlld.media.sound import SoundRows
from rlld.media.tracks import AS_PLAYED, TrackChoice, choose
from rlld.media.views import Row, Segment, View, segment_of, views_by_kind

if TYPE_CHECKING:
    from av.container import InputContainer

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
SECRET = re.compile(r"(?<=://)[^/@]*@")
POLL = 0.1
"""Seconds after which a growing file is looked at again."""
WAIT = 5.0
"""Seconds of time stamps for which the first frame of a track is waited for."""
LAG = 30.0
"""Seconds by which the tracks of a source may lie apart in it; what comes later is left out."""
STREAMABLE = (
    "give what can be read from its beginning while it is written: mpegts, mkv, webm, ogg, flv, "
    "wav, or mp4 in fragments"
)


class LiveClip:
    """A source that goes on, to be decoded.

    Args:
        source: A file that grows, a pipe (``-`` for standard input) or an address.
        patience: Seconds without anything new after which it counts as ended.
        tracks: Which of several tracks are used; those of a player when not given.

    Attributes:
        name: The source, without passwords.
        stalled: Whether it ended because nothing more came.
        kinds: Which tracks there are, ``audio`` and ``video``.

    Raises:
        RlldError: If it cannot be opened, or holds neither sound nor pictures.
    """

    def __init__(self, source: str, patience: float, tracks: TrackChoice = AS_PLAYED) -> None:
        self.name = SECRET.sub("", source)
        self._patience = patience
        self._flow: _Flow | None = None if ADDRESS.match(source) else _Flow(source, patience)
        self._timed_out = False
        self._container = self._opened(source)
        chosen = choose(self._container, self.name, tracks)
        self._streams = chosen.streams
        self.kinds = tuple(chosen.streams)
        self._notes = [*chosen.notes]
        self._end = 0.0

    @property
    def stalled(self) -> bool:
        """Whether it ended because nothing more came."""
        return self._timed_out or (self._flow is not None and self._flow.stalled)

    @property
    def grows(self) -> bool:
        """Whether it is a file, whose end nothing else tells."""
        return self._flow is not None and self._flow.grows

    def _opened(self, source: str) -> InputContainer:
        import av

        patience = None if self._flow else (self._patience, self._patience)
        try:
            return av.open(self._flow or source, "r", timeout=patience, metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            if self._flow is not None and self._flow.stalled and not self._flow.read_any:
                reason = f"nothing came for {self._patience:g} s"
            else:
                told = getattr(error, "strerror", None) or str(error)
                late = isinstance(error, av.error.ExitError)
                reason = f"no answer for {self._patience:g} s" if late else told
            raise RlldError(f"{self.name}: cannot be read ({reason}); {STREAMABLE}") from None

    def segments(self, segment_seconds: float, views: Sequence[View]) -> Iterator[Segment]:
        """Yields segments from 0 without gaps, each once all tracks have passed it.

        Args:
            segment_seconds: Length of a segment in seconds.
            views: What is wanted of each segment.

        Raises:
            RlldError: If nothing at all could be decoded.
        """
        from av.error import FFmpegError

        wanted = {kind: own for kind, own in views_by_kind(views).items() if own}
        parts = {
            kind: _Part(kind, stream, self._container, wanted[kind], segment_seconds)
            for kind, stream in self._streams.items()
            if kind in wanted
        }
        jumps = bool(self._container.format.flags & DISCONTINUOUS)
        line = _Line(parts, jumps, guesses(self._container))
        index, lag = 0, math.ceil(LAG / segment_seconds)
        try:
            for kind, packet in self._packets(parts):
                line.take(kind, packet)
                while row := _next(parts, lag):
                    yield segment_of(index, row, views)
                    index += 1
        except FFmpegError as error:
            raise RlldError(f"{self.name}: cannot be converted ({error}); {STREAMABLE}") from None
        line.finish()
        if not any(part.track.decoded for part in parts.values()):
            raise RlldError(
                f"{self.name}: neither sound nor picture could be decoded; {STREAMABLE}"
            )
        count = max(part.count(padded=len(self._streams) > 1) for part in parts.values())
        for number in range(index, count):
            yield segment_of(number, _next(parts, -1), views)
        self._end = max(part.track.end for part in parts.values())
        self._notes += [*line.notes(), *(note for part in parts.values() for note in part.notes())]

    def _packets(self, parts: dict[str, _Part]) -> Iterator[tuple[str, Any]]:
        from av.error import ExitError, FFmpegError

        kinds = {part.stream.index: kind for kind, part in parts.items()}
        try:
            for packet in packets(self._container, [p.stream for p in parts.values()], self._late):
                yield kinds[packet.stream_index], packet
        except ExitError:
            self._timed_out = True
        except FFmpegError as error:  # what came before it stands
            self._notes.append(f"ended by damage ({error})")

    def _late(self) -> None:
        note = "a track that began later is left out"
        if note not in self._notes:
            self._notes.append(note)

    def outcome(self) -> tuple[float, tuple[str, ...]]:
        """Returns the decoded seconds, and notes, once ``segments`` has ended."""
        return self._end, tuple(self._notes)

    def close(self) -> None:
        """Lets go of the source."""
        self._container.close()
        if self._flow is not None:
            self._flow.close()


class _Flow:
    """A growing file or a pipe, read as it comes.

    Attributes:
        grows: Whether it is a file.
        stalled: Whether it ended because nothing more came.
        read_any: Whether anything came.
    """

    def __init__(self, source: str, patience: float) -> None:
        self.stalled = self.read_any = False
        self._patience = patience
        try:
            # Without blocking, or opening a pipe would wait for whoever is to write into it.
            descriptor = 0 if source == "-" else os.open(source, os.O_RDONLY | os.O_NONBLOCK)
            self._file: int | None = os.dup(0) if source == "-" else descriptor
            mode = os.fstat(self._file).st_mode
        except OSError as error:
            raise RlldError(
                f"{source}: cannot be read ({error.strerror}); check the name"
            ) from None
        if stat.S_ISDIR(mode):
            self.close()
            raise RlldError(f"{source}: is a folder; give a file that grows, a pipe or an address")
        self.grows = stat.S_ISREG(mode)

    def read(self, size: int) -> bytes:
        """Returns what comes next; nothing once it has ended."""
        latest = time.monotonic() + self._patience
        while self._file is not None:
            left = latest - time.monotonic()
            if self.grows or select.select([self._file], [], [], max(0.0, min(left, POLL)))[0]:
                try:
                    content = os.read(self._file, size)
                except BlockingIOError:
                    continue
                self.read_any |= bool(content)
                if content or not self.grows:
                    return content
                time.sleep(POLL)
            if left <= 0:
                self.stalled = True
                break
        return b""

    def close(self) -> None:
        """Lets go of it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _Part:
    """A track of the source, cut into rows of segments.

    Attributes:
        rows: Rows that wait for other tracks.
        owed: Rows that will come too late, as others did not wait for them.
        late: Rows that did.
    """

    def __init__(
        self, kind: str, stream: Any, container: Any, views: list[Any], seconds: float
    ) -> None:
        self.stream, self.views = stream, views
        self.picture = picture_seconds(stream) if kind == "video" else 0.0
        clock = TrackClock((0,), (0.0,), math.inf, self.picture, 0.0)
        self.track = Track(Path(), stream.index, kind, clock)
        self.track.prepare(container)
        self.rows: deque[Row] = deque()
        self.owed = self.late = 0
        self._cut = (SoundRows if kind == "audio" else PictureRows)(views, seconds)
        self._seconds = seconds
        self._pad = min(self.picture, PAD)

    def decode(self, packet: Any) -> None:
        """Decodes a packet; None for the end."""
        for moment, frame in self.track.frames_of(self.stream, packet):
            if self.track.kind == "audio" and self.track.decoded == 1 and fills_up(self.stream):
                self._pad = min(2 * frame.samples / frame.sample_rate, PAD)
            self._take(self._cut.push(moment, frame))

    def finish(self) -> None:
        """Cuts what is left."""
        self.decode(None)
        if self.track.decoded:
            self._take(self._cut.rest(segment_count(self.track.end, self._seconds)))

    def _take(self, rows: Iterator[Row]) -> None:
        for row in rows:
            if self.owed:
                self.owed -= 1
                self.late += 1
            else:
                self.rows.append(row)

    def count(self, *, padded: bool) -> int:
        """Returns the segments of the track; a rest that padding explains makes none."""
        if not self.track.decoded:
            return 0
        return segment_count(self.track.end, self._seconds, self._pad if padded else 0.0)

    def notes(self) -> list[str]:
        """Returns what the reader should know."""
        late = f"{self.late} segments of the {self.track.kind} track came over {LAG:g} s late"
        told = [f"{late} and were left out"] if self.late else []
        return [*told, *self.track.notes(), *self._cut.notes()]


def _next(parts: dict[str, _Part], lag: int) -> Row:
    """Returns the next row when all parts have it, or one is ``lag`` rows ahead; else nothing."""
    have = [len(part.rows) for part in parts.values()]
    if not min(have) and max(have) <= lag:
        return {}
    row: dict[View, Any] = {}
    for part in parts.values():
        if part.rows:
            row.update(part.rows.popleft())
        else:
            part.owed += 1
            row.update(dict.fromkeys(part.views))
    return row


class _Line:
    """Lays the packets of all tracks on one line of time."""

    def __init__(self, parts: dict[str, _Part], jumps: bool, guessed: bool) -> None:
        self._parts, self._jumps, self._guessed = parts, jumps, guessed
        self._order: dict[str, deque[float]] = {kind: deque(maxlen=REORDERED) for kind in parts}
        self._held: list[tuple[str, Any]] | None = []
        self._first: dict[str, float] = {}
        self._shifts = dict.fromkeys(parts, 0.0)
        self._due: dict[str, float] = {}
        self._newest = self._reached = self._place = 0.0
        self._over = 0

    def take(self, kind: str, packet: Any) -> None:
        """Takes a packet; those at the beginning wait until it is known when that was."""
        if self._held is None:
            self._decode(kind, packet)
            return
        stamp = self._stamp(packet)
        shown = stamp if packet.pts is None else float(packet.pts * packet.time_base)
        if kind not in self._first and shown is not None:
            if kind == "video" and not packet.is_keyframe:
                return  # nothing can be shown before a whole picture
            self._first[kind] = shown + _primed(packet)
        self._held.append((kind, packet))
        span = 0.0 if stamp is None else stamp - min(self._first.values(), default=stamp)
        if len(self._first) == len(self._parts) or span > WAIT:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        self._newest = -min(self._first.values(), default=0.0)
        self._shifts = dict.fromkeys(self._parts, self._newest)
        for kind, packet in held:
            self._decode(kind, packet)

    def _decode(self, kind: str, packet: Any) -> None:
        self._follow(kind, packet)
        ticks = round(self._shifts[kind] / packet.time_base)
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks
        self._parts[kind].decode(packet)

    def _follow(self, kind: str, packet: Any) -> None:
        """Lays a packet whose time stamps start over, or jump, behind what was before."""
        stamp = self._stamp(packet)
        if stamp is None:
            return
        length = float((packet.duration or 0) * packet.time_base) or self._parts[kind].picture
        if not self._goes_on(kind, stamp + self._shifts[kind]):
            moved = self._newest != self._shifts[kind]  # another track has gone on before
            if not (moved and self._place - BACK <= stamp + self._newest <= self._reached + AHEAD):
                self._newest, self._place = self._reached - stamp, self._reached
                self._over += 1
            self._shifts[kind] = self._newest
            self._order[kind].clear()
        if self._guessed:
            self._order[kind].append(stamp + self._shifts[kind])
        self._due[kind] = stamp + self._shifts[kind] + min(length, AHEAD)
        self._reached = max(self._reached, self._due[kind])

    def _goes_on(self, kind: str, moment: float) -> bool:
        farthest = self._reached + (AHEAD if self._jumps else EMPTY)
        earliest = min([self._due.get(kind, 0.0), *self._order[kind]])
        return earliest - BACK <= moment <= farthest

    def _stamp(self, packet: Any) -> float | None:
        """Returns when a packet is decoded, or presented where that is all that is known."""
        shown = packet.dts is None or (self._guessed and packet.pts is not None)
        ticks = packet.pts if shown else packet.dts
        return None if ticks is None else float(ticks * packet.time_base)

    def finish(self) -> None:
        """Decodes what is left."""
        if self._held is not None:
            self._release()
        for part in self._parts.values():
            part.finish()

    def notes(self) -> list[str]:
        """Returns what the reader should know of the time stamps."""
        if not self._over:
            return []
        times = "once" if self._over == 1 else f"{self._over} times"
        return [f"time stamps start over or jump {times}: what follows is placed behind"]


def _primed(packet: Any) -> float:
    """Returns the seconds at the beginning of a packet that only prime the decoder."""
    if packet.stream.type != "audio" or not packet.has_sidedata("skip_samples"):
        return 0.0
    skipped = int.from_bytes(bytes(packet.get_sidedata("skip_samples"))[:4], "little")
    rate, base = packet.stream.codec_context.sample_rate or math.inf, float(packet.time_base)
    return base * math.floor(skipped / rate / base + 0.5)  # as FFmpeg rounds it
