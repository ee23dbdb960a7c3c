"""Files of any format, read: which format it is, in which letters, and whose events they are."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rlld.errors import RlldError
from rlld.export import event_formats, formats_with, load_format, rate_of
from rlld.parsing.result import Event, Parse

MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""How text begins that is not UTF-8; Praat writes so."""


def read_events(
    path: Path, form: str | None = None, fps: float | None = None
) -> dict[str, tuple[Event, ...]]:
    """Reads the events of a file.

    Args:
        path: The file.
        form: Its format; told by suffix and content when not given.
        fps: Frames per second of a timeline whose file does not say it.

    Returns:
        Events by clip, called as in the file; where that names none, as the file without suffix.

    Raises:
        RlldError: If the file cannot be read, or is not of the format or any other.
    """
    text = _text(path)
    form = form or _guessed(text, path)
    found = _read(text, path, form, fps)
    if isinstance(found, Parse):
        found = {found.name: found.events}
    if getattr(load_format(form), "JOINT", False):
        found = {name: _without_derived(events) for name, events in found.items()}
    return {name or path.stem: events for name, events in found.items()} or {path.stem: ()}


def event_files(sources: Iterable[Path], form: str | None = None) -> Iterator[Path]:
    """Yields files, and of folders those whose suffix is that of the format, or of any.

    Args:
        sources: The files and folders.
        form: The format; any when not given.

    Raises:
        RlldError: If a folder holds none.
    """
    known = {load_format(name).SUFFIX.lower() for name in ([form] if form else event_formats())}
    for source in sources:
        if not source.is_dir():
            yield source
            continue
        found = sorted(each for each in source.iterdir() if each.suffix[1:].lower() in known)
        if not found:
            raise RlldError(f"{source}: no files of events in it; give those that hold some")
        yield from found


def _without_derived(events: Sequence[Event]) -> tuple[Event, ...]:
    """Leaves audio-visual events out that follow from others: those may have been corrected."""
    single = {event.label for event in events if event.modality != "audio_visual"}
    return tuple(
        event for event in events if event.modality != "audio_visual" or event.label not in single
    )


def _read(
    text: str, path: Path, form: str, fps: float | None = None
) -> Parse | dict[str, tuple[Event, ...]]:
    return load_format(form).loads(text, str(path), **rate_of(form, fps))


def _guessed(text: str, path: Path) -> str:
    """Returns the format of files with this suffix, of several the one that takes the text."""
    names = formats_with(path.suffix[1:])
    if not names:
        raise RlldError(
            f"{path}: no format has files with this suffix; name one of "
            f"{', '.join(event_formats())} with --format"
        )
    for name in names if len(names) > 1 else ():
        with suppress(RlldError):
            _read(text, path, name)
            return name
    if len(names) == 1:
        return names[0]
    raise RlldError(
        f"{path}: is read by none of {', '.join(names)}; name its format with --format, and hear "
        "what is wrong"
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RlldError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise RlldError(f"{path}: is no text in UTF-8; save it so") from None
