"""What each part of a learner is worth: rows that lack one part, beside the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rlld.bench.comparison import Comparison
from rlld.bench.jobs import common_terms
from rlld.bench.studies.denoisers import SELECTION, Settings, compared, trained

Learner = Literal["paper", "labelwise"]


@dataclass(frozen=True)
class Ablation:
    """The rows of one table.

    Attributes:
        title: What is taken apart.
        whole: Row that differences refer to.
        rows: Recipe and own settings by row title.
        notes: What the reader has to know besides.
    """

    title: str
    whole: str
    rows: Mapping[str, tuple[str, Mapping[str, Any]]]
    notes: tuple[str, ...] = ()


LABELWISE = "rlld-labelwise"
EVIDENCE = {"denoiser.labelwise.judge": "evidence"}
ABLATIONS: dict[Learner, Ablation] = {
    "paper": Ablation(
        title="The paper's learner and its parts (Table 2)",
        whole="rlld+cl",
        rows={
            name: (name, {})
            for name in (
                "weak",
                "rlld-without-initialized-labels",
                "rlld-without-inter-reward",
                "rlld+cl",
                "rlld-tuned",
            )
        },
        notes=(
            "rlld+cl is the full setting of Table 2; weak keeps every label, and rlld-tuned is the "
            "paper's idea at its best. Neither of these two has the contrastive loss.",
        ),
    ),
    "labelwise": Ablation(
        title="The labelwise learner and its parts",
        whole=LABELWISE,
        rows={
            LABELWISE: (LABELWISE, {}),
            "one round": (LABELWISE, {"denoiser.labelwise.rounds": 1}),
            "without features": (LABELWISE, EVIDENCE),
            "without features, unshrunken": (
                LABELWISE,
                {**EVIDENCE, "denoiser.labelwise.ridge": 1e-6},
            ),
            "without tags in the state": (LABELWISE, {"denoiser.initial_labels": False}),
            "states in sample": (LABELWISE, {"denoiser.labelwise.folds": 1}),
            "supervised": (LABELWISE, {"denoiser.labelwise.learning": "supervised"}),
            "empty rule": (LABELWISE, {"denoiser.empty_rule": "both"}),
            "credit through the task": ("rlld-first-order", {}),
        },
        notes=(
            "one round: networks are not trained again on the labels that the first round left.",
            "without features: the evidence of the state networks alone; unshrunken: with offsets "
            "per class that nothing draws together.",
            "states in sample: one state network, trained on the labels that it judges.",
            "supervised: cross-entropy on the annotated videos in place of REINFORCE.",
            "empty rule: a video whose labels would all go keeps them (section 4.1).",
            "credit through the task: recipe rlld-first-order, whose policy learns beside the task "
            "network instead of before it.",
        ),
    ),
}
"""By learner. A part that no option switches off has no row."""


def ablation(settings: Settings, learner: Learner, *, selection: str = SELECTION) -> Comparison:
    """Trains a learner whole and without its parts.

    Args:
        settings: Data, seeds and places.
        learner: Which.
        selection: The validation score that picks the weights of every row.

    Raises:
        RlldError: If data are wrong. A run that fails raises nothing; it stands in
            ``Comparison.failures``.
    """
    parts = ABLATIONS[learner]
    terms = common_terms(settings.data, settings.updates, selection)
    return compared(
        parts.title,
        trained(parts.rows, settings, terms),
        settings,
        terms,
        baseline=parts.whole,
        command=f"rlld bench ablation {learner} {settings.command} --selection {selection}",
        notes=parts.notes,
    )
