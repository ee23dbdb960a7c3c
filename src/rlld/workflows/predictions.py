"""What others predicted for the videos of a data set: files of events of any format, as maps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rlld.data.annotations import DenseRow, rasterise, read_splits
from rlld.data.renamed import meant_by, read_names
from rlld.data.spec import ANNOTATIONS
from rlld.data.split import Split
from rlld.errors import RlldError, listed
from rlld.export.files import event_files, read_events
from rlld.media.listing import VideoNames, read_listing
from rlld.parsing.result import Event
from rlld.types import MODALITIES

ADVICE = "; rename it in the file, or say what it means (rlld compare --classes)"
LITTLE = 1e-6
"""Seconds by which a written time may be off."""


@dataclass(frozen=True)
class Predictions:
    """What a file, or a folder of files, predicts.

    Attributes:
        maps: Where it has events (N, T, 2, C), bool, on the CPU.
        notes: What of the file was not used, and what the file lacks.
    """

    maps: Tensor
    notes: tuple[str, ...]


def read_predictions(
    source: Path, videos: Split, form: str | None = None, classes: Path | None = None
) -> Predictions:
    """Reads predictions as the ground truth of a data set is read: by segments.

    A segment is active where an event covers at least half of it. In a video that is not named
    nothing counts as found.

    Args:
        source: A file that ``rlld data import`` takes, or a folder of them.
        videos: The videos that are judged.
        form: The format; told by suffix and content when not given.
        classes: A table of what it calls the classes; see ``rlld.data.renamed``.

    Raises:
        RlldError: If the source cannot be read, has a class that the data set lacks, or names none
            of the videos.
    """
    if not source.exists():
        raise RlldError(f"{source}: no such file or folder; give a run, or a file of predictions")
    names = {} if classes is None else read_names(classes, videos.spec.classes)
    reader = _Reader(videos, names)
    for file in event_files([source], form):
        for name, events in read_events(file, form).items():
            reader.take(name, events, file)
    if not reader.named:
        others = listed(sorted(reader.strange)) or "clips of other splits"
        raise RlldError(
            f"{source}: names none of the {len(videos):,} {videos.name} videos of {videos.folder} "
            f"({listed(videos.ids)}), but {others}; name clips by their ids or file names"
        )
    maps = reader.maps()
    return Predictions(maps, (*reader.notes(source), *_told(source, maps, videos)))


def _told(source: Path, maps: Tensor, videos: Split) -> Iterator[str]:
    """Yields what to think of where tags were known, which most formats do not say."""
    found, tagged = maps.any(2).any(1), videos.labels.bool().cpu()
    if found.any() and not (found & ~tagged).any():
        yield (
            f"{source} finds no class but those that a video is tagged with; if it was told the "
            "tags, it knew what the runs beside it did not"
        )


class _Reader:
    """Gathers events by the videos and classes that files mean.

    Attributes:
        named: The judged videos that were named.
        strange: Names that are none of the data set.
    """

    def __init__(self, videos: Split, names: Mapping[str, str]) -> None:
        self.named: set[str] = set()
        self.strange: set[str] = set()
        self._videos, self._classes = videos, names
        self._rows = {name: list[DenseRow]() for name in MODALITIES}
        known, listing = set(videos.ids), {}
        if videos.folder is not None:
            listing = read_listing(videos.folder)
            for weak in read_splits(videos.folder / ANNOTATIONS, videos.spec).values():
                known.update(weak.ids)
        self._names = VideoNames(known, listing if known <= listing.keys() else {})
        segments = [videos.spec.segments] * len(videos)
        if videos.lengths is not None:
            segments = videos.lengths.tolist()
        self._ends = {
            video: listing[video].seconds if video in listing else count * self._step
            for video, count in zip(videos.ids, segments, strict=True)
        }

    @property
    def _step(self) -> float:
        return self._videos.spec.segment_seconds

    def take(self, name: str, events: Sequence[Event], file: Path) -> None:
        """Takes the events of a clip.

        Raises:
            RlldError: If its name may mean several videos, or a class is unknown.
        """
        found = self._names.find(name, file.stem)
        if len(found) > 1:
            raise RlldError(f"{file}: {name!r} may be {listed(found)}; call it by its id")
        if not found:
            self.strange.add(name)
        elif found[0] in self._ends:
            self.named.add(found[0])
            for event in events:
                self._mark(event, found[0], f"{file}: {name}")

    def _mark(self, event: Event, video: str, place: str) -> None:
        known = self._videos.spec.classes
        label = meant_by(event.label, self._classes, known, place, ADVICE)
        if label is None:
            return
        end = event.end
        if end >= self._ends[video] - LITTLE:  # of the last segment, little may be there
            end = math.ceil(end / self._step - LITTLE) * self._step
        both = MODALITIES if event.modality == "audio_visual" else (event.modality,)
        for modality in both:
            self._rows[modality].append(DenseRow(video, event.start, end, label, 0))

    def maps(self) -> Tensor:
        """Returns where events are (N, T, 2, C), bool; none behind the end of a video."""
        ids, spec, mask = self._videos.ids, self._videos.spec, self._videos.mask
        rasters = [rasterise(self._rows[modality], ids, spec) for modality in MODALITIES]
        found = torch.from_numpy(np.stack(rasters, 2))
        return found if mask is None else found & mask.cpu()[..., None, None]

    def notes(self, source: Path) -> Iterator[str]:
        """Yields what the reader of a table should know."""
        videos = self._videos
        if missing := [video for video in videos.ids if video not in self.named]:
            yield (
                f"{source} names {len(self.named):,} of the {len(videos):,} {videos.name} videos; "
                f"in the others nothing counts as found: {listed(missing)}"
            )
        if self.strange:
            count, told = len(self.strange), listed(sorted(self.strange))
            yield f"{source} names {count:,} clips that are none of the data set: {told}"
