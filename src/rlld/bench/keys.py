"""What a run depends on, as one short key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import rlld
from rlld.data.dataset import dense_files, weak_files
from rlld.data.similarities import scores_files
from rlld.data.spec import ANNOTATIONS, FILE_NAME, annotation_file, read_spec
from rlld.data.store import ids_hash, read_store, store_path
from rlld.utils.files import sha256

PRESENTATION = frozenset({"bench", "cli", "export", "parsing", "report", "tracking", "workflows"})
"""Rooms of the package that no score depends on: editing a table repeats no training."""


def dataset_fingerprint(folder: Path) -> str:
    """Returns a hash of what a data-set folder holds, wherever it lies.

    It covers ``dataset.yaml``, every annotation file that it names, and the ids and checksums that
    the packed stores of features and scores carry; the arrays themselves are not read.

    Raises:
        RlldError: If a file is missing or wrong.
    """
    spec = read_spec(folder)
    weak = weak_files(spec)
    names = {*weak.values(), *(file for split in weak for file in dense_files(spec, split))}
    parts: dict[str, Any] = {FILE_NAME: sha256(folder / FILE_NAME)}
    for name in sorted(names):
        path = annotation_file(folder / ANNOTATIONS, name)
        parts[name] = sha256(path) if path.is_file() else ""
    for split in sorted(weak):
        store = read_store(store_path(folder, split))
        parts[split] = [ids_hash(store.ids), dict(sorted(store.checksums.items()))]
    for path in scores_files(folder):
        store = read_store(path)
        name = path.relative_to(folder).as_posix()
        parts[name] = [ids_hash(store.ids), dict(sorted(store.checksums.items()))]
    return short_hash(parts)


@cache
def source_fingerprint() -> str:
    """Returns a hash of the installed package, except of what only shows results."""
    root = Path(rlld.__file__).parent
    files = {path.relative_to(root): path for path in root.rglob("*.py")}
    kept = {str(name): sha256(files[name]) for name in files if name.parts[0] not in PRESENTATION}
    return short_hash(kept)


def short_hash(value: Mapping[str, Any]) -> str:
    """Returns 16 hexadecimal digits for JSON-ready data, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
