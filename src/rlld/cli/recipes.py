"""List the recipes, or print one as YAML with what each of its options does."""

from __future__ import annotations

from dataclasses import dataclass

import tyro


@dataclass(frozen=True)
class Args:
    """Options of ``rlld recipes``."""

    name: tyro.conf.Positional[str] = ""
    """A packaged recipe or a YAML file, which is printed whole; all are listed when not given."""


def run(args: Args) -> None:
    """Lists, or prints."""
    from rlld.recipes.options import about, as_yaml, summary
    from rlld.recipes.recipe import load_recipe, recipe_names
    from rlld.utils.console import OUT

    if args.name:
        OUT.content(as_yaml(load_recipe(args.name), about(args.name)))
        return
    names = recipe_names()
    width = max(map(len, names)) + 2
    for name in names:
        OUT.print(f"{name:<{width}}{summary(name)}")
