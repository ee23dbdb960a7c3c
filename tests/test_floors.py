"""The rooms of the package, as CONTRIBUTING draws them: each imports only rooms drawn above it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from rlld.bench.keys import PRESENTATION

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "rlld"
FACE = {"__init__", "__main__", "_moved"}
"""What users import and start; no room may import it back."""


def drawn() -> list[str]:
    """Returns the rooms in the order of the drawing, from the ground up."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawing = text.split("```\nsrc/rlld/\n", 1)[1].split("```", 1)[0]
    rooms = []
    for line in drawing.splitlines():
        entry = re.match(r"  (\w[\w/, ]*?)(?:  |$)", line)
        if entry:
            rooms += [name.strip().rstrip("/") for name in entry[1].split(",")]
    return rooms


def modules() -> dict[str, Path]:
    """Returns every module by its dotted name, without ``rlld.``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


MODULES = modules()


@cache
def imports(module: str) -> frozenset[str]:
    """Names the modules that one imports: late and for types only as well."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rlld":
            base = (node.module or "").removeprefix("rlld").removeprefix(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".removeprefix(".")
                yield inner if inner in MODULES else base or "__init__"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "rlld":
                    yield alias.name.removeprefix("rlld").removeprefix(".") or "__init__"


def room(module: str) -> str:
    return module.split(".")[0]


def test_the_drawing_has_every_room_once():
    assert sorted(drawn()) == sorted({room(module) for module in MODULES} - FACE)


def test_imports_lead_down():
    floors = {name: floor for floor, name in enumerate(drawn())}
    wrong = [
        f"{module} imports {target}"
        for module in sorted(MODULES)
        if room(module) not in FACE
        for target in sorted(imports(module) - {"__init__"})
        if room(target) != room(module)
        and (room(target) in FACE or floors[room(target)] > floors[room(module)])
    ]
    assert wrong == []


def test_no_files_import_each_other():
    # A package's __init__ is imported with each of its modules and says nothing of its own here.
    graph = {module: imports(module) - {module, "__init__"} for module in MODULES}
    order = list(TopologicalSorter(graph).static_order())  # raises where there is a circle
    assert len(order) >= len(MODULES)


def test_no_file_grows_large():
    lengths = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > 420} == {}


def test_what_scores_depend_on_imports_no_presentation():
    """Benchmarks keep runs whatever happens to rooms that nothing which trains can reach."""
    told = {
        f"{module} imports {found}"
        for module in MODULES
        if module.partition(".")[0] not in PRESENTATION | FACE | {"api"}
        for found in imports(module)
        if found.partition(".")[0] in PRESENTATION
    }
    assert not told
