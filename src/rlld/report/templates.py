"""What pages and the model card share: templates, styles and ways of writing values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from rlld.parsing.words import clock, length_text, plain, seconds


def rendered(template: str, styles: Sequence[str], **values: Any) -> str:
    """Returns a page, as HTML where the template is.

    Args:
        template: Name of the template among the assets.
        styles: Names of the style sheets, which the template gets as ``style``.
        values: What else the template shows.
    """
    style = "\n".join(asset(name) for name in styles)
    return _environment().get_template(template).render(style=style, **values)


def symbols() -> str:
    """Returns the drawings of the icons, to which ``<use href="#i-audio"/>`` refers in a page."""
    shown = '{% from "parts.html.j2" import symbols %}{{ symbols() }}'
    return _environment().from_string(shown).render()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rlld.report", "assets"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=seconds, clock=clock, plain=plain, span=length_text)
    return environment


def asset(name: str) -> str:
    """Returns the text of a style sheet or script."""
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Returns modules as one, for a page that loads nothing: imports of each other are left out.

    Args:
        names: Files among the assets, each after those that it imports. Their names at the top
            level are told apart.
    """
    text = "\n".join(asset(name) for name in names)
    return re.sub(r"^export |^import [^;]*;\n", "", text, flags=re.MULTILINE)
