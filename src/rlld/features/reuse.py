"""Features that the stores of a data set hold already, for when its videos are divided anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import SPLITS
from rlld.data.store import Rows, Store, read_store
from rlld.errors import RlldError
from rlld.media.files import clip_of, stamp_of
from rlld.utils.files import write_text
from rlld.utils.sheets import SheetError, read_sheet, sheet_text

STAMPS = "stamps.tsv"
"""Of which file the features of each video are; beside the stores."""
COLUMNS = ("video", "stamp")


class Held(NamedTuple):
    """Features of a video that some store holds.

    Attributes:
        video: Its id.
        streams: Its features by stream name.
        stamp: That of the clip that they are of.
    """

    video: str
    streams: dict[str, NDArray[np.float32]]
    stamp: str


def read_stamps(folder: Path) -> dict[str, str]:
    """Returns the stamps of the clips whose features lie in a folder of stores.

    Stores that were written before stamps were have none; a video without features has an empty
    one.

    Raises:
        RlldError: If the file is damaged.
    """
    path = folder / STAMPS
    if not path.is_file():
        return {}
    try:
        rows = [cells for _, cells in read_sheet(path.read_text(encoding="utf-8"))]
        return {video: stamp for video, stamp in rows[1:]}
    except (OSError, ValueError, SheetError) as error:
        reason = error.text if isinstance(error, SheetError) else error
        raise RlldError(
            f"{path}: cannot be read ({reason}); delete {folder}, and the clips are extracted again"
        ) from None


def write_stamps(folder: Path, stamps: Mapping[str, str]) -> None:
    """Writes the stamps of the clips whose features lie in a folder of stores."""
    write_text(folder / STAMPS, sheet_text([COLUMNS, *sorted(stamps.items())]))


def is_changed(videos: Iterable[str], clips: Mapping[str, Path], stamps: Mapping[str, str]) -> bool:
    """Says whether the clip of some video was replaced since its features were made.

    Args:
        videos: Ids; one without a clip has not changed.
        clips: Files by id.
        stamps: The stamps of the files that features are of.
    """
    for video in videos:
        path, known = clip_of(clips, video), stamps.get(video)
        if path is not None and known and path.exists() and stamp_of(path) != known:
            return True
    return False


def held_features(
    place: Callable[[str], Path],
    wanted: Rows,
    provenance: str,
    clips: Mapping[str, Path],
    stamps: Mapping[str, str],
    videos: Sequence[str],
) -> Iterator[Held]:
    """Yields the features of videos that stores of any split hold.

    Args:
        place: Returns where the store of a split lies.
        wanted: What they are to be.
        provenance: What made them.
        clips: Files by id.
        stamps: The stamps of the files that features are of; unknown ones are believed.
        videos: The ids.

    Raises:
        RlldError: If a store is damaged.
    """
    left = set(videos)
    for split in SPLITS:
        path = place(split)
        if not left or not path.is_file():
            continue
        store = read_store(path)
        if not fits(store, wanted, provenance):
            continue
        for row, video in enumerate(store.ids):
            clip = clip_of(clips, video)
            if video not in left or clip is None or not clip.exists():
                continue
            stamp = stamp_of(clip)
            if stamps.get(video, stamp) == stamp:
                left.discard(video)
                streams = {name: value.numpy() for name, value in store.video(row).items()}
                yield Held(video, streams, stamp)


def fits(store: Store, wanted: Rows, provenance: str) -> bool:
    """Says whether a store holds such features, made by the same extractors."""
    ragged = store.lengths is not None
    if (store.provenance, ragged, store.dtype) != (provenance, wanted.any_length, "float32"):
        return False
    rows = () if wanted.any_length else (wanted.segments,)
    shapes = {name: tuple(value.shape[1:]) for name, value in store.streams.items()}
    return shapes == {name: (*rows, dim) for name, dim in wanted.dims.items()}
