"""Problems of a data set, each with its place, for strict readers and for ``rlld data check``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlld.errors import RlldError, shortened

Grade = Literal["error", "warning", "note"]
GRADES: tuple[Grade, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """Something that is wrong, suspicious or worth knowing.

    Attributes:
        path: The file.
        line: Line of the file, counted from 1 (the header is line 1); 0 for the whole file.
        grade: ``error`` cannot be read, ``warning`` loses or doubts an annotation, ``note``
            changes nothing.
        text: What was found and what to do, without the place.
    """

    path: Path
    line: int
    grade: Grade
    text: str

    @property
    def place(self) -> str:
        """The file, and the line if it is one line's."""
        return f"{self.path}:{self.line}" if self.line else str(self.path)

    def __str__(self) -> str:
        return f"{self.place}: {shortened(self.text)}"


Report = Callable[[Problem], None]
"""Receives problems while a file is read."""


def strict(problem: Problem) -> None:
    """Refuses the first error and lets everything else pass.

    Raises:
        RlldError: If the problem is an error.
    """
    if problem.grade == "error":
        raise RlldError(str(problem))
