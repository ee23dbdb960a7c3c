"""Which files are clips, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rlld.data.pack import YOUTUBE_ID
from rlld.errors import RlldError

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".flv")
AUDIO_SUFFIXES = (".wav", ".mp3", ".m4a", ".flac", ".ogg")
SUFFIXES = frozenset(VIDEO_SUFFIXES + AUDIO_SUFFIXES)
"""Files of a folder that count as clips."""


def find_clips(sources: Iterable[Path]) -> dict[str, Path]:
    """Returns clips by id (file name without ending) of folders and single files.

    Raises:
        RlldError: If a source is missing, a folder holds no clip, or two clips share an id.
    """
    found: dict[str, Path] = {}
    for source in sources:
        if source.is_dir():
            entries = [file for file in source.iterdir() if not file.name.startswith(".")]
            files = sorted(file for file in entries if file.suffix.lower() in SUFFIXES)
            if not files:
                raise RlldError(f"{source}: no clips in it (files such as .mp4 or .webm)")
        elif source.exists():
            files = [source]
        else:
            raise RlldError(f"{source}: no such file or folder")
        for file in files:
            other = found.setdefault(file.stem, file)
            if other != file:
                raise RlldError(
                    f"{file}: has the same id as {other}; rename one, ids are names without ending"
                )
    return found


def clip_of(clips: Mapping[str, Path], video: str) -> Path | None:
    """Returns the clip of a video: it bears its id or, as LLP's may, the YouTube id in it."""
    return clips.get(video) or clips.get(video[:YOUTUBE_ID])


def stamp_of(path: Path) -> str:
    """Changes when a file is replaced."""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def strange(path: Path, error: Exception) -> RlldError:
    """Returns what is said of a clip over which something unforeseen happened."""
    return RlldError(
        f"{path}: unexpected {type(error).__name__} ({error}); the file is damaged, or of a kind "
        "never seen"
    )
