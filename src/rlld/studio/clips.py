"""The videos of a data set as the studio shows them: tags, splits, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rlld.data.annotations import read_dense, read_splits, union
from rlld.data.answers import Answer, read_answers
from rlld.data.spec import (
    ANNOTATIONS,
    VIDEOS,
    DataSpec,
    annotation_file,
    dense_files,
    read_spec,
)
from rlld.errors import RlldError
from rlld.media.files import clip_of, clips_of_videos, stamp_of
from rlld.media.listing import Listed, read_listing
from rlld.parsing.result import Event
from rlld.types import MODALITIES


class NotFoundError(RlldError):
    """What was asked for is not there."""


@dataclass(frozen=True)
class Video:
    """A video of a data set.

    Attributes:
        id: Its id.
        split: The split that it is in.
        tags: Positions of its classes.
        file: Its clip; None where nothing is known of one.
        seconds: Length where it is known.
        stamp: What the file was when the data set was made; empty where nobody looked.
    """

    id: str
    split: str
    tags: tuple[int, ...]
    file: Path | None
    seconds: float | None = None
    stamp: str = ""

    def clip(self) -> Path:
        """Returns its clip.

        Raises:
            NotFoundError: If there is none, or it is gone.
        """
        if self.file is None:
            raise NotFoundError(
                f"{self.id}: has no clip; put one of that name into the folder {VIDEOS!r} of the "
                "data set"
            )
        if not self.file.is_file():
            raise NotFoundError(f"{self.file}: the clip of {self.id!r} is gone; bring it back")
        return self.file

    def notes(self) -> list[str]:
        """Says whether its clip is gone, or another one than that of the data set."""
        try:
            if self.stamp and stamp_of(self.clip()) != self.stamp:
                return [
                    f"{self.file}: was replaced after the data set was made of it; run 'rlld data "
                    "new' again, so that features and events are those of this clip"
                ]
        except RlldError as error:
            return [str(error)]
        return []


class Catalogue:
    """The videos of a data set.

    Only what it lists is ever shown or played: ids are looked up here, none becomes a path.

    Args:
        folder: The data-set folder.

    Attributes:
        folder: The data-set folder.
        spec: The data set.
        videos: Its videos by id, split by split in the order of the annotation files.

    Raises:
        RlldError: If it cannot be read, or has no clips.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec: DataSpec = read_spec(folder)
        listing = read_listing(folder)
        files = {} if listing else clips_of_videos(folder / VIDEOS)
        self.videos: dict[str, Video] = {}
        for split, weak in read_splits(folder / ANNOTATIONS, self.spec).items():
            for video, row in zip(weak.ids, weak.labels, strict=True):
                tags = tuple(int(c) for c in row.nonzero()[0])
                known = listing.get(video)
                file = Path(known.file) if known else clip_of(files, video)
                self.videos[video] = Video(video, split, tags, file, *_measured(known))
        self._order = {video: number for number, video in enumerate(self.videos)}

    def __getitem__(self, video: str) -> Video:
        """Returns a video.

        Raises:
            NotFoundError: If the data set has none of that id.
        """
        if video not in self.videos:
            raise NotFoundError(f"{video!r}: no such video in {self.folder}")
        return self.videos[video]

    def beside(self, video: str) -> tuple[str | None, str | None]:
        """Returns the ids of the videos before and behind one."""
        ids, at = list(self.videos), self._order[video]
        return ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None

    @property
    def splits(self) -> dict[str, tuple[str, ...]]:
        """Ids by split."""
        found: dict[str, list[str]] = {}
        for video in self.videos.values():
            found.setdefault(video.split, []).append(video.id)
        return {split: tuple(ids) for split, ids in found.items()}

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """The answers that are in the files of the data set."""
        name = self.spec.annotations.answers
        return tuple(read_answers(self._file(name), self.spec.taxonomy)) if name else ()

    @cached_property
    def truth(self) -> Mapping[str, tuple[Event, ...]]:
        """Audible and visible events of the videos with dense annotation, by id."""
        found: dict[str, list[Event]] = {}
        for split, ids in self.splits.items():
            files = dense_files(self.spec, split, with_truth=False)
            if files:
                found |= {video: [] for video in ids}
        for modality, file in zip(MODALITIES, dense_files(self.spec, "test"), strict=False):
            spans: dict[tuple[str, str], list[tuple[float, float]]] = {}
            for row in read_dense(self._file(file), self.spec.taxonomy):
                if row.id in found:
                    spans.setdefault((row.id, row.label), []).append((row.onset, row.offset))
            for (video, label), own in spans.items():
                found[video] += [Event(label, modality, *span, 1.0) for span in union(own)]  # type: ignore[arg-type]
        return {video: tuple(sorted(rows, key=_key)) for video, rows in found.items()}

    def _file(self, name: str) -> Path:
        return annotation_file(self.folder / ANNOTATIONS, name)


def _key(event: Event) -> tuple[float, str, str]:
    return event.start, event.modality, event.label


def _measured(known: Listed | None) -> tuple[float | None, str]:
    return (known.seconds, known.stamp) if known else (None, "")
