"""Components by name: a module of a package, or an entry point of another distribution.

A component module holds a frozen dataclass called ``Config`` whose ``build`` makes the component.
Adding a file adds the component; nothing else is edited. Files of helpers begin with an underscore,
and ``base`` holds what all components of a kind are.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any, ClassVar, TypeVar, cast

from rlld.errors import RlldError, nearest
from rlld.utils.config import from_dict

Kind = TypeVar("Kind", bound=type[Any])


class Buildable:
    """Base of the ``Config`` classes: options know what is built of them.

    The component says it, where it is defined: ``@Config.makes`` stands above its class.
    """

    made: ClassVar[type[Any]]

    @classmethod
    def makes(cls, kind: Kind) -> Kind:
        """Decorates the class that is built of these options."""
        cls.made = kind
        return kind


class Registry:
    """The components of one kind.

    Attributes:
        kind: What they are, in messages: ``network``.
        package: Package whose modules are the components.
        group: Entry-point group of other distributions' components.
    """

    def __init__(self, kind: str, package: str, group: str | None = None) -> None:
        self.kind = kind
        self.package = package
        self.group = group or package

    def names(self) -> list[str]:
        """Returns the known names, sorted, without importing any component."""
        return sorted(self._own() | {entry.name for entry in _installed(self.group)})

    def _own(self) -> frozenset[str]:
        path = importlib.import_module(self.package).__path__
        return _modules(tuple((folder, _changed(folder)) for folder in path))

    def config_type(self, name: str) -> type[Any]:
        """Returns the ``Config`` dataclass of a component.

        Raises:
            RlldError: If there is no component of that name, more than one, or another
                distribution's cannot be loaded.
        """
        own = name in self._own()
        foreign = [entry for entry in _installed(self.group) if entry.name == name]
        if not (own or foreign):
            raise RlldError(
                f"unknown {self.kind} {name!r}, which no installed package brings either"
                f"{nearest(name, self.names())}"
            )
        if len(foreign) + own > 1:
            raise RlldError(
                f"{self.kind} {name!r} exists more than once, {_distribution(foreign[0])} brings "
                "another one; uninstall that, or rename its entry point"
            )
        if foreign:
            return _load(foreign[0], self.kind)
        module = importlib.import_module(f"{self.package}.{name}")
        return module.Config  # type: ignore[no-any-return]

    def config(self, section: Mapping[str, Any], where: str) -> Any:
        """Builds the ``Config`` that a recipe section ``{name: ..., option: value}`` describes.

        Raises:
            RlldError: If the name or an option is unknown.
        """
        options = dict(section)
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise RlldError(f"{where}: 'name' is missing; known: {', '.join(self.names())}")
        try:
            kind = self.config_type(name)
        except RlldError as error:
            raise RlldError(f"{where}: {error}") from None
        return from_dict(kind, options, where)


def _installed(group: str) -> EntryPoints:
    """Returns the entry points of a group of all distributions that are installed now.

    Every distribution has to be opened for it, of which there may be hundreds, so that it is done
    once for as long as no folder of the path changes.
    """
    return _read(group, tuple((folder, _changed(folder)) for folder in _folders()))


def _folders() -> Iterator[str]:
    """Yields the folders of the path, whole: one may be named by where the process stands."""
    for folder in sys.path:
        with suppress(OSError):  # the folder where it stands may be gone
            yield os.path.abspath(folder)


@lru_cache(maxsize=16)
def _modules(path: tuple[tuple[str, int], ...]) -> frozenset[str]:
    """Returns the components among the modules of a package's folders as they are now."""
    names = {module.name for module in pkgutil.iter_modules([folder for folder, _ in path])}
    return frozenset(name for name in names if name != "base" and not name.startswith("_"))


@lru_cache(maxsize=8)
def _read(group: str, _path: tuple[tuple[str, int], ...]) -> EntryPoints:
    return entry_points(group=group)


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _load(entry: EntryPoint, kind: str) -> type[Any]:
    try:
        found = entry.load()
    except Exception as error:  # whatever the import of a foreign module raises
        raise RlldError(
            f"{kind} {entry.name!r} of {_distribution(entry)} cannot be loaded from {entry.value} "
            f"({type(error).__name__}: {error}); repair or uninstall that distribution"
        ) from error
    if not dataclasses.is_dataclass(found) or not hasattr(found, "build"):
        raise RlldError(
            f"{kind} {entry.name!r} of {_distribution(entry)}: {entry.value} is no dataclass with "
            "a method 'build'; let its entry point name the Config class"
        )
    return cast(type[Any], found)


def _distribution(entry: EntryPoint) -> str:
    return f"distribution {entry.dist.name!r}" if entry.dist else "another distribution"


NETWORKS = Registry("network", "rlld.networks")
OBJECTIVES = Registry("objective", "rlld.objectives")
DENOISERS = Registry("denoiser", "rlld.denoisers")
EXTRACTORS = Registry("extractor", "rlld.features.extractors", group="rlld.features")
