"""What a verb takes, how its words are read, and what its help shows."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro

from rlld.errors import RlldError
from rlld.utils.config import EXPERT

T = TypeVar("T")
Expert = Annotated[T, EXPERT]
"""An option that few need: it works as any other and is left to the long help."""

HELP_ALL = "--help-all"


@dataclass(frozen=True)
class Verb:
    """A verb.

    Attributes:
        about: What it does; the first line is its summary.
        args: Frozen dataclass: fields become options, the text under a field its help.
        run: Does it; called with the options and, where there are overrides, with them.
        overrides: Whether dotted recipe settings may follow.
        further: Makes what its help tells besides, of the words that were given.
    """

    about: str
    args: type[Any]
    run: Callable[..., None]
    overrides: bool = False
    further: Callable[[Sequence[str]], str] | None = None


def call(name: str, verb: Verb, argv: Sequence[str]) -> None:
    """Reads the words after a verb and runs it, or prints its help and exits."""
    words = ["--help" if word == HELP_ALL else word for word in argv]
    options: dict[str, Any] = {"prog": f"rlld {name}", "args": words}
    args, options["description"] = verb.args, verb.about
    short = HELP_ALL not in argv and not {"-h", "--help"}.isdisjoint(argv)
    if short and (hidden := _expert(args)):
        args = _without(args, hidden)
        options["description"] += (
            f"\n\nrlld {name} {HELP_ALL} shows the options that few need, too."
        )
    try:
        if not verb.overrides:
            verb.run(tyro.cli(args, **options))
            return
        found, rest = tyro.cli(args, return_unknown_args=True, **options)
    except SystemExit as end:
        if not end.code and verb.further is not None:
            sys.stdout.write(verb.further(argv))
        raise
    verb.run(found, parse_overrides(rest))


def _expert(args: type[Any]) -> dict[str, Any]:
    """Returns the types of the options that few need, by name."""
    hints = get_type_hints(args, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: hints[name] for name in hints if EXPERT in marks[name]}


def _without(args: type[Any], hidden: Mapping[str, Any]) -> type[Any]:
    """Returns the same options for a help that leaves some out; tyro would not read these.

    It bears the name of the original, since the help of an option is read from its source.
    """
    suppress: Any = tyro.conf.Suppress
    kinds = {name: suppress[hint] for name, hint in hidden.items()}
    values = {each.name: each.default for each in dataclasses.fields(args) if each.name in hidden}
    place = {"__module__": args.__module__, "__qualname__": args.__qualname__}
    made = type(args.__name__, (args,), {**place, "__annotations__": kinds, **values})
    return dataclass(frozen=True)(made)


@contextmanager
def resumable(how: str) -> Iterator[None]:
    """Says how to go on where the block is interrupted, which keeps what it did."""
    try:
        yield
    except KeyboardInterrupt:
        from rlld.utils.console import ERR

        ERR.print(f"to go on: {how}")
        raise


def parse_overrides(argv: Sequence[str]) -> dict[str, str]:
    """Reads ``--denoiser.lr 1e-4 --network.hidden=64`` into a mapping.

    Raises:
        RlldError: If something is no ``--name value`` pair.
    """
    overrides: dict[str, str] = {}
    rest = list(argv)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or len(flag) < 3:
            raise RlldError(f"unexpected argument {flag!r}; overrides are written --name value")
        name, equals, value = flag[2:].partition("=")
        if not equals:
            if not rest:
                raise RlldError(f"override --{name} has no value; write --{name} VALUE")
            value = rest.pop(0)
        overrides[name.replace("-", "_") if "." not in name else name] = value
    return overrides
