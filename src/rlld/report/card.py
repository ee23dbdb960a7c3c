"""The model card of a run: what it was trained on, how its labels were cleaned, how good it is."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from rlld.evaluation.labels import SCORE_NOTES
from rlld.evaluation.scoring import Evaluation
from rlld.metrics.noise_detection import DenoisingReport
from rlld.metrics.scores import KINDS, LEVELS, NAMES
from rlld.report.tables import number
from rlld.report.templates import rendered
from rlld.training.run_folder import Run
from rlld.types import MODALITIES
from rlld.utils.extras import optional
from rlld.utils.registry import DENOISERS, EXTRACTORS

TASK = "video-classification"
"""The task of the hub that comes closest."""
TAGS = ("rlld", "audio-visual-video-parsing", "weakly-supervised", "audio", "video")

FACTS = (
    "converted_from",
    "source_sha256",
    "training_videos",
    "teaching_videos",
    "selected_updates",
    "updates",
    "seed",
)
"""What the card says of a run where its folder records it."""


@dataclass(frozen=True)
class Measured:
    """What was measured of a run for its card.

    Attributes:
        test: Its scores on the test split; None where there are none.
        labels: What its denoiser did to the training labels; None where that is not known.
        why: Why something is missing, a sentence each.
    """

    test: Evaluation | None = None
    labels: DenoisingReport | None = None
    why: tuple[str, ...] = ()


def model_card(run: Run, repository: str, licence: str, measured: Measured) -> str:
    """Writes the card.

    Args:
        run: The run.
        repository: Where it will be: ``owner/name``.
        licence: An identifier of the hub.
        measured: Its scores and its removals.

    Returns:
        Markdown, with the front matter that the hub reads.

    Raises:
        RlldError: If ``huggingface_hub`` is missing, which writes the front matter.
    """
    hub = optional("huggingface_hub", "a model card")
    title = repository.partition("/")[2]
    data = hub.ModelCardData(
        license=licence,
        library_name="rlld",
        pipeline_tag=TASK,
        tags=list(TAGS),
        model_name=title,
        eval_results=_results(hub, run, measured.test) or None,
    )
    scored = measured.test
    body = rendered(
        "card.md.j2",
        (),
        title=title,
        repository=repository,
        licence=licence,
        spec=run.spec,
        recipe=run.recipe,
        facts={**dict.fromkeys(FACTS), **run.facts},
        rlld=version("rlld"),
        parses=_parses_clips(run),
        classes=_listed(run.spec.classes),
        denoiser=_summary(run.recipe.denoiser.name),
        taught=[note for note in run.facts.get("notes", ()) if note in SCORE_NOTES],
        notes=[note for note in run.facts.get("notes", ()) if note not in SCORE_NOTES],
        removed=None if measured.labels is None else _removed(measured.labels.as_dict()),
        test=None if scored is None else _score_rows(scored.scores.as_dict()),
        test_videos=None if scored is None else scored.facts["videos"],
        missed=None if scored is None else _missed(scored.classes),
        validation=_validation(run),
        why=measured.why,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body}\n"


def _results(hub: Any, run: Run, test: Evaluation | None) -> list[Any]:
    if test is None:
        return []
    name = run.spec.name + (" (simulated)" if run.spec.features == "simulated" else "")
    return [
        hub.EvalResult(
            task_type=TASK,
            task_name="Audio-visual video parsing",
            dataset_type=re.sub(r"[^a-z0-9-]+", "-", run.spec.name.lower()).strip("-") or "data",
            dataset_name=name,
            dataset_split="test",
            metric_type="f1",
            metric_name=f"F-score, {score.replace('_', ' ')}",
            metric_value=round(value, 2),
        )
        for score, value in test.scores.as_dict().items()
    ]


def _parses_clips(run: Run) -> bool:
    """Says whether rlld extracts the features that the run was trained on."""
    return bool(set(re.findall(r"\w+", run.spec.features)) & set(EXTRACTORS.names()))


def _summary(denoiser: str) -> str:
    """Returns the first line of the documentation of a denoiser."""
    module = importlib.import_module(DENOISERS.config_type(denoiser).__module__)
    if module.__name__.startswith(DENOISERS.package):
        module = importlib.import_module(f"{DENOISERS.package}.{denoiser}")
    return (module.__doc__ or "").strip().partition("\n")[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _removed(found: Mapping[str, Any]) -> list[tuple[str, int, int, str]]:
    return [
        (
            name,
            found[name]["labels"],
            found[name]["removed"],
            number(found[name]["removed_share"], 1),
        )
        for name in MODALITIES
    ]


def _score_rows(scores: Mapping[str, float]) -> list[tuple[str, ...]]:
    return [(level, *(f"{scores[f'{level}_{kind}']:.1f}" for kind in KINDS)) for level in LEVELS]


def _missed(classes: Mapping[str, Mapping[str, float | None]]) -> dict[str, str]:
    """Returns the classes of which no segment was found right, by modality."""
    found = {
        name: [label for label, values in classes.items() if values[name] == 0]
        for name in MODALITIES
    }
    return {name: _listed(labels) for name, labels in found.items() if labels}


def _validation(run: Run) -> list[tuple[str, ...]] | None:
    scores = run.facts.get("validation") or {}
    return _score_rows(scores) if all(name in scores for name in NAMES) else None
