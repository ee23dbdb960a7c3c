"""Which files are clips, and what they are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rlld.data.annotations import YOUTUBE_ID
from rlld.errors import RlldError
from rlld.utils.console import ERR

VIDEO_SUFFIXES = """
    .3g2 .3gp .3gpp .264 .265 .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .lrv .m1v
    .m2t .m2ts .m2v .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .ogm .ogv .qt
    .rm .rmvb .trp .ts .vob .webm .wmv .wtv .y4m
"""
AUDIO_SUFFIXES = """
    .aac .ac3 .aif .aifc .aiff .amr .ape .au .caf .dts .eac3 .flac .m4a .m4b .mka .mp2 .mp3 .mpc
    .oga .ogg .opus .snd .spx .tta .w64 .wav .wave .weba .wma .wv
"""
SUFFIXES = frozenset((VIDEO_SUFFIXES + AUDIO_SUFFIXES).split())
"""Files of a folder that count as clips, whether written in small letters or not."""

SHOWN = 5


def find_clips(sources: Iterable[Path]) -> dict[str, Path]:
    """Returns the clips of folders, and single files, by the ids of ``named``.

    Raises:
        RlldError: If a source is missing, a folder holds no clip, or two clips share an id.
    """
    sources = list(sources)
    for source in sources:
        if not source.exists():
            raise RlldError(f"{source}: no such file or folder")
    return named(media_files(sources))


def media_files(sources: Iterable[Path]) -> list[Path]:
    """Returns the clips of folders, sorted, and single files as they are, each once.

    Clips are what has one of ``SUFFIXES``. What else lies in a folder is passed over, and said;
    hidden files are no clips (macOS leaves a ``._x.mp4`` beside ``x.mp4``) and not worth a word.

    Raises:
        RlldError: If a folder holds no clip, or cannot be read.
    """
    files: dict[str, Path] = {}
    for source in sources:
        for file in _clips_in(source) if source.is_dir() else [source]:
            files.setdefault(os.path.abspath(file), file)
    return list(files.values())


def _clips_in(folder: Path) -> list[Path]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise RlldError(f"{folder}: cannot be read ({error.strerror})") from None
    folders = [entry for entry in entries if entry.is_dir()]
    # A link that leads nowhere is a clip that cannot be read; a pipe or socket would never end.
    clips = [
        entry
        for entry in entries
        if entry.suffix.lower() in SUFFIXES and (entry.is_file() or not entry.exists())
    ]
    rest = _told(sorted(set(entries) - set(folders) - set(clips)), folders)
    if not clips:
        raise RlldError(
            f"{folder}: no clips in it (files such as .mp4 or .webm){rest and ', only ' + rest}"
        )
    if rest:
        ERR.print(f"{folder}: passed over {rest}")
    return clips


def _told(others: Sequence[Path], folders: Sequence[Path]) -> str:
    """Says what a folder holds besides clips, or nothing."""
    parts = []
    if others:
        kinds = sorted({file.suffix.lower() or "without suffix" for file in others})
        more = ", ..." if len(kinds) > SHOWN else ""
        shown = f"{', '.join(kinds[:SHOWN])}{more}"
        parts.append(
            f"{len(others)} files that are no clips ({shown})"
            if len(others) > 1
            else f"1 file that is no clip ({others[0].name})"
        )
    if folders:
        parts.append("1 folder" if len(folders) == 1 else f"{len(folders)} folders")
    return " and ".join(parts)


def named(files: Sequence[Path]) -> dict[str, Path]:
    """Returns clips by id: the file name without suffix.

    Clips that share one are called by the file name, suffix included (``x.avi``, ``x.mkv``); those
    that share it too have their folder in front (``100MEDIA_x.mp4``, ``101MEDIA_x.mp4``). That is
    said. The ids depend on the clips alone, not on their order.

    Args:
        files: The clips, each once.

    Raises:
        RlldError: If even that does not keep two apart.
    """
    steps = dict.fromkeys(files, 0)
    while True:
        ids = {file: _id(file, step) for file, step in steps.items()}
        count = Counter(ids.values())
        sharing = [file for file in files if count[ids[file]] > 1]
        if not sharing:
            break
        # Of x.mp4 and x.mp4.mkv that share an id, the second has a longer name to take.
        lowest = min(steps[file] for file in sharing)
        if lowest == LONGEST:
            other, file = [file for file in sharing if ids[file] == ids[sharing[0]]][:2]
            raise RlldError(
                f"{file}: has the name and the folder name of {other}; take them one by one, or "
                "rename one"
            )
        for file in sharing:
            steps[file] += steps[file] == lowest
    longer = sorted(ids[file] for file in files if steps[file])
    if longer:
        more = f" and {len(longer) - SHOWN} more" if len(longer) > SHOWN else ""
        shown = f"{', '.join(longer[:SHOWN])}{more}"
        ERR.print(f"clips that share a name are called by more of it: {shown}")
    return {ids[file]: file for file in files}


LONGEST = 2


def _id(file: Path, step: int) -> str:
    folder = Path(os.path.abspath(file)).parent.name
    return (file.stem, file.name, f"{folder}_{file.name}")[step]


def clips_of_videos(folder: Path) -> dict[str, Path]:
    """Returns the clips of a data set by id, of which a video has one.

    Raises:
        RlldError: If there is no such folder, it holds no clip, or two for one id.
    """
    if not folder.is_dir():
        raise RlldError(f"{folder}: no such folder; the clips of the data set are expected there")
    found: dict[str, Path] = {}
    for file in media_files([folder]):
        other = found.setdefault(file.stem, file)
        if other != file:
            raise RlldError(
                f"{file}: has the same id as {other}; keep one, a video of a data set has one clip"
            )
    return found


def clip_of(clips: Mapping[str, Path], video: str) -> Path | None:
    """Returns the clip of a video: it bears its id or, as LLP's may, the YouTube id in it."""
    return clips.get(video) or clips.get(video[:YOUTUBE_ID])


def stamp_of(path: Path) -> str:
    """Changes when a file is replaced.

    Raises:
        RlldError: If it is gone, or cannot be looked at.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise RlldError(f"{path}: cannot be read ({error.strerror}); bring it back") from None
    return f"{status.st_size}-{status.st_mtime_ns}"


def strange(path: Path, error: Exception) -> RlldError:
    """Returns what is said of a clip over which something unforeseen happened."""
    return RlldError(
        f"{path}: unexpected {type(error).__name__} ({error}); the file is damaged, or of a kind "
        "never seen"
    )
