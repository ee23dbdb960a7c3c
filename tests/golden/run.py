"""Runs every golden case of a folder: ``python tests/golden/run.py DIR [--annotations DIR]``.

Prints one line for each failure, outputs that no runner knows, the cases of methods that are not
built yet, and closes with ``N passed, M failed``. The exit status is 1 when a case failed. Without
LLP's annotation files, what cases say of its events is not compared; drawn events are scored
instead.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from beside import LLP_FOLDER, NEEDS  # noqa: E402  (the line above makes it importable)


def runners() -> dict[str, Any]:
    """Returns the runners of all ``cases_*.py`` beside this file, by prefix of a case's name."""
    merged: dict[str, Any] = {}
    for file in sorted(HERE.glob("cases_*.py")):
        found = importlib.import_module(file.stem).RUNNERS
        twice = merged.keys() & found.keys()
        assert not twice, f"{file.name}: {sorted(twice)} have a runner already"
        merged.update(found)
    return merged


def runner_of(name: str, known: Mapping[str, Any]) -> Any:
    """Returns the runner with the longest prefix of a case's name, None if there is none."""
    prefixes = [prefix for prefix in known if name.startswith(prefix)]
    return known[max(prefixes, key=len)] if prefixes else None


def named(path: Path) -> str:
    """Returns the name that a case gives itself, whatever its file is called."""
    with contextlib.suppress(ValueError, AttributeError):
        return str(json.loads(path.read_text(encoding="utf-8")).get("case", ""))
    return ""


def load(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads a case and its expected outputs."""
    case = json.loads(path.read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz")) as file:
        return case, dict(file)


class Watched(dict[str, np.ndarray]):
    """Expected outputs that know which of them a runner never looked at."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self.ignored = set(arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        self.ignored.discard(name)
        return super().__getitem__(name)

    def items(self) -> Any:
        """Looks at all of them."""
        return ((name, self[name]) for name in self)


def failure(path: Path, annotations: Path | None, runner: Any) -> str | None:
    """Runs one case.

    Returns:
        Why it failed, in one line, or None.
    """
    try:
        case, arrays = load(path)
        expected = Watched(arrays)
        with contextlib.redirect_stdout(io.StringIO()):
            runner(case, expected, annotations)
    except Exception as error:  # whatever a case raises is its failure; the others still run
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return kind + (" ".join(str(error).split()) or "assertion failed")
    if expected.ignored:
        print(f"not compared: {path.stem}: {' '.join(sorted(expected.ignored))}")
    return None


def main(argv: list[str] | None = None) -> int:
    """Runs the cases and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with NAME.json and NAME.npz files")
    there = LLP_FOLDER if NEEDS["llp"].there() else None
    parser.add_argument("--annotations", type=Path, default=there, help="LLP's csv files")
    args = parser.parse_args(argv)
    for folder in (args.folder, args.annotations):
        if folder is not None and not folder.is_dir():
            print(f"{folder}: no such folder", file=sys.stderr)
            return 2
    known = runners()
    passed, failed, missing = 0, 0, []
    for path in sorted(args.folder.glob("*.json")):
        runner = runner_of(path.stem, known) or runner_of(named(path), known)
        if runner is None:
            missing.append(path.stem)
            continue
        reason = failure(path, args.annotations, runner)
        passed, failed = passed + (reason is None), failed + (reason is not None)
        if reason is not None:
            print(f"failed: {path.stem}: {reason}")
    if missing:
        print(f"not built: {' '.join(missing)}")
    if args.annotations is None:
        print(f"{NEEDS['llp'].without} or in --annotations")
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
