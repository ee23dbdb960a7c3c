"""Features of clips: extractors, one file each in ``extractors/``, and the job that runs them.

Public face: ``load_extractor``.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.utils.config import from_dict
from rlld.utils.extras import installed
from rlld.utils.plain import yaml_value
from rlld.utils.registry import EXTRACTORS

if TYPE_CHECKING:
    from rlld.features.base import Extractor

PART = re.compile(r"([^(),]+)(?:\(([^()]*)\))?(?:,|$)")


def extractor_configs(features: str) -> dict[str, Any]:
    """Reads which extractors make features, and how.

    Args:
        features: Names joined by commas, each with its settings in parentheses if they are not
            the default ones: ``vggish,resnet152(weights=IMAGENET1K_V2),r2plus1d``.

    Returns:
        The ``Config`` of each extractor by name.

    Raises:
        RlldError: If there is no extractor of a name or no such setting, or if one is given twice.
    """
    parts = list(PART.finditer(features.replace(" ", "")))
    if not parts or "".join(part[0] for part in parts) != features.replace(" ", ""):
        raise RlldError(
            f"features {features!r}: expected extractors joined by commas, such as "
            "'vggish,resnet152(weights=IMAGENET1K_V2)'"
        )
    _check_once([part[1] for part in parts], f"features {features!r}")
    return {part[1]: _config(part[1], part[2] or "") for part in parts}


def default_features() -> str:
    """Returns the features that suit clips of the world best among those that need no download.

    That is ``starter`` where its weights are installed, and ``light``, which needs none, elsewhere.
    """
    return "starter" if installed("starter") else "light"


def _config(name: str, settings: str) -> Any:
    where = f"extractor {name!r}"
    pairs = [pair.partition("=") for pair in settings.split(",") if pair]
    _check_once([key for key, _, _ in pairs], where)
    told = "cannot be read; write settings as name=value, joined by commas"
    values = {key: yaml_value(value, f"{where}: {key}", told) for key, _, value in pairs}
    return from_dict(EXTRACTORS.config_type(name), values, where)


def _check_once(names: list[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RlldError(f"{where}: {name!r} is given {names.count(name)} times; give it once")


def spelled(name: str, config: Any) -> str:
    """Returns an extractor with those settings that are not the default ones, as users write it."""
    settings = [
        f"{field.name}={value if isinstance(value, str) else json.dumps(value)}"
        for field in fields(config)
        if (value := getattr(config, field.name)) != field.default
    ]
    return f"{name}({','.join(settings)})" if settings else name


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
