"""Show the environment, what is missing, and the pip line that brings it."""

from __future__ import annotations

import importlib.util
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rlld.utils.extras import EXTRAS

CORE = ("torch", "numpy", "safetensors", "tyro", "yaml", "rich", "av", "matplotlib", "jinja2")
DISTRIBUTIONS = {"yaml": "pyyaml", "huggingface_hub": "huggingface-hub"}


@dataclass(frozen=True)
class Args:
    """Options of ``rlld info``."""

    json: bool = False
    """Print JSON, for bug reports and programs."""


def run(args: Args) -> None:
    """Prints the report."""
    from rlld.utils.console import OUT
    from rlld.utils.plain import json_text

    report = collect()
    if args.json:
        OUT.print_json(json_text(report, "info"))
        return
    OUT.print(f"rlld {report['rlld']}, Python {report['python']}, {report['platform']}")
    OUT.print(f"device: {report['device']}; CPU threads: {report['threads']}")
    for name, found in report["packages"].items():
        OUT.print(f"  {name:<16}{found or 'missing'}")
    for extra, missing in report["missing_extras"].items():
        OUT.print(f"extra {extra}: {', '.join(missing)} not installed; pip install 'rlld[{extra}]'")


def collect() -> dict[str, Any]:
    """Returns what is installed and what the machine offers, as JSON-ready data."""
    import torch

    device = "cpu"
    if torch.cuda.is_available():
        device = f"cuda ({torch.cuda.get_device_name()})"
    missing = {
        extra: [name for name in names if importlib.util.find_spec(name) is None]
        for extra, names in EXTRAS.items()
    }
    return {
        "rlld": version("rlld"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in CORE},
        "missing_extras": {extra: names for extra, names in missing.items() if names},
    }


def _version(module: str) -> str | None:
    try:
        return version(DISTRIBUTIONS.get(module, module))
    except PackageNotFoundError:
        return None
