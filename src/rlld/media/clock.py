"""The one clock of a clip: which second a packet belongs to, whatever its time stamps say.

A file is read once without decoding it to learn its clock. Second 0 is the earliest start of the
tracks that are used, as decoded. Where time stamps start over, or jump by more than any gap is
long, another recording begins: it is laid behind the one before as if it were a clip of its own, so
that its sound and its pictures keep their places to each other. All readers of the clip then
correct its packets by the same numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.media.container import is_joined, is_shown, packets, ready

if TYPE_CHECKING:
    from av.container import InputContainer

AHEAD = 10.0
"""Seconds by which time stamps may jump forward, as in FFmpeg and players."""

BACK = 0.5
"""Seconds by which decoding times may go back before they count as starting over."""

BACK_SHOWN = 2.0
"""The same for times of presentation, which are not in order, where there is nothing else."""

REORDERED = 16
"""Pictures of which one is presented before others that were decoded before it, at most."""

GUESSED = {"matroska", "webm"}
"""Formats that say no decoding times: FFmpeg guesses them, and of slow pictures wrongly."""

EMPTY = 1200.0
"""Seconds of a clip that nothing but a jump of its time stamps promises: a file of some kilobytes
must not last for years."""

PAD = 0.45
"""Seconds to which a codec may fill up the last of its frames; what is longer is content."""

DISCONTINUOUS = 0x200
"""FFmpeg's mark of formats whose time stamps may jump (AVFMT_TS_DISCONT)."""

STATED = {"mov", "avi", "matroska", "flv", "asf", "wav", "flac", "aiff", "caf"}
"""Formats whose header says how long they are; of others FFmpeg estimates it by their bit rate."""


@dataclass(frozen=True)
class TrackClock:
    """When the packets of one track are presented.

    Attributes:
        changes: Numbers of the packets from which another shift holds, the first one 0.
        shifts: Seconds that are to be added to time stamps from there on.
        end: Seconds from the start of the clip to the end of the last packet.
        picture: Seconds that a picture lasts when nothing says otherwise, 0 for sound.
        pad: Seconds at its end that may be padding of the codec.
    """

    changes: tuple[int, ...]
    shifts: tuple[float, ...]
    end: float
    picture: float
    pad: float


@dataclass(frozen=True)
class Clock:
    """The clock of a clip.

    Attributes:
        tracks: Clocks of its tracks by kind.
        stated: Seconds that the header promises, the last packet's end where it promises nothing.
        plain: Whether every player shows the same clock: time stamps start at 0 and go on.
        notes: What the reader should know of the time stamps.
    """

    tracks: Mapping[str, TrackClock]
    stated: float
    plain: bool
    notes: tuple[str, ...]

    @property
    def end(self) -> float:
        """Length of the clip in seconds, as its packets say."""
        return max(track.end for track in self.tracks.values())


def corrected(container: InputContainer, stream: Any, clock: TrackClock) -> Iterator[Any]:
    """Yields the packets of a track with time stamps in seconds of the clip.

    Raises:
        FFmpegError: Of PyAV, where the file is damaged.
    """
    ticks = [round(shift / stream.time_base) for shift in clock.shifts]
    for number, packet in enumerate(packets(container, [stream])):
        shift = ticks[bisect_right(clock.changes, number) - 1]
        if packet.pts is not None:
            packet.pts += shift
        if packet.dts is not None:
            packet.dts += shift
        yield packet


def survey(container: InputContainer, path: Path, streams: Mapping[str, Any]) -> Clock:
    """Reads a file without decoding more of it than the first frame of each track.

    Args:
        container: The file, which is read to its end.
        path: Its name.
        streams: Its tracks that are used, by kind.
    """
    from av.error import FFmpegError

    found = _Survey(container, path, streams)
    try:
        for packet in packets(container, late=found.late):
            found.take(packet)
    except FFmpegError:
        pass  # What follows the damage cannot be played either; reading will note it.
    return found.clock()


@dataclass
class _Recording:
    """A stretch of a file whose time stamps go on, all in raw seconds.

    Attributes:
        starts: First time of presentation by track.
        ends: End of the last packet by track, none counted longer than ``AHEAD``.
        claims: The same as packets say it.
    """

    starts: dict[int, float] = field(default_factory=dict)
    ends: dict[int, float] = field(default_factory=dict)
    claims: dict[int, float] = field(default_factory=dict)

    @property
    def start(self) -> float:
        return min(self.starts.values(), default=0.0)

    @property
    def end(self) -> float:
        return max(self.ends.values(), default=0.0)

    def take(self, index: int, start: float, length: float) -> None:
        end = start + min(length, AHEAD)
        self.starts[index] = min(self.starts.get(index, start), start)
        self.ends[index] = max(self.ends.get(index, end), end)
        self.claims[index] = max(self.claims.get(index, start), start + length)


class _Line:
    """A track while its file is surveyed.

    Attributes:
        recording: Number of the recording that it is in.
        changes: Numbers of packets and of the recordings that begin with them.
        count: Packets so far.
        next: Raw seconds at which its next packet is due.
        first: Raw seconds at which the first decoded frame is presented, or damaged sound before
            it, where that may be later than the first packet.
        looking: Whether that frame is still waited for.
        stamped: Whether all packets had time stamps.
        order: Raw seconds at which its last packets are presented, where only that is known.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.kind: str = stream.type
        self.base = float(stream.time_base)
        self.picture = picture_seconds(stream) if stream.type == "video" else 0.0
        self.pad = min(self.picture, PAD)
        self.recording = 0
        self.changes = [(0, 0)]
        self.count = 0
        self.next: float | None = None
        self.first: float | None = None
        self.stamped = True
        self.order: deque[float] = deque(maxlen=REORDERED)
        self.looking = True
        ready(stream)

    def seconds(self, ticks: int | None) -> float | None:
        return None if ticks is None else ticks * self.base

    def _begin(self, ticks: int | None) -> None:
        if self.recording == 0 and self.first is None:
            self.first = self.seconds(ticks)

    def look(self, packet: Any) -> None:
        """Decodes until the first frame comes: sound is primed, pictures may wait for a whole one.

        Pictures that begin with a whole one need not be decoded for that.
        """
        from av.error import FFmpegError

        if self.kind == "video" and self.count == 0 and packet.is_keyframe and is_shown(packet):
            self.looking = False
            return
        try:
            frames = packet.decode()
        except (FFmpegError, ValueError):
            # Pictures fail until a whole one comes. Sound that fails is damaged, and was there.
            if self.kind == "audio":
                self._begin(packet.pts)
            return
        for frame in frames[:1]:
            self.looking = False
            self._begin(frame.pts)
            if self.kind == "audio" and fills_up(self.stream):
                self.pad = min(2 * frame.samples / frame.sample_rate, PAD)


class _Survey:
    def __init__(self, container: InputContainer, path: Path, streams: Mapping[str, Any]) -> None:
        self._path = path
        self._container = container
        self._jumps = bool(container.format.flags & DISCONTINUOUS)
        self._guessed = guesses(container)
        self._lines = {stream.index: _Line(stream) for stream in streams.values()}
        self._recordings = [_Recording()]
        self._others: dict[int, _Recording] = {}
        self._other_kinds: dict[int, str] = {}
        self._other_places: dict[int, int] = {}
        self._places = dict.fromkeys(streams, 0)
        self._behind = 0
        self._left = EMPTY
        self._over, self._closed = 0, 0.0
        self._late = False

    def late(self) -> None:
        """Remembers that a track came up which was not there at the beginning."""
        self._late = True

    def take(self, packet: Any) -> None:
        index = packet.stream_index
        line = self._lines.get(index)
        if line is None:
            self._take_other(packet)
            return
        place = packet.pos or 0
        self._places[line.kind] = max(self._places[line.kind], place)
        self._behind = max(self._behind, place + packet.size)
        decoded = None if self._guessed else line.seconds(packet.dts)
        shown = line.seconds(packet.pts)
        length = line.seconds(packet.duration) or line.picture
        stamp = shown if decoded is None else decoded
        if stamp is None:
            line.stamped = False
            stamp = line.next or 0.0
        else:
            self._follow(line, stamp, BACK_SHOWN if decoded is None else BACK)
        if decoded is None:
            line.order.append(stamp)
        # Of pictures that last long, those that wait for others may wait for more than a gap.
        if shown is None or abs(shown - stamp) > max(AHEAD, REORDERED * min(length, AHEAD)):
            shown = stamp
        if is_shown(packet):
            self._recordings[line.recording].take(index, shown, length)
        if line.looking:
            line.look(packet)
        line.next = stamp + min(length, AHEAD)
        line.count += 1

    def _take_other(self, packet: Any) -> None:
        """Remembers how far a track reaches that is not used."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.time_base is None:
            return
        index, base = packet.stream_index, float(packet.time_base)
        self._other_kinds.setdefault(index, packet.stream.type)
        self._other_places.setdefault(index, packet.pos or 0)
        other = self._others.setdefault(index, _Recording())
        other.take(index, stamp * base, (packet.duration or 0) * base)

    def _follow(self, line: _Line, stamp: float, back: float) -> None:
        """Decides to which recording a packet belongs."""
        newest = len(self._recordings) - 1
        if line.recording < newest:
            # Another track has gone on to a new recording: this packet may be left of the old one.
            due = abs(stamp - line.next) if line.next is not None else float("inf")
            if due <= min(back, abs(stamp - self._recordings[newest].end)):
                return
            self._move(line, newest)
        last = self._recordings[newest]
        if line.next is None:
            if last.starts and stamp < last.start - AHEAD:
                self._open(line)
        elif stamp < min([line.next, *line.order]) - back:
            # What is presented after one of the last pictures has come in another order only.
            self._open(line)
            return
        reached = max(last.end, line.next or 0.0) if last.starts else stamp
        if stamp > reached + AHEAD:
            # Nothing at all is there in between, of whatever track.
            if self._jumps or stamp - reached > self._left:
                self._closed += stamp - reached
                self._open(line)
            else:
                self._left -= stamp - reached

    def _open(self, line: _Line) -> None:
        self._recordings.append(_Recording())
        self._over += 1
        self._move(line, len(self._recordings) - 1)

    def _move(self, line: _Line, recording: int) -> None:
        line.recording = recording
        line.changes.append((line.count, recording))
        line.next = None
        line.order.clear()

    def clock(self) -> Clock:
        shifts = []
        ends: dict[int, float] = {}
        position = 0.0
        for number, recording in enumerate(self._recordings):
            start = recording.start if number else self._origin()
            shifts.append(position - start)
            most = recording.end + self._left
            end = recording.end
            for index, claim in recording.claims.items():
                ends[index] = max(ends.get(index, 0.0), min(claim, most) + shifts[-1])
                end = max(end, min(claim, most))
            self._left -= end - recording.end
            position += max(0.0, end - start)
        tracks = {
            line.kind: TrackClock(
                tuple(count for count, _ in line.changes),
                tuple(shifts[recording] for _, recording in line.changes),
                ends.get(index, 0.0),
                line.picture,
                line.pad,
            )
            for index, line in self._lines.items()
        }
        plain = (
            len(shifts) == 1
            and abs(shifts[0]) < 0.05
            and all(line.stamped for line in self._lines.values())
        )
        end = max(track.end for track in tracks.values())
        return Clock(tracks, self._stated(end), plain, tuple(self._notes(position)))

    def _origin(self) -> float:
        """Returns the raw seconds at which the clip starts, as decoded."""
        first = self._recordings[0]
        waited = {index: line.first for index, line in self._lines.items() if not line.looking}
        starts = [
            first.starts[index] if decoded is None else decoded
            for index, decoded in waited.items()
            if decoded is not None or index in first.starts
        ]
        return min(starts, default=first.start)

    def _stated(self, end: float) -> float:
        """Returns the header's length, unless something explains it that is not used.

        It may count from 0 although time stamps begin later, or be that of subtitles.
        """
        names = set(self._container.format.name.split(","))
        if not names & STATED or len(self._recordings) > 1 or not self._container.duration:
            return end
        stated = self._container.duration / 1_000_000
        for read in (*self._recordings, *self._others.values()):
            reached = max(read.claims.values(), default=0.0)
            if max(reached, reached - read.start) > stated - 0.5:
                return end
        return max(stated, end)

    def _notes(self, position: float) -> list[str]:
        notes = []
        if self._over:
            times = "once" if self._over == 1 else f"{self._over} times"
            notes.append(
                f"time stamps start over or jump {times}: what follows is placed behind what was "
                "before"
            )
        if self._closed:
            notes.append(f"gaps of {self._closed:.0f} s between time stamps are left out")
        if self._late:
            notes.append("a track that begins later in the file is left out")
        for index, kind in self._other_kinds.items():
            # By places in the file: the last packet of a track may be held back to the end.
            if kind in self._places and self._other_places[index] > self._places[kind] > 0:
                other = self._others[index]
                notes.append(
                    f"goes on after {position:.1f} s in another {kind} track, of which "
                    f"{other.end - other.start:.1f} s are left out"
                )
        if is_joined(self._path, self._behind):
            notes.append(
                "another file is joined behind this one, which FFmpeg does not read: it is left "
                "out; split the file"
            )
        return notes


def guesses(container: InputContainer) -> bool:
    """Says whether decoding times of a file are FFmpeg's guess."""
    return not GUESSED.isdisjoint(container.format.name.split(","))


def picture_seconds(stream: Any) -> float:
    """Returns how long a picture lasts when nothing says otherwise."""
    rate = float(stream.guessed_rate or stream.average_rate or 25)
    return min(1 / rate, AHEAD) if rate > 0 else 0.04


def fills_up(stream: Any) -> bool:
    """Says whether a codec works on frames that the end of a sound has to fill up."""
    context = stream.codec_context
    return bool(context.codec.lossy) and not context.name.startswith("pcm")
