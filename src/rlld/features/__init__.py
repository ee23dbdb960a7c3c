"""Feature extractors, one file each, and decoding.

Public face: ``EXTRACTORS`` (by name), ``load_extractor``. Adding a module adds an extractor.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from rlld.config import from_dict
from rlld.errors import RlldError
from rlld.registry import Registry

if TYPE_CHECKING:
    from rlld.features.base import Extractor

EXTRACTORS = Registry(
    "extractor",
    "rlld.features",
    helpers=(
        "batched",
        "clap_audio",
        "clap_weights",
        "clips",
        "container",
        "decode",
        "job",
        "joint",
        "sampling",
        "state",
        "text",
        "to_files",
        "to_stores",
        "torchvision_models",
        "views",
        "weights",
    ),
)

PART = re.compile(r"([^(),]+)(?:\(([^()]*)\))?(?:,|$)")


def extractor_configs(features: str) -> dict[str, Any]:
    """Reads which extractors make features, and how.

    Args:
        features: Names joined by commas, each with its settings in parentheses if they are not
            the default ones: ``vggish,resnet152(weights=IMAGENET1K_V2),r2plus1d``.

    Returns:
        The ``Config`` of each extractor by name.

    Raises:
        RlldError: If there is no extractor of a name, or no such setting.
    """
    parts = list(PART.finditer(features.replace(" ", "")))
    if not parts or "".join(part[0] for part in parts) != features.replace(" ", ""):
        raise RlldError(
            f"features {features!r}: expected extractors joined by commas, such as "
            "'vggish,resnet152(weights=IMAGENET1K_V2)'"
        )
    return {part[1]: _config(part[1], part[2] or "") for part in parts}


def _config(name: str, settings: str) -> Any:
    pairs = [pair.partition("=") for pair in settings.split(",") if pair]
    values = {key: yaml.safe_load(value) for key, _, value in pairs}
    return from_dict(EXTRACTORS.config_type(name), values, f"extractor {name!r}")


def load_extractor(features: str) -> Extractor:
    """Builds an extractor, or several that decode each clip once.

    Args:
        features: See ``extractor_configs``.

    Raises:
        RlldError: If there is none of a name, or what it needs is not installed or not there.
    """
    from rlld.features.joint import Joint

    members: list[Extractor] = [config.build() for config in extractor_configs(features).values()]
    return members[0] if len(members) == 1 else Joint(features, members)
