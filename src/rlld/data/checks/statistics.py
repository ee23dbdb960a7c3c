"""Statistics of feature streams, gathered in flat memory, each with its standard error.

Features of many videos are summed up in a few groups of videos. Every statistic is a function of
the sums, and leaving out one group after the other (the jackknife) says how far it could be off:
segments of one video are alike, so that counting them would promise far too much.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError

Array = NDArray[np.float64]
Sums = dict[str, Any]
"""What adds up over videos, by name: numbers, and arrays (D,)."""

GROUPS = 16
SAMPLES = 8
"""Videos of which a reference keeps the features themselves."""
SAMPLE_SEGMENTS = 30

SCALARS = (
    "mean",
    "std",
    "zeros",
    "negatives",
    "integers",
    "norm_mean",
    "norm_std",
    "neighbours",
    "zero_rows",
    "duplicates",
)
VECTORS = ("dimension_means", "dimension_stds", "positive_means")


@dataclass(frozen=True)
class StreamStatistics:
    """What is known of a feature stream.

    Rows are segments (frames averaged). All but ``zero_rows`` is about rows that are not zero
    throughout: a missing track would hide everything else.

    Attributes:
        dim: Dimensions.
        frames: Rows per segment in the files; None for stores, which hold their means.
        segments: Least and largest number of segments of a video.
        videos: Number of videos.
        groups: Number of groups that the errors come from.
        least: Smallest value.
        largest: Largest value.
        longest: Largest norm of a row.
        values: By name: ``mean`` and ``std`` of all values; the shares of ``zeros``, of
            ``negatives`` and, among values that are not zero, of ``integers``; ``norm_mean`` and
            ``norm_std`` of rows; ``neighbours``, the correlation of neighbouring rows over all
            dimensions; the shares of ``zero_rows`` and of ``duplicates``, rows that equal the one
            before. And (D,) per name: ``dimension_means``, ``dimension_stds`` and
            ``positive_means``, the means after a ReLU.
        errors: Standard error of each of them; 0 when there is one group only.
        samples: Features (S, D) of some videos by id.
    """

    dim: int
    frames: int | None
    segments: tuple[int, int]
    videos: int
    groups: int
    least: float
    largest: float
    longest: float
    values: dict[str, Array]
    errors: dict[str, Array]
    samples: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def value(self, name: str) -> float:
        """Returns a statistic that is one number."""
        return float(self.values[name])

    def error(self, name: str) -> float:
        """Returns its standard error."""
        return float(self.errors[name])

    def plain(self) -> dict[str, Any]:
        """Returns everything JSON-ready."""
        return {
            "dim": self.dim,
            "frames": self.frames,
            "segments": list(self.segments),
            "videos": self.videos,
            "groups": self.groups,
            "least": _rounded(self.least),
            "largest": _rounded(self.largest),
            "longest": _rounded(self.longest),
            "values": {name: _rounded(value) for name, value in self.values.items()},
            "errors": {name: _rounded(value) for name, value in self.errors.items()},
            "samples": {
                video: {
                    "shape": list(rows.shape),
                    "float32": base64.b64encode(rows.astype("<f4").tobytes()).decode(),
                }
                for video, rows in self.samples.items()
            },
        }


def statistics_from(plain: Mapping[str, Any], where: str) -> StreamStatistics:
    """Reads what ``StreamStatistics.plain`` gives.

    Raises:
        RlldError: If something is missing or of the wrong kind; ``where`` names it.
    """
    try:
        dim = int(plain["dim"])
        values = {name: _number(plain["values"][name]) for name in SCALARS}
        errors = {name: _number(plain["errors"][name]) for name in SCALARS}
        for name in VECTORS:
            values[name] = np.array(plain["values"][name], np.float64).reshape(dim)
            errors[name] = np.array(plain["errors"][name], np.float64).reshape(dim)
        samples = {
            video: np.frombuffer(base64.b64decode(sample["float32"]), "<f4")
            .astype(np.float32)
            .reshape(sample["shape"][0], dim)
            for video, sample in plain["samples"].items()
        }
        return StreamStatistics(
            dim,
            None if plain["frames"] is None else int(plain["frames"]),
            (int(plain["segments"][0]), int(plain["segments"][1])),
            int(plain["videos"]),
            int(plain["groups"]),
            float(plain["least"]),
            float(plain["largest"]),
            float(plain["longest"]),
            values,
            errors,
            samples,
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise RlldError(
            f"{where}: no statistics of features ({type(error).__name__}: {error}); write them "
            "anew with 'rlld data verify ... --write'"
        ) from None


def _number(value: Any) -> Array:
    """Returns a statistic that is one number.

    Raises:
        ValueError: If it is none, or several.
    """
    number: Array = np.array(value, np.float64).reshape(())
    return number


def chosen(ids: Iterable[str]) -> frozenset[str]:
    """Chooses the videos whose features are kept: others choose the same from the same."""
    return frozenset(sorted(ids, key=lambda v: hashlib.sha256(v.encode()).digest())[:SAMPLES])


class Gatherer:
    """Gathers the statistics of a stream, video by video.

    Args:
        dim: Dimensions.
        frames: Rows per segment of what is added; None for means.
        keep: Videos whose features are kept.
    """

    def __init__(self, dim: int, frames: int | None, keep: Iterable[str] = ()) -> None:
        self._dim = dim
        self._frames = frames
        self._keep = frozenset(keep)
        self._samples: dict[str, NDArray[np.float32]] = {}
        self._sums: list[Sums] = []
        self._videos = 0
        self._lengths: list[int] = []
        self._range = [math.inf, -math.inf]
        self._longest = 0.0

    def add(self, video: str, rows: NDArray[Any]) -> None:
        """Adds the rows of a video, (S, D), or (S * frames, D); they are finite."""
        if self._frames is not None and self._frames > 1:
            rows = rows.reshape(-1, self._frames, self._dim).mean(1, dtype=np.float64)
        if video in self._keep:
            self._samples[video] = rows[:SAMPLE_SEGMENTS].astype(np.float32)
        rows = rows.astype(np.float64)
        self._lengths = [
            min([*self._lengths[:1], len(rows)]),
            max([*self._lengths[1:], len(rows)]),
        ]
        if rows.size:
            self._range = [min(self._range[0], rows.min()), max(self._range[1], rows.max())]
        sums, longest = _sums(rows)
        self._longest = max(self._longest, longest)
        if len(self._sums) < GROUPS:
            self._sums.append(sums)
        else:
            group = self._sums[self._videos % GROUPS]
            for name, value in sums.items():
                group[name] = group[name] + value
        self._videos += 1

    def finish(self) -> StreamStatistics | None:
        """Returns the statistics; None when nothing was added."""
        if not self._videos:
            return None
        total = _total(self._sums)
        values = _statistics(total)
        groups = len(self._sums)
        without = [
            _statistics({name: total[name] - value for name, value in group.items()})
            for group in (self._sums if groups > 1 else [])
        ]
        errors = {
            name: _jackknife([part[name] for part in without], v) for name, v in values.items()
        }
        return StreamStatistics(
            self._dim,
            self._frames,
            (self._lengths[0], self._lengths[1]),
            self._videos,
            groups,
            float(self._range[0]),
            float(self._range[1]),
            self._longest,
            values,
            errors,
            dict(sorted(self._samples.items())),
        )


def _sums(rows: Array) -> tuple[Sums, float]:
    """Returns what adds up over videos, and the largest norm of a row."""
    described = np.any(rows != 0, axis=1)
    seen = rows[described]
    norms = np.linalg.norm(seen, axis=1)
    pairs = described[1:] & described[:-1]
    first, second = rows[:-1][pairs], rows[1:][pairs]
    sums = {
        "rows": len(rows),
        "seen": len(seen),
        "zeros": int((seen == 0).sum()),
        "negatives": int((seen < 0).sum()),
        "integers": int(((seen == np.rint(seen)) & (seen != 0)).sum()),
        "norms": norms.sum(),
        "norms2": (norms**2).sum(),
        "x": seen.sum(0),
        "x2": (seen**2).sum(0),
        "positive": np.maximum(seen, 0).sum(0),
        "pairs": len(first),
        "same": int((first == second).all(1).sum()),
        "first": first.sum(0),
        "second": second.sum(0),
        "product": (first * second).sum(0),
    }
    return sums, float(norms.max(initial=0.0))


def _total(groups: Sequence[Sums]) -> Sums:
    return {name: np.sum([group[name] for group in groups], axis=0) for name in groups[0]}


def _statistics(sums: Sums) -> dict[str, Array]:
    """Computes all statistics from sums; 0 where nothing was seen."""
    seen, pairs = max(sums["seen"], 1.0), max(sums["pairs"], 1.0)
    dim = len(sums["x"])
    means = sums["x"] / seen
    variances = np.maximum(sums["x2"] / seen - means**2, 0.0)
    mean = means.mean()
    norm = sums["norms"] / seen
    together = sums["product"] / pairs - sums["first"] * sums["second"] / pairs**2
    filled = max(seen * dim - sums["zeros"], 1.0)
    found: Sums = {
        "mean": mean,
        "std": np.sqrt(np.maximum((sums["x2"] / seen).mean() - mean**2, 0.0)),
        "zeros": sums["zeros"] / (seen * dim),
        "negatives": sums["negatives"] / (seen * dim),
        "integers": sums["integers"] / filled,
        "norm_mean": norm,
        "norm_std": np.sqrt(np.maximum(sums["norms2"] / seen - norm**2, 0.0)),
        "neighbours": together.sum() / max(variances.sum(), 1e-30),
        "zero_rows": 1.0 - sums["seen"] / max(sums["rows"], 1.0),
        "duplicates": sums["same"] / pairs,
        "dimension_means": means,
        "dimension_stds": np.sqrt(variances),
        "positive_means": sums["positive"] / seen,
    }
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def _jackknife(parts: Sequence[Array], value: Array) -> Array:
    if not parts:
        return np.zeros_like(value)
    away = np.stack(parts) - np.mean(parts, axis=0)
    result: Array = np.sqrt((len(parts) - 1) / len(parts) * (away**2).sum(0))
    return result


def _rounded(value: Array | float) -> Any:
    if np.ndim(value):
        return [_rounded(part) for part in np.asarray(value)]
    return float(f"{float(value):.7g}")
