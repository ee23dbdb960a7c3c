"""Strict conversion between plain data (YAML, JSON, dotted overrides) and frozen dataclasses.

An unknown key or a value of the wrong type is an error that names the place and the nearest key.
No number is NaN or infinite, and those of an annotated type (``Share``, ``Count`` ...) lie within
its range.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from rlld.errors import RlldError, nearest
from rlld.utils.plain import DEEPEST, MOST_BYTES, kind_of, yaml_value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@dataclass(frozen=True)
class Within:
    """The range of a number, as metadata of ``Annotated``.

    Attributes:
        low: Smallest value.
        high: Largest value.
    """

    low: float
    high: float = math.inf

    def check(self, value: float, where: str) -> None:
        """Refuses a number outside.

        Raises:
            RlldError: If it is outside.
        """
        if not self.low <= value <= self.high:
            wanted = f"{self.low:,}"
            wanted += " or more" if math.isinf(self.high) else f" to {self.high:,}"
            raise RlldError(f"{where}: expected {wanted}, found {value}")


Share = Annotated[float, Within(0, 1)]
"""A part of a whole, a probability, a threshold of one."""
Weight = Annotated[float, Within(0)]
"""What a term counts, or another factor or length that is not negative."""
Count = Annotated[int, Within(1, 100)]
"""How many parts something is made of (layers, heads, folds); each takes memory and time."""
Width = Annotated[int, Within(1, 1_000_000)]
"""Dimensions; what they multiply to is bounded where it is built."""

EXPERT = "expert"
"""Metadata of an option that few need: the first page of help leaves it out."""

YOUNG: Mapping[str, Any] = {"young": True}
"""Metadata of a field that older files lack: it is written only where it is not its default."""

LARGEST = 2**63 - 1
"""The largest whole number that tensors hold."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a YAML file that holds one mapping.

    Args:
        path: The file.

    Returns:
        The mapping; empty when the file is empty.

    Raises:
        RlldError: If the file cannot be read, is not YAML, is larger than settings can be, or is
            no mapping with string keys.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RlldError(f"{path}: larger than {MOST_BYTES >> 20} MB; give a file of settings")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise RlldError(f"{path}: cannot be read ({error}); give a readable YAML file") from None
    data = yaml_value(text, str(path), "not valid YAML")
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise RlldError(f"{path}: expected a mapping of names to values, found {kind_of(data)}")
    return data


def to_dict(value: Any) -> Any:
    """Returns a dataclass (or a value inside one) as plain JSON-ready data."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_dict(getattr(value, f.name)) for f in _written(value)}
    if isinstance(value, Mapping):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_dict(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def _written(value: DataclassInstance) -> list[dataclasses.Field[Any]]:
    fields = dataclasses.fields(value)
    return [f for f in fields if "young" not in f.metadata or getattr(value, f.name) != f.default]


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

    Examples:
        >>> from_dict(Within, {"low": 0, "high": "1e-4"}, "range")  # YAML reads 1e-4 as text
        Within(low=0.0, high=0.0001)
        >>> from_dict(Within, {"lo": 0}, "range")
        Traceback (most recent call last):
        ...
        rlld.errors.RlldError: range: unknown key 'lo'; did you mean 'low'?
    """
    if not isinstance(data, Mapping):
        raise RlldError(f"{where}: expected a mapping of names to values, found {kind_of(data)}")
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise RlldError(f"{where}: unknown key {key!r}{nearest(str(key), fields)}")
    hints = _hints(kind)  # type: ignore[arg-type]
    values = {key: _convert(hints[key], item, f"{where}: {key}") for key, item in data.items()}
    for name, spec in fields.items():
        required = (
            spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise RlldError(f"{where}: {name!r} is missing; add it")
    return kind(**values)


@lru_cache(maxsize=512)
def _hints(kind: type[Any]) -> dict[str, Any]:
    # They are written as text, which Python would evaluate anew each time.
    return typing.get_type_hints(kind, include_extras=True)


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

    Examples:
        >>> recipe = {"denoiser": {"name": "reinforced", "lr": 1e-3}, "schedule": {"rounds": 40}}
        >>> apply_overrides(recipe, {"denoiser.lr": "0.5", "schedule.rounds": 20})
        {'denoiser': {'name': 'reinforced', 'lr': 0.5}, 'schedule': {'rounds': 20}}
        >>> apply_overrides(recipe, {"denoiser": "weak"})["denoiser"]
        {'name': 'weak'}
    """
    result: dict[str, Any] = _copy(data)
    for path, raw in overrides.items():
        value = yaml_value(raw, f"setting {path!r}") if isinstance(raw, str) else raw
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


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if hint is Any:
        return _plain(value, where)
    if origin is Annotated:
        found = _convert(get_args(hint)[0], value, where)
        for limit in get_args(hint)[1:]:
            if isinstance(limit, Within):
                limit.check(found, where)
        return found
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
            raise RlldError(f"{where}: expected a mapping, found {kind_of(value)}")
        item_hint = get_args(hint)[1]
        return {str(k): _convert(item_hint, v, f"{where}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    return _convert_scalar(hint, value, where)


def _plain(value: Any, where: str, level: int = 0) -> Any:
    """Returns a value of any plain kind, checked as those are whose kind is known."""
    if level > DEEPEST:
        raise RlldError(f"{where}: nested more than {DEEPEST} levels deep; make it flatter")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}", level + 1) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item, where, level + 1) for item in value]
    if isinstance(value, float):
        return _number(value, where)
    return _writable(value, where) if isinstance(value, str) else value


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
    raise first or RlldError(f"{where}: unexpected {kind_of(value)}")


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise RlldError(f"{where}: expected a list, found {kind_of(value)}")
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
    if hint is float:
        return _number(value, where)
    if isinstance(value, str) and hint in (str, Path):
        return hint(_writable(value, where))
    wrong_bool = isinstance(value, bool) and hint is not bool
    if wrong_bool or not isinstance(value, hint):
        expected = {int: "a whole number", str: "text", bool: "true or false"}
        raise RlldError(
            f"{where}: expected {expected.get(hint, hint.__name__)}, found {kind_of(value)}"
        )
    if hint is int and abs(value) > LARGEST:
        raise RlldError(f"{where}: expected a whole number below 2^63, found a larger one")
    return value


def _number(value: Any, where: str) -> float:
    # YAML 1.1 reads 1e-4 (no decimal point) as text.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RlldError(f"{where}: expected a number, found {kind_of(value)}")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise RlldError(f"{where}: expected a number, found {value!r}") from None
    if not math.isfinite(found):
        raise RlldError(f"{where}: expected a finite number, found {value}")
    return found


def _writable(text: str, where: str) -> str:
    """Refuses halves of characters, which no file could hold again."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RlldError(f"{where}: {text!r} is no valid Unicode text; correct it") from None
    return text
