"""What a run depends on, as one short key."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import rlld
from rlld.data.fingerprint import held_in, short_hash
from rlld.data.spec import FILE_NAME, read_spec
from rlld.recipes.recipe import COMPONENTS, SETTINGS, Recipe
from rlld.utils.files import sha256

PRESENTATION = frozenset(
    {"bench", "cli", "comparing", "export", "report", "studio", "tracking", "workflows"}
)
"""Rooms of the package that no score depends on: editing a table repeats no training."""


def dataset_fingerprint(folder: Path) -> str:
    """Returns a hash of what a data-set folder holds, wherever it lies, ``dataset.yaml`` too.

    Raises:
        RlldError: If a file is missing or wrong.
    """
    own = {FILE_NAME: sha256(folder / FILE_NAME)}
    return short_hash(own | held_in(folder, read_spec(folder)))


def source_fingerprint(recipe: Recipe) -> str:
    """Returns a hash of what decides how a recipe computes, and lies outside of its data set.

    That is the installed package, except of what only shows results; the packages of components
    that other distributions bring; and the files that options name.

    Raises:
        RlldError: If a file cannot be read.
    """
    config = [getattr(recipe, section) for section in (*COMPONENTS, *SETTINGS)]
    values = list(_values(config))
    names = {value for value in values if isinstance(value, str)}
    paths = {value for value in values if isinstance(value, Path)}
    return short_hash(_own() | _brought(names) | _named(paths))


@cache
def _own() -> dict[str, str]:
    root = Path(rlld.__file__).parent
    files = {path.relative_to(root): path for path in root.rglob("*.py")}
    return {str(name): sha256(files[name]) for name in files if name.parts[0] not in PRESENTATION}


def _values(value: Any) -> Iterator[Any]:
    """Yields what stands in dataclasses, mappings and lists within each other."""
    if is_dataclass(value):
        value = [getattr(value, option.name) for option in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_values, value))
    else:
        yield value


def _brought(names: Set[str]) -> dict[str, str]:
    """Returns hashes of the sources of the components among names that others bring."""
    modules = {
        registry.config_type(name).__module__.partition(".")[0]
        for registry in COMPONENTS.values()
        for name in names & set(registry.names())
    }
    found: dict[str, str] = {}
    for name in modules - {rlld.__name__}:
        module = sys.modules[name]
        folders = [Path(folder) for folder in getattr(module, "__path__", ())]
        files = [(path, folder) for folder in folders for path in folder.rglob("*.py")]
        if not folders and module.__file__:
            files = [(Path(module.__file__), Path(module.__file__).parent)]
        found |= {f"{name}: {path.relative_to(top)}": sha256(path) for path, top in files}
    return found


def _named(paths: Set[Path]) -> dict[str, str]:
    """Returns hashes of the files among what options name; training says which are missing."""
    return {f"file: {path}": sha256(path) for path in paths if path.is_file()}
