"""What a run thinks of the clips of a data set: which labels it keeps, what occurs where."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlld.errors import RlldError
from rlld.parsing.result import Event, Parse, Source
from rlld.studio.clips import Catalogue, Video
from rlld.types import MODALITIES
from rlld.utils.runs import runs

if TYPE_CHECKING:
    from rlld.data.store import Store

RUNS = "runs"
"""Folder inside the studio's own of the runs that it trains."""
UNSURE = 0.15
"""How far from an even chance a probability is that is called doubtful."""
HELD = 200
"""Parses that are kept in memory."""


class Beliefs:
    """A run and what it thinks.

    Args:
        run: The run folder, or a run of the hub.
        catalogue: The data set.

    Attributes:
        run: The run.
        source: What it was loaded from.
        name: What it is called: one of the studio by its number.
        parse: Parses a video with its tags.
        events: Returns the events of its parse, which are remembered of all videos.

    Raises:
        RlldError: If it cannot be read, or the data set does not fit it.
    """

    def __init__(self, run: str | Path, catalogue: Catalogue) -> None:
        from rlld.evaluation.scoring import load_for
        from rlld.training.run_folder import load_run

        self.source = str(run)
        self.run = load_run(run)
        number = self.run.name
        self.name = f"studio {number}" if is_own(self.run.path) else number
        self.catalogue = catalogue
        load_for(self.run, "train", catalogue.folder)
        self._judging, self._reading = threading.Lock(), threading.Lock()
        self._keep: dict[str, Any] | None = None
        self._stores: dict[str, Store] = {}
        self._forget()

    def look_at(self, catalogue: Catalogue) -> None:
        """Takes the data set as it is now: its clips may be in other splits.

        Raises:
            RlldError: If it does not fit the run any more.
        """
        from rlld.evaluation.scoring import require_fit

        require_fit(self.run, catalogue.spec, catalogue.folder)
        with self._reading:
            self.catalogue, self._stores = catalogue, {}
            self._forget()

    def _forget(self) -> None:
        self.parse: Callable[[str], Parse] = lru_cache(HELD)(self._parse)
        # Unlike whole parses these are small; without them every export would parse all again.
        self.events: Callable[[str], tuple[Event, ...]] = cache(
            lambda video: self.parse(video).events
        )

    @property
    def keep(self) -> Mapping[str, Any] | None:
        """Keep probabilities (2, C) by video, as far as they are known by now; None before."""
        return self._keep

    def judge(self) -> Mapping[str, Any]:
        """Returns the keep probabilities (2, C) by video; none where its denoiser learns none."""
        with self._judging:
            if self._keep is None:
                self._keep = self._judged()
        return self._keep

    def suspicion(self, video: Video) -> float | None:
        """Returns how probably the most doubtful of the labels of a video is wrong."""
        rows = None if self._keep is None else self._keep.get(video.id)
        if rows is None or not video.tags:
            return None
        return round(1 - min(float(row[tag]) for row in rows for tag in video.tags), 4)

    def _judged(self) -> dict[str, Any]:
        from rlld.evaluation.labels import judge, judges_labels
        from rlld.evaluation.scoring import load_for

        if not judges_labels(self.run):
            return {}
        found: dict[str, Any] = {}
        for split in self.catalogue.splits:
            videos = load_for(self.run, split, self.catalogue.folder).to(self.run.device)
            keep = judge(self.run, videos).keep.cpu().numpy()
            found |= dict(zip(videos.ids, keep, strict=True))
        return found

    def _parse(self, video: str) -> Parse:
        """Parses a video with its tags, from the features of the data set."""
        from rlld.parsing.parse import parse_source

        known, spec = self.catalogue[video], self.catalogue.spec
        features = self._features(known)
        outcome = None if known.seconds is None else lambda: (known.seconds or 0.0, ())
        tags = [spec.classes[tag] for tag in known.tags]
        with self._reading:
            return parse_source(self.run, Source(video, [features], outcome), tags or None)

    def _features(self, video: Video) -> dict[str, Any]:
        from rlld.data.moved import features_of

        with self._reading:
            if video.split not in self._stores:
                ids = self.catalogue.splits[video.split]
                self._stores[video.split] = features_of(self.catalogue.folder, video.split, ids)
        store = self._stores[video.split]
        if video.id not in store.ids:
            raise RlldError(
                f"{store.path}: holds no features of {video.id!r}; where the clip was taken out of "
                "the data set meanwhile, press Write, which reads that again, else extract them"
            )
        rows = store.video(store.ids.index(video.id))
        return {name: value.float().numpy() for name, value in rows.items()}


def doubts(parse: Parse, tags: tuple[int, ...]) -> list[dict[str, Any]]:
    """Returns where a parse is least sure of the tags of its video, in the order of time.

    Args:
        parse: The parse.
        tags: Positions of the classes.

    Returns:
        ``class``, ``modality``, ``start``, ``end`` and the mean probability ``p`` of each place.
    """
    found = []
    for m, modality in enumerate(MODALITIES):
        for c in tags:
            values = [segment[m][c] for segment in parse.probabilities]
            for first, stop in runs(np.array([abs(value - 0.5) <= UNSURE for value in values])):
                span = values[first:stop]
                found.append(
                    {
                        "class": parse.classes[c],
                        "modality": modality,
                        "start": first * parse.segment_seconds,
                        "end": min(stop * parse.segment_seconds, parse.duration),
                        "p": round(sum(span) / len(span), 4),
                    }
                )
    return sorted(found, key=lambda doubt: doubt["start"])


def is_own(run: Path) -> bool:
    """Says whether a run is one that a studio trained."""
    return run.name.isdecimal() and run.parent.name == RUNS


def last_run(folder: Path) -> Path | None:
    """Returns the youngest finished run of a folder of the studio, None where there is none."""
    runs = [config.parent for config in folder.glob("*/config.json") if is_own(config.parent)]
    return max(runs, key=lambda run: int(run.name), default=None)
