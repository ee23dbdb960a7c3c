"""Lines of annotation files: tab-separated text, and whatever else people save as such."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rlld.data.problems import Grade, Problem, Report
from rlld.errors import RlldError

BOM = "\ufeff"


def ids_in(path: Path) -> set[str]:
    """Returns the videos of a weak annotation file, whatever else is wrong with it."""
    lines = _lines(path, lambda _: None) or []
    return {_cells(line)[0] for line in lines[1:]} - {""}


def read_bytes(path: Path) -> bytes:
    """Reads an annotation file.

    Raises:
        RlldError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise RlldError(f"{path}: no such annotation file") from None
    except OSError as error:
        raise RlldError(f"{path}: cannot be read ({error.strerror})") from None


def rows_below(
    path: Path, header: tuple[str, ...], report: Report
) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and fields of every row that has the right number of fields.

    Args:
        path: The file.
        header: What its first line has to be.
        report: Receives every problem.
    """
    lines = _lines(path, report)
    if lines is None:
        return
    if not lines or tuple(_cells(lines[0])) != header:
        report(Problem(path, 1, "error", _header_text(lines[0] if lines else "", header)))
        return
    for line, text in enumerate(lines[1:], 2):
        fields = _cells(text)
        problem = "" if text else "blank line; remove it"
        grade: Grade = "error" if text else "note"
        if text and len(fields) != len(header):
            problem = (
                f"expected {len(header)} tab-separated fields ({', '.join(header)}), "
                f"found {len(fields)}{_separator(text, len(header))}"
            )
        elif text and (not fields[0] or fields[0] != fields[0].strip(' "') or "\r" in fields[0]):
            problem = f"{fields[0]!r} is no video id: ids hold no outer spaces, quotes or line ends"
        if problem:
            report(Problem(path, line, grade, problem))
        else:
            yield line, fields


def _cells(line: str) -> list[str]:
    return [unquoted(cell) for cell in line.split("\t")]


def unquoted(cell: str) -> str:
    """Returns a cell without the quotes that spreadsheets put around it, ``"Speech,Dog"``.

    Examples:
        >>> unquoted('"Speech,Dog"'), unquoted("Speech")
        ('Speech,Dog', 'Speech')
    """
    if len(cell) < 2 or not (cell[0] == cell[-1] == '"'):
        return cell
    inner = cell[1:-1]
    return cell if '"' in inner.replace('""', "") else inner.replace('""', '"')


def _lines(path: Path, report: Report) -> list[str] | None:
    """Returns the lines of a file; None of one that is no text."""
    content = read_bytes(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        report(Problem(path, line, "error", "not UTF-8 text; save the file as UTF-8"))
        return None
    if b"\0" in content:
        report(Problem(path, 1, "error", "holds zero bytes, as UTF-16 does; save it as UTF-8"))
        return None
    if text.startswith(BOM):
        text = text[1:]
        report(Problem(path, 1, "warning", "the file starts with a byte order mark; remove it"))
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    windows = [number for number, line in enumerate(lines, 1) if line.endswith("\r")]
    if windows:
        problem = f"Windows line ends in {len(windows)} lines; save the file with LF line ends"
        report(Problem(path, windows[0], "warning", problem))
    lines = [line.rstrip("\r") for line in lines]
    quoted = [
        n for n, line in enumerate(lines, 1) if '"' in line and "\t".join(_cells(line)) != line
    ]
    if quoted:
        problem = f"quotes around the cells of {len(quoted)} lines, which are not part of them"
        report(Problem(path, quoted[0], "note", problem))
    return lines


def _header_text(found: str, header: tuple[str, ...]) -> str:
    wanted = "expected the tab-separated header " + ", ".join(header)
    if not found:
        return f"{wanted}, found an empty file or line; add it"
    shown = found if len(found) <= 80 else found[:77] + "..."
    if found.startswith("filename"):
        return f"{wanted}, found {shown!r}{_separator(found, len(header))}"
    return f"{wanted}, found {shown!r}; add the header line"


def _separator(text: str, fields: int) -> str:
    """Says which other separator would explain a line, or nothing."""
    for mark, name in ((",", "commas"), (";", "semicolons"), (" ", "spaces")):
        parts = text.split() if mark == " " else text.split(mark)
        if "\t" not in text and len(parts) >= fields:
            return f"; its fields seem to be separated by {name}; separate them by tabs"
    return "; correct the line"
