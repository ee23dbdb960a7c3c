"""rlld: weakly-supervised audio-visual video parsing with reinforced label denoising.

The Python face is small: ``load_data``, ``train``, ``load_run``, ``evaluate``, ``compare``,
``denoise``, ``suggest`` and ``parse``. They are imported on first use, so that ``import rlld``
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rlld import _moved
from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.api import compare, denoise, evaluate, parse, suggest, train
    from rlld.data.dataset import load_data
    from rlld.training.run_folder import load_run

__all__ = [
    "RlldError",
    "compare",
    "denoise",
    "evaluate",
    "load_data",
    "load_run",
    "parse",
    "suggest",
    "train",
]

_HOMES = {
    "compare": "rlld.api",
    "denoise": "rlld.api",
    "evaluate": "rlld.api",
    "load_data": "rlld.data.dataset",
    "load_run": "rlld.training.run_folder",
    "parse": "rlld.api",
    "suggest": "rlld.api",
    "train": "rlld.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'rlld' has no attribute {name!r}")


_moved.install()
