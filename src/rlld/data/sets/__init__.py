"""Published data sets, one module each: ``ov_ave.py`` is the data set ``ov-ave``.

A module holds ``read(folder, report)``, which returns a ``PublishedSet``, and ``write(folder,
given)``, its way back. Where features are published it has ``features(folder)`` too, which finds
and reads them. Adding a module adds the data set; nothing else is edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

from rlld.data.problems import Report, strict
from rlld.data.sets._annotation import annotate, spec_of
from rlld.data.sets._features import SetFeatures
from rlld.data.sets._folder import as_published
from rlld.data.sets.base import PublishedSet
from rlld.errors import RlldError, nearest

__all__ = [
    "Module",
    "annotate",
    "as_published",
    "features_of_set",
    "load_set",
    "set_names",
    "spec_of",
]


class Module(Protocol):
    """What the module of a data set offers."""

    def read(self, folder: Path, report: Report = strict) -> PublishedSet:
        """Reads the published annotation files."""

    def write(self, folder: Path, given: PublishedSet) -> None:
        """Writes the same files."""


def set_names() -> list[str]:
    """Returns the known data sets, sorted."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in names if name[0] != "_" and name != "base")


def load_set(name: str) -> Module:
    """Returns the module of a data set.

    Raises:
        RlldError: If there is none of that name; the message offers the nearest one.
    """
    if name not in set_names():
        raise RlldError(f"unknown data set {name!r}{nearest(name, set_names())}")
    return cast(Module, importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))


def features_of_set(name: str, folder: Path) -> SetFeatures:
    """Returns what finds and reads the published features of a data set.

    Raises:
        RlldError: If none are published, or the folder holds none.
    """
    found = getattr(load_set(name), "features", None)
    if found is None:
        raise RlldError(f"{name}: publishes no features; give --videos (a folder of clips)")
    return cast(SetFeatures, found(folder))
