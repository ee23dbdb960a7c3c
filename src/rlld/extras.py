"""Optional packages: which extra brings them, and the one sentence when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from rlld.errors import RlldError

EXTRAS = {
    "features": ("torchvision", "transformers"),
    "ray": ("ray",),
    "track": ("tensorboard", "wandb"),
    "metrics": ("torchmetrics",),
    "hub": ("huggingface_hub",),
    "demo": ("gradio",),
}
"""Packages of each extra, by the name they are imported by."""


def optional(module: str, purpose: str) -> ModuleType:
    """Imports a module of an optional package.

    Args:
        module: Its name: ``transformers``.
        purpose: What it is needed for, for the message: ``extractor 'clip'``.

    Raises:
        RlldError: If the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        extra = next(name for name, packages in EXTRAS.items() if package in packages)
        raise RlldError(
            f"{purpose} needs {package}, which is not installed; pip install 'rlld[{extra}]'"
        ) from None
