"""What is remembered of a place is never told of another one."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import rlld
from rlld.utils.registry import NETWORKS
from rlld.utils.remembering import by_place

SOURCE = Path(rlld.__file__).parent


def test_a_place_is_asked_once_wherever_one_stands(tmp_path, monkeypatch):
    asked = []

    @by_place()
    def found(path: Path, more: int) -> int:
        asked.append((path, more))
        return len(asked)

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert found(Path("out"), 1) == found(tmp_path / name / "out", 1) == len(asked)
    assert asked == [(tmp_path / "one/out", 1), (tmp_path / "two/out", 1)]
    assert found(Path("out"), 2) == 3


def test_a_fork_asks_for_itself(tmp_path):
    @by_place()
    def process(path: Path) -> int:
        return os.getpid()

    assert process(tmp_path) == os.getpid()
    child = os.fork()
    if not child:
        os._exit(0 if process(tmp_path) == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_distributions_are_looked_for_where_one_stands(tmp_path, monkeypatch):
    """Two folders that changed at the same moment are two all the same."""
    monkeypatch.syspath_prepend("")
    for name in ("one", "two"):
        info = tmp_path / name / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[rlld.networks]\n{name} = x:Config\n")
        os.utime(tmp_path / name, (1, 1))
        monkeypatch.chdir(tmp_path / name)
        assert name in NETWORKS.names()


def test_whatever_is_remembered_of_a_path_is_remembered_by_place():
    """``functools.cache`` takes one relative path for one place."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and file.name != "remembering.py":
                marks = " ".join(map(ast.unparse, node.decorator_list))
                takes = [
                    arg.arg
                    for arg in node.args.args
                    if "Path" in ast.unparse(arg.annotation or arg)
                ]
                assert not (takes and "cache" in marks), f"{file}: {node.name}({takes[0]})"
