"""The command line: one module per verb.

A module ``cli/data_pack.py`` is the verb ``rlld data pack``. It holds a frozen dataclass
``Args`` (fields become options, the text under a field its help), ``run(args)``, and its first
docstring line is the summary in ``rlld --help``. A module with ``OVERRIDES = True`` takes dotted
recipe settings too and is called as ``run(args, overrides)``. No module imports torch at its top.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from typing import Any

from rlld.errors import RlldError, nearest
from rlld.utils.streams import prepare, say, silence

USAGE_STATUS = 2
INTERRUPT_STATUS = 130


def main(argv: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 on success, 2 on bad input, 130 when interrupted."""
    sys.exit(_main(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    prepare()
    try:
        try:
            _dispatch(argv)
        finally:
            sys.stdout.flush()
    except RlldError as error:
        say(f"rlld: {error}\n")
        return USAGE_STATUS
    except KeyboardInterrupt:
        say("rlld: interrupted\n")
        return INTERRUPT_STATUS
    except OSError as error:
        return _refused(error)
    return 0


def _refused(error: OSError) -> int:
    """Says what the system refuses, which is no fault of the program, wherever it is met."""
    if error.errno is None:
        raise error
    if error.filename is None:  # what we print; files that are written name themselves
        silence(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return 0  # the reader of our output (head, less) has gone
    place = "standard output" if error.filename is None else error.filename
    say(f"rlld: {place}: {error.strerror}; make it possible and run again\n")
    return USAGE_STATUS


def verbs() -> dict[str, Path]:
    """Returns the files of the verbs by name, ``{"data pack": .../data_pack.py}``."""
    files = sorted(Path(__file__).parent.glob("[a-z]*.py"), key=_naturally)
    return {file.stem.replace("_", " "): file for file in files}


def _naturally(file: Path) -> list[str | int]:
    """Sorts figure2 before figure10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", file.stem)]


def _dispatch(argv: list[str]) -> None:
    known = verbs()
    if argv and argv[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"rlld {version('rlld')}\n")
        return
    if not argv or argv[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview(known))
        return
    for length in (2, 1):
        name = " ".join(argv[:length])
        if name in known:
            _run(name, known[name].stem, argv[length:])
            return
    group = {verb: file for verb, file in known.items() if verb.startswith(f"{argv[0]} ")}
    if group and (len(argv) == 1 or argv[1] in ("-h", "--help")):
        sys.stdout.write(_overview(group))
        return
    name = " ".join(argv[:2]) if group else argv[0]
    raise RlldError(f"unknown command {name!r}{nearest(name, group or known)}")


def _overview(known: dict[str, Path]) -> str:
    width = max(map(len, known)) + 2
    rows = [f"  rlld {name:<{width}}{_summary(file)}\n" for name, file in known.items()]
    return (
        "rlld: tagged video in; audible and visible events with their times out.\n\n"
        + "".join(rows)
        + "\nrlld COMMAND --help says what a command takes.\n"
    )


def _summary(file: Path) -> str:
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return docstring.splitlines()[0] if docstring else ""


def _run(name: str, stem: str, argv: list[str]) -> None:
    import tyro

    module = importlib.import_module(f"rlld.cli.{stem}")
    options: dict[str, Any] = {"prog": f"rlld {name}", "description": module.__doc__}
    if not getattr(module, "OVERRIDES", False):
        module.run(tyro.cli(module.Args, args=argv, **options))
        return
    args, rest = tyro.cli(module.Args, args=argv, return_unknown_args=True, **options)
    module.run(args, parse_overrides(rest))


def parse_overrides(argv: list[str]) -> dict[str, str]:
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
