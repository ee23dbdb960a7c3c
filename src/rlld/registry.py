"""Components by name: a module of a package, or an entry point of another distribution.

A component module holds a frozen dataclass called ``Config`` whose ``build`` makes the component.
Adding a file adds the component; nothing else is edited.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from rlld.config import from_dict
from rlld.errors import RlldError, nearest


class Registry:
    """The components of one kind.

    Attributes:
        kind: What they are, in messages: ``network``.
        package: Package whose modules are the components; also the entry-point group.
        helpers: Modules of the package that are no components.
    """

    def __init__(self, kind: str, package: str, helpers: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.package = package
        self.helpers = frozenset({"base", *helpers})

    def names(self) -> list[str]:
        """Returns the known names, sorted, without importing any component."""
        path = importlib.import_module(self.package).__path__
        own = {module.name for module in pkgutil.iter_modules(path)} - self.helpers
        return sorted(own | {entry.name for entry in entry_points(group=self.package)})

    def config_type(self, name: str) -> type[Any]:
        """Returns the ``Config`` dataclass of a component.

        Raises:
            RlldError: If there is no component of that name.
        """
        known = self.names()
        if name not in known:
            raise RlldError(f"unknown {self.kind} {name!r}{nearest(name, known)}")
        for entry in entry_points(group=self.package, name=name):
            return entry.load()  # type: ignore[no-any-return]
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
        return from_dict(self.config_type(name), options, where)


NETWORKS = Registry(
    "network", "rlld.networks", helpers=("blocks", "convert", "published", "grouping", "recurrent")
)
OBJECTIVES = Registry(
    "objective", "rlld.objectives", helpers=("bce", "contrastive", "single_label", "small_loss")
)
DENOISERS = Registry("denoiser", "rlld.denoisers", helpers=("exchange_file", "given"))
