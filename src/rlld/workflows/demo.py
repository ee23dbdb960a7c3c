"""The whole method on clips rendered here: from video files to a denoised parser and a timeline."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from rlld.data.dataset import DataSet, load_data
from rlld.data.spec import ANNOTATIONS
from rlld.data.split import Split
from rlld.evaluation.baselines import BARE_TAGS, bare_tags
from rlld.evaluation.labels import measure
from rlld.evaluation.scoring import evaluate, keep_probabilities
from rlld.features import load_extractor
from rlld.features.job import Where
from rlld.features.to_stores import extract_dataset
from rlld.parsing.parse import parse
from rlld.recipes import RECOMMENDED
from rlld.report.page import write_page
from rlld.report.tables import removal_table, score_table
from rlld.report.truth import known_events
from rlld.synthetic.clips.dataset import RenderConfig, render
from rlld.training.fitted import fitted_recipe
from rlld.training.loop import train
from rlld.training.run_folder import Run
from rlld.utils.compute import Compute
from rlld.utils.console import OUT
from rlld.utils.files import owned

EXTRACTOR = "light"
RECIPES = ("han", "rlld", RECOMMENDED)
TAGS_KNOWN = "... --tags"


@dataclass(frozen=True)
class Size:
    """How much a demo does.

    Attributes:
        videos: Training, validation and test clips.
        updates: Task-network updates of each recipe; what suits so many clips when None.
    """

    videos: tuple[int, int, int]
    updates: int | None = None


SIZES = {"tiny": Size((36, 16, 16)), "small": Size((200, 60, 60))}


def demo(out: Path, size: Size, seed: int = 0, workers: int = 0) -> Path:
    """Runs the demo; steps that an earlier call finished are not repeated.

    Args:
        out: Folder of everything that it makes.
        size: How much to do.
        seed: Seed of clips and training.
        workers: Processes for rendering and extraction; 0 takes one per core.

    Returns:
        The page that shows a parsed clip.
    """
    started = time.monotonic()
    workers = workers or os.cpu_count() or 1
    with owned(out):
        page = _made(out, size, seed, workers)
    OUT.print(
        f"\nDone in {time.monotonic() - started:.0f} s. Open the page in a browser:\n  {page}"
    )
    OUT.print(
        "Next: parse a clip of your own,\n"
        f"  {_program()} parse {out / RECOMMENDED} CLIP.mp4 --format html\n"
        "or train on LLP (docs/llp.md) or on your own tagged videos (docs/own-videos.md)"
    )
    return page


def _made(out: Path, size: Size, seed: int, workers: int) -> Path:
    data = _data(out / "data", size, seed, workers)
    runs = {name: _train(name, data, out / name, size, seed) for name in RECIPES}
    _print_scores(runs, data.test)
    _print_denoising(runs, load_data(out / "data", with_truth=True).train)
    return _page(runs[RECOMMENDED], data.test, out)


def _data(folder: Path, size: Size, seed: int, workers: int) -> DataSet:
    count = sum(size.videos)
    with _step(f"rendering {count} clips with sound (H.264 and AAC) into {folder / 'videos'}"):
        streams = load_extractor(EXTRACTOR).streams(1.0)
        render(folder, RenderConfig(size.videos, seed=seed), streams, workers=workers)
    with _step(f"extracting '{EXTRACTOR}' features of every second"):
        extract_dataset(folder, EXTRACTOR, where=Where(workers))
    return load_data(folder)


def _train(name: str, data: DataSet, out: Path, size: Size, seed: int) -> Run:
    # The published schedules are made for LLP's ten thousand videos; one network alone, for the
    # demo is to end within five minutes.
    settings = {"fit": True, "schedule.ensemble": 1}
    settings |= {"schedule.updates": size.updates} if size.updates else {}
    recipe, _ = fitted_recipe(name, data, settings)
    with _step(f"training {name}: {recipe.schedule.total_updates(len(data.train))} updates"):
        # Networks this small gain nothing from a second thread and lose much on a busy machine.
        compute = Compute(device="cpu", threads=1)
        return train(recipe, data, out, seed=seed, compute=compute, resume=out.exists())


def _print_scores(runs: dict[str, Run], test: Split) -> None:
    rows = {BARE_TAGS: bare_tags(test).as_dict()}
    for name, run in runs.items():
        rows[name] = evaluate(run, "test").scores.as_dict()
    rows[TAGS_KNOWN] = evaluate(runs[RECOMMENDED], "test", by_tags=True).scores.as_dict()
    OUT.print()
    OUT.print(score_table(rows, "test"))
    OUT.print(
        f"{BARE_TAGS}: the known tags in every segment of both tracks, no network at all.\n"
        f"{TAGS_KNOWN}: {RECOMMENDED}, the known tags of a clip standing in for the video-level "
        "gate."
    )


def _print_denoising(runs: dict[str, Run], videos: Split) -> None:
    rows = {}
    for name in RECIPES[1:]:
        measured = measure(videos, keep_probabilities(runs[name], videos))
        if measured is not None:
            rows[name] = measured
    OUT.print()
    OUT.print(removal_table(rows))
    OUT.print(
        "Noisy: a training tag whose event is not in that track. rlld is the paper's learner; one "
        "validation\nscore per track is all its reward, and it tends to keep every label. "
        f"The policy of {RECOMMENDED} is rewarded\nfor every label of the annotated validation "
        "videos; docs/methods/rlld-best.md tells more."
    )


def _page(run: Run, test: Split, out: Path) -> Path:
    video = _telling(test)
    clip = out / "data" / "videos" / f"{video}.mp4"
    page = out / "page.html"
    with _step(f"parsing the held-out clip {clip.name}"):
        result = parse(run, clip)
        truth = known_events(out / "data" / ANNOTATIONS, video, run.spec)
        write_page(result, page, clip, truth)
    return page


def _telling(test: Split) -> str:
    """Returns the test video with most events that are in one track alone, and most segments."""
    truth = test.require_dense().any(1)
    one_only = truth[:, 0] ^ truth[:, 1]
    worth = 10 * one_only.sum(1) + truth.any(1).sum(1)
    return test.ids[int(torch.argmax(worth))]


def _program() -> str:
    """Returns how this program is called: by name where the shell finds it, else as it was."""
    found = shutil.which("rlld")
    here = Path(sys.argv[0])
    if here.name == "__main__.py":  # python -m rlld
        return f"{sys.executable} -m rlld"
    return "rlld" if found and Path(found).resolve() == here.resolve() else str(here)


@contextmanager
def _step(title: str) -> Iterator[None]:
    OUT.print(f"- {title} ...")
    started = time.monotonic()
    yield
    OUT.print(f"  {time.monotonic() - started:.0f} s")
