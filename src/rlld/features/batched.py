"""One device for many clips: threads decode, the device describes segments of several at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Protocol, TypeVar

import numpy as np

from rlld.errors import RlldError
from rlld.features.base import ClipFeatures, Extractor, Rows
from rlld.media.container import ClipInfo
from rlld.media.decode import Clip
from rlld.media.files import strange
from rlld.media.tracks import TrackChoice
from rlld.media.views import Chunk, chunks
from rlld.utils.pool import Watch

CHUNKS = 8
"""Chunks that are described at once at most."""
LOOK = 0.2
"""Seconds between two looks at whether the work was stopped."""


class ClipTask(Protocol):
    """What is said of a clip; see ``rlld.features.job.Task``."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def segment_seconds(self) -> float:
        """Length of a segment in seconds."""

    @property
    def tracks(self) -> TrackChoice:
        """Which of several tracks are described."""


Task = TypeVar("Task", bound=ClipTask)


def each_batched(
    tasks: Sequence[Task], extractor: Extractor, decoders: int, watch: Watch[Task] | None = None
) -> Iterator[tuple[Task, ClipFeatures | RlldError]]:
    """Extracts clips and yields them as they come.

    Memory stays flat: a bounded number of chunks waits, however long the clips are. The features
    of a clip are the same whatever it was batched with.

    Args:
        tasks: The clips, with segments of the same length.
        extractor: Describes them, on its device.
        decoders: Threads that decode.
        watch: Is told which clips are in work.

    Yields:
        (task, result); the result is an ``RlldError`` when the clip could not be read.
    """
    work = _Work(tasks, extractor)
    threads = [Thread(target=work.decode, daemon=True) for _ in range(min(decoders, len(tasks)))]
    for thread in threads:
        thread.start()
    try:
        yield from _described(tasks, extractor, work, watch)
    finally:
        work.stopped.set()
        for thread in threads:
            thread.join()


class _Work:
    """Clips that wait, and what was decoded of others."""

    def __init__(self, tasks: Sequence[ClipTask], extractor: Extractor) -> None:
        self.stopped = Event()
        self.decoded: Queue[tuple[int, Chunk | ClipInfo | RlldError]] = Queue(2 * CHUNKS)
        self._views = extractor.views
        self._tasks = tasks
        self._waiting: Queue[int] = Queue()
        for number in range(len(tasks)):
            self._waiting.put(number)

    def decode(self) -> None:
        """Decodes clip after clip; what a thread runs."""
        while not self.stopped.is_set():
            try:
                number = self._waiting.get_nowait()
            except Empty:
                return
            task = self._tasks[number]
            try:
                clip = Clip(task.path, task.tracks)
                for chunk in chunks(clip.segments(task.segment_seconds, self._views)):
                    self._put(number, chunk)
                self._put(number, clip.outcome())
            except RlldError as error:
                self._put(number, error)
            except Exception as error:
                # A strange file must cost itself alone, not the hours spent on all others.
                self._put(number, strange(task.path, error))

    def _put(self, number: int, item: Chunk | ClipInfo | RlldError) -> None:
        while not self.stopped.is_set():
            try:
                self.decoded.put((number, item), timeout=LOOK)
                return
            except Full:
                continue

    def batch(self) -> list[tuple[int, Chunk | ClipInfo | RlldError]]:
        """Returns what came, at least one item; waits for that one alone."""
        items = [self.decoded.get()]
        while len(items) < CHUNKS:
            try:
                items.append(self.decoded.get_nowait())
            except Empty:
                break
        return items


def _described(
    tasks: Sequence[Task], extractor: Extractor, work: _Work, watch: Watch[Task] | None
) -> Iterator[tuple[Task, ClipFeatures | RlldError]]:
    parts: dict[int, list[Rows]] = defaultdict(list)
    seconds = tasks[0].segment_seconds
    streams = extractor.streams(seconds)
    left = len(tasks)
    while left:
        items = work.batch()
        shown = [(number, item) for number, item in items if isinstance(item, Sequence)]
        if shown:
            rows = extractor.describe([chunk for _, chunk in shown], seconds)
            start = 0
            for number, chunk in shown:
                end = start + len(chunk)
                parts[number].append(
                    {
                        name: rows[name][start * stream.frames : end * stream.frames]
                        for name, stream in streams.items()
                    }
                )
                start = end
            if watch is not None:
                watch([tasks[number] for number in parts])
        for number, item in items:
            if isinstance(item, Sequence):
                continue
            left -= 1
            own = parts.pop(number, [])
            if isinstance(item, RlldError):
                yield tasks[number], item
                continue
            whole = {name: np.concatenate([part[name] for part in own]) for name in streams}
            yield tasks[number], ClipFeatures(item, whole)
