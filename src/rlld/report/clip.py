"""A clip as a browser can play it: as it is, or converted; inside the page, or beside it."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rlld.console import progress
from rlld.features.container import open_media, usable_track
from rlld.files import written_aside

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

EMBED_LIMIT = 25_000_000
"""Bytes up to which a clip is put inside the page."""

PLAYABLE = {
    "video/mp4": ({"mp4", "mov"}, {"h264", "av1", "aac", "mp3"}),
    "video/webm": ({"webm"}, {"vp8", "vp9", "av1", "opus", "vorbis"}),
}
"""Containers and codecs that browsers play."""

PIXELS = {"yuv420p", "yuvj420p", None}
"""Pixel formats that browsers play; sound has none."""

SOUND_RATE = 48_000
CLOCK = Fraction(1, 90_000)


@dataclass(frozen=True)
class PageClip:
    """A clip that a page plays.

    Attributes:
        url: ``data:`` or relative address.
        mime: Media type.
        has_video: Whether it has pictures.
        linked: The file that the page needs beside it, None when the clip is inside the page.
    """

    url: str
    mime: str
    has_video: bool
    linked: Path | None = None


def page_clip(clip: Path, page: Path, link: bool = False) -> PageClip:
    """Prepares a clip for a page.

    A clip that browsers cannot play is converted to H.264 and AAC. Up to ``EMBED_LIMIT`` bytes it
    goes inside the page; a larger one, or any with ``link``, is referred to: the clip itself where
    browsers play it, else its conversion, which is written beside the page.

    Args:
        clip: The media file.
        page: Where the page will be.
        link: Refer to the clip whatever its size.

    Raises:
        RlldError: If the clip cannot be read or converted.
    """
    mime, has_video = inspect(clip)
    if mime:
        if link or clip.stat().st_size > EMBED_LIMIT:
            return PageClip(_relative(clip, page), mime, has_video, clip)
        return PageClip(_data(clip, mime), mime, has_video)
    mime = "video/mp4"
    with tempfile.TemporaryDirectory(prefix="rlld-") as folder:
        converted = Path(folder) / "clip.mp4"
        if not link:
            convert(clip, converted)
            if converted.stat().st_size <= EMBED_LIMIT:
                return PageClip(_data(converted, mime), mime, has_video)
    beside = page.with_suffix(".mp4")
    if beside.resolve() == clip.resolve():
        beside = page.with_name(f"{page.stem}.page.mp4")
    with written_aside(beside) as aside:
        convert(clip, aside)
    return PageClip(_relative(beside, page), mime, has_video, beside)


def inspect(clip: Path) -> tuple[str, bool]:
    """Returns the media type under which browsers play a clip (empty: none) and if it has pictures.

    Raises:
        RlldError: If it cannot be read.
    """
    with open_media(clip) as container:
        tracks = _tracks(container)
        has_video = any(track.type == "video" for track in tracks)
        names = set(container.format.name.split(","))
        for mime, (containers, codecs) in PLAYABLE.items():
            # Matroska files that are no WebM report both names; only the suffix tells them apart.
            if not names & containers or ("matroska" in names and clip.suffix.lower() != ".webm"):
                continue
            contexts = [track.codec_context for track in tracks]
            if all(context.name in codecs for context in contexts) and all(
                getattr(context, "pix_fmt", None) in PIXELS for context in contexts
            ):
                return mime, has_video
        return "", has_video


def convert(clip: Path, target: Path) -> None:
    """Converts a clip to H.264 and AAC in an mp4, packet by packet.

    Args:
        clip: The media file.
        target: The file to write.

    Raises:
        RlldError: If nothing of it can be decoded.
    """
    import av

    with open_media(clip) as source, av.open(str(target), "w", format="mp4") as out:
        inputs = _tracks(source)
        tracks: dict[int, _Picture | _Sound] = {
            track.index: _Picture(track, out) if track.type == "video" else _Sound(track, out)
            for track in inputs
        }
        seconds = int((source.duration or 0) / av.time_base) or None
        with progress(f"converting {clip.name}", seconds) as tick:
            done = 0
            for index, frame in _frames(source, inputs):
                out.mux(tracks[index].encode(frame))
                now = int(frame.time or 0)
                tick(max(0, now - done))
                done = max(done, now)
        for track in tracks.values():
            out.mux(track.flush())


class _Picture:
    def __init__(self, stream: Any, out: OutputContainer) -> None:
        context = stream.codec_context
        self.width, self.height = context.width // 2 * 2, context.height // 2 * 2
        self.stream: Any = out.add_stream("libx264", rate=stream.average_rate or 25)
        self.stream.width, self.stream.height = self.width, self.height
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = CLOCK
        self.stream.codec_context.options = {"preset": "veryfast", "crf": "23"}

    def encode(self, frame: Any) -> Any:
        same = (frame.width, frame.height, frame.format.name)
        if same != (self.width, self.height, "yuv420p"):
            times = frame.pts, frame.time_base
            frame = frame.reformat(self.width, self.height, "yuv420p")
            frame.pts, frame.time_base = times
        frame.pict_type = 0
        return self.stream.encode(frame)

    def flush(self) -> Any:
        return self.stream.encode(None)


class _Sound:
    def __init__(self, stream: Any, out: OutputContainer) -> None:
        from av import AudioResampler

        self.stream: Any = out.add_stream("aac", rate=SOUND_RATE)
        self.stream.layout = "stereo"
        self.resampler = AudioResampler(format="fltp", layout="stereo", rate=SOUND_RATE)

    def encode(self, frame: Any) -> Any:
        return [p for f in self.resampler.resample(frame) for p in self.stream.encode(f)]

    def flush(self) -> Any:
        return [*self.encode(None), *self.stream.encode(None)]


def _frames(source: InputContainer, streams: list[Any]) -> Iterator[tuple[int, Any]]:
    from av.error import FFmpegError

    packets = source.demux(streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        try:
            frames: list[Any] = packet.decode()
        except FFmpegError:
            continue  # the parse has noted the damage; the page plays what can be decoded
        for frame in frames:
            if frame.pts is not None:
                yield packet.stream.index, frame


def _tracks(container: InputContainer) -> list[Any]:
    """Returns the picture and the sound track that are played, those of the parse."""
    tracks = [usable_track(container, kind) for kind in ("video", "audio")]
    return [track for track in tracks if track is not None]


def _data(clip: Path, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(clip.read_bytes()).decode('ascii')}"


def _relative(clip: Path, page: Path) -> str:
    relative = os.path.relpath(clip.resolve(), page.resolve().parent)
    return quote(Path(relative).as_posix())
