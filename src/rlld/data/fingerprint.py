"""What the files of a data set hold, as one short key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlld.data.similarities import scores_files
from rlld.data.spec import ANNOTATIONS, SPLITS, DataSpec, annotation_file, dense_files, weak_files
from rlld.data.store import ids_hash, read_store, store_path
from rlld.utils.files import sha256


def held_in(folder: Path, spec: DataSpec, splits: Sequence[str] = SPLITS) -> dict[str, Any]:
    """Returns hashes of what a data-set folder holds, by file.

    They cover every annotation file that ``dataset.yaml`` names for the splits, and the ids and
    checksums that the packed stores of features and scores carry; the arrays are not read.

    Args:
        folder: The folder.
        spec: Its specification.
        splits: Those that count.

    Raises:
        RlldError: If a file is missing or wrong.
    """
    weak = {split: file for split, file in weak_files(spec).items() if split in splits}
    names = {*weak.values(), *(file for split in weak for file in dense_files(spec, split))}
    parts: dict[str, Any] = {}
    for name in sorted({*names, spec.annotations.answers} - {""}):
        path = annotation_file(folder / ANNOTATIONS, name)
        parts[name] = sha256(path) if path.is_file() else ""
    for split in sorted(weak):
        path = store_path(folder, split)
        if path.is_file():  # else its videos came from other splits, whose stores hold them
            parts[split] = _stored(path)
    for path in scores_files(folder):
        if path.stem in splits:
            parts[path.relative_to(folder).as_posix()] = _stored(path)
    return parts


def _stored(path: Path) -> list[Any]:
    store = read_store(path)
    return [ids_hash(store.ids), dict(sorted(store.checksums.items()))]


def taught_by(folder: Path, spec: DataSpec) -> str:
    """Returns a hash of what a training reads: all but the test split and ``dataset.yaml``."""
    return short_hash(held_in(folder, spec, ("train", "validation")))


def short_hash(value: Mapping[str, Any]) -> str:
    """Returns 16 hexadecimal digits for JSON-ready data, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
