"""What the pages tell to type exists: verbs, options, recipes, scripts, targets of make, names.

Nothing is run: a line of a block goes through the real parser, and its recipe and settings are
read; a command within a sentence may leave out what a verb needs. What a page puts in square
brackets is left out once and taken once.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from cli_kit import called
from rlld.cli._verb import Verb, call
from rlld.errors import RlldError
from rlld.recipes.recipe import COMPONENTS, load_recipe

ROOT = Path(__file__).parents[1]
PARSER = MarkdownIt("commonmark").enable("table")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
PAGES = sorted(page for page in PAGES if page.name != "CHANGELOG.md")  # which tells of what is gone
OPTIONAL = re.compile(r" \[(--[^]]*|\w+ \.\.\.)\]")
TEMPLATES = {each.stem for each in ROOT.glob("docs/templates/recipes/*.yaml")}
STANDINS = dict.fromkeys(("RECIPE", "R", "path/to/recipe.yaml"), "han")
NAME = re.compile(r"rlld(\.[A-Za-z_]\w*)+(?=$|\()")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code(page: Path) -> Iterator[tuple[str, bool]]:
    """Gives the code of a page line by line, and whether it is a span within a sentence."""
    for token in PARSER.parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            yield from ((line, False) for line in token.content.splitlines())
        for each in token.children or ():
            if each.type == "code_inline":
                yield each.content, True


def typed(page: Path, program: str) -> list[tuple[str, bool]]:
    """Returns the commands of a program, without variables before them and remarks behind."""
    bare = ((re.split(r"\s{2,}|\s#\s|\s>\s", line.strip())[0], span) for line, span in code(page))
    found = ((re.sub(r"^([A-Z_]+=\S+ )+", "", line), span) for line, span in bare)
    return [each for each in dict.fromkeys(found) if each[0].startswith(f"{program} ")]


def forms(line: str) -> list[tuple[str, ...]]:
    """Returns the words of a command without what is optional, and with it."""
    whole = re.sub(r"(\w)\|\w+", r"\1", OPTIONAL.sub(r" \1", line))
    whole = whole.replace("--SECTION.SETTING VALUE", "--schedule.updates 8")
    return [tuple(shlex.split(each)[1:]) for each in (OPTIONAL.sub("", line), whole)]


def verb_of(words: tuple[str, ...]) -> tuple[str, Verb, list[str]] | str:
    """Returns the verb that words name, not run, or what the command line says against them."""
    with pytest.MonkeyPatch.context() as patch:
        taken: list[tuple[str, Verb, list[str]]] = []
        patch.setattr("rlld.cli._verb.call", lambda *call: taken.append(call))
        result = called(*words)
    return taken[0] if taken else result.stderr


@cache
def fault(words: tuple[str, ...], whole: bool) -> str:
    """Says what is wrong with the words after ``rlld``."""
    found = verb_of(words)
    if isinstance(found, str):
        return found
    name, verb, argv = found
    if not whole:
        return unknown_option(verb, argv)
    made: list[Any] = []
    try:
        call(name, dataclasses.replace(verb, run=lambda *taken: made.extend(taken)), argv)
        args, overrides = made[0], made[1] if verb.overrides else {}
        for recipe in recipes_of(args):
            load_recipe(recipe, overrides)
    except SystemExit as end:
        return f"exit status {end.code}" if end.code else ""
    except RlldError as error:
        return str(error)
    return ""


def unknown_option(verb: Verb, argv: list[str]) -> str:
    fields = {each.name.replace("_", "-") for each in dataclasses.fields(verb.args)}
    fields |= {"help", "help-all", *(f"no-{name}" for name in fields)}
    for word in takewhile(lambda word: word != "--", argv):
        name = word.removeprefix("--").partition("=")[0]
        override = verb.overrides and (name in COMPONENTS or "." in name)
        if word.startswith("--") and name not in fields and not override:
            return f"no option {word}"
    return ""


def recipes_of(args: Any) -> list[str]:
    joined = getattr(args, "recipe", None) or getattr(args, "recipes", None) or ""
    return [STANDINS.get(each, each) for each in joined.split(",") if each not in ("", *TEMPLATES)]


def exists(name: str) -> bool:
    """Says whether a dotted name is that of a module, or of something in one; imports nothing."""
    place, parts = ROOT / "src/rlld", name.split(".")[1:]
    while parts and (
        place.joinpath(parts[0]).is_dir() or place.joinpath(f"{parts[0]}.py").exists()
    ):
        place /= parts.pop(0)
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = file.read_text()
    made = r"^ *(def|class) {0}\b|^ *{0}(: .*)? = |^from .* import .*\b{0}\b|^ *\"{0}\""
    return all(re.search(made.format(part), text, re.MULTILINE) for part in parts)


def imported(page: Path) -> list[str]:
    """Returns the names of ours that the Python of a page imports."""
    found = []
    for token in PARSER.parse(page.read_text(encoding="utf-8")):
        if token.type == "fence" and token.info == "python":
            nodes = [node for node in ast.walk(ast.parse(token.content))]
            froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
            found += [f"{node.module}.{each.name}" for node in froms for each in node.names]
    return [name for name in found if name.startswith("rlld.")]


@each_page
def test_commands_of_a_page_are_taken(page):
    wrong = {}
    for line, span in typed(page, "rlld"):
        for words in forms(line):
            whole = not span and "..." not in words
            if told := fault(words, whole):
                wrong[line] = told
    assert wrong == {}


@each_page
def test_scripts_and_targets_of_a_page_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = [line for line, _ in typed(page, "make") if line.split()[1] not in targets]
    for line, _ in typed(page, "python"):
        script, *rest = [word for word in shlex.split(line)[1:] if word != "-m"]
        if script.endswith(".py"):
            text = (ROOT / script).read_text() if (ROOT / script).is_file() else ""
            options = [word for word in rest if word.startswith("--")]
            wrong += [line] * (not text or any(f'"{word}"' not in text for word in options))
    assert wrong == []


@each_page
def test_names_on_a_page_exist(page):
    spans = [line for line, span in code(page) if span]
    names = [found.group() for found in map(NAME.match, spans) if found]
    assert [name for name in [*names, *imported(page)] if not exists(name)] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("rlld trian han", "did you mean 'train'"),
        ("rlld evaluate run --splt test", "exit status 2"),
        ("rlld train han --data D", "exit status 2"),
        ("rlld train hn --data D --out R", "unknown recipe 'hn'"),
        ("rlld train han --data D --out R [--denoiser.lr 1]", "unknown key 'lr'"),
        ("rlld bench table9 --data D --out R", "unknown command"),
    ],
)
def test_wrong_commands_are_found(line, told):
    assert told in "".join(fault(words, whole=True) for words in forms(line))


def test_wrong_spans_and_names_are_found():
    assert fault(("train", "--sed", "0"), whole=False) == "no option --sed"
    assert fault(("train", "han", "--seed", "0"), whole=False) == ""
    assert exists("rlld.parsing.result") and not exists("rlld.parsing.results")
    assert exists("rlld.denoise") and not exists("rlld.denoised")
