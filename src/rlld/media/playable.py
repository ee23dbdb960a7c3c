"""A clip as a browser can play it: as it is, or converted; inside the page, or beside it."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from rlld.media.container import open_media
from rlld.media.conversion import convert
from rlld.media.decode import Clip
from rlld.media.tracks import AS_PLAYED, TrackChoice, choose
from rlld.utils.files import scratch, settle

EMBED_LIMIT = 25_000_000
"""Bytes up to which a clip is put inside the page."""

CONVERTED_SECONDS = 60
"""Longest clip that is converted for a page with many."""

PLAYABLE = {
    "video/mp4": ({"mp4", "mov"}, {"h264", "av1", "aac", "mp3"}),
    "video/webm": ({"webm"}, {"vp8", "vp9", "av1", "opus", "vorbis"}),
}
"""Containers and codecs that browsers play."""

PIXELS = {"yuv420p", "yuvj420p", None}
"""Pixel formats that browsers play; sound has none."""


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


def page_clip(
    clip: Path, page: Path, link: bool = False, tracks: TrackChoice = AS_PLAYED
) -> PageClip:
    """Prepares a clip for a page.

    A clip that browsers cannot play, or would play by another clock than that of its parse, is
    converted to H.264 and AAC. Up to ``EMBED_LIMIT`` bytes it goes inside the page; a larger one,
    or any with ``link``, is referred to: the clip itself where browsers play it, else its
    conversion, which is written beside the page.

    Args:
        clip: The media file.
        page: Where the page will be.
        link: Refer to the clip whatever its size.
        tracks: Which of several tracks are played; those of a player when not given.

    Raises:
        RlldError: If the clip cannot be read or converted.
    """
    mime, has_video = inspect(clip, tracks)
    if mime:
        if link or clip.stat().st_size > EMBED_LIMIT:
            return PageClip(_relative(clip, page), mime, has_video, clip)
        return PageClip(_data(clip, mime), mime, has_video)
    mime = "video/mp4"
    beside = page.with_suffix(".mp4")
    if beside.resolve() == clip.resolve():
        beside = page.with_name(f"{page.stem}.page.mp4")
    with scratch(beside) as converted:
        convert(clip, converted, tracks)
        if not link and converted.stat().st_size <= EMBED_LIMIT:
            return PageClip(_data(converted, mime), mime, has_video)
        settle(converted, beside)
    return PageClip(_relative(beside, page), mime, has_video, beside)


class Clips:
    """The clips of a page that plays several: some are held, those that are too many linked.

    Args:
        page: Where the page will be.
        room: Bytes of clips that it may hold.
    """

    def __init__(self, page: Path, room: int = EMBED_LIMIT) -> None:
        self.page, self.room = page, room

    def take(self, clip: Path) -> PageClip | None:
        """Prepares a clip; None where browsers cannot play it and converting it would take long.

        Raises:
            RlldError: If it cannot be read or converted.
        """
        mime, has_video = inspect(clip)
        if mime:
            if self._fits(clip):
                return PageClip(_data(clip, mime), mime, has_video)
            return PageClip(_relative(clip, self.page), mime, has_video, clip)
        if Clip(clip).info.duration > CONVERTED_SECONDS:
            return None
        with scratch(self.page.with_suffix(".mp4")) as converted:
            convert(clip, converted)
            fits = self._fits(converted)
            return PageClip(_data(converted, "video/mp4"), "video/mp4", has_video) if fits else None

    def _fits(self, file: Path) -> bool:
        size = file.stat().st_size
        fits = size <= self.room
        self.room -= size if fits else 0
        return fits


def inspect(clip: Path, tracks: TrackChoice = AS_PLAYED) -> tuple[str, bool]:
    """Returns the media type under which browsers play a clip (empty: none) and if it has pictures.

    They play its tracks by its time stamps; a clip whose clock is another one, or of which they
    might choose other tracks, does not count as played.

    Raises:
        RlldError: If it cannot be read.
    """
    read = Clip(clip, tracks)
    with open_media(clip) as container:
        streams = choose(container, clip, tracks).streams
        has_video = "video" in streams
        single = all(
            sum(stream.type == kind for stream in container.streams) == 1 for kind in streams
        )
        if not (read.clock.plain and single):
            return "", has_video
        names = set(container.format.name.split(","))
        contexts = [stream.codec_context for stream in streams.values()]
        for mime, (containers, codecs) in PLAYABLE.items():
            # Matroska files that are no WebM report both names; only the suffix tells them apart.
            if not names & containers or ("matroska" in names and clip.suffix.lower() != ".webm"):
                continue
            if all(context.name in codecs for context in contexts) and all(
                getattr(context, "pix_fmt", None) in PIXELS for context in contexts
            ):
                return mime, has_video
        return "", has_video


def _data(clip: Path, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(clip.read_bytes()).decode('ascii')}"


def _relative(clip: Path, page: Path) -> str:
    relative = os.path.relpath(clip.resolve(), page.resolve().parent)
    return quote(Path(relative).as_posix())
