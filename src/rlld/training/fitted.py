"""Recipes as the data at hand need them, and what was decided, in a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlld.data.dataset import DataSet
from rlld.data.lengths import enough
from rlld.data.split import Split
from rlld.data.tracks import empty_tracks
from rlld.recipes.fitting import Decision, Sizes
from rlld.recipes.recipe import Recipe, decided_recipe, load_recipe
from rlld.training.order import GROUP, WIDEST
from rlld.types import AUDIO, VISUAL

SHORT = 0.6
"""Share of the updates that learning takes under which a schedule is called too short."""

GUESSED = {
    AUDIO: "sound (features that are all zeros): what is heard is guessed by tags and pictures",
    VISUAL: "pictures (features that are all zeros): what is seen is guessed by tags and sound",
}
"""What it means that a track is missing everywhere."""


def sizes_of(data: DataSet) -> Sizes:
    """Counts what the settings of a training depend on."""
    steering = data.steering
    annotated = len(steering) if steering.dense is not None else 0
    return Sizes(len(data.train), annotated)


def fitted_recipe(
    name: str | Path, data: DataSet, overrides: Mapping[str, Any] | None = None
) -> tuple[Recipe, list[str]]:
    """Reads a recipe for a data set.

    Args:
        name: A packaged recipe, or the path of a YAML file.
        data: The data set; it decides what a recipe with ``fit: true`` leaves to it.
        overrides: Dotted settings of the user.

    Returns:
        The recipe, every setting resolved, and what the data decided: a line for each decision
        that neither the user nor ``dataset.yaml`` overrode, one that warns of a schedule that is
        too short for the data, and those that count videos without sound or pictures.

    Raises:
        RlldError: If there is no such recipe, a setting is wrong, or the data cannot be read.
    """
    # What is wrong with a recipe is said before any file of the data is read.
    plain = load_recipe(name, overrides, data.spec.overrides)
    sizes = sizes_of(data)
    recipe, decisions = decided_recipe(name, overrides, data.spec.overrides, sizes)
    return recipe, [
        *_told(decisions, recipe, plain),
        *_warned(recipe, sizes),
        *_passed_over(recipe, overrides or {}),
        *_lacking(data.train),
        *_padded(recipe, data.train),
    ]


def _told(decisions: Sequence[Decision], recipe: Recipe, plain: Recipe) -> list[str]:
    fitted, before = recipe.as_dict(), plain.as_dict()
    lines = []
    for decision in decisions:
        held = [
            f"{path} {value}"
            for path, value in decision.settings.items()
            if _at(fitted, path) == value and _at(before, path) != value
        ]
        if held:
            lines.append(f"{', '.join(held)}: {decision.because}")
    return lines


def _warned(recipe: Recipe, sizes: Sizes) -> list[str]:
    updates, needed = recipe.schedule.total_updates(sizes.videos), enough(sizes.videos)
    if updates >= SHORT * needed:
        return []
    return [
        f"{updates} updates are few for {sizes.videos} videos: about {needed} are needed before a "
        f"network has learned; add --schedule.updates {needed}, or --fit true, which lets the "
        "data decide width and batches too"
    ]


def _passed_over(recipe: Recipe, overrides: Mapping[str, Any]) -> list[str]:
    """Says that a length counts for nothing where the user did not give the one that counts."""
    updates = recipe.schedule.updates
    if "schedule.rounds" not in overrides or "schedule.updates" in overrides or updates is None:
        return []
    return [
        f"schedule.rounds {recipe.schedule.rounds} changes nothing: the recipe or dataset.yaml "
        f"gives schedule.updates {updates}, which is the length; add --schedule.updates null"
    ]


def _lacking(train: Split) -> list[str]:
    """Counts the videos that lack a track, for what such a tag teaches is not plain."""
    nowhere = [f"no training video has {GUESSED[track]}" for track in empty_tracks(train.streams)]
    if train.tracks is None:
        return nowhere
    counts = zip((~train.tracks).sum(0).tolist(), ("sound", "pictures"), strict=True)
    parts = [f"{count} without {what}" for count, what in counts if count]
    return [
        *nowhere,
        f"of {len(train)} training videos {' and '.join(parts)} (features that are all zeros): "
        "their tags teach the other track alone",
    ]


def _padded(recipe: Recipe, train: Split) -> list[str]:
    """Warns of a batch of all videos, which one of hours pads to more than memory may hold."""
    if train.lengths is None or not len(train):
        return []
    lengths = train.lengths.sort().values.tolist()
    size = recipe.schedule.batch_size
    if size < len(lengths) or len(lengths) * lengths[-1] <= WIDEST:
        return []
    smaller = -(-len(lengths) // GROUP)
    return [
        f"all {len(lengths)} training videos are one batch, in which each takes the memory of the "
        f"longest ({lengths[-1]:,} segments); add --schedule.batch_size {smaller}, which keeps it "
        "apart, or cut it into clips"
    ]


def _at(data: Mapping[str, Any], path: str) -> Any:
    value: Any = data
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
