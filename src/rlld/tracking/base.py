"""What a tracker takes, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Place:
    """What is tracked.

    Attributes:
        folder: Its folder; trackers keep their files in folders of their own below it.
        title: What a reader calls it.
        config: Everything that was set, nested and JSON-ready.
        id: Names it for good, also after it was interrupted.
    """

    folder: Path
    title: str
    config: Mapping[str, Any]
    id: str


@dataclass(frozen=True)
class Results:
    """What there is at the end.

    Attributes:
        scores: Numbers by name.
        files: Figures (PNG), pages (HTML) and tables (Markdown and other formats).
    """

    scores: Mapping[str, float]
    files: tuple[Path, ...]

    def of_kind(self, suffix: str) -> dict[str, Path]:
        """Returns the files with a suffix by their names without it."""
        return {path.stem: path for path in self.files if path.suffix == suffix}


class Tracker(Protocol):
    """Where numbers go."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Takes the figures of a round, and has them written before it returns.

        Args:
            values: Numbers by name; what stands before a slash groups them.
            step: Updates done.
        """

    def results(self, results: Results) -> None:
        """Takes what there is at the end."""

    def close(self, *, failed: bool) -> None:
        """Writes what is left."""


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested settings by dotted path."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
