"""Speed of the ten F-scores: all videos at once against a plain loop over videos.

Both go from the same probabilities to the same ten numbers: segment threshold, gate, segment- and
event-level scores of every video, averages. The plain loop is ``rlld.metrics.reference``, video by
video and class by class in NumPy and Python; it leaves out the look-up in the annotation table that
the published evaluation repeats for every video. In both, the ground truth was read and rasterised
before. They alternate in one process, on one thread, and CPU time is taken.

    python benchmarks/metrics.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import torch
from torch import Tensor

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.spec import LLP_FILES, LLP_SPEC
from rlld.metrics import Gate, Scorer, reference
from rlld.types import Prediction

VIDEOS = 649
REAL = Path(__file__).resolve().parents[2] / "shared" / "llp"


def true_maps(folder: Path) -> tuple[Tensor, str]:
    """The validation annotation (N, T, 2, C), or runs drawn at its density."""
    if not folder.is_dir():
        return drawn_maps(), f"{VIDEOS} simulated videos (no annotations in {folder})"
    ids = read_weak(folder / LLP_FILES.validation, LLP_SPEC.taxonomy).ids
    maps = [
        rasterise(read_dense(folder / name, LLP_SPEC.taxonomy), ids, LLP_SPEC)
        for name in (LLP_FILES.audio, LLP_FILES.visual)
    ]
    return torch.from_numpy(np.stack(maps, 2)), f"{len(ids)} validation videos of LLP"


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


def plain_scores(prediction: Prediction, truth: Tensor, gate: Gate) -> list[float]:
    """Thresholds, gates and scores one video after the other."""
    segment = prediction.segment.numpy()
    video = np.stack([prediction.audio.numpy(), prediction.visual.numpy()], 1)
    true = truth.numpy()
    rows = []
    for number in range(len(true)):
        gated = video[number] >= gate.audio_threshold
        predicted = (segment[number] >= gate.segment_threshold) & gated
        rows.append(reference.video_scores(predicted, true[number]))
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
    truth, what = true_maps(args.annotations)
    prediction, gate = noisy_prediction(truth), Gate()
    scorer = Scorer(truth)
    maps = gate.apply(prediction)

    plain = plain_scores(prediction, truth, gate)
    fast = list(scorer.scores(maps).as_dict().values())
    assert np.allclose(plain, fast, rtol=0, atol=1e-10), "the two disagree"

    loop: list[float] = []
    whole: list[float] = []
    scoring: list[float] = []
    for _ in range(args.rounds):
        loop += cpu_seconds(lambda: plain_scores(prediction, truth, gate), 1)
        whole += cpu_seconds(lambda: scorer(gate.apply(prediction)), args.calls)
        scoring += cpu_seconds(lambda: scorer(maps), args.calls)

    print(f"{what}; one thread, CPU time; both give the same ten scores")
    print(line("plain per-video loop", loop))
    print(line("vectorised", whole))
    print(line("  of which scores", scoring))
    print(f"ratio of the medians: {median(loop) / median(whole):.0f}")


if __name__ == "__main__":
    main()
