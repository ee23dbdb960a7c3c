"""Corrections from another program, where the studio holds older ones of the same clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from rlld.errors import RlldError
from rlld.studio import events as form
from rlld.studio.clips import Catalogue
from rlld.studio.store import FILE, FOLDER, Store
from rlld.utils.files import owned

IMPORTER = "data import"
"""Whose versions these are; a file does not say who made it."""


@contextmanager
def beside_studio(folder: Path) -> Iterator[Callable[[Iterable[str]], None]]:
    """Keeps the studio of a data set in step with an import.

    Else the next *Write* would bring older corrections back, and nobody would be told.

    Args:
        folder: The data-set folder.

    Yields:
        What takes the videos that were imported: where they were corrected in the studio, their
        events become the newest version.

    Raises:
        RlldError: If the studio is open, or cannot be read.
    """
    if not (folder / FOLDER / FILE).is_file():
        yield lambda videos: None
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(owned(folder / FOLDER))
        except RlldError:
            raise RlldError(
                f"{folder}: its studio is open and would write over what is imported; close it, "
                "import, and open it again; nothing was imported"
            ) from None
        store = stack.enter_context(closing(Store(folder)))
        yield lambda videos: _keep(store, folder, videos)


def _keep(store: Store, folder: Path, videos: Iterable[str]) -> None:
    truth = Catalogue(folder).truth
    for video in videos:
        if (last := store.latest(video)) is not None:
            events = form.stored(truth[video], certain=True)
            store.save(video, IMPORTER, last.revision, events)
