"""Tags from small text files: one for each clip with its tags, or one for each class with clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rlld.data.lines import read_bytes
from rlld.data.tags.classes import said, split_tags
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import ClipTags
from rlld.data.tags.text import decoded
from rlld.errors import RlldError, listed

SUFFIX = ".txt"
LARGEST = 1 << 20
"""Bytes of such a file."""


def texts_beside(clips: Mapping[str, Path]) -> dict[str, Path]:
    """Returns the text files that lie beside clips under their name, by clip."""
    found = {}
    for video, clip in clips.items():
        for file in (clip.with_suffix(SUFFIX), clip.with_name(clip.name + SUFFIX)):
            if file.is_file():
                found[video] = file
                break
    return found


def text_tags(files: Mapping[str, Path]) -> ClipTags:
    """Reads the tags of each clip from a file of its own, separated by commas or lines."""
    of: dict[str, tuple[str, ...]] = {}
    notes: dict[str, None] = {}
    for video, file in files.items():
        text, found = _text(file)
        notes |= dict.fromkeys(found)
        told = said(split_tags(text))
        if told is not None:
            of[video] = told
    note = f"tags are read from {len(files):,} text files beside their clips"
    return ClipTags(of, tuple(files.keys() - of.keys()), notes=(note, *list(notes)[:1]))


def folder_of_texts(folder: Path, names: ClipNames) -> ClipTags:
    """Reads a folder of text files: ``a.txt`` with the tags of a clip, or ``dog.txt`` with clips.

    Raises:
        RlldError: If it holds none, or some are called like clips and others hold names of clips.
    """
    files = sorted(file for file in folder.glob(f"*{SUFFIX}") if file.is_file())
    if not files:
        raise RlldError(
            f"{folder}: no text files in it; expected one for each clip with its tags, or one for "
            "each class with its clips, a line each"
        )
    by_clip = {file: names.find(file.stem).ids for file in files}
    if not any(by_clip.values()):
        return _by_class(folder, files, names)
    if vague := [file.name for file, ids in by_clip.items() if len(ids) > 1]:
        raise RlldError(f"{folder}: several clips are called as {listed(vague[:5])}; rename them")
    strangers = tuple(file.name for file, ids in by_clip.items() if not ids)
    found = text_tags({ids[0]: file for file, ids in by_clip.items() if ids})
    note = f"tags are read from the text files of {folder}, one for each clip"
    return ClipTags(found.of, found.unknown, strangers, (note, *found.notes[1:]))


def _by_class(folder: Path, files: Iterable[Path], names: ClipNames) -> ClipTags:
    of: dict[str, tuple[str, ...]] = {}
    strangers: dict[str, None] = {}
    for file in files:
        text, _ = _text(file)
        for name in filter(None, map(str.strip, text.split("\n"))):
            ids = names.find(name).ids
            if len(ids) > 1:
                raise RlldError(
                    f"{file}: {name!r} may be several clips; write the folder before it"
                )
            if not ids:
                strangers[name] = None
            for video in ids:
                of[video] = (*of.get(video, ()), *split_tags((file.stem,)))
    if not of:
        raise RlldError(
            f"{folder}: its text files are not called like clips, and name none in their lines"
        )
    note = f"tags are the names of the text files of {folder}, which list their clips"
    return ClipTags(of, (), tuple(strangers), (note,))


def _text(file: Path) -> tuple[str, tuple[str, ...]]:
    if file.stat().st_size > LARGEST:
        raise RlldError(f"{file}: is larger than a list of tags would be; name a table with --tags")
    return decoded(file, read_bytes(file))
