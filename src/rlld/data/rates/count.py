"""Makes the packaged table from published annotation files; only counts are kept.

``python -m rlld.data.rates.count LFAV_DATASET VGGSOUNDER_CSV LLP_FOLDER OUT``
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rlld.data.rates.annotated import read_lfav, read_llp, read_vggsounder
from rlld.data.rates.table import counted, table_text
from rlld.errors import RlldError
from rlld.utils.files import write_text


def main(argv: Sequence[str]) -> None:
    """Writes the table.

    Raises:
        RlldError: If the four arguments are not given or a file cannot be read.
    """
    if len(argv) != 4:
        raise RlldError(
            "expected four arguments: LFAV's folder, vggsounder.csv, LLP's folder, the result"
        )
    lfav, vggsounder, llp, out = map(Path, argv)
    rows = [
        *counted("LFAV", read_lfav(lfav)),
        *counted("LLP", read_llp(llp)),
        *counted("VGGSounder", read_vggsounder(vggsounder)),
    ]
    write_text(out, table_text(rows))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except RlldError as error:
        sys.exit(f"count: {error}")
