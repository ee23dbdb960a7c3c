"""What recipes cost: CPU seconds of whole trainings on the same data, as ratios to the first.

    OMP_NUM_THREADS=1 python benchmarks/recipes.py [--videos 10000,649,1200] [--preset compact]
        [--seed 5] [--data FOLDER] [--recipes han,weak,rlld-labelwise,rlld-best]

Every training is one of ``rlld train``, from reading the data to the run folder, on one thread in a
process of its own, one after the other; validation, cleaning of labels and the row of bare tags
that a cleaned run brings are in it. The data are simulated unless a folder is given.
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
        first = None
        for recipe in args.recipes.split(","):
            cpu, wall = cost(recipe, data, Path(folder) / recipe)
            first = first or cpu
            sys.stdout.write(f"{recipe:28}{cpu:8.1f} CPU s{cpu / first:8.2f}x{wall:8.1f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
