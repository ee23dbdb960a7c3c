"""What a run depends on, as one short key."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import rlld
from rlld.data.fingerprint import held_in, short_hash
from rlld.data.spec import FILE_NAME, read_spec
from rlld.utils.files import sha256

PRESENTATION = frozenset({"bench", "cli", "export", "parsing", "report", "tracking", "workflows"})
"""Rooms of the package that no score depends on: editing a table repeats no training."""


def dataset_fingerprint(folder: Path) -> str:
    """Returns a hash of what a data-set folder holds, wherever it lies, ``dataset.yaml`` too.

    Raises:
        RlldError: If a file is missing or wrong.
    """
    own = {FILE_NAME: sha256(folder / FILE_NAME)}
    return short_hash(own | held_in(folder, read_spec(folder)))


@cache
def source_fingerprint() -> str:
    """Returns a hash of the installed package, except of what only shows results."""
    root = Path(rlld.__file__).parent
    files = {path.relative_to(root): path for path in root.rglob("*.py")}
    kept = {str(name): sha256(files[name]) for name in files if name.parts[0] not in PRESENTATION}
    return short_hash(kept)
