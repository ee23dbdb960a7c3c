"""Weights by name, wherever a training loop has put them.

What people have is a state dict in wrappers: a dictionary that keeps it beside the optimizer, the
epoch and the arguments, and names that DataParallel, ``torch.compile``, averaging or Lightning have
put a word in front of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rlld.errors import RlldError
from rlld.utils.foreign.damage import Told
from rlld.utils.foreign.saved import STORAGES, kind_of, read_saved
from rlld.utils.foreign.tensors import is_tensors, read_tensors

ENTRIES = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"),
    *("weights", "params", "generator", "student", "teacher", "checkpoint", "ckpt", "state"),
    *("model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "ema", "swa"),
)
"""Where state dicts are kept; the earlier one counts, so the trained weights before averages."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""What wrappers put in front of every name."""
ANYWHERE = "_orig_mod."
"""``torch.compile`` also wraps parts, and calls nothing else so."""
COUNTER = "n_averaged"
"""The number that ``torch.optim.swa_utils.AveragedModel`` keeps beside its ``module.``."""

DEEPEST = 8
MOST_SHARED = 8
"""How many times the size of its file the tensors may add up to, as tied ones do."""
SLACK = 1 << 20
KINDS = frozenset(STORAGES.values())


@dataclass(frozen=True)
class Weights:
    """Weights of a file.

    Attributes:
        tensors: By name.
        unwrapped: What was looked through, in words: ``took 'state_dict'``.
    """

    tensors: dict[str, Tensor]
    unwrapped: tuple[str, ...]


def read_weights(
    path: Path, told: Told, *, mapped: bool = False, together: Iterable[tuple[str, ...]] = ()
) -> Weights:
    """Reads the state dict of a safetensors file or one of ``torch.save``, and unwraps it.

    Args:
        path: The file.
        told: How to speak of it.
        mapped: Map the values where that is possible instead of reading them.
        together: Entries that are taken together where all are there, each with its name in front
            of those of its tensors.

    Raises:
        RlldError: If it cannot be read (see :func:`~rlld.utils.foreign.saved.read_saved`), or holds
            no tensors by name.
    """
    if path.suffix == ".safetensors" or is_tensors(path):
        content: Any = read_tensors(path, told)[0]
    else:
        content = read_saved(path, told, mapped=mapped)
    steps: list[str] = []
    state = _joined(content, together, steps)
    if state is None:
        state = _taken(content, steps)
    if not isinstance(state, Mapping) or not state:
        raise RlldError(
            f"{path}: holds {kind_of(state)}, expected a non-empty state dict (tensors by name); "
            f"{told.advice}"
        )
    _check(path, state, told)
    tensors = _bare(dict(state), steps)
    return Weights(tensors, tuple(steps))


def _joined(
    content: Any, together: Iterable[tuple[str, ...]], steps: list[str]
) -> dict[str, Any] | None:
    """Returns entries of a dictionary as one state dict; None where none belong together."""
    for names in together:
        if not names or not isinstance(content, Mapping):
            continue
        if all(_has_tensors(content.get(name)) for name in names):
            steps.append(f"took {' and '.join(map(repr, names))} together")
            return {f"{name}.{key}": v for name in names for key, v in content[name].items()}
    return None


def _taken(content: Any, steps: list[str]) -> Any:
    """Returns the state dict inside of dictionaries."""
    for _ in range(DEEPEST):
        if not isinstance(content, Mapping):
            return content
        inside = [key for key, value in content.items() if _has_tensors(value)]
        if not inside and not _has_tensors(content):
            inside = [key for key in ENTRIES if isinstance(content.get(key), Mapping)][:1]
        if not inside:
            return content
        best = min(inside, key=_rank)
        others = ", ".join(repr(key) for key in inside if key != best)
        steps.append(f"took {best!r}" + (f" (not {others})" if others else ""))
        content = content[best]
    return content


def _rank(key: Any) -> int:
    """Orders the entries of a dictionary; of unknown ones the first counts."""
    return ENTRIES.index(key) if key in ENTRIES else len(ENTRIES)


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(key, str) and isinstance(each, Tensor) for key, each in value.items()
    )


def _bare(state: dict[str, Tensor], steps: list[str]) -> dict[str, Tensor]:
    """Removes what wrappers put into names."""
    removed: dict[str, None] = {}
    while True:
        names = state.keys() - {COUNTER}
        prefix = next((p for p in PREFIXES if names and all(n.startswith(p) for n in names)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): state[name] for name in state if name != COUNTER}
        removed[prefix] = None
    bare = {name.replace(ANYWHERE, ""): value for name, value in state.items()}
    if len(bare) == len(state) and bare.keys() != state.keys():
        state = bare
        removed[ANYWHERE] = None
    steps.extend(f"removed {prefix!r}" for prefix in removed)
    return state


def _check(path: Path, state: Mapping[Any, Any], told: Told) -> None:
    total = 0
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise RlldError(
                f"{path}: entry {str(key)[:80]!r} is {kind_of(value)}, expected a tensor by its "
                f"name; this is no state dict; {told.advice}"
            )
        if value.dtype not in KINDS:
            raise RlldError(
                f"{path}: tensor {key[:80]!r} is {value.dtype}, expected float32, float16, int64 "
                f"or another ordinary kind of number; {told.advice}"
            )
        total += value.nbytes
    size = path.stat().st_size
    if total > MOST_SHARED * size + SLACK:
        raise RlldError(
            f"{path}: its tensors share their values and would take {total:,} bytes, the file has "
            f"{size:,}; {told.advice}"
        )
