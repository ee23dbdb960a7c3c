"""Speed of the ten F-scores: all videos at once against plain loops over videos.

All go from the same probabilities to the same ten numbers: segment threshold, gate, segment- and
event-level scores of every video, averages. They alternate in one process, on one thread, and CPU
time is taken.

per-video loop: video by video, as the published evaluations do at every validation. The rows of
    the video are looked up in the annotation tables (pandas, by file name) and rasterised when its
    turn comes, then ``rlld.metrics.reference`` scores it class by class. The files were read
    before.
  metrics alone: the same without looking up and rasterising.
vectorised: ``Gate.apply`` and ``Scorer``, which prepared the ground truth once, before.

    python benchmarks/metrics.py
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import pandas as pd
import torch
from torch import Tensor

# A file here is called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.spec import LLP_FILES, LLP_SPEC
from rlld.metrics import Gate, Scorer, reference
from rlld.types import Prediction

VIDEOS = 649
REAL = Path(__file__).resolve().parents[2] / "shared" / "llp"


class Table:
    """The real validation annotation as tables, read once."""

    def __init__(self, folder: Path) -> None:
        self.ids = read_weak(folder / LLP_FILES.validation, LLP_SPEC.taxonomy).ids
        paths = [folder / name for name in (LLP_FILES.audio, LLP_FILES.visual)]
        self.rows = [read_dense(path, LLP_SPEC.taxonomy) for path in paths]
        self.tables = [pd.read_csv(path, sep="\t") for path in paths]

    def all_maps(self) -> Tensor:
        """All videos (N, T, 2, C)."""
        maps = [rasterise(rows, self.ids, LLP_SPEC) for rows in self.rows]
        return torch.from_numpy(np.stack(maps, 2))

    def maps_of(self, number: int) -> np.ndarray:
        """Looks one video up and rasterises it (T, 2, C)."""
        maps = np.zeros((LLP_SPEC.segments, 2, len(LLP_SPEC.classes)), dtype=bool)
        for modality, table in enumerate(self.tables):
            own = table[table["filename"] == self.ids[number]]
            for _, row in own.iterrows():
                label = LLP_SPEC.classes.index(row["event_labels"])
                maps[int(row["onset"]) : int(row["offset"]), modality, label] = True
        return maps


def drawn_maps() -> Tensor:
    """Maps (649, 10, 2, 25) with one run in about 6 % of the (modality, class) pairs."""
    generator = torch.Generator().manual_seed(0)
    shape = (VIDEOS, 1, 2, 25)
    present = torch.rand(shape, generator=generator) < 0.06
    start = torch.randint(0, 8, shape, generator=generator)
    length = torch.randint(1, 11, shape, generator=generator)
    steps = torch.arange(10).view(1, 10, 1, 1)
    return present & (steps >= start) & (steps < start + length)


def noisy_prediction(truth: Tensor) -> Prediction:
    """Probabilities as of a fair model: high on most true cells, low on most others."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(truth.shape, generator=generator)
    segment = torch.where(truth, 1 - 0.7 * noise, 0.6 * noise)
    video = segment.amax(1)
    audio, visual = video.unbind(1)
    return Prediction(segment, audio, visual, torch.maximum(audio, visual))


def plain_scores(
    prediction: Prediction, truth_of: Callable[[int], np.ndarray], gate: Gate
) -> list[float]:
    """Thresholds, gates and scores one video after the other."""
    segment = prediction.segment.numpy()
    video = np.stack([prediction.audio.numpy(), prediction.visual.numpy()], 1)
    rows = []
    for number in range(len(segment)):
        gated = video[number] >= gate.audio_threshold
        predicted = (segment[number] >= gate.segment_threshold) & gated
        rows.append(reference.video_scores(predicted, truth_of(number)))
    return reference.ten_from_rows(rows)


def cpu_seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds of each call."""
    seconds = []
    for _ in range(repeats):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return seconds


def line(name: str, seconds: list[float]) -> str:
    """Median and quartiles in milliseconds."""
    low, _, high = quantiles(seconds, n=4)
    return (
        f"{name:<24}{1e3 * median(seconds):>10.2f} ms   "
        f"(quartiles {1e3 * low:.2f} to {1e3 * high:.2f}, {len(seconds)} calls)"
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--annotations", type=Path, default=REAL, help="folder of the LLP files")
    parser.add_argument("--rounds", type=int, default=7, help="times that the two alternate")
    parser.add_argument("--calls", type=int, default=50, help="vectorised calls in each round")
    args = parser.parse_args()

    torch.set_num_threads(1)
    table = Table(args.annotations) if args.annotations.is_dir() else None
    truth = table.all_maps() if table else drawn_maps()
    prediction, gate = noisy_prediction(truth), Gate()
    scorer = Scorer(truth)
    maps, known = gate.apply(prediction), truth.numpy()

    works: dict[str, tuple[Callable[[], object], int]] = {
        "  metrics alone": (lambda: plain_scores(prediction, known.__getitem__, gate), 1),
        "vectorised": (lambda: scorer(gate.apply(prediction)), args.calls),
        "  of which scores": (lambda: scorer(maps), args.calls),
    }
    if table:
        looked_up = (lambda: plain_scores(prediction, table.maps_of, gate), 1)
        works = {"per-video loop": looked_up, **works}
    fast = list(scorer.scores(maps).as_dict().values())
    for name in works.keys() & {"per-video loop", "  metrics alone"}:
        assert np.allclose(works[name][0](), fast, rtol=0, atol=1e-10), f"{name} disagrees"

    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(args.rounds):
        for name, (work, repeats) in works.items():
            seconds[name] += cpu_seconds(work, repeats)

    what = "validation videos of LLP" if table else f"simulated videos (no {args.annotations})"
    print(f"{len(truth)} {what}; one thread, CPU time; all give the same ten scores")
    for name, values in seconds.items():
        print(line(name, values))
    for name in ("per-video loop", "  metrics alone"):
        if name in seconds:
            ratio = median(seconds[name]) / median(seconds["vectorised"])
            print(f"{name.strip()} / vectorised, ratio of the medians: {ratio:.0f}")


if __name__ == "__main__":
    main()
