"""What stands side by side: runs, and files of what others predicted, on the same videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlld.data.dataset import load_split
from rlld.data.split import Split
from rlld.errors import RlldError
from rlld.evaluation.decisions import decisions
from rlld.evaluation.scoring import load_for
from rlld.training.run_folder import Run, load_run
from rlld.workflows.parses import is_run
from rlld.workflows.predictions import read_predictions


@dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Attributes:
        name: What tables call it.
        source: What it was read from.
        maps: What it finds (N, T, 2, C), bool, on the CPU.
        facts: What it is, JSON-ready.
        notes: What the reader should know of it.
    """

    name: str
    source: str
    maps: Tensor
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Named:
    """A source with the name that it goes by."""

    name: str
    source: str | Run


def named_sources(sources: Sequence[str | Path | Run]) -> list[Named]:
    """Names sources: ``NAME=SOURCE`` as it says, others by their last folder where that tells.

    Raises:
        RlldError: If there are less than two, or two have one name.
    """
    if len(sources) < 2:
        raise RlldError(
            f"nothing to compare with: found {len(sources)} run or file of predictions; give two "
            "or more"
        )
    pairs = [_pair(source) for source in sources]
    short = [Path(str(place)).name for _, place in pairs]
    found = []
    for (name, place), last in zip(pairs, short, strict=True):
        told = place if isinstance(place, str) else str(place.path)
        found.append(Named(name or (last if short.count(last) == 1 else told), place))
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise RlldError(
                f"{names.count(name)} of what is compared are called {name!r}; tell them apart by "
                "NAME=RUN"
            )
    return found


def _pair(source: str | Path | Run) -> tuple[str, str | Run]:
    if isinstance(source, Run):
        return "", source
    text = str(source)
    name, equals, rest = text.partition("=")
    return (name, rest) if equals and name and rest and not Path(text).exists() else ("", text)


def load_sides(
    sources: Sequence[Named],
    split: str,
    data: Path | None,
    device: torch.device,
    form: str | None = None,
    classes: Path | None = None,
) -> tuple[Split, list[Side]]:
    """Loads what is compared, on the videos of the first run or of a data set.

    Args:
        sources: Runs, and files or folders of predictions.
        split: ``validation`` or ``test``, or what else has dense annotation.
        data: The data set; without one every run takes that of its training, and their videos and
            annotation have to be the same.
        device: Where runs compute.
        form: Format of the files; told by suffix and content when not given.
        classes: A table of what the files call the classes.

    Returns:
        The videos with their true events, and the sides in the order of the sources.

    Raises:
        RlldError: If a source cannot be read or does not fit, or two see other videos.
    """
    runs = {each.name: _run(each.source, device) for each in sources if _is_run(each.source)}
    loaded = {name: load_for(run, split, data) for name, run in runs.items()}
    if loaded:
        videos = next(iter(loaded.values()))
    elif data is not None:
        videos = load_split(data, split)
    else:
        raise RlldError("files of predictions do not say of which data set; give --data DATA")
    truth = videos.require_dense()
    sides = []
    for each in sources:
        if each.name in runs:
            own = loaded[each.name]
            order = _order(videos, own, each.name)
            if not torch.equal(own.require_dense()[order], truth):
                raise _other(own, videos, each.name, "its true events are others")
            run = runs[each.name]
            maps = decisions(run, own).active.cpu()[order]
            facts = {"recipe": run.recipe.name, "seed": run.facts.get("seed")}
            sides.append(Side(each.name, str(run.path), maps, facts))
        else:
            found = read_predictions(Path(str(each.source)), videos, form, classes)
            facts = {"predictions": str(each.source)}
            sides.append(Side(each.name, str(each.source), found.maps, facts, found.notes))
    return replace(videos, streams={}), sides


def _is_run(source: str | Run) -> bool:
    return isinstance(source, Run) or is_run(source)


def _run(source: str | Run, device: torch.device) -> Run:
    return source if isinstance(source, Run) else load_run(source, device)


def _order(videos: Split, own: Split, name: str) -> Tensor:
    """Returns the places of the videos in a split of a run."""
    if own.spec.classes != videos.spec.classes:
        raise _other(own, videos, name, "the classes differ")
    places = {video: place for place, video in enumerate(own.ids)}
    common = sum(video in places for video in videos.ids)
    if common < len(videos) or len(own) > len(videos):
        raise _other(own, videos, name, f"only {common:,} of {len(videos):,} videos are in both")
    return torch.tensor([places[video] for video in videos.ids])


def _other(own: Split, videos: Split, name: str, why: str) -> RlldError:
    return RlldError(
        f"{name}: was trained on {own.folder}, the first run on {videos.folder}, and {why} "
        f"({videos.name} split); give one data set for all with --data"
    )
