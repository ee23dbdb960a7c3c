"""What every feature extractor is."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.features.decode import Clip, ClipInfo

Rows = Mapping[str, NDArray[np.float32]]
"""Rows of consecutive segments by stream name, each (n, D of that stream)."""


@dataclass(frozen=True)
class ClipFeatures:
    """Features of one clip.

    Attributes:
        info: The clip as decoded: its length, which tracks it has, notes on damage.
        streams: Features by stream name, each (S, D), float32; a row of zeros where a segment has
            no sound (``audio``) or no picture (``visual_2d``, ``visual_3d``).
    """

    info: ClipInfo
    streams: dict[str, NDArray[np.float32]]


class Extractor(ABC):
    """Turns a clip into features, one row per segment and stream.

    Its module ``rlld.features.NAME`` holds a frozen dataclass ``Config`` with the parameters and
    ``build() -> Extractor``.

    Attributes:
        name: Its name in ``EXTRACTORS``, in manifests and in ``dataset.yaml``.
    """

    name: str

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on, JSON-ready, weights by their hash."""

    @abstractmethod
    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its streams and their dimensions."""

    @abstractmethod
    def rows(self, clip: Clip, segment_seconds: float) -> Iterator[Rows]:
        """Decodes a clip and yields the rows of consecutive segments, some at a time.

        Memory stays flat however long the clip is. ``clip.outcome()`` is complete afterwards.

        Raises:
            RlldError: If nothing of the clip can be decoded.
        """

    @property
    def version(self) -> str:
        """Hash of name and parameters; features of one version can be mixed, others not."""
        text = json.dumps([self.name, self.parameters()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def extract(self, path: Path | str, segment_seconds: float = 1.0) -> ClipFeatures:
        """Extracts the features of one clip.

        Args:
            path: The file.
            segment_seconds: Length of a segment in seconds.

        Returns:
            Features of all its segments.

        Raises:
            RlldError: If the file cannot be read.
        """
        clip = Clip(path)
        parts = list(self.rows(clip, segment_seconds))
        names = self.streams(segment_seconds)
        streams = {name: np.concatenate([part[name] for part in parts]) for name in names}
        return ClipFeatures(clip.outcome(), streams)
