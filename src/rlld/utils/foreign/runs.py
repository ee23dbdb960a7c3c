"""Runs of somebody else: what must hold before anything is built or looked up by their settings.

A run of the hub was written by whoever wrote it. Its files are JSON and safetensors, so reading
them runs nothing; what is left is what the settings could make rlld do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rlld.errors import RlldError

LOCAL = ("data",)
"""Facts that mean something on the machine of the training alone: places."""
FACTS: dict[str, type] = {"seed": int, "notes": list, "validation": dict, "weak": dict}
"""Facts that are used later, and what they are."""


def checked_config(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns the configuration of a foreign run without places of its machine.

    Args:
        config: What ``read_config`` returned.
        name: The run, for messages.

    Raises:
        RlldError: If a text in it could steer a terminal, or a fact is not what it should be.
    """
    for text in _texts(config):
        if not text.isprintable():
            raise RlldError(
                f"{name}: config.json: {text!r} holds control characters; do not use it"
            )
    facts = {key: value for key, value in config["facts"].items() if key not in LOCAL}
    for key, kind in FACTS.items():
        if key in facts and type(facts[key]) is not kind:
            raise RlldError(
                f"{name}: config.json: facts.{key} is {facts[key]!r}, expected "
                f"{kind.__name__}; the file was changed"
            )
    for note in facts.get("notes", ()):
        if not isinstance(note, str):
            raise RlldError(f"{name}: config.json: facts.notes holds {note!r}, expected text")
    return {**config, "facts": facts}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
