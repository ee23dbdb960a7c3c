"""Names that came from a file, joined to a folder so that nothing outside of it is reached.

Data sets, runs, stores and manifests may come from anywhere, and whoever wrote them chose the names
in them. Nothing else in the package joins such a name to a folder.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from rlld.errors import RlldError

LONGEST = 255
"""Bytes of a name; file systems take no longer ones."""
SHOWN = 80
"""Characters of a refused name in a message."""
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.I)
"""What Windows takes for a device, whatever stands behind the dot."""
CONTROL = frozenset(("Cc", "Zl", "Zp"))
"""Unicode categories of what no name holds: controls, line and paragraph ends."""


ADVICE = "expected the plain name of a file inside the folder, such as train.csv: change it"


def require_name(name: str, where: str, advice: str = ADVICE) -> None:
    """Refuses a name that is no plain name of a file inside a folder, on any system.

    Args:
        name: Parts separated by ``/``, as a file says it.
        where: What stands before it in messages: file and field.
        advice: What stands behind it: what to do.

    Raises:
        RlldError: If it is empty, absolute, leads upwards, is reserved or too long, or holds
            what no portable name holds.
    """
    reason = _reason(name)
    if reason:
        raise RlldError(f"{where}: {_shown(name)} {reason}; {advice}")


def inside(
    folder: Path, name: str, what: str, *, links: bool = False, advice: str = ADVICE
) -> Path:
    """Joins a name that came from a file to a folder.

    Args:
        folder: The folder.
        name: The name; parts are separated by ``/``.
        what: What it names, for messages: ``annotations.train``, ``video id``.
        links: Let symbolic links lead out of the folder. Meant for features, which are only read
            and often lie on another disk.
        advice: What to do about a name that is not plain.

    Returns:
        The path, which lies in the folder.

    Raises:
        RlldError: If the name is not plain, or a symbolic link leads out of the folder.
    """
    require_name(name, f"{folder}: {what}", advice)
    path = folder / name
    if not links and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise RlldError(f"{path}: a symbolic link leads out of {folder}; put the file itself there")
    return path


def _reason(name: str) -> str:
    """Says what is wrong with a name, or nothing."""
    kinds = set(map(unicodedata.category, name))
    if "Cs" in kinds:  # how Python reads a name whose bytes are no text
        return "is not written in UTF-8"
    if kinds & CONTROL:
        return "holds a control character"
    if "\\" in name:
        return "holds a backslash"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "is an absolute path"
    parts = PurePosixPath(name).parts
    if not parts:
        return "is empty"
    if ".." in parts:
        return "leads out of its folder by '..'"
    for part in parts:
        if part[-1] in ". ":  # Windows drops them, and reads '.. ' as '..'
            return "ends in a dot or a blank"
        if RESERVED.fullmatch(part):
            return "is reserved by Windows"
        if len(part.encode()) > LONGEST:
            return f"is longer than {LONGEST} bytes"
    return ""


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN else name[:SHOWN] + "...")
