"""Writes what today's code makes of every recipe, for tomorrow's code to make again.

    PYTHONPATH=tests OMP_NUM_THREADS=1 python tests/frozen/freeze.py

``numbers.json`` holds, for every packaged recipe on the tiny data set, hashes of what a short run
writes and figures of it; ``finished`` holds run folders, ``unfinished`` interrupted ones. Run
it only when numbers change on purpose, or a recipe is new, and say in the commit why they did.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from rlld.data.dataset import load_data
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.training import loop
from rlld.training.run_folder import load_run
from rlld.utils.compute import Compute
from tiny import make_tiny

HERE = Path(__file__).resolve().parent
NUMBERS, RUNS, UNFINISHED = HERE / "numbers.json", HERE / "finished", HERE / "unfinished"
COMPUTE = Compute(device="cpu", threads=1)
UPDATES = {"schedule.updates": 6}
KINDS = ("han", "rlld", "rlld-labelwise", "jomold", "ma", "valor", "cvcms")
"""A recipe for each kind of run folder."""

LEARNERS = ("han", "rlld", "rlld-counterfactual", "rlld-first-order", "rlld-labelwise", "jomold")
"""A recipe for each kind of resume state."""

STEPS = 4
"""Steps after which an unfinished run was interrupted."""


def machine() -> dict[str, str]:
    """Returns what decides the last bits of float32 arithmetic."""
    model = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if "model name" in line), "")
    capability = torch.backends.cpu.get_cpu_capability()
    release = torch.__version__
    return {"torch": release, "cpu": model or platform.processor(), "capability": capability}


def trained(name: str, data: Path, out: Path, resume: bool = False) -> Path:
    """Trains a recipe for a few updates and returns its folder."""
    dataset = load_data(data)
    recipe = load_recipe(name, UPDATES, dataset.spec.overrides)
    loop.train(recipe, dataset, out, seed=3, compute=COMPUTE, resume=resume)
    return out


def figures(run: Path) -> dict[str, Any]:
    """Returns what a run folder holds: hashes of its files, and figures that say how far off."""
    weights = load_run(run).network.state_dict()
    log = [timeless(json.loads(line)) for line in (run / "metrics.jsonl").open()]
    files = sorted(run.glob("*.safetensors"))
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    text = "\n".join(json.dumps(line, sort_keys=True) for line in log)
    hashes["metrics.jsonl"] = hashlib.sha256(text.encode()).hexdigest()
    norms = {name: float(f"{value.double().norm():.6g}") for name, value in weights.items()}
    return {"hashes": hashes, "norms": norms, "log": log}


def timeless(line: dict[str, Any]) -> dict[str, Any]:
    """Drops the figures of the clock from a line of the log."""
    return {key: value for key, value in line.items() if "second" not in key}


def interrupted(name: str, data: Path, out: Path) -> Path:
    """Trains a recipe until it is interrupted and returns the unfinished folder."""
    whole = loop.drive

    def cut(title: str, steered: Any, steps: Iterator[Any], *rest: Any) -> None:
        def some() -> Iterator[Any]:
            for number, step in enumerate(steps, 1):
                yield step
                if number == STEPS:
                    raise KeyboardInterrupt

        whole(title, steered, some(), *rest)

    with patch.object(loop, "drive", cut), suppress(KeyboardInterrupt):
        trained(name, data, out)
    return out


def spelled(numbers: dict[str, Any]) -> str:
    """Returns JSON with a line for each recipe, so that a change shows whose numbers moved."""
    machine = json.dumps(numbers["machine"])
    rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in numbers["recipes"].items()]
    recipes = ",\n".join(rows)
    return f'{{"machine": {machine},\n"recipes": {{\n{recipes}\n}}}}\n'


def main() -> None:
    """Writes everything anew."""
    with tempfile.TemporaryDirectory() as folder:
        data, made = make_tiny(Path(folder) / "data"), Path(folder) / "runs"
        numbers: dict[str, Any] = {"machine": machine(), "recipes": {}}
        for name in recipe_names():
            numbers["recipes"][name] = figures(trained(name, data, made / name))
            sys.stdout.write(f"{name}\n")
        NUMBERS.write_text(spelled(numbers))
        shutil.rmtree(RUNS, ignore_errors=True)
        shutil.rmtree(UNFINISHED, ignore_errors=True)
        for name in KINDS:
            shutil.copytree(made / name, RUNS / name)
        for name in LEARNERS:
            shutil.copytree(interrupted(name, data, Path(folder) / "cut" / name), UNFINISHED / name)


if __name__ == "__main__":
    main()
