"""What a verb takes, how its words are read, and what its help shows."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro

from rlld.errors import RlldError

T = TypeVar("T")
Expert = Annotated[T, tyro.conf.Suppress]
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
    every = HELP_ALL in argv
    words = ["--help" if word == HELP_ALL else word for word in argv]
    options: dict[str, Any] = {"prog": f"rlld {name}", "args": words}
    args, options["description"] = verb.args, verb.about
    # What tyro hides it does not read either, so that nothing is hidden but from a help.
    if every or not {"-h", "--help"}.intersection(argv):
        args = _unhidden(args)
    elif _hidden(args):
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


def _hidden(args: type[Any]) -> dict[str, Any]:
    """Returns the types of the hidden options by name, without what hides them."""
    hints = get_type_hints(args, include_extras=True)
    marked = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    plain = get_type_hints(args)
    return {name: plain[name] for name, marks in marked.items() if tyro.conf.Suppress in marks}


def _unhidden(args: type[Any]) -> type[Any]:
    """Returns the same options, none of them hidden.

    It bears the name of the original, since the help of an option is read from its source.
    """
    hidden = _hidden(args)
    fields = {field.name: field.default for field in dataclasses.fields(args)}
    members = {name: fields[name] for name in hidden}
    place = {"__module__": args.__module__, "__qualname__": args.__qualname__}
    made = type(args.__name__, (args,), {**place, "__annotations__": hidden, **members})
    return dataclass(frozen=True)(made)


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
