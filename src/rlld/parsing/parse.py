"""A trained run and a clip (or its features) in, a parse out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.metrics.gates import Gate
from rlld.parsing.events import events_from
from rlld.parsing.result import Features, Parse, Source
from rlld.parsing.trailing import Trailing
from rlld.parsing.windows import (
    Evidence,
    Reader,
    Windows,
    above,
    completed,
    decide,
    joined,
    window_of,
)
from rlld.types import AUDIO, VISUAL, Prediction

if TYPE_CHECKING:
    from rlld.media.live import LiveClip
    from rlld.networks.base import Network
    from rlld.parsing.live import Told

ABSENT = ("no usable sound, so no audible events", "no usable picture, so no visible events")
"""Notes on a modality without features, by modality index."""


class TrainedRun(Protocol):
    """What is needed of ``rlld.training.run_folder.Run``."""

    @property
    def spec(self) -> DataSpec:
        """The data set that it was trained on."""

    @property
    def gate(self) -> Gate:
        """How probabilities become decisions."""

    @property
    def network(self) -> Network:
        """The task network."""

    def predict(
        self,
        streams: Mapping[str, Tensor],
        mask: Tensor | None = None,
        tags: Tensor | None = None,
    ) -> Prediction:
        """Predicts from features by stream name (B, T, D), with known tags (B, C) or without."""


def parse(
    run: TrainedRun,
    source: Path | str | Features,
    tags: Sequence[str] | None = None,
    name: str = "",
    tracks: TrackChoice = AS_PLAYED,
) -> Parse:
    """Parses a clip or its features.

    Args:
        run: A trained run (``rlld.training.run_folder.load_run``).
        source: A media file, or features by stream name, each (S, D) for S segments.
        tags: Classes that the video is known to hold. Other classes are off, and the tags stand in
            for the video-level gate; each is somewhere, and the segments say where.
        name: Name of the result; the file name when empty.
        tracks: Which of several tracks of a clip are parsed; those of a player when not given.

    Returns:
        The parse. A modality whose features are zero throughout (a clip without that track) has
        no events, and probability 0.

    Raises:
        RlldError: If the clip cannot be read, the run's features cannot be computed from a clip,
            features do not fit the run, or a tag is unknown.
    """
    if isinstance(source, Mapping):
        return parse_source(run, Source(name or "features", [source]), tags)
    from rlld.parsing.sources import open_clip

    return parse_source(run, open_clip(Path(source), run.spec, name, tracks), tags)


def parse_source(run: TrainedRun, source: Source, tags: Sequence[str] | None = None) -> Parse:
    """Parses features that arrive in chunks, in memory that does not grow with them.

    Args:
        run: A trained run.
        source: The features.
        tags: Known classes; see ``parse``.
    """
    spec = run.spec
    known = _known(tags, spec)
    evidence, absent = _evidence(run, source, known)
    duration = len(evidence.segment) * spec.segment_seconds
    notes: tuple[str, ...] = ()
    if source.outcome is not None:
        duration, notes = source.outcome()
    allowed = np.ones((2, len(spec.classes)), dtype=bool)
    if known is not None:
        allowed[:] = known.numpy()
    allowed[absent] = False
    evidence.segment[:, absent] = 0
    if known is not None:
        evidence = completed(evidence, run.gate, known)
    active = decide(evidence, run.gate) if known is None else above(evidence, run.gate, known=True)
    return Parse(
        name=readable(source.name),
        duration=duration,
        segment_seconds=spec.segment_seconds,
        classes=spec.classes,
        events=events_from(
            active & allowed,
            evidence.segment.numpy(),
            spec.classes,
            spec.segment_seconds,
            duration,
        ),
        probabilities=nested(evidence.segment),
        gates=nested(_gates(evidence, run.gate, absent)),
        tags=None if tags is None else tuple(dict.fromkeys(tags)),
        notes=notes + tuple(ABSENT[modality] for modality in absent),
        model=_describe(run),
    )


def parse_live(run: TrainedRun, clip: LiveClip, source: Source) -> Iterator[Told]:
    """Parses a source that goes on, and tells of its events as soon as they are certain.

    Args:
        run: A trained run.
        clip: The source.
        source: The clip as the features of the run, as ``sources.open_live`` opens it.

    Yields:
        When events begin and end: in the end those of ``parse``.
    """
    from rlld.parsing.live import LiveWindows, live_events

    predict, (length, batch) = _predictor(run, source, None), window_of(run.spec, run.network.reach)
    yield from live_events(
        Trailing(predict, length, batch) if run.network.causal else LiveWindows(predict, length),
        run.spec,
        run.gate,
        (_checked(chunk, run.spec, source) for chunk in source.chunks),
        ("audio" in clip.kinds, "video" in clip.kinds),
        lambda: clip.outcome()[0],
    )


def _known(tags: Sequence[str] | None, spec: DataSpec) -> Tensor | None:
    """Returns which classes are known to occur (C,), bool."""
    if tags is None:
        return None
    if isinstance(tags, str):
        raise RlldError(f"tags: expected a list of classes, found {tags!r}; give [{tags!r}]")
    if not tags:
        raise RlldError("tags: found none; name at least one class or leave the tags out")
    known = torch.zeros(len(spec.classes), dtype=torch.bool)
    known[spec.taxonomy.indices(tags)] = True
    return known


def _evidence(run: TrainedRun, source: Source, known: Tensor | None) -> tuple[Evidence, list[int]]:
    """Returns the evidence and the modalities whose features are zero throughout."""
    kind = Trailing if run.network.causal else Windows
    reader: Reader = kind(_predictor(run, source, known), *window_of(run.spec, run.network.reach))
    absent = [True, True]
    found: list[Evidence | None] = []
    for chunk in source.chunks:
        part = _checked(chunk, run.spec, source)
        for name, value in part.items():
            if bool(value.any()):
                absent[AUDIO if name == "audio" else VISUAL] = False
        found.append(reader.push(part))
    found.append(reader.finish())
    evidence = joined([each for each in found if each is not None])
    return evidence, [modality for modality in (AUDIO, VISUAL) if absent[modality]]


def _predictor(
    run: TrainedRun, source: Source, known: Tensor | None
) -> Callable[[Mapping[str, Tensor]], Prediction]:
    """Returns what predicts windows; known tags (C,) are of the whole video, and complete that."""

    def predicted(streams: Mapping[str, Tensor]) -> Prediction:
        windows = len(next(iter(streams.values())))
        tags = None if known is None else known.expand(windows, -1)
        prediction = run.predict(streams, tags=tags)
        prediction.require_numbers(source.name)
        return run.gate.completed(prediction) if known is None else prediction

    return predicted


def _checked(chunk: Features, spec: DataSpec, source: Source) -> dict[str, Tensor]:
    streams = {}
    for name, stream in spec.streams.items():
        if name not in chunk:
            raise RlldError(
                f"{source.name}: features of stream {name!r} are missing; the run needs "
                f"{', '.join(spec.streams)}"
            )
        given = chunk[name]
        given = given.detach().cpu() if isinstance(given, Tensor) else given
        value = np.asarray(given, dtype=np.float32)
        if value.ndim != 2 or value.shape[1] != stream.dim:
            raise RlldError(
                f"{source.name}: stream {name!r} has shape {value.shape}, the run was trained on "
                f"(segments, {stream.dim}); extract the features that it was trained on"
            )
        if not np.isfinite(value).all():
            raise RlldError(
                f"{source.name}: stream {name!r} holds NaN or infinity; extract it again"
            )
        # torch warns of an array that it could not write into.
        streams[name] = torch.from_numpy(value if value.flags.writeable else value.copy())
    if len({len(value) for value in streams.values()}) > 1:
        lengths = ", ".join(f"{name} {len(value)}" for name, value in streams.items())
        raise RlldError(
            f"{source.name}: streams differ in their number of segments ({lengths}); extract again"
        )
    return streams


def _gates(evidence: Evidence, gate: Gate, absent: list[int]) -> Tensor:
    """Returns the highest gate probability of the video (2, C)."""
    parts = (
        evidence.video if gate.audio == "video" else evidence.audio,
        evidence.video if gate.visual == "video" else evidence.visual,
    )
    # HAN's fused value is no convex mix and can exceed 1 by a little.
    gates = torch.stack([part.amax(dim=0).clamp(0, 1) for part in parts])
    gates[absent] = 0
    return gates


def nested(values: Tensor) -> Any:
    """Returns nested tuples of the shortest decimals that give the same float32."""

    def convert(array: NDArray[np.float32]) -> Any:
        if array.ndim == 1:
            return tuple(float(str(value)) for value in array)
        return tuple(convert(row) for row in array)

    return convert(values.numpy())


def readable(name: str) -> str:
    """Returns the name of a file as text, which every format can read again; it may be bytes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _describe(run: TrainedRun) -> str:
    recipe, name = getattr(run, "recipe", None), getattr(run, "name", None)
    parts = [name] if name else []
    if recipe is not None:
        parts.append(f"{recipe.network.name} trained by recipe {recipe.name}")
    return ": ".join(parts)
