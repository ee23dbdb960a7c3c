"""Opening a media file, and what is known of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError

if TYPE_CHECKING:
    from av.container import InputContainer

MOST_PIXELS = 8192 * 8192
"""Pixels of the largest picture that is decoded, twice those of 8K: each may be held many times."""

LEAST_RATE = 1000
"""Samples per second of the coarsest sound that is decoded; a kilobyte at 1 Hz would last hours."""

TAIL = 1 << 24
"""Bytes behind the last packet in which another file is looked for: indexes may come before."""

MOST_CHANNELS = 64
"""Channels of sound that FFmpeg can resample."""


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip.

    Attributes:
        path: The file.
        duration: Length in seconds, the latest end minus the earliest start of the tracks that are
            used: as their packets say after ``probe``, as decoded after reading.
        has_audio: Whether it has a sound track that this build of FFmpeg can decode.
        has_video: The same for pictures; the cover picture of a song does not count.
        width: Picture width in pixels, 0 without pictures.
        height: Picture height in pixels, 0 without pictures.
        notes: What the reader should know: a missing track, which of several was taken, time
            stamps that start over, damage that was skipped.
    """

    path: str
    duration: float
    has_audio: bool
    has_video: bool
    width: int = 0
    height: int = 0
    notes: tuple[str, ...] = ()


def open_media(path: Path, **options: str) -> InputContainer:
    """Opens a file, and nothing that the file refers to outside the disk.

    Args:
        path: The file.
        options: What its demuxer is to do besides.

    Raises:
        RlldError: If it cannot be read, or is no clip.
    """
    import av

    if path.is_dir():
        raise RlldError(f"{path}: is a folder, not a video file")
    if not path.exists():
        raise RlldError(f"{path}: no such file")
    try:
        if path.stat().st_size == 0:
            raise RlldError(f"{path}: is empty (0 bytes); get the file again")
        # The prefix keeps names such as 'pipe:0' or '-x.mp4' plain file names.
        return av.open(
            f"file:{path.absolute()}",
            options={**options, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except av.error.InvalidDataError:
        raise RlldError(f"{path}: {_unreadable(path)}") from None
    except (av.error.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RlldError(f"{path}: cannot be opened ({reason})") from None


def _unreadable(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return (
            "is an mp4 file without its index (moov), probably cut off while it was copied or "
            "downloaded; get it again"
        )
    return "is no audio or video file that FFmpeg can read; give an mp4, webm or similar clip"


def is_joined(path: Path, end: int) -> bool:
    """Says whether another file of the same format begins behind a byte of this one.

    Demuxers of mp4, wav, avi and flv end with the first one, as players do.
    """
    with path.open("rb") as file:
        head = file.read(16)
        if head[4:8] == b"ftyp":
            mark = head[4:12]
        elif head[:4] == b"RIFF":
            mark = head[8:16]
        elif head[:3] == b"FLV":
            mark = head[:4]
        else:
            return False
        file.seek(max(end, len(head)))
        return mark in file.read(TAIL)


def ready(stream: Any) -> None:
    """Prepares a track for decoding: on one thread, and no picture larger than is held."""
    context = stream.codec_context
    # A job fills the cores with clips.
    context.thread_count = 1
    if stream.type == "video":
        # Refused by the decoder itself, since the header may promise less than its pictures hold.
        context.options = {"max_pixels": str(MOST_PIXELS)}


def packets(
    container: InputContainer,
    streams: list[Any] | None = None,
    late: Callable[[], None] = lambda: None,
) -> Iterator[Any]:
    """Yields the packets of a file that hold something, up to the end or to damage.

    An empty packet in between says 'the same picture again'; a decoder would take it for the end.

    Args:
        container: The file.
        streams: Tracks whose packets are wanted; all that were there at its beginning when None.
        late: Called when a track comes up that was not.

    Raises:
        FFmpegError: Of PyAV, where the file is damaged.
    """
    known = streams or list(container.streams)
    while True:
        try:
            for packet in container.demux(known):
                if packet.size:
                    yield packet
        except IndexError:  # PyAV does not know the track; what follows is read from there on
            late()
        else:
            return


def is_shown(packet: Any) -> bool:
    """Says whether a packet is presented: what lies before a cut is in the file to be decoded."""
    return not packet.is_discard
