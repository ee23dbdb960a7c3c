"""The command line: one table of verbs, one file per verb.

``cli/data/pack.py`` is the verb ``rlld data pack``. It holds a frozen dataclass ``Args`` (fields
become options, the text under a field its help), ``run(args)``, and its first docstring line is
the summary in ``rlld --help``. A file with ``OVERRIDES = True`` takes dotted recipe settings too
and is called as ``run(args, overrides)``; one with ``further_help(words)`` adds to its help. No
file imports torch at its top.
"""

from __future__ import annotations

import _thread
import ast
import importlib
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from rlld.errors import RlldError, nearest
from rlld.utils.streams import end_unread, prepare, say, silence

if TYPE_CHECKING:
    from rlld.cli._verb import Verb

VERBS = (
    "demo",
    "data new",
    "data llp",
    "data published",
    "data pack",
    "data answers",
    "data import",
    "data scores",
    "data check",
    "data verify",
    "data simulate",
    "data render",
    "train",
    "evaluate",
    "compare",
    "report",
    "denoise",
    "suggest",
    "studio",
    "parse",
    "export",
    "extract",
    "recipes",
    "weights",
    "convert",
    "push",
    "info",
    "bench",
)
"""The verbs in the order in which people use them; those of ``bench`` are in its own table."""

USAGE_STATUS = 2
INTERRUPT_STATUS = 130
HELP = ("-h", "--help", "help")


def main(argv: list[str] | None = None) -> None:
    """Runs the command line and exits.

    The status is 0 on success, 2 on bad input, 130 when interrupted, 141 when its
    reader has gone.
    """
    with _interruptible():
        sys.exit(_main(sys.argv[1:] if argv is None else argv))


_struck = threading.Event()
"""Whether Ctrl-C was pressed: a library may make an error of its own of an interrupt in it."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets no interrupt be lost: one in a destructor comes again, one in a library is known."""
    _struck.clear()
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ours = ours and threading.current_thread() is threading.main_thread()
    hook, sys.unraisablehook = sys.unraisablehook, _once_more
    if ours:
        signal.signal(signal.SIGINT, _strike)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _strike(*_: object) -> None:
    _struck.set()
    raise KeyboardInterrupt


def _once_more(unraisable: sys.UnraisableHookArgs) -> None:
    """Lets an interrupt that struck in a destructor, where Python drops it, come again."""
    if unraisable.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(unraisable)
        return
    again = threading.Timer(0.01, _thread.interrupt_main)  # not in the hook, which drops it too
    again.daemon = True
    again.start()


def _main(argv: list[str]) -> int:
    prepare()
    try:
        try:
            _dispatch(argv)
        finally:
            sys.stdout.flush()
    except (RlldError, KeyboardInterrupt) as error:
        if _struck.is_set() or isinstance(error, KeyboardInterrupt):
            say("rlld: interrupted\n")
            return INTERRUPT_STATUS
        say(f"rlld: {error}\n")
        return USAGE_STATUS
    except OSError as error:
        return _refused(error)
    return 0


def _refused(error: OSError) -> int:
    """Says what the system refuses, which is no fault of the program, wherever it is met."""
    if error.errno is None:
        raise error
    if isinstance(error, BrokenPipeError):
        end_unread()
    if error.filename is None:  # what we print; files that are written name themselves
        silence(sys.stdout)
    place = "standard output" if error.filename is None else error.filename
    say(f"rlld: {place}: {error.strerror}; make it possible and run again\n")
    return USAGE_STATUS


def _dispatch(argv: list[str]) -> None:
    if not argv or argv[0] in HELP:
        sys.stdout.write(_page({verb: _summary(verb) for verb in VERBS}))
    elif argv[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"rlld {version('rlld')}\n")
    elif argv[0] == "bench":
        _run_benchmark(argv)
    else:
        _run_verb(argv)


def _run_verb(argv: list[str]) -> None:
    for length in (2, 1):
        name = " ".join(argv[:length])
        if name in VERBS:
            from rlld.cli._verb import call

            call(name, _loaded(name), argv[length:])
            return
    group = [verb for verb in VERBS if verb.startswith(f"{argv[0]} ")]
    if group and (len(argv) == 1 or argv[1] in HELP):
        sys.stdout.write(_page({verb: _summary(verb) for verb in group}))
        return
    name = " ".join(argv[:2]) if group else argv[0]
    raise RlldError(f"unknown command {name!r}{nearest(name, group or VERBS)}")


def _loaded(name: str) -> Verb:
    from rlld.cli._verb import Verb

    module = importlib.import_module(f"rlld.cli.{name.replace(' ', '.')}")
    overrides, further = getattr(module, "OVERRIDES", False), getattr(module, "further_help", None)
    return Verb(module.__doc__ or "", module.Args, module.run, overrides, further)


def _run_benchmark(argv: list[str]) -> None:
    from rlld.cli._verb import call
    from rlld.cli.bench import BENCHMARKS, INTRODUCTION

    if len(argv) == 1 or argv[1] in HELP:
        page = {f"bench {name}": benchmark.about for name, benchmark in BENCHMARKS.items()}
        sys.stdout.write(_page(page, INTRODUCTION))
        return
    words = [*re.sub(r"^(table|figure)(\d+)$", r"\1 \2", argv[1]).split(), *argv[2:]]
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in BENCHMARKS:
            call(f"bench {name}", BENCHMARKS[name], words[length:])
            return
    words = ["bench", *takewhile(lambda word: not word.startswith("-"), words[:2])]
    name, known = " ".join(words), [f"bench {each}" for each in BENCHMARKS]
    raise RlldError(f"unknown command {name!r}{nearest(name, known)}")


def _page(
    rows: Mapping[str, str],
    introduction: str = "tagged video in; audible and visible events with their times out.",
) -> str:
    width = max(map(len, rows)) + 2
    lines = [f"  rlld {name:<{width}}{summary}\n" for name, summary in rows.items()]
    return (
        f"rlld: {introduction}\n\n"
        + "".join(lines)
        + "\nrlld COMMAND --help says what a command takes.\n"
    )


def _summary(verb: str) -> str:
    file = Path(__file__).parent.joinpath(*verb.split()).with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.splitlines()[0] if docstring else ""
