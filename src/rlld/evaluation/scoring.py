"""Scoring a run on a split, beside the baselines that need no run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlld.data.dataset import load_split
from rlld.data.spec import LANES, DataSpec
from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.evaluation.baselines import BARE_TAGS, NOTHING, bare_tags, gains, nothing, warned
from rlld.evaluation.decisions import decisions
from rlld.evaluation.further import further_scores
from rlld.metrics.averages import variant_scores
from rlld.metrics.classwise import classwise_f
from rlld.metrics.moments import moment_precision
from rlld.metrics.scores import Scores, per_video, scores
from rlld.training.facts import LABELS, labels_hash
from rlld.training.predict import BATCH, pieces
from rlld.training.run_folder import Run, load_denoiser
from rlld.training.validation import partition
from rlld.utils.config import to_dict

CLASS_ROWS = ("audio", "visual", "audio_visual", "event")


@dataclass(frozen=True)
class Evaluation:
    """The scores of a run on a split.

    Attributes:
        scores: The ten F-scores.
        variants: They in other ways, as in ``metrics.averages.VARIANTS``: audible-only and
            visible-only events, means over classes, all segments and events together.
        classes: Segment-level F-scores by class (``audio``, ``visual``, ``audio_visual``,
            ``event``), None where the class neither occurs nor is predicted.
        facts: What was scored by which rule, JSON-ready.
        baselines: The ten F-scores of the bare tags and of finding nothing on the same videos.
        warnings: Where the run is no better than one of these, and what helps.
        columns: The eight values of each video (N, 8), as in ``metrics.scores.COLUMNS``.
        alone: The same of what is heard or seen alone.
        moments: How the classes of its segments are ranked (N, 3), as in ``metrics.moments``; empty
            where the run's weights were not chosen by it.
        further: Scores of other tasks, where they were asked for: percent by score, then by lane.
        lanes: What the data set knows events in; scores of other lanes mean nothing.
    """

    scores: Scores
    variants: dict[str, Scores]
    classes: dict[str, dict[str, float | None]]
    facts: dict[str, Any]
    baselines: dict[str, Scores] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    columns: Tensor = field(default_factory=lambda: torch.empty(0, 8), compare=False, repr=False)
    alone: Tensor = field(default_factory=lambda: torch.empty(0, 8), compare=False, repr=False)
    moments: Tensor = field(default_factory=lambda: torch.empty(0, 3), compare=False, repr=False)
    further: dict[str, dict[str, float]] = field(default_factory=dict)
    lanes: tuple[str, ...] = LANES

    @property
    def exclusive(self) -> Scores:
        """CoLeaF's audible-only and visible-only variant of the ten F-scores."""
        return self.variants["exclusive"]

    def rows(self, title: str) -> dict[str, dict[str, float]]:
        """Returns the ten F-scores of the run, under a title, and of the baselines."""
        return {name: row.as_dict() for name, row in {title: self.scores, **self.baselines}.items()}

    def as_dict(self) -> dict[str, Any]:
        """Returns everything JSON-ready; ``segment`` and ``event`` hold the ten F-scores."""
        return {
            **self.scores.nested(),
            "mean": self.scores.mean,
            **{name: row.nested() for name, row in self.variants.items()},
            "classes": self.classes,
            "baselines": {name: row.nested() for name, row in self.baselines.items()},
            "warnings": list(self.warnings),
            **({"further": self.further} if self.further else {}),
            **({"lanes": list(self.lanes)} if self.lanes != LANES else {}),
            **self.facts,
        }

    def __str__(self) -> str:
        return f"{self.facts['recipe']}, {self.facts['split']} split\n{self.scores}"


def evaluate(
    run: Run,
    split: str = "test",
    data: Path | None = None,
    *,
    by_tags: bool = False,
    metrics: Sequence[str] = (),
    online: bool = False,
) -> Evaluation:
    """Scores a run, in float32.

    Args:
        run: The trained parser.
        split: ``train``, ``validation`` or ``test``; it needs dense annotation.
        data: The data-set folder; that of the training when None.
        by_tags: Whether the known tags gate instead of the video-level probabilities.
        metrics: Scores of other tasks, of ``further.METRICS``.
        online: Whether every segment is decided from what comes up to it alone.

    Raises:
        RlldError: If the data set does not fit the run or the split has no dense annotation.
    """
    videos = load_for(run, split, data)
    return evaluate_on(run, videos, by_tags=by_tags, metrics=metrics, online=online)


def evaluate_on(
    run: Run,
    videos: Split,
    *,
    by_tags: bool = False,
    metrics: Sequence[str] = (),
    online: bool = False,
) -> Evaluation:
    """Scores a run on videos that fit it; see ``evaluate``."""
    videos = videos.to(run.device, torch.float32)
    truth = videos.require_dense()
    decided = decisions(run, videos, by_tags=by_tags, online=online)
    predicted = decided.active
    facts = {
        "split": videos.name,
        "videos": len(videos),
        "dataset": videos.spec.name,
        "annotations": to_dict(videos.spec.annotations),
        "recipe": run.recipe.name,
        "seed": run.facts.get("seed"),
        "gate": "known tags" if by_tags else to_dict(run.gate),
        "notes": list(run.facts.get("notes", ())) if videos.name == "validation" else [],
        **({"online": True} if online else {}),
    }
    columns = per_video(predicted, truth)
    by_class = _by_class(predicted, truth, videos.spec.classes)
    learned = map(run.facts.get, ("updates", "training_videos"))
    moments = torch.empty(0, 3)
    if run.recipe.selection.looks_at_moments:
        moments = moment_precision(decided.probabilities, truth, videos.mask)
    return Evaluation(
        scores(predicted, truth),
        variant_scores(predicted, truth),
        by_class,
        facts,
        {BARE_TAGS: bare_tags(videos), NOTHING: nothing(videos)},
        tuple(warned(gains(columns, videos), run.recipe.name, *learned)),
        columns,
        per_video(predicted, truth, exclusive=True),
        moments,
        further_scores(videos, decided, metrics) if metrics else {},
        videos.spec.lanes,
    )


def selecting(run: Run, validation: Split) -> Split:
    """Returns the validation videos whose scores selected the weights of a run.

    Args:
        run: The run.
        validation: The validation split that it was trained with.
    """
    rule = run.recipe.selection
    return partition(validation, rule.reward_share, run.facts["seed"], rule.annotated)[1]


def load_for(run: Run, split: str, data: Path | None, *, with_truth: bool = False) -> Split:
    """Loads a split for a run.

    Args:
        run: The run.
        split: Name of the split.
        data: The data-set folder; that of the training when None.
        with_truth: Whether to load the true events of training videos where they are known.

    Raises:
        RlldError: If classes, segments, feature dimensions or extractors differ from those of the
            training.
    """
    folder = data
    if folder is None:
        known = run.facts.get("data")
        if known is None:
            raise RlldError(f"{run.path}: the run names no data set; give one with --data")
        folder = Path(known)
    loaded = load_split(folder, split, with_truth=with_truth)
    require_fit(run, loaded.spec, folder)
    return loaded


def require_fit(run: Run, spec: DataSpec, folder: Path) -> None:
    """Refuses a data set that differs from that of the training.

    Args:
        run: The run.
        spec: The data set.
        folder: Its folder, for messages.

    Raises:
        RlldError: If classes, segments, feature dimensions or extractors differ.
    """
    _require_same(run, spec, folder, "classes", *([] if run.spec.any_length else ["segments"]))
    require_features(run, spec, folder)


def require_features(run: Run, spec: DataSpec, folder: Path) -> None:
    """Refuses a data set whose features are others than those of the training.

    Args:
        run: The run.
        spec: The data set.
        folder: Its folder, for messages.

    Raises:
        RlldError: If length or dimensions of segments, or extractors, differ.
    """
    _require_same(run, spec, folder, "segment_seconds", "dims", "any_length")
    versions = spec.features_version, run.spec.features_version
    if all(versions) and versions[0] != versions[1]:
        raise RlldError(
            f"{folder}: its {spec.features!r} features have version {versions[0]}, "
            f"{run.path} was trained on version {versions[1]}; extract them as those were"
        )


def _require_same(run: Run, spec: DataSpec, folder: Path, *names: str) -> None:
    for what in names:
        found, wanted = getattr(spec, what), getattr(run.spec, what)
        if found != wanted:
            raise RlldError(
                f"{folder}: its {what} differ from those that {run.path} was trained on "
                f"({found} against {wanted}); give the data set of the training"
            )


def _by_class(
    predicted: Tensor, truth: Tensor, classes: tuple[str, ...]
) -> dict[str, dict[str, float | None]]:
    values = classwise_f(predicted, truth).tolist()
    return {
        name: {
            row: None if math.isnan(values[number][index]) else values[number][index]
            for number, row in enumerate(CLASS_ROWS)
        }
        for index, name in enumerate(classes)
    }


def keep_probabilities(run: Run, videos: Split) -> Tensor:
    """Returns how probable it is that each label of a split is kept (N, 2, C).

    Values without a weak label have no meaning. Of the labels that it was trained on a run tells
    what it made of them in training; other videos, other tags or another order are judged afresh.

    Args:
        run: A run whose denoiser has a network.
        videos: The videos, on the run's device.

    Raises:
        RlldError: If the run's denoiser learns no keep probabilities, or none of other labels than
            those of its training.
    """
    denoiser = load_denoiser(run)
    used = denoiser.training_keep()
    if used is not None and _cleaned(run, videos, len(used)):
        return used
    parts, order = [], []
    with torch.no_grad():
        for batch in pieces(videos, batch_size=BATCH):
            part = denoiser.keep_probability(batch)
            if part is None:
                raise RlldError(_unjudged(run, videos, used))
            parts.append(part)
            order.append(batch.index)
    return torch.cat(parts)[torch.cat(order).argsort()]


def _cleaned(run: Run, videos: Split, count: int) -> bool:
    """Returns whether these labels are those that the run was trained on, in their order."""
    # Runs of versions that did not note their labels have nothing but how many videos there were.
    noted = run.facts.get(LABELS)
    same = len(videos) == count if noted is None else labels_hash(videos) == noted
    return videos.name == "train" and same


def _unjudged(run: Run, videos: Split, used: Tensor | None) -> str:
    if used is None:
        return f"{run.path}: its denoiser gives no keep probabilities"
    return (
        f"{run.path}: its denoiser judges only the labels of its training, and these {videos.name} "
        "labels are others (other videos, other tags or another order); give the data set as it "
        "was, or train again"
    )
