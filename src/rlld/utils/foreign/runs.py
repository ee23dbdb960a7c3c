"""Runs of somebody else: what must hold before anything is built or looked up by their settings.

A run of the hub was written by whoever wrote it. Its files are JSON and safetensors, so reading
them runs nothing; what is left is what the settings could make rlld do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlld.errors import RlldError

LOCAL = ("data",)
"""Facts that mean something on the machine of the training alone: places."""
FACTS: dict[str, type] = {
    "data": str,
    "seed": int,
    "content": str,
    "training_videos": int,
    "training_labels": str,
    "teaching_videos": int,
    "updates": int,
    "selected_updates": int,
    "notes": list,
    "validation": dict,
    "weak": dict,
}
"""Facts that are used later, and what they are."""


def checked_config(config: dict[str, Any], file: Path, foreign: str | None) -> dict[str, Any]:
    """Returns the configuration of a run; that of a foreign one without places of its machine.

    Args:
        config: What ``read_config`` returned.
        file: Where it stands, for messages.
        foreign: What the run of somebody else is called; None for one of a folder.

    Raises:
        RlldError: If a fact is not what it is used for, or a text of a foreign run could steer a
            terminal.
    """
    if foreign is None:
        _require_facts(config["facts"], str(file))
        return config
    for text in _texts(config):
        if not text.isprintable():
            raise RlldError(
                f"{foreign}: config.json: {text!r} holds control characters; do not use it"
            )
    _require_facts(config["facts"], f"{foreign}: config.json")
    facts = {key: value for key, value in config["facts"].items() if key not in LOCAL}
    return {**config, "facts": facts}


def _require_facts(facts: Mapping[str, Any], where: str) -> None:
    for key, kind in FACTS.items():
        if key in facts and type(facts[key]) is not kind:
            raise RlldError(
                f"{where}: facts.{key} is {str(facts[key])[:80]!r}, expected {kind.__name__}; the "
                "file was changed"
            )
        if kind is int and facts.get(key, 0) < 0:
            raise RlldError(
                f"{where}: facts.{key} is {facts[key]}, expected 0 or more; the file was changed"
            )
    for note in facts.get("notes", ()):
        if not isinstance(note, str):
            raise RlldError(
                f"{where}: facts.notes holds {str(note)[:80]!r}, expected text; the file was "
                "changed"
            )
    for name, score in facts.get("validation", {}).items():
        if isinstance(score, bool) or not isinstance(score, int | float | None):
            raise RlldError(
                f"{where}: facts.validation.{name} is {str(score)[:80]!r}, expected a number; the "
                "file was changed"
            )


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
