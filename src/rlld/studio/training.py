"""A training of the studio, in a process of its own: ``python -m rlld.studio.training``.

It says how far it is in lines on standard error, and ends, with its state saved, as soon as its
standard input does: who started it holds the other end.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.recipes import RECOMMENDED
from rlld.types import MODALITIES
from rlld.utils import console
from rlld.utils.files import write_text
from rlld.utils.plain import json_text

if TYPE_CHECKING:
    from rlld.data.dataset import DataSet
    from rlld.evaluation.scoring import Evaluation
    from rlld.training.run_folder import Run

OUTCOME = "studio.json"
"""File of a run folder that says what the training came to."""
TOLD = 0.5
"""Seconds between two lines that say how far it is."""
MOST = 1000
"""Labels that are told to have changed; the surest first."""
EVEN = 0.5
REFUSED, STOPPED = 2, 130
NOBODY = (
    "no clip is left that taught nothing: give some clips with known events for testing "
    "('rlld data new --test')"
)


def main(folder: str, out: str, before: str = "") -> int:
    """Trains, and writes what it came to; returns the exit status.

    Args:
        folder: The data-set folder.
        out: The run folder; an unfinished run in it is gone on with.
        before: The run of before; empty where there is none.
    """
    Thread(target=_end_with_input, daemon=True).start()
    console.FIRST = console.EVERY = TOLD
    try:
        run(Path(folder), Path(out), before)
    except RlldError as error:
        sys.stderr.write(f"rlld: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        return STOPPED
    return 0


def run(folder: Path, out: Path, before: str) -> None:
    """Trains and writes the outcome.

    The recipe is that of the run before where its denoiser judges labels, for only such a one
    learns from answers; else the recommended one.

    Args:
        folder: The data-set folder.
        out: The run folder.
        before: The run of before; empty where there is none.

    Raises:
        RlldError: If the data set or the run before cannot be read, or cannot be trained on.
    """
    from rlld.data.dataset import load_data
    from rlld.evaluation.labels import judges_labels
    from rlld.training.fitted import fitted_recipe
    from rlld.training.loop import train
    from rlld.training.run_folder import load_run

    data = load_data(folder)
    old = load_run(before) if before else None
    if old is not None and judges_labels(old):
        recipe = old.recipe
    else:
        recipe, _ = fitted_recipe(RECOMMENDED, data)
    new = train(recipe, data, out, resume=out.exists())
    text = json_text(outcome(old, new, data), str(out / OUTCOME), ensure_ascii=False)
    write_text(out / OUTCOME, text + "\n")


def outcome(old: Run | None, new: Run, data: DataSet) -> dict[str, Any]:
    """Returns scores before and after on clips that taught nothing, and labels that changed.

    Where the data set does not fit the run of before, both are told of the new one alone.

    Args:
        old: The run of before.
        new: The run.
        data: The data set as it is now, on which both are looked at.
    """
    from rlld.data.spec import dense_files
    from rlld.evaluation.scoring import evaluate

    unlike = "" if old is None else _unlike(old, data)
    if unlike:
        old = None
    scores: dict[str, Any] = dict.fromkeys(("before", "after", "gains")) | {"on": NOBODY}
    if data.spec.annotations.test and dense_files(data.spec, "test"):
        second = evaluate(new, "test", data.folder)
        scores["after"] = second.scores.as_dict()
        scores["on"] = f"{len(data.test):,} test clips, which taught nothing"
        if old is not None:
            first = evaluate(old, "test", data.folder)
            scores["before"] = first.scores.as_dict()
            scores["gains"] = gains(first, second)
    scores["on"] += unlike
    changed = None if old is None else changes(old, new, data)
    return {**scores, "changed": changed, "recipe": new.recipe.name}


def gains(first: Evaluation, second: Evaluation) -> dict[str, dict[str, Any]]:
    """Returns how far each score rose, with its interval over the clips, as ``rlld compare`` does.

    Args:
        first: The scores before.
        second: Those after, on the same clips.

    Returns:
        By score: ``low`` and ``high`` of the interval, and whether it is ``clear`` of 0.
    """
    import torch

    from rlld.metrics.paired import difference, resampled_videos
    from rlld.metrics.scores import NAMES, ten_scores

    # Every score is a weighted sum of means over clips, and so is a difference of scores.
    apart = (second.columns - first.columns).cpu().double()
    drawn = [
        ten_scores((torch.from_numpy(weights) @ apart).T / len(apart))
        for weights in resampled_videos(len(apart))
    ]
    found = {}
    for name, value, row in zip(NAMES, ten_scores(apart.mean(0)), torch.cat(drawn, 1), strict=True):
        if gain := difference(float(value), row.numpy()):
            found[name] = {"low": gain.low, "high": gain.high, "clear": gain.clear}
    return found


def _unlike(old: Run, data: DataSet) -> str:
    """Says why the run of before cannot be looked at on the data set; empty where it can."""
    from rlld.evaluation.scoring import require_fit

    try:
        require_fit(old, data.spec, data.folder)
    except RlldError as error:
        return f"; the run of before is not compared: {error}"
    return ""


def changes(old: Run, new: Run, data: DataSet) -> list[dict[str, Any]] | None:
    """Returns the training labels that are kept by one run and removed by the other.

    None where one of them judges no labels.
    """
    from rlld.evaluation.labels import judge, judges_labels

    if not (judges_labels(old) and judges_labels(new)):
        return None
    videos = data.train
    first, second = (judge(run, videos.to(run.device)).keep.cpu() for run in (old, new))
    found = []
    for video, label in videos.labels.nonzero().tolist():
        for m, modality in enumerate(MODALITIES):
            was, now = float(first[video, m, label]), float(second[video, m, label])
            if (was >= EVEN) != (now >= EVEN):
                row = {
                    "video": videos.ids[video],
                    "class": data.spec.classes[label],
                    "modality": modality,
                    "before": was >= EVEN,
                    "after": now >= EVEN,
                }
                found.append((abs(now - was), row))
    found.sort(key=lambda each: -each[0])
    return [row for _, row in found[:MOST]]


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
