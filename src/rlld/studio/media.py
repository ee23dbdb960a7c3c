"""What is played and drawn of clips: made once, kept in ``D/studio/cache``.

Conversions and thumbnails stay there; what was drawn of a time range goes when a session begins.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.media.decode import Clip
from rlld.media.files import SUFFIXES, stamp_of
from rlld.media.strips import Watch, peaks, spectrogram, strip, thinned, unwatched
from rlld.studio.clips import NotFoundError, Video
from rlld.utils.files import write_bytes, written_aside
from rlld.utils.remembering import by_place

if TYPE_CHECKING:
    from collections.abc import Iterator

THUMB = 120
"""Height of a thumbnail in pixels."""
STRIP, MOST_PICTURES = 64, 60
"""Height of the pictures of a film strip, and how many there may be."""
SPECTROGRAM = 96
"""Height of a spectrogram in pixels."""
WIDEST = 2000
"""Columns of a spectrogram, and bins of a waveform, at most."""
WIDE = 300.0
"""Seconds from which the waveform of a range is cut out of one of the whole clip, made once."""
FINE = 100
"""Bins per second of that one."""
AT_ONCE = 2
"""Clips whose sound is decoded, or that are converted, at the same time; the rest wait. Pictures,
which come quickly, do not wait for these, but for as many of their own."""
LOOK = 0.5
"""Seconds between two looks of who waits at whether anybody waits for them."""


class Media:
    """Clips for a browser.

    Args:
        cache: Folder for what is made of them.
    """

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        for drawn in cache.glob("*-*-*-*"):
            drawn.unlink(missing_ok=True)
        self._sound = threading.BoundedSemaphore(AT_ONCE)
        self._pictures = threading.BoundedSemaphore(AT_ONCE)
        self._guard = threading.Lock()
        self._making: dict[Path, threading.Lock] = {}

    def seconds(self, video: Video) -> float:
        """Returns how long a clip is."""
        return video.seconds if video.seconds is not None else _opened(video).info.duration

    def tracks(self, video: Video) -> tuple[bool, bool]:
        """Says whether a clip has sound, and whether it has pictures."""
        info = _opened(video).info
        return info.has_audio, info.has_video

    def playable(self, video: Video) -> tuple[Path, str]:
        """Returns a file that browsers play, and its media type.

        It is the clip itself, or its conversion where no browser plays that.

        Raises:
            RlldError: If the clip is gone, or cannot be read or converted.
        """
        from rlld.media.conversion import convert

        clip = _allowed(video)
        if mime := _mime(clip, stamp_of(clip)):
            return clip, mime

        def make(path: Path) -> None:
            with written_aside(path) as aside:
                convert(clip, aside)

        return self._made(clip, "clip.mp4", make, self._sound, unwatched), "video/mp4"

    def thumb(self, video: Video, watch: Watch = unwatched) -> Path:
        """Returns a JPEG of a moment of a clip."""
        return self._drawn(video, "thumb.jpg", _thumb, self._pictures, watch)

    def strip(
        self, video: Video, start: float, end: float, count: int, watch: Watch = unwatched
    ) -> Path:
        """Returns a JPEG of pictures side by side; see ``rlld.media.strips.strip``."""
        count = max(1, min(count, MOST_PICTURES))
        name = f"{start:.3f}-{end:.3f}-{count}.jpg"

        def draw(clip: Clip) -> bytes | None:
            return strip(clip, start, end, count, STRIP)

        return self._drawn(video, name, draw, self._pictures, watch)

    def spectrogram(
        self, video: Video, start: float, end: float, width: int, watch: Watch = unwatched
    ) -> Path:
        """Returns a PNG; see ``rlld.media.strips.spectrogram``."""
        width = max(1, min(width, WIDEST))
        name = f"{start:.3f}-{end:.3f}-{width}.png"

        def draw(clip: Clip) -> bytes | None:
            return spectrogram(clip, start, end, width, SPECTROGRAM, watch)

        return self._drawn(video, name, draw, self._sound, watch)

    def peaks(
        self, video: Video, start: float, end: float, count: int, watch: Watch = unwatched
    ) -> list[int]:
        """Returns least and largest sample of each bin of a range, one after the other.

        Those of wide ranges begin and end at hundredths of a second.

        Raises:
            NotFoundError: If the clip has no sound.
        """
        count = max(1, min(count, WIDEST))
        if end - start >= WIDE:
            found = thinned(
                self._whole(video, watch), round(start * FINE), round(end * FINE), count
            )
            return [int(value) for value in found.ravel()]

        def draw(clip: Clip) -> bytes | None:
            found = peaks(clip, start, end, count, watch)
            return None if found is None else found.tobytes()

        name = f"{start:.3f}-{end:.3f}-{count}.peaks"
        path = self._drawn(video, name, draw, self._sound, watch)
        return [byte - 256 if byte > 127 else byte for byte in path.read_bytes()]

    def _whole(self, video: Video, watch: Watch) -> NDArray[np.int8]:
        """Returns the waveform of a clip (bins, 2) at ``FINE``, for which its sound is read once.

        It is made to its end also where nobody waits any more: the next one will.
        """
        bins = max(1, round(self.seconds(video) * FINE))

        def draw(clip: Clip) -> bytes | None:
            found = peaks(clip, 0.0, bins / FINE, bins)
            return None if found is None else found.tobytes()

        path = self._drawn(video, "whole.peaks", draw, self._sound, watch)
        return np.fromfile(path, np.int8).reshape(-1, 2)

    def _drawn(
        self,
        video: Video,
        name: str,
        draw: Callable[[Clip], bytes | None],
        turns: threading.BoundedSemaphore,
        watch: Watch,
    ) -> Path:
        def make(path: Path) -> None:
            picture = draw(_opened(video))
            if picture is None:
                raise NotFoundError(f"{video.id}: the clip has nothing to draw there")
            write_bytes(path, picture)

        return self._made(_allowed(video), name, make, turns, watch)

    def _made(
        self,
        clip: Path,
        name: str,
        make: Callable[[Path], None],
        turns: threading.BoundedSemaphore,
        watch: Watch,
    ) -> Path:
        """Returns a file of the cache, made by the first who asks for it and waits for it."""
        key = hashlib.sha256(f"{clip}\0{stamp_of(clip)}".encode(errors="surrogateescape"))
        path = self.cache / f"{key.hexdigest()[:32]}-{name}"
        if not path.is_file():
            with _turn(self._own(path), watch), _turn(turns, watch):
                if not path.is_file():
                    make(path)
        return path

    def _own(self, path: Path) -> threading.Lock:
        with self._guard:
            return self._making.setdefault(path, threading.Lock())


@contextmanager
def _turn(turns: threading.BoundedSemaphore | threading.Lock, watch: Watch) -> Iterator[None]:
    """Waits for a turn, as long as somebody waits for what is to be made."""
    while not turns.acquire(timeout=LOOK):
        watch()
    try:
        watch()
        yield
    finally:
        turns.release()


def _allowed(video: Video) -> Path:
    """Returns the clip of a video; a list of clips that came from elsewhere may name anything.

    Raises:
        RlldError: If it is gone, or no clip.
    """
    clip = video.clip()
    if clip.suffix.lower() not in SUFFIXES:
        raise RlldError(f"{clip}: is no clip by its suffix, and is not shown")
    return clip


def _opened(video: Video) -> Clip:
    path = _allowed(video)
    return _clip(path, stamp_of(path))


@by_place(64)
def _clip(path: Path, stamp: str) -> Clip:
    return Clip(path)


@by_place(1024)
def _mime(path: Path, stamp: str) -> str:
    """Returns the media type of a clip; a player asks for it again with every part."""
    from rlld.media.playable import inspect

    return inspect(path)[0]


def _thumb(clip: Clip) -> bytes | None:
    middle = clip.info.duration / 3
    return strip(clip, middle, min(clip.info.duration, middle + 0.5), 1, THUMB)
