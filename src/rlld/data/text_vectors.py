"""Vectors of class names, from tables that people have: GloVe's text, arrays, saved tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.utils.foreign.arrays import open_array
from rlld.utils.foreign.damage import DamagedError, Told, guarded
from rlld.utils.foreign.weights import read_weights
from rlld.utils.names import inside

TOLD = Told(
    "no table of text vectors",
    "give a .txt of words and numbers as GloVe's, a .npy with a row for each class, or a .pt or "
    ".safetensors with a vector for each class in their order",
)
LONGEST = 1 << 20
"""Bytes of a line: 10,000 numbers of a hundred digits."""
SAVED = (".pt", ".pth", ".safetensors")


def text_vectors_of(path: Path, folder: Path | None, classes: Sequence[str], width: int) -> Tensor:
    """Reads the table that an option names; see ``read_text_vectors``.

    Args:
        path: The table, which may lie in the data set: a relative path counts from there where
            nothing is found from here.
        folder: The data-set folder, if there is one.
        classes: Class names.
        width: Numbers of a vector.

    Raises:
        RlldError: If it is no such table, or is looked for outside of the data set.
    """
    outside = path.is_absolute() or ".." in path.parts
    if folder is not None and not (outside or path.exists()):
        path = inside(folder, str(path), "table of text vectors")
    return read_text_vectors(path, classes, width)


def read_text_vectors(path: Path, classes: Sequence[str], width: int) -> Tensor:
    """Reads a vector for each class, without running anything of the file.

    Args:
        path: ``.txt``: words and their numbers, of which a class takes the line of its own name or
            the mean over its words. ``.npy``: a row for each class. ``.pt``, ``.safetensors``:
            tensors by name, as many as classes and in their order, for the published names are
            spelled otherwise than the classes.
        classes: Class names.
        width: Numbers of a vector.

    Returns:
        (C, width), float32.

    Raises:
        RlldError: If it is no such table, lacks a word, or does not fit the classes.
    """
    if path.suffix == ".npy":
        array = open_array(path, TOLD)
        _require_shape(path, array.shape, (len(classes), width))
        found = torch.from_numpy(array.read()).float()
    elif path.suffix in SAVED:
        found = _saved(path, classes, width)
    else:
        found = _of_words(path, classes, width)
    if not found.isfinite().all():
        name = classes[int((~found.isfinite().all(1)).nonzero()[0])]
        raise RlldError(
            f"{path}: the vector of {name!r} holds NaN or infinite values; make it anew"
        )
    return found


def _saved(path: Path, classes: Sequence[str], width: int) -> Tensor:
    rows = list(read_weights(path, TOLD).tensors.values())
    for row in rows:
        if row.numel() != width:
            _require_shape(path, (len(rows), row.numel()), (len(classes), width))
    _require_shape(path, (len(rows), width), (len(classes), width))
    return torch.stack([row.flatten().float() for row in rows])


def _of_words(path: Path, classes: Sequence[str], width: int) -> Tensor:
    words = {name: _words(name) for name in classes}
    wanted = {_line(name) for name in classes} | {word for each in words.values() for word in each}
    found = _lines(path, wanted, width)
    rows = []
    for name in classes:
        parts = [_line(name)] if _line(name) in found else words[name]
        missing = [word for word in parts if word not in found]
        if missing or not parts:
            what = f"word {missing[0]!r}" if missing else "word"
            raise RlldError(
                f"{path}: has no {what} of class {name!r}; add a line {_line(name)} with its "
                f"{width} numbers, or give a .npy with a row for each class"
            )
        rows.append(torch.stack([found[word] for word in parts]).mean(0))
    return torch.stack(rows)


def _line(name: str) -> str:
    """Returns how a table spells a class that has a line of its own."""
    return name.replace(" ", "_")


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())


def _lines(path: Path, wanted: set[str], width: int) -> dict[str, Tensor]:
    """Returns the vectors of words; of lines with the same word the first counts."""
    keys = {word.encode(): word for word in wanted}
    found: dict[str, Tensor] = {}
    with guarded(path, TOLD):
        for number, line in enumerate(_raw_lines(path), 1):
            word, _, rest = line.partition(b" ")
            name = keys.get(word)
            if name is None or name in found:
                continue
            values = [float(value) for value in rest.split()]
            if len(values) != width:
                raise DamagedError(
                    f"line {number}: {len(values)} numbers, expected network.text_dim, {width}"
                )
            found[name] = torch.tensor(values)
    return found


def _raw_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(LONGEST):
            if len(line) == LONGEST:
                raise DamagedError(f"a line of more than {LONGEST:,} bytes")
            yield line


def _require_shape(path: Path, found: tuple[int, ...], wanted: tuple[int, int]) -> None:
    if found != wanted:
        raise RlldError(
            f"{path}: text vectors of shape {str(found)[:80]}, expected {wanted} (classes, "
            "network.text_dim); give a row for each class in the order of the data set, and "
            "network.text_dim as wide as they are"
        )
