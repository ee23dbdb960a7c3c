"""What recipes cost: CPU seconds of whole trainings on the same data, as ratios to the first.

    OMP_NUM_THREADS=1 python benchmarks/recipes.py [--videos 10000,649,1200] [--preset compact]
        [--seed 5] [--data FOLDER] [--recipes han,weak,rlld-labelwise,rlld-best]

Every training is one of ``rlld train``, from reading the data to the run folder, on one thread in a
process of its own, one after the other; validation, cleaning of labels and the row of bare tags
that a cleaned run brings are in it. The data are simulated unless a folder is given. The last
column is what the run then takes to decide about the test videos from their features.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

# Beside this file lies one called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

from rlld.data.dataset import load_split
from rlld.evaluation.decisions import decisions
from rlld.training.run_folder import load_run

RECIPES = "han,weak,rlld-labelwise,rlld-best"


def cost(recipe: str, data: Path, out: Path) -> tuple[float, float]:
    """Returns CPU and wall seconds of a training."""
    called = [sys.executable, "-m", "rlld", "train", recipe, "--data", str(data), "--out", str(out)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*called, "--device", "cpu"], capture_output=True, text=True, check=False, env=settings
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started


def deciding(run: Path, data: Path, times: int = 5) -> float:
    """Returns the CPU seconds in which a run decides about the test videos, on one thread."""
    torch.set_num_threads(1)
    loaded, videos = load_run(run), load_split(data, "test")
    found = []
    for _ in range(times):
        started = time.process_time()
        decisions(loaded, videos)
        found.append(time.process_time() - started)
    return min(found)


def main() -> None:
    """Prints a row for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", default="10000,649,1200", help="train, validation, test")
    parser.add_argument("--preset", default="compact")
    parser.add_argument("--seed", default="5")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--recipes", default=RECIPES, help="the first one counts as 1")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = args.data or Path(folder) / "data"
        if args.data is None:
            made = ["data", "simulate", "--preset", args.preset, "--seed", args.seed]
            made += ["--videos", *args.videos.split(","), "--out", str(data)]
            subprocess.run(
                [sys.executable, "-m", "rlld", *made], check=True, stdout=subprocess.DEVNULL
            )
        first: tuple[float, float] | None = None
        for recipe in args.recipes.split(","):
            run = Path(folder) / recipe
            cpu, wall = cost(recipe, data, run)
            decided = deciding(run, data)
            first = first or (cpu, decided)
            trained = f"{cpu:8.1f} CPU s{cpu / first[0]:8.2f}x{wall:8.1f} s"
            parsed = f"{decided:8.3f} CPU s{decided / first[1]:8.2f}x"
            sys.stdout.write(f"{recipe:28}{trained}   decides in{parsed}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
