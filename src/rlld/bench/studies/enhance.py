"""The paper's second claim: cleaned labels improve any network and any other source of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlld.bench.comparison import Comparison
from rlld.bench.grid import Grid
from rlld.bench.jobs import ANNOTATED, Terms, common_terms
from rlld.bench.statistics import Estimate
from rlld.bench.studies.denoisers import (
    SELECTION,
    Method,
    Settings,
    chosen,
    chosen_recipes,
    compared,
    trained,
    under,
)

RECIPES = (
    *("ave", "avsdn", "han", "mm-pyramid", "mgn", "cvcms", "dhhn", "cpsp", "cmpae", "coleaf"),
    *("valor", "lsld", "vaplan", "uwav", "ma", "jomold", "poibin", "han+coteaching", "han+jocor"),
    *("nrep", "leap", "mm_cse", "prefm", "weak"),
)
"""Every network, label source and loss of the zoo; ``weak`` is the task network of RLLD itself."""
OWN, LEARNERS = "own labels", ("rlld", "rlld-labelwise")
"""Columns: the recipe as it is, and with the policy of another on top of it."""


def enhance(
    settings: Settings, recipes: Sequence[str] | None = None, *, selection: str = SELECTION
) -> Grid:
    """Trains every recipe as it is and with a learner on top of it.

    Args:
        settings: Data, seeds and places.
        recipes: Recipes to compare; ``RECIPES`` when None.
        selection: The validation score that picks the weights of every run.

    Raises:
        RlldError: If a recipe is unknown or data are wrong. A run that fails raises nothing; it
            stands in the comparison of its row.
    """
    names, _ = chosen_recipes(recipes, RECIPES, settings.data)
    terms = common_terms(settings.data, settings.updates, selection)
    columns: dict[str, dict[str, tuple[str, Method]]] = {
        name: {OWN: (name, (name, {})), **{each: under(name, each) for each in LEARNERS}}
        for name in names
    }
    methods = dict(row for each in columns.values() for row in each.values())
    rows = {row.method: row for row in trained(methods, settings, terms)}
    command = f"rlld bench enhance {settings.command} --selection {selection}{chosen(recipes)}"

    def comparison(name: str) -> Comparison:
        found = [replace(rows[title], method=each) for each, (title, _) in columns[name].items()]
        made = compared(name, found, settings, terms, baseline=OWN, command=command)
        return replace(made, published={})  # its columns are no recipes by themselves

    comparisons = {name: comparison(name) for name in names}
    return Grid(
        stem="enhance",
        title="Every network and label source with cleaned labels",
        heading="recipe",
        comparisons=comparisons,
        command=command,
        notes=_notes(terms, comparisons[names[0]]),
        flags=_unproven,
        flagged=f"not above {OWN} by more than the interval",
    )


def _unproven(difference: Estimate) -> bool:
    """Says whether a learner may have improved nothing."""
    return not (difference.has_interval and difference.low > 0)


def _notes(terms: Terms, first: Comparison) -> tuple[str, ...]:
    data = ", ".join(f"{folder} ({code})" for folder, code in first.data.items())
    return (
        f"{terms}.",
        f"Data: {data}; seeds {', '.join(map(str, first.seeds))}; test split.",
        f"{OWN}: the recipe as it is. {' and '.join(LEARNERS)}: the policy of that recipe judges "
        "the labels on which the recipe trains; network, losses and schedule stay the recipe's. "
        f"{_teaching(terms)}",
    )


def _teaching(terms: Terms) -> str:
    if ANNOTATED not in terms.steered:
        return "No annotated video teaches a policy, as there is none."
    share = "all" if terms.selection == "last" else "two thirds of the"
    return f"Policies are taught by {share} annotated videos, which own labels may not use."
