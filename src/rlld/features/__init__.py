"""Feature extractors, one file each, and decoding.

Public face: ``EXTRACTORS`` (by name), ``load_extractor``. Adding a module adds an extractor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlld.registry import Registry

if TYPE_CHECKING:
    from rlld.features.base import Extractor

EXTRACTORS = Registry(
    "extractor", "rlld.features", helpers=("container", "decode", "job", "sampling")
)


def load_extractor(name: str) -> Extractor:
    """Builds the extractor of a name with its default parameters.

    Raises:
        RlldError: If there is none of that name, or what it needs is not installed.
    """
    extractor: Extractor = EXTRACTORS.config_type(name)().build()
    return extractor
