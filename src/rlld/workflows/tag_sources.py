"""Where the tags of a folder of clips are: a table, text files, keywords, or its sub-folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rlld.data.tags.classes import said, split_tags
from rlld.data.tags.folders import folder_tags
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import ClipTags, read_tags
from rlld.data.tags.texts import folder_of_texts, text_tags, texts_beside
from rlld.errors import RlldError
from rlld.media.keywords import keywords_of
from rlld.utils.console import progress

FOLDERS, TEXTS, KEYWORDS = "folders", "texts", "keywords"
"""What may be said in place of a file: sub-folders, text files beside clips, what clips carry."""


def clip_tags(
    source: str | None,
    clips: Mapping[str, Path],
    paths: Mapping[str, str],
    columns: str | None,
    root: str = "",
) -> ClipTags:
    """Reads the tags of clips from where they are.

    Args:
        source: A table, a folder of text files, or one of ``FOLDERS``, ``TEXTS`` and ``KEYWORDS``;
            when not given, the only one of these three that tells anything.
        clips: The clips by id.
        paths: Path of each inside its folder.
        columns: Which columns of a table are read, as ``find_columns`` takes them.
        root: Absolute path of this folder.

    Raises:
        RlldError: If it cannot be read, there is none, or several tell different things.
    """
    if source is not None and source not in (FOLDERS, TEXTS, KEYWORDS):
        path, names = Path(source), ClipNames(paths, root)
        return folder_of_texts(path, names) if path.is_dir() else read_tags(path, names, columns)
    if columns is not None:
        raise RlldError("--columns: speaks of the columns of a table; name one with --tags FILE")
    asked = (TEXTS, KEYWORDS, FOLDERS) if source is None else (source,)
    found = {name: _read(name, clips, paths) for name in asked}
    telling = {name: tags for name, tags in found.items() if tags.of}
    if len(telling) > 1:
        choice = " or ".join(f"--tags {name}" for name in telling)
        raise RlldError(
            f"tags are told by {' and '.join(telling)}; say which ones are meant: {choice}"
        )
    if not telling:
        raise RlldError(
            f"no {' and no '.join(_named(name) for name in asked)} tell what occurs in the clips; "
            "give a table with --tags FILE, or put the clips into folders that are called by what "
            "occurs in them"
        )
    return next(iter(telling.values()))


def _named(source: str) -> str:
    return {TEXTS: "text files beside clips", KEYWORDS: "keywords in them"}.get(
        source, "names of sub-folders"
    )


def _read(source: str, clips: Mapping[str, Path], paths: Mapping[str, str]) -> ClipTags:
    if source == TEXTS:
        return text_tags(texts_beside(clips))
    return folder_tags(paths) if source == FOLDERS else _keywords(clips)


def _keywords(clips: Mapping[str, Path]) -> ClipTags:
    """Reads what clips carry; one that cannot be read carries nothing, and is told of later."""
    of: dict[str, tuple[str, ...]] = {}
    notes: list[str] = []
    with progress("reading keywords", len(clips)) as tick:
        for video, clip in clips.items():
            tick()
            try:
                words = keywords_of(clip)
            except RlldError as error:
                notes.append(str(error))
                continue
            told = said(split_tags(words))
            if told is not None:
                of[video] = told
    note = "tags are the keywords that the clips carry"
    return ClipTags(of, tuple(clips.keys() - of.keys()), notes=(note, *notes[:3]))
