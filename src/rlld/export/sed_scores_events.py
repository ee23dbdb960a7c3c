"""Score files of sed_scores_eval (.tsv): the probabilities of every segment, a column per class.

They hold no events, so there is no way back: curves over all thresholds are drawn from them.
"""

from __future__ import annotations

from rlld.errors import RlldError
from rlld.parsing.result import Event, Parse
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text

SUFFIX = "tsv"
MANY = False
SCORES = True
HEADER = ["onset", "offset"]


def dumps(parse: Parse) -> str:
    """Returns a line for each segment: its times, and how probably each class is heard and seen.

    Args:
        parse: The parse; its columns are called ``audio: Dog`` and ``visual: Dog``.

    Raises:
        RlldError: If it has no probabilities.
    """
    if not parse.probabilities:
        raise RlldError(
            f"{parse.name}: has no probabilities, which score files are made of; export a run, or "
            "what 'rlld parse --format json' wrote"
        )
    columns = [f"{modality}: {label}" for modality in MODALITIES for label in parse.classes]
    rows = [HEADER + columns]
    for number, segment in enumerate(parse.probabilities):
        times = (parse.segment_seconds * at for at in (number, number + 1))
        # As text, for numbers of a table are rounded.
        rows.append([str(value) for value in (*times, *segment[0], *segment[1])])
    return sheet_text(rows)


def loads(text: str, where: str) -> dict[str, tuple[Event, ...]]:
    """Refuses score files, which hold no events.

    Raises:
        RlldError: Always.
    """
    raise RlldError(
        f"{where}: sed_scores writes probabilities and reads nothing, for they are no events; give "
        "a file of another format"
    )
