"""Strict conversion between plain data (YAML, JSON, dotted overrides) and frozen dataclasses.

An unknown key or a value of the wrong type is an error that names the place and the nearest key.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml

from rlld.errors import RlldError, nearest

T = TypeVar("T")


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file that holds one mapping.

    Args:
        path: The file.

    Returns:
        The mapping; empty when the file is empty.

    Raises:
        RlldError: If the file cannot be read, is not YAML, or is no mapping with string keys.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise RlldError(f"{path}: cannot be read ({error}); give a readable YAML file") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise RlldError(f"{path}: not valid YAML ({where}); correct the file") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise RlldError(f"{path}: expected a mapping of names to values, found {_kind(data)}")
    return data


def to_dict(value: Any) -> Any:
    """Returns a dataclass (or a value inside one) as plain JSON-ready data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_dict(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def from_dict(kind: type[T], data: Any, where: str) -> T:
    """Builds a frozen dataclass from plain data.

    Args:
        kind: The dataclass.
        data: A mapping of its field names to plain values.
        where: What the data are, for messages: a file name, ``recipe han: schedule``.

    Returns:
        The dataclass.

    Raises:
        RlldError: On an unknown or missing key, or a value that does not fit its field.
    """
    if not isinstance(data, Mapping):
        raise RlldError(f"{where}: expected a mapping of names to values, found {_kind(data)}")
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise RlldError(f"{where}: unknown key {key!r}{nearest(str(key), fields)}")
    hints = typing.get_type_hints(kind)
    values = {key: _convert(hints[key], item, f"{where}: {key}") for key, item in data.items()}
    for name, spec in fields.items():
        required = (
            spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise RlldError(f"{where}: {name!r} is missing; add it")
    return kind(**values)


def require_positive(where: str, config: object, *names: str) -> None:
    """Checks sizes of a configuration.

    Args:
        where: What stands before the name of a field in messages: ``"network han: "``.
        config: The configuration.
        names: Its fields; one that is None is not checked.

    Raises:
        RlldError: If one is zero or negative.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise RlldError(f"{where}{name} must be positive, found {value}")


def apply_overrides(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Returns plain data with dotted overrides applied.

    Args:
        data: Nested mappings.
        overrides: Dotted path to value, ``{"denoiser.lr": 1e-4}``. A string value is read as a
            YAML scalar. A plain string given for a section that has a ``name`` (``network``,
            ``denoiser`` ...) replaces the section by the component of that name.

    Returns:
        A new nested dictionary.

    Raises:
        RlldError: If a path leads through something that is no section.
    """
    result: dict[str, Any] = _copy(data)
    for path, raw in overrides.items():
        value = yaml.safe_load(raw) if isinstance(raw, str) else raw
        *parents, last = path.split(".")
        section = result
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise RlldError(f"override {path!r}: {parent!r} is a value, not a section")
        old = section.get(last)
        if isinstance(old, dict) and "name" in old and isinstance(value, str):
            value = {"name": value}
        section[last] = value
    return result


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return value


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is Literal:
        if value not in get_args(hint):
            choices = ", ".join(map(str, get_args(hint)))
            raise RlldError(f"{where}: expected one of {choices}; found {value!r}")
        return value
    if origin is tuple:
        return _convert_tuple(hint, value, where)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise RlldError(f"{where}: expected a mapping, found {_kind(value)}")
        item_hint = get_args(hint)[1]
        return {str(k): _convert(item_hint, v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    return _convert_scalar(hint, value, where)


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    options = get_args(hint)
    if value is None and type(None) in options:
        return None
    first: RlldError | None = None
    for option in options:
        if option is type(None):
            continue
        try:
            return _convert(option, value, where)
        except RlldError as error:
            first = first or error
    raise first or RlldError(f"{where}: unexpected {_kind(value)}")


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise RlldError(f"{where}: expected a list, found {_kind(value)}")
    items = get_args(hint)
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise RlldError(f"{where}: expected {len(items)} values, found {len(value)}")
    return tuple(
        _convert(item, entry, f"{where}[{number}]")
        for number, (item, entry) in enumerate(zip(items, value, strict=True))
    )


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-4 (no decimal point) as text.
        try:
            return float(value)
        except ValueError:
            raise RlldError(f"{where}: expected a number, found {value!r}") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    wrong_bool = isinstance(value, bool) and hint is not bool
    if wrong_bool or not isinstance(value, hint):
        expected = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise RlldError(
            f"{where}: expected {expected.get(hint, hint.__name__)}, found {_kind(value)}"
        )
    return value
