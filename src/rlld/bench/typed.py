"""Commands that a page writes: typed into a shell, they do the same again."""

from __future__ import annotations

import shlex


def typed(*words: object) -> str:
    """Returns words as they are typed in a shell, quoted where it would take them apart.

    Examples:
        >>> typed("--data", "my data", "--seeds", 3)
        "--data 'my data' --seeds 3"
    """
    return shlex.join(map(str, words))
