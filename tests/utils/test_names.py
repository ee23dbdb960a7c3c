"""Names that come from files stay inside their folder, and nothing joins them but ``inside``."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rlld
from rlld.errors import RlldError
from rlld.utils.names import inside, require_name

SOURCE = Path(rlld.__file__).parent

GOOD = (
    "train.csv",
    "-0BRl4Vz3Nk_6.5_16.5.npy",
    "...a",
    "--help.npy",
    "part/of/it.csv",
    "./train.csv",
    "Ünïcode 名.npy",
    "console.txt",
    "aux-1.npy",
    "12:30.npy",
    "x" * 251 + ".npy",
)
BAD = {
    "": "is empty",
    ".": "is empty",
    "/etc/passwd": "is an absolute path",
    "//host/share": "is an absolute path",
    "C:evil.csv": "is an absolute path",
    "c:/evil.csv": "is an absolute path",
    "../x": "leads out of its folder",
    "a/../../x": "leads out of its folder",
    "a/..": "leads out of its folder",
    "..\\x": "holds a backslash",
    "\\\\host\\share": "holds a backslash",
    "a\x00b": "holds a control character",
    "a\nb": "holds a control character",
    "a\x1b[31mb": "holds a control character",
    "a\x85b": "holds a control character",
    "a\u2028b": "holds a control character",
    "a\udcffb": "is not written in UTF-8",
    "CON": "is reserved by Windows",
    "nul.npy": "is reserved by Windows",
    "a/Com1.csv": "is reserved by Windows",
    "LPT³ .txt": "is reserved by Windows",
    ".. ": "ends in a dot or a blank",
    "a./b": "ends in a dot or a blank",
    "name.": "ends in a dot or a blank",
    "x" * 252 + ".npy": "is longer than 255 bytes",
    "名" * 86: "is longer than 255 bytes",
}


@pytest.mark.parametrize("name", GOOD)
def test_plain_names_are_joined(name, tmp_path):
    assert inside(tmp_path, name, "video id") == tmp_path / name


@pytest.mark.parametrize(("name", "reason"), BAD.items())
def test_other_names_are_refused_in_one_short_line(name, reason, tmp_path):
    with pytest.raises(RlldError, match=reason) as caught:
        inside(tmp_path, name, "video id")
    told = str(caught.value)
    assert told.startswith(f"{tmp_path}: video id: ")
    assert told.isprintable()
    assert len(told) < 350


@given(st.text(st.sampled_from("./\\ aC:\x00\n~"), max_size=12))
def test_whatever_is_joined_lies_in_the_folder(name):
    folder = Path("/some/folder")
    try:
        require_name(name, "field")
    except RlldError:
        return
    path = os.path.normpath(folder / name)
    assert path.startswith("/some/folder/")


def test_links_out_of_the_folder_are_refused(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "away").symlink_to(outside)
    (folder / "loop").symlink_to("loop")
    (folder / "near").symlink_to("real")
    assert inside(folder, "near", "file") == folder / "near"
    for name in ("away", "away/x.csv"):
        with pytest.raises(RlldError, match="a symbolic link leads out of"):
            inside(folder, name, "file")
        assert inside(folder, name, "file", links=True) == folder / name
    (tmp_path / "other").symlink_to(folder)  # the folder itself may be a link: it was given
    assert inside(tmp_path / "other", "near", "file")


MADE_HERE = frozenset(
    {
        # Hashes and titles that the code itself makes.
        "bench/studies/annotations.py: out / f\"annotations-{measure.replace('_', '-')}\"",
        "bench/studies/answers.py: out / f\"answers-{measure.replace('_', '-')}\"",
        "bench/studies/answers.py: settings.runs / outcome.job.key",
        "bench/studies/curves.py: settings.runs / outcome.job.key",
        "bench/runs.py: cache.absolute() / job.key",
        "bench/runs.py: folder.parent / NETWORKS / source_fingerprint(job.recipe)",
        "bench/page.py: out / f'{stem}.{suffix}'",
        "bench/studies/regimes.py: settings.data[0] / cell.folder(choice.preset, seed)",
        "studio/jobs.py: self.runs / str(max(done))",
        "cli/bench.py: args.out / grid.stem",
        "cli/bench.py: args.out / stem",
        "cli/bench.py: args.out / f'figure{number}'",
        "cli/bench.py: args.out / name.replace('_', '-')",
        "cli/suggest.py: folder / f'suggest-{args.split}.csv'",
        "synthetic/clips/dataset.py: out / VIDEOS / f'{video}.mp4'",
        "workflows/demo.py: out / 'data' / 'videos' / f'{video}.mp4'",
        "workflows/demo.py: out / name",
        "training/loop.py: out / f'seed-{seed}'",
        "training/cache.py: folder / f'{key}.safetensors'",
        # Files of the package and of its publishers, whose names stand in the code.
        "cli/__init__.py: Path(__file__).parent.joinpath(*verb.split())",
        "features/weights.py: weights_folder() / self.file",
        "data/rates/annotated.py: folder / 'train' / LFAV_FILE.format(track)",
        "workflows/pseudo_scores.py: folder / EMBEDDINGS / models / f'{split}.safetensors'",
        "workflows/pseudo_scores.py: folder / EMBEDDINGS / models",
        "report/templates.py: Path(__file__).parent / 'assets' / name",
        "recipes/recipe.py: RECIPES / f'{name}.yaml'",
        # Files of published data sets, whose names stand in the code.
        "data/sets/_features.py: folder / name",
        "data/sets/_features.py: folder / names[0]",
        "data/sets/_tables.py: folder / name",
        "data/sets/audioset_strong.py: folder / FILES[0].format('train')",
        "data/sets/audioset_strong.py: folder / FILES[0].format(short)",
        "data/sets/audioset_strong.py: folder / name.format(short)",
        "data/sets/ave.py: folder / name",
        "data/sets/desed.py: folder / f'{split}_strong.tsv'",
        "data/sets/lfav.py: folder / f'{short}_{track}.csv'",
        "data/sets/lfav.py: folder / short",
        "data/sets/lfav.py: folder / short / TAGS[short]",
        "data/sets/lfav.py: folder / short / f'{short}_weakly_av.csv'",
        "data/sets/lfav.py: folder / short / f'{short}_{track}.csv'",
        "data/sets/lfav.py: folder / short / f'{short}_{track}_weakly.csv'",
        "data/sets/ov_ave.py: folder / LABELS[0]",
        "data/sets/ov_ave.py: folder / name",
        # Numbers of runs, and hashes.
        "studio/jobs.py: self.runs / str(job.run)",
        "studio/jobs.py: self.runs / str(last + 1)",
        "studio/jobs.py: self.runs / str(last)",
        "studio/jobs.py: self.runs / str(newest)",
        "studio/jobs.py: self.runs / str(number)",
        "studio/media.py: self.cache / f'{key.hexdigest()[:32]}-{name}'",
        # Constants that a loop or a choice goes through, and splits.
        "data/checks/check.py: folder / name",
        "data/pack.py: out / (SKIPPED_FILE if skip else PROBLEMS_FILE)",
        "data/pack.py: out / name",
        "data/own.py: out / ANNOTATIONS / file",
        "data/store.py: folder / 'features' / f'{split}.safetensors'",
        "data/checks/verify.py: path / name",
        "workflows/push.py: run.path / name",
        "tracking/results.py: folder / name",
        # Method, data set and seed of a benchmark, without slashes.
        "tracking/tensorboard.py: place.folder / 'tensorboard' / named",
        "training/run_folder.py: path / name",
        # What a folder was seen to hold.
        "media/gathered.py: at / name",
        # Divisions of numbers that are called like paths elsewhere.
        "denoisers/reinforced/segments.py: own / total",
        "metrics/detection.py: both / either",
        # The one place.
        "utils/names.py: folder / name",
    }
)
"""Joins of names that no file, data set or run says."""


def test_nothing_else_joins_names_to_folders():
    found = set(_joins())
    # What is new here comes from a file, and is joined by rlld.utils.names.inside, or is listed.
    assert sorted(found - MADE_HERE) == []
    assert sorted(MADE_HERE - found) == []


def test_joins_are_found():
    text = (
        "def read(folder: Path, name: str, half: float) -> Path:\n"
        "    here = folder.absolute()\n"
        "    x = here / 'a' / CONSTANT / f'{CONSTANT}.csv'\n"
        "    y = half / 2\n"
        "    z = here.joinpath(name)\n"
        "    os.path.join(name, name)\n"
        "    return read(folder, name, half) / f'{name}.csv'\n"
    )
    tree = ast.parse(text)
    assert sorted(map(ast.unparse, _suspects(tree, _annotated([tree])))) == [
        "here.joinpath(name)",
        "os.path.join(name, name)",
        "read(folder, name, half) / f'{name}.csv'",
    ]


def _joins() -> Iterator[str]:
    files = sorted(SOURCE.rglob("*.py"))
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    annotated = _annotated(trees)
    for file, tree in zip(files, trees, strict=True):
        for node in _suspects(tree, annotated):
            yield f"{file.relative_to(SOURCE).as_posix()}: {ast.unparse(node)}"


def _suspects(tree: ast.Module, everywhere: frozenset[str]) -> Iterator[ast.expr]:
    """Yields joins whose right side is not written out in the code."""
    paths = _Paths(_bound(tree, everywhere), everywhere)
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if _is_path(node.left, paths) and not _fixed(node.right):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            joined = node.func.attr == "joinpath" or called == "os.path.join"
            if joined and not all(map(_fixed, node.args)):
                yield node


def _annotated(trees: list[ast.Module]) -> frozenset[str]:
    """Returns every argument, field and function that is, gives or holds paths, anywhere.

    All of them are annotated: mypy is strict.
    """
    found = {"Path"}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.arg | ast.AnnAssign) and _says_path(node.annotation):
            found.add(node.arg if isinstance(node, ast.arg) else _last(node.target))
        elif isinstance(node, ast.FunctionDef) and _says_path(node.returns):
            found.add(node.name)
    return frozenset(found)


class _Paths(NamedTuple):
    """Names of this module that are paths, and attributes and functions of any that give them."""

    here: frozenset[str]
    everywhere: frozenset[str]


def _bound(tree: ast.Module, everywhere: frozenset[str]) -> frozenset[str]:
    """Returns what a module annotates as paths, or assigns or loops over from them."""
    bound = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            bound += [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.For | ast.comprehension):
            bound.append((node.target, node.iter))
        elif isinstance(node, ast.withitem) and node.optional_vars:
            bound.append((node.optional_vars, node.context_expr))
    found = _annotated([tree])
    while True:
        more = {
            name
            for target, value in bound
            if _is_path(value, _Paths(found, everywhere))
            for name in _targets(target)
        }
        if more <= found:
            return found
        found |= more


def _targets(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Tuple):
        return [name for part in node.elts for name in _targets(part)]
    return [_last(node)]


def _says_path(annotation: ast.expr | None) -> bool:
    return annotation is not None and bool(re.search(r"\bPath\b", ast.unparse(annotation)))


GIVE_PATHS = frozenset(("parent", "parents", "with_name", "with_suffix", "absolute", "resolve"))
FROM_PATHS = frozenset(("values", "items", "iterdir", "glob", "rglob"))


def _is_path(node: ast.expr, paths: _Paths) -> bool:
    match node:
        case ast.BinOp(left=value, op=ast.Div()):
            return _is_path(value, paths)
        case ast.BoolOp(values=values):
            return any(_is_path(value, paths) for value in values)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_path(body, paths) or _is_path(orelse, paths)
        case ast.DictComp(value=value) | ast.Subscript(value=value) | ast.ListComp(elt=value):
            return _is_path(value, paths)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in FROM_PATHS:
            return _is_path(value, paths)
        case ast.Call(func=ast.Name(id=name)):
            return name in paths.everywhere
        case ast.Call(func=called):
            return _is_path(called, paths)
        case ast.Attribute(attr=name):
            return name in GIVE_PATHS or name in paths.everywhere or name in paths.here
        case ast.Name(id=name):
            return name in paths.here or (name.isupper() and name in paths.everywhere)
    return False


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def _fixed(node: ast.expr) -> bool:
    match node:
        case ast.Constant():
            return True
        case ast.JoinedStr(values=values):
            return all(map(_fixed, values))
        case ast.FormattedValue(value=value):
            return _fixed(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper()
    return False
