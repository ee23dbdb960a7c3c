"""What a run that cleans its labels is shown beside: one such task network on the bare tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from rlld.data.dataset import DataSet
from rlld.data.lengths import LARGE
from rlld.metrics.scores import NAMES
from rlld.recipes.recipe import Recipe
from rlld.training.monitor import NotFiniteError
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels
from rlld.utils.console import ERR

Facts = dict[str, Any]
WEAK = "weak"
"""Its row in tables, and its fact in a run folder: the recipe that would give the same network."""


def is_cheap(recipe: Recipe, data: DataSet) -> bool:
    """Says whether a run is to be compared with a network on the bare tags that it trains itself.

    The label-wise learner trains several networks for its evidence, so that one more costs a small
    part of the run; on large data it is for ``rlld train weak``. Without annotated validation
    videos there is nothing to compare.

    Args:
        recipe: What is trained.
        data: The data set.
    """
    cleans = getattr(recipe.denoiser.config, "credit", None) == "labelwise"
    steering = data.steering
    return cleans and len(data.train) < LARGE and len(steering) > 0 and steering.dense is not None


def comparing(trainers: Sequence[Trainer], facts: Sequence[Facts]) -> Iterator[NoReturn]:
    """Trains what runs are compared with, behind their last steps; it takes no step of theirs.

    Args:
        trainers: The runs, which stay as they are.
        facts: Where the facts of each go.

    Raises:
        KeyboardInterrupt: If a stop was requested.
    """
    for trainer, found in zip(trainers, facts, strict=True):
        found.update(_weak(trainer))
    yield from ()


def _weak(trainer: Trainer) -> Facts:
    """Trains the task network of a run on the bare tags, for as many updates, from the same seed.

    No validation video teaches it or chooses its weights, which are those of the last update. It
    is kept among the networks that were trained for the run, for a run that is resumed.
    """
    tags, fitted, validation = trainer.train.labels, trainer.fitted, trainer.selection
    if validation is None:
        return {}
    try:
        network = trainer.fit(ModalityLabels(tags, tags, tags))
    except NotFiniteError as error:  # a comparison must not cost the run
        ERR.print(f"{WEAK}: no scores of a network on the bare tags to compare with ({error})")
        return {}
    trainer.fitted = fitted  # it is no part of the method
    scores = trainer.scores(validation, network)
    found = {name: float(value) for name, value in scores.items()}
    return {WEAK: {"videos": len(validation.split), "scores": found}}


def weak_scores(facts: Mapping[str, Any], videos: int) -> dict[str, float]:
    """Returns what the network on the bare tags scored; nothing where there are no such scores.

    Args:
        facts: What a run folder records.
        videos: Videos of the scores that they stand beside: others may have joined since.
    """
    kept = facts.get(WEAK, {})
    scores: Any = kept.get("scores") if kept.get("videos") == videos else None
    whole = isinstance(scores, dict) and all(type(scores.get(name)) is float for name in NAMES)
    return scores if whole else {}
