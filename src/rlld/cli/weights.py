"""List the weights that extractors need, and fetch them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro

if TYPE_CHECKING:
    from rlld.features.weights import PublishedWeights


@dataclass(frozen=True)
class Args:
    """Options of ``rlld weights``."""

    features: tyro.conf.Positional[str] = ""
    """Extractors joined by commas, whose weights are fetched; all are listed when not given."""


def run(args: Args) -> None:
    """Fetches, or lists."""
    from rlld.errors import RlldError
    from rlld.features import extractor_configs
    from rlld.features.weights import fetch, weights_folder
    from rlld.utils.console import OUT
    from rlld.utils.registry import EXTRACTORS

    if args.features:
        for name, config in extractor_configs(args.features).items():
            for published in config.files():
                OUT.print(f"{name}: {fetch(published)}")
        return
    OUT.print(f"weights in {weights_folder()}")
    for name in EXTRACTORS.names():
        try:
            files = EXTRACTORS.config_type(name)().files()
        except RlldError as error:
            OUT.print(f"  {name}: {error}")
            continue
        for published in files:
            OUT.print(f"  {name}: {_line(published)}")


def _line(published: PublishedWeights) -> str:
    from rlld.features.weights import is_published, weights_folder
    from rlld.utils.files import sha256

    path = weights_folder() / published.file
    if not path.is_file():
        return f"{published.file} is missing; published at {published.url}"
    if is_published(published, sha256(path)):
        return f"{published.file} is there"
    return f"{published.file} is there, but is not the published file ({published.url})"
