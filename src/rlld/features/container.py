"""Opening a media file, and what its header says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip.

    Attributes:
        path: The file.
        duration: Length in seconds: as the header says after ``probe``, as decoded after reading.
        has_audio: Whether it has a sound track that this build of FFmpeg can decode.
        has_video: The same for pictures; the cover picture of a song does not count.
        width: Picture width in pixels, 0 without pictures.
        height: Picture height in pixels, 0 without pictures.
        notes: What the reader should know: a missing track, damage that was skipped.
    """

    path: str
    duration: float
    has_audio: bool
    has_video: bool
    width: int = 0
    height: int = 0
    notes: tuple[str, ...] = ()


def open_media(path: Path) -> InputContainer:
    """Opens a file, and nothing that the file refers to outside the disk."""
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
            options={"protocol_whitelist": "file"},
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


def usable_track(container: InputContainer, kind: str) -> Any:
    """Returns the first track of a kind that can be decoded, None when there is none."""
    from av.stream import Disposition

    for stream in container.streams:
        cover = bool(stream.disposition & Disposition.attached_pic)
        if stream.type == kind and not cover and getattr(stream, "codec_context", None) is not None:
            return stream
    return None


def inspect(container: InputContainer, path: Path) -> tuple[ClipInfo, float]:
    """Returns the header's information and the time stamp that is second 0."""
    audio, video = usable_track(container, "audio"), usable_track(container, "video")
    if audio is None and video is None:
        raise RlldError(
            f"{path}: holds neither a sound nor a picture track that can be decoded; give a clip"
        )
    tracks = [track for track in (audio, video) if track is not None]
    starts = [
        float(track.start_time * track.time_base)
        for track in tracks
        if track.start_time is not None
    ]
    origin = min(starts, default=0.0)
    notes = []
    if audio is None:
        notes.append("no audio track")
    if video is None:
        notes.append("no video track")
    info = ClipInfo(
        path=str(path),
        duration=_duration(container, tracks, origin),
        has_audio=audio is not None,
        has_video=video is not None,
        width=video.width if video is not None else 0,
        height=video.height if video is not None else 0,
        notes=tuple(notes),
    )
    return info, origin


def _duration(container: InputContainer, tracks: list[Any], origin: float) -> float:
    if container.duration is not None and container.duration > 0:
        return container.duration / 1_000_000
    # Streamed files (live webm, raw ADTS) carry no length: their packets tell it.
    from av.error import FFmpegError

    end = 0.0
    try:
        for packet in container.demux(tracks):
            if packet.pts is not None:
                last = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end = max(end, last - origin)
    except FFmpegError:
        # What follows the damage cannot be played either.
        return end
    return end
