"""Clips of the same content are encoded once for all tests of a process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import wraps
from pathlib import Path

KEPT: dict[bytes, bytes] = {}
"""The bytes of clips, by who wrote them and of what."""


def once(write: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a function that writes a clip remember what it wrote.

    What it is given has to be plain: the kind of its file and its content decide all its bytes.
    """

    @wraps(write)
    def written(path: Path, *args: object, **options: object) -> Path:
        content = (write.__qualname__, write.__module__, path.suffix, args, sorted(options.items()))
        key = pickle.dumps(content)
        if key in KEPT:
            path.write_bytes(KEPT[key])
        else:
            write(path, *args, **options)
            KEPT[key] = path.read_bytes()
        return path

    return written
