"""The options of a recipe with what their docstrings say: as a list, and as commented YAML."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from rlld.recipes.recipe import COMPONENTS, SETTINGS, Component, Recipe, load_recipe, recipe_file
from rlld.utils.config import EXPERT, to_dict
from rlld.utils.docstrings import attributes

WIDTH = 100


@dataclass(frozen=True)
class Option:
    """An option of a recipe, or the head of a section of them.

    Attributes:
        path: Its dotted name: ``denoiser.inter.alpha1``.
        kind: What is accepted: ``FLOAT``, ``{mean,attentive}``; empty for a section.
        value: What it is in the recipe.
        text: What it does.
        expert: Whether few need it.
    """

    path: str
    kind: str
    value: Any
    text: str
    expert: bool = False

    @property
    def shown(self) -> str:
        """Its value as YAML, in one line."""
        text = yaml.safe_dump(to_dict(self.value), default_flow_style=True, width=float("inf"))
        return text.removesuffix("...\n").strip()


def about(name: str) -> list[str]:
    """Returns the comment that a recipe begins with, line by line.

    Raises:
        RlldError: If there is no such recipe.
    """
    lines = recipe_file(name).read_text(encoding="utf-8-sig").splitlines()
    ends = next((at for at, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line[1:].strip() for line in lines[:ends]]


def summary(name: str) -> str:
    """Returns the first sentence of that comment; what the recipe is made of where there is none.

    Raises:
        RlldError: If there is no such recipe, or it has no comment and is wrong.
    """
    if comment := about(name):
        return re.split(r"\.\s+(?=[A-Z])", " ".join(comment))[0].rstrip(".")
    recipe = load_recipe(name)
    return ", ".join(f"{section} {getattr(recipe, section).name}" for section in COMPONENTS)


def options(recipe: Recipe) -> Iterator[Option]:
    """Yields all options of a recipe in the order of their classes, each section after its head."""
    texts = attributes(Recipe)
    for section in COMPONENTS:
        component: Component = getattr(recipe, section)
        yield Option(section, "NAME", component.name, texts[section])
        yield from _within(section, component.config)
    for section in SETTINGS:
        yield Option(section, "", None, texts[section])
        yield from _within(section, getattr(recipe, section))


def _within(path: str, config: Any) -> Iterator[Option]:
    texts, hints = attributes(type(config)), get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        name, value = f"{path}.{field.name}", getattr(config, field.name)
        text = texts.get(field.name, "")
        if dataclasses.is_dataclass(value):
            yield Option(name, "", None, text)
            yield from _within(name, value)
        else:
            hint = hints[field.name]
            expert = EXPERT in getattr(hint, "__metadata__", ())
            yield Option(name, _kind(hint), value, text, expert)


def _kind(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return "{" + ",".join(map(str, inner)) + "}"
    if origin in (Union, types.UnionType):
        return "|".join(_kind(each) for each in inner)
    if origin is tuple:
        parts = ["..." if each is Ellipsis else _kind(each) for each in inner]
        return f"[{', '.join(parts)}]"
    if hint is bool:
        return "{true,false}"
    return "null" if hint is type(None) else "MAPPING" if origin else hint.__name__.upper()


def as_yaml(recipe: Recipe, comment: Sequence[str] = ()) -> str:
    """Returns a recipe as a YAML file with every option, each under what it does.

    ``load_recipe`` reads it back, under the name of the file that it is written to.
    """
    lines = [f"# {line}".rstrip() for line in comment]
    for option in options(recipe):
        *parents, name = option.path.split(".")
        margin = "  " * len(parents)
        if not parents:
            lines.append("")
        lines += _wrapped(option.text, f"{margin}# ", WIDTH)
        if option.path in COMPONENTS:
            lines += [f"{name}:", f"  name: {option.shown}"]
        else:
            lines.append(f"{margin}{name}: {option.shown}" if option.kind else f"{margin}{name}:")
    return "\n".join(lines).lstrip("\n") + "\n"


FIT_TEXT = (
    "Whether the data at hand decide width, batches, length and what annotated videos teach, where "
    "neither the command nor dataset.yaml does. (default: as the recipe's file says)"
)


def as_help(recipe: Recipe, width: int, *, every: bool = False) -> str:
    """Returns what can follow ``rlld train RECIPE``, with kinds, values and what each does.

    Args:
        recipe: The recipe.
        width: Characters of a line.
        every: Whether to tell of options that few need, too.
    """
    lines = [f"options of recipe {recipe.name}, written --NAME VALUE:", ""]
    lines += ["  --fit {true,false}", *_wrapped(FIT_TEXT, " " * 6, width)]
    for option in options(recipe):
        if option.expert and not every:
            continue
        if "." not in option.path:
            lines.append("")
        text = option.text
        if option.path in COMPONENTS:
            text += f" Known: {', '.join(COMPONENTS[option.path].names())}."
        if option.kind:
            lines.append(f"  --{option.path} {option.kind}")
            lines += _wrapped(f"{text} (default: {option.shown})", " " * 6, width)
        else:
            lines += _wrapped(f"{option.path}: {text}", "  ", width)
    return "\n".join(lines) + "\n"


def _wrapped(text: str, margin: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
