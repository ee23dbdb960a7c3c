"""List the weights that extractors need, and fetch them."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from rlld.errors import RlldError


@dataclass(frozen=True)
class Args:
    """Options of ``rlld weights``."""

    features: tyro.conf.Positional[str] = ""
    """Extractors joined by commas, whose weights are fetched; all are listed when not given."""


def run(args: Args) -> None:
    """Fetches, or lists."""
    from rlld.features import extractor_configs
    from rlld.features.base import files_of
    from rlld.features.weights import fetch, weights_folder
    from rlld.utils.console import OUT
    from rlld.utils.registry import EXTRACTORS

    if args.features:
        for name, config in extractor_configs(args.features).items():
            for published in files_of(config):
                OUT.print(f"{name}: {fetch(published)}")
        return
    OUT.print(f"weights in {weights_folder()}")
    for name in EXTRACTORS.names():
        try:
            files = files_of(EXTRACTORS.config_type(name)())
        except RlldError as error:
            OUT.print(f"  {name}: {error}")
            continue
        for published in files:
            OUT.print(f"  {name}: {published.told()}")
