"""Pickles as plain values: nothing that they name is imported, looked up or called.

Python's own reader allocates what a pickle tells it to (a memo of 2^31 entries in nine bytes) and
can be brought to its knees by the hash of a deeply nested key. This one takes the instructions from
``pickletools``, which reads no more than the bytes hold, and knows only those that build values.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

from rlld.utils.foreign.damage import DamagedError, RunsError

MOST_STEPS = 2_000_000
"""Instructions of a pickle; each leaves at most some 200 bytes behind."""

PUSHED = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
"""Instructions that put their argument on the stack."""

SCALARS = (str, int, float, bytes, type(None))


class Bytes(Protocol):
    """What pickles are read from: reading more than there is gives what there is."""

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes."""

    def readline(self) -> bytes:
        """Returns the rest of the line."""

    def tell(self) -> int:
        """Returns the position."""

    def seek(self, position: int, /) -> Any:
        """Goes to a position."""


Builder = Callable[..., Any]
"""What is done instead of calling a name."""


@dataclass(frozen=True)
class Named:
    """Stands for an allowed name."""

    name: str
    build: Builder


class Opaque:
    """Stands for an object whose contents nobody here needs."""

    def __init__(self, *arguments: Any) -> None:
        del arguments


def unpickled(
    file: Bytes, names: Mapping[str, Builder], stored: Callable[[Any], Any] | None = None
) -> Any:
    """Reads one pickle, and leaves the file behind its end.

    Args:
        file: Positioned at its beginning.
        names: What to do instead of calling a name, for every name that is allowed.
        stored: Returns what a reference to something outside of the pickle stands for.

    Returns:
        Plain values and what ``names`` and ``stored`` returned; sets come as lists.

    Raises:
        RunsError: If it names anything else.
        DamagedError: If it is none, or has more than ``MOST_STEPS`` instructions. Anything of
            ``DAMAGE`` may be raised too.
    """
    machine = _Machine(names, stored)
    for count, (opcode, argument, _) in enumerate(pickletools.genops(cast("IO[bytes]", file))):
        if count == MOST_STEPS:
            raise DamagedError(f"a pickle of more than {MOST_STEPS:,} instructions")
        if opcode.name in PUSHED:
            machine.stack.append(argument)
        elif opcode.name == "STOP":
            return machine.stack.pop()
        else:
            step = STEPS.get(opcode.name)
            if step is None:
                raise DamagedError(f"the pickle instruction {opcode.name} has no place here")
            step(machine, argument)
    raise DamagedError("a pickle without an end")


def mapping(*arguments: Any) -> dict[Any, Any]:
    """Builds what is pickled as a kind of dictionary: of nothing, another one, or pairs."""
    items = arguments[0] if arguments else None
    if isinstance(items, dict):
        return items
    if not isinstance(items, list):
        return {}
    made = {_key(key): value for key, value in items}
    # A short pickle that names one list often must not get as many copies of it.
    items.clear()
    return made


def _key(value: Any) -> Any:
    """Returns a key of a dictionary; the hash of what is nested deeply would crash Python."""
    flat = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(part, SCALARS) for part in flat):
        raise DamagedError("a dictionary key that is no text and no number")
    return value


class _Machine:
    """The stack machine of pickles."""

    def __init__(self, names: Mapping[str, Builder], stored: Callable[[Any], Any] | None) -> None:
        self.names, self.stored = names, stored
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)  # the list that is the stack after the value was made

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def take(self, count: int) -> tuple[Any, ...]:
        if len(self.stack) < count:
            raise DamagedError("an instruction without its values")
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return items

    def name(self, full: str) -> None:
        build = self.names.get(full)
        if build is None:
            raise RunsError(full)
        self.stack.append(Named(full, build))

    def name_of_stack(self) -> None:
        module, name = self.take(2)
        self.name(f"{module}.{name}")

    def call(self) -> None:
        function, arguments = self.take(2)
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise DamagedError("a call of something that is no name")
        self.stack.append(function.build(*arguments))

    def extend(self, items: Iterable[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise DamagedError("items of something that is no list")
        target.extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        # What stands for an object takes no items; a subclass of dict may have been one.
        if type(target) is not dict:
            raise DamagedError("entries of something that is no dictionary")
        target.update(_pairs(items))

    def remember(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def refer(self) -> None:
        if self.stored is None:
            raise RunsError("something outside of the file")
        self.stack.append(self.stored(self.stack.pop()))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "MARK": lambda m, a: m.mark(),
    "POP": lambda m, a: m.pop(),
    "POP_MARK": lambda m, a: m.since_mark(),
    "DUP": lambda m, a: m.push(m.stack[-1]),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "EMPTY_SET": lambda m, a: m.push([]),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "TUPLE1": lambda m, a: m.push(m.take(1)),
    "TUPLE2": lambda m, a: m.push(m.take(2)),
    "TUPLE3": lambda m, a: m.push(m.take(3)),
    "TUPLE": lambda m, a: m.push(tuple(m.since_mark())),
    "LIST": lambda m, a: m.push(m.since_mark()),
    "FROZENSET": lambda m, a: m.push(m.since_mark()),
    "DICT": lambda m, a: m.push(_pairs(m.since_mark())),
    "APPEND": lambda m, a: m.extend(m.take(1)),
    "APPENDS": lambda m, a: m.extend(m.since_mark()),
    "ADDITEMS": lambda m, a: m.extend(m.since_mark()),
    "SETITEM": lambda m, a: m.set_items(list(m.take(2))),
    "SETITEMS": lambda m, a: m.set_items(m.since_mark()),
    "PUT": lambda m, a: m.remember(a),
    "BINPUT": lambda m, a: m.remember(a),
    "LONG_BINPUT": lambda m, a: m.remember(a),
    "MEMOIZE": lambda m, a: m.remember(len(m.memo)),
    "GET": lambda m, a: m.push(m.memo[a]),
    "BINGET": lambda m, a: m.push(m.memo[a]),
    "LONG_BINGET": lambda m, a: m.push(m.memo[a]),
    "GLOBAL": lambda m, a: m.name(a.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda m, a: m.name_of_stack(),
    "REDUCE": lambda m, a: m.call(),
    "NEWOBJ": lambda m, a: m.call(),
    "BUILD": lambda m, a: m.take(1),
    "BINPERSID": lambda m, a: m.refer(),
}
"""What each instruction does; an object's state (``BUILD``) is dropped."""
