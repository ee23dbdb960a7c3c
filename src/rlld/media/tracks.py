"""Which of several tracks of a clip are heard and seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.media.container import LEAST_RATE, MOST_CHANNELS, MOST_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer

KINDS = ("audio", "video")


@dataclass(frozen=True)
class TrackChoice:
    """Tracks that are to be used, numbered from 1 among those of their kind.

    Attributes:
        audio: Number of the sound track; that of a player when None.
        video: Number of the picture track; that of a player when None. Cover pictures have no
            number.

    Raises:
        RlldError: If a number is not 1 or more.
    """

    audio: int | None = None
    video: int | None = None

    def __post_init__(self) -> None:
        for kind, number in self.chosen.items():
            if number < 1:
                raise RlldError(f"{kind}-track: expected 1 (the first) or more, found {number}")

    @property
    def chosen(self) -> dict[str, int]:
        """The numbers that were given, by kind; they change what is described."""
        given = {"audio": self.audio, "video": self.video}
        return {kind: number for kind, number in given.items() if number is not None}

    def __str__(self) -> str:
        return ", ".join(f"{kind} track {number}" for kind, number in self.chosen.items())


AS_PLAYED = TrackChoice()
"""No choice: the tracks that a player takes."""


@dataclass(frozen=True)
class Chosen:
    """Tracks of an open file that are used.

    Attributes:
        streams: Streams of PyAV by kind, ``audio`` and ``video``; a kind without one is left out.
        notes: Which kinds are missing, and which of several was taken.
    """

    streams: dict[str, Any]
    notes: tuple[str, ...]


def choose(container: InputContainer, path: Path | str, choice: TrackChoice = AS_PLAYED) -> Chosen:
    """Chooses the tracks that are used of a file.

    Without a choice it is the one that a player takes: that with the default flag, else the one
    that FFmpeg ranks best, of the same programme as the pictures. Cover pictures never count.

    Raises:
        RlldError: If there is no track that can be decoded, the chosen one is missing, or what its
            header declares is beyond all bounds.
    """
    streams: dict[str, Any] = {}
    notes = []
    for kind in reversed(KINDS):  # pictures first: the sound is that of their programme
        tracks = _tracks(container, kind)
        number = choice.chosen.get(kind)
        if number is not None:
            streams[kind] = _numbered(tracks, number, kind, path)
        elif (best := _best(container, tracks, kind, streams.get("video"))) is not None:
            streams[kind] = best
        if kind in streams and len(tracks) > 1:
            taken = tracks.index(streams[kind]) + 1
            notes.append(
                f"{len(tracks)} {kind} tracks, of which {taken} ({_described(streams[kind])}) is "
                f"used; --{kind}-track N takes another"
            )
    if not streams:
        raise RlldError(
            f"{path}: holds neither a sound nor a picture track that can be decoded; give a clip"
        )
    _bounded(streams, path)
    missing = [f"no {kind} track" for kind in KINDS if kind not in streams]
    return Chosen(streams, (*missing, *notes))


def _tracks(container: InputContainer, kind: str) -> list[Any]:
    from av.stream import Disposition

    return [
        stream
        for stream in container.streams
        if stream.type == kind and not stream.disposition & Disposition.attached_pic
    ]


def _decodable(stream: Any) -> bool:
    return getattr(stream, "codec_context", None) is not None


def _best(container: InputContainer, tracks: list[Any], kind: Any, related: Any) -> Any:
    from av.stream import Disposition

    usable = [track for track in tracks if _decodable(track)]
    marked = [track for track in usable if track.disposition & Disposition.default]
    among = marked or usable
    ranked = container.streams.best(kind, related)
    if ranked is not None and any(track.index == ranked.index for track in among):
        return next(track for track in among if track.index == ranked.index)
    return among[0] if among else None


def _numbered(tracks: list[Any], number: int, kind: str, path: Path | str) -> Any:
    if number > len(tracks):
        known = "; ".join(f"{k} ({_described(track)})" for k, track in enumerate(tracks[:20], 1))
        more = f"; and {len(tracks) - 20} more" if len(tracks) > 20 else ""
        has = f"its {kind} tracks are {known}{more}" if tracks else f"it has no {kind} track"
        raise RlldError(f"{path}: {kind}-track: found {number}, but {has}; give one of them")
    track = tracks[number - 1]
    if not _decodable(track):
        raise RlldError(f"{path}: {kind}-track: {number} cannot be decoded; give another")
    return track


def _described(track: Any) -> str:
    from av.stream import Disposition

    if not _decodable(track):
        return "of an unknown codec"
    context = track.codec_context
    size = context.layout.name if track.type == "audio" else f"{context.width}x{context.height}"
    language = track.language if track.language not in (None, "und") else ""
    default = "default" if track.disposition & Disposition.default else ""
    return ", ".join(part for part in (context.name, size, language, default) if part)


def _bounded(streams: dict[str, Any], path: Path | str) -> None:
    """Refuses by what is declared, before anything of that size is made."""
    if (video := streams.get("video")) is not None:
        width, height = video.codec_context.width, video.codec_context.height
        if width * height > MOST_PIXELS:
            raise RlldError(
                f"{path}: has pictures of {width} x {height} pixels, at most "
                f"{MOST_PIXELS / 1e6:.0f} million are decoded; scale it down"
            )
    if (audio := streams.get("audio")) is not None:
        rate, channels = audio.codec_context.sample_rate, audio.codec_context.channels
        if 0 < rate < LEAST_RATE or channels > MOST_CHANNELS:
            raise RlldError(
                f"{path}: has sound of {channels} channels and {rate} samples per second, "
                f"expected at most {MOST_CHANNELS} and at least {LEAST_RATE}; its header is "
                "damaged, or convert it"
            )
