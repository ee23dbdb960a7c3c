"""What tables call data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def titled(folders: Sequence[Path]) -> dict[str, Path]:
    """Returns folders by their names, those of one name by their paths as they were given.

    Examples:
        >>> list(titled([Path("x/d"), Path("y/d"), Path("y/e")]))
        ['x/d', 'y/d', 'e']
    """
    names = [folder.name for folder in dict.fromkeys(folders)]
    return {
        folder.name if names.count(folder.name) == 1 else str(folder): folder for folder in folders
    }
