"""Parses that are there already: of files of ``rlld parse``, or of a run and its data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rlld.data.annotations import read_splits
from rlld.data.moved import features_of
from rlld.data.spec import ANNOTATIONS, read_spec
from rlld.errors import RlldError
from rlld.evaluation.scoring import require_features
from rlld.export import json_events
from rlld.media.listing import Listed, read_listing
from rlld.parsing.parse import parse_source
from rlld.parsing.result import Features, Parse, Source
from rlld.training.run_folder import CONFIG, Run, load_run
from rlld.utils.console import progress
from rlld.utils.hub import PREFIX


def parses_of(
    sources: Sequence[str], device: str = "cpu", data: Path | None = None
) -> dict[str, Parse]:
    """Returns parses by what a file of each is called, without suffix.

    Args:
        sources: Files of ``rlld parse --format json``, folders of them, or runs: these parse every
            video of their data set, with its tags and from its features.
        device: Where runs compute.
        data: The data set of the runs; that of their training when not given.

    Raises:
        RlldError: If a source is neither, cannot be read, or two parses are called the same; if
            ``data`` is given and none is a run, or it does not fit one.
    """
    if data is not None and not any(map(is_run, sources)):
        raise RlldError("--data: is the data set of a run, and only parses are given; leave it out")
    found: dict[str, Parse] = {}
    for source in sources:
        made = (
            _of_run(load_run(source, device), data) if is_run(source) else _of_files(Path(source))
        )
        for name, parse in made:
            if name in found:
                raise RlldError(
                    f"{source}: two parses are called {name!r}; export them one after the other "
                    "into folders of their own"
                )
            found[name] = parse
    return found


def is_run(source: str) -> bool:
    """Says whether a source is a run: a folder of one, or one of the hub."""
    return source.startswith(PREFIX) or (Path(source) / CONFIG).is_file()


def _of_files(source: Path) -> Iterator[tuple[str, Parse]]:
    files = [source]
    if source.is_dir():
        files = sorted(file for file in source.glob("*.json") if not file.name.startswith("."))
        if not files:
            raise RlldError(
                f"{source}: is no run, and no parses are in it; make some with 'rlld parse RUN "
                f"CLIPS --format json --out {source}'"
            )
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
            raise RlldError(
                f"{file}: cannot be read ({reason}); give a run, or a file of 'rlld parse "
                "--format json'"
            ) from None
        yield file.stem, json_events.loads(text, str(file))


def _of_run(run: Run, data: Path | None) -> Iterator[tuple[str, Parse]]:
    folder = _data_of(run) if data is None else data
    spec, listing = read_spec(folder), read_listing(folder)
    require_features(run, spec, folder)
    for split, weak in read_splits(folder / ANNOTATIONS, spec).items():
        labels = dict(zip(weak.ids, weak.labels, strict=True))
        store = features_of(folder, split, weak.ids)
        with progress(f"parsing {split} videos", len(store.ids)) as tick:
            for row, video in enumerate(store.ids):
                features = {name: value.float().numpy() for name, value in store.video(row).items()}
                tags = [spec.classes[c] for c in labels[video].nonzero()[0]]
                tags = [tag for tag in tags if tag in run.spec.classes]
                source = _source(video, features, listing)
                yield video, parse_source(run, source, tags or None)
                tick()


def _data_of(run: Run) -> Path:
    """Returns the data set that a run was trained on, where it still is there."""
    named = str(run.facts.get("data") or "")
    if not named or not Path(named).is_dir():
        told = f"its data set is not in {named}" if named else "it does not say where its data are"
        raise RlldError(
            f"{run.path}: {told}; say with --data where they are, or give parses instead, which "
            "'rlld parse RUN CLIPS --format json --out FOLDER' makes"
        )
    return Path(named)


def _source(video: str, features: Features, listing: Mapping[str, Listed]) -> Source:
    """Returns the features of a video, called and as long as its clip where that is known."""
    if video not in listing:
        return Source(video, [features])
    seconds, name = listing[video].seconds, Path(listing[video].file).name
    alone = sum(Path(clip.file).name == name for clip in listing.values()) == 1
    return Source(name if alone else video, [features], lambda: (seconds, ()))
