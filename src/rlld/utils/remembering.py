"""Remembering what a function found at a place, for as long as it is the same place."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

OfPlace = TypeVar("OfPlace", bound=Callable[..., Any])


def by_place(size: int | None = None) -> Callable[[OfPlace], OfPlace]:
    """Makes a function of a path run once for each whole path, in each process.

    ``functools.cache`` takes a relative path for the same place when the process stands elsewhere,
    and what was done before a fork for done by the fork. The function is given the whole path, so
    that what it returns does not depend on where the process stands either.

    Args:
        size: How many results are remembered, all when not given.
    """

    def remembering(function: OfPlace) -> OfPlace:
        @lru_cache(size)
        def known(process: int, path: Path, *more: Hashable) -> Any:
            return function(path, *more)

        @wraps(function)
        def asked(path: Path, *more: Hashable) -> Any:
            return known(os.getpid(), path.absolute(), *more)

        return cast(OfPlace, asked)

    return remembering
