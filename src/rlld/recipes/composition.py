"""A learner on top of any recipe: its policy judges the labels on which the recipe trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlld.recipes.recipe import SOURCE, Recipe, load_recipe
from rlld.utils.config import to_dict

LEARNER = "reinforced"
BARE = "weak"
"""The denoiser that claims nothing: on top of it, a policy judges the bare tags."""

OBJECTIVES: Mapping[str, dict[str, Any]] = {
    # A policy may take all labels of a video, and one such video would cost the batch its loss.
    "cpsp": {"objective.video_contrast.undefined": "skip_video"},
    # As its authors retrain it on labels of each modality.
    "dhhn": {"objective.guide_targets": "modality"},
}
"""What objectives need where a policy chose the labels of each modality."""


def composition(recipe: Recipe, learner: str | Path = "rlld-labelwise") -> dict[str, Any]:
    """Returns the settings that put a learner on top of a recipe, for ``load_recipe`` or a command.

    Network, objective, schedule, gate and the score that selects stay the recipe's. The denoiser
    becomes the learner's; its source is the recipe's own, unless that hands out the tags as they
    are, or is a policy itself, which the learner replaces. A learner that needs episodes gets them.

    Args:
        recipe: Any recipe, as it is packaged or as its settings left it.
        learner: The recipe whose policy is put on top, a packaged one or a YAML file.

    Returns:
        Settings by dotted path, those alone that no default gives.

    Raises:
        RlldError: If there is no such learner.
    """
    policy, own = load_recipe(learner), recipe.denoiser
    settings: dict[str, Any] = {"denoiser": LEARNER, **_given("denoiser", policy.denoiser.config)}
    if own.name not in (BARE, LEARNER):
        settings |= {SOURCE: own.name, **_given(SOURCE, own.config)}
    share = policy.selection.reward_share
    if recipe.selection.score != "last" and recipe.selection.reward_share != share:
        settings["selection.reward_share"] = share
    if policy.schedule.round == "episode":
        names = ("round", "rounds", "steps", "carry", "batch_size")
        settings |= {f"schedule.{name}": getattr(policy.schedule, name) for name in names}
    return settings | OBJECTIVES.get(recipe.objective.name, {})


def composed(
    recipe: Recipe,
    learner: str | Path = "rlld-labelwise",
    defaults: Mapping[str, Any] | None = None,
) -> Recipe:
    """Returns a recipe with a learner on top of it; see ``composition``.

    Args:
        recipe: Any recipe.
        learner: The recipe whose policy is put on top.
        defaults: Dotted settings that a data set needs (``DataSpec.overrides``).

    Raises:
        RlldError: If there is no such learner, or a setting does not fit.
    """
    return recipe.varied(composition(recipe, learner)).varied(defaults or {})


def _given(place: str, config: Any) -> dict[str, Any]:
    """Returns the options that differ from their defaults, by dotted path."""
    return dict(_differing(place, to_dict(config), to_dict(type(config)())))


def _differing(
    place: str, found: Mapping[str, Any], usual: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, Mapping) and isinstance(usual.get(name), Mapping):
            yield from _differing(f"{place}.{name}", value, usual[name])
        elif name not in usual or value != usual[name]:
            yield f"{place}.{name}", value
