"""What docstrings say of the fields of dataclasses."""

from __future__ import annotations

from typing import Any

from docstring_parser import DocstringStyle, parse


def attributes(kind: type[Any]) -> dict[str, str]:
    """Returns the texts of a class's Google-style ``Attributes:`` by name, those of its bases too.

    Each is one paragraph, without the marks of code.
    """
    texts = {}
    for each in reversed(kind.__mro__):
        for entry in parse(each.__dict__.get("__doc__") or "", DocstringStyle.GOOGLE).params:
            texts[entry.arg_name] = " ".join((entry.description or "").replace("``", "").split())
    return texts
