"""Speed of HAN training and validation: the published way against ours, on the same work.

    OMP_NUM_THREADS=1 python benchmarks/training.py
    OMP_NUM_THREADS=1 python benchmarks/training.py --memory float32

Both sides see the same random features of LLP's size and run in turns in one process on one
thread, so that a busy machine slows them alike. Ratios of CPU time are the figures to quote. The
plain side reads one file per video and stream, as the published loaders do; ours reads its resident
tensors, packed once. ``--memory`` trains an epoch of LLP's size by the training loop, from features
in float32, and prints the peak memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

# A file here is called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

import plain
from rlld.data.spec import LLP_SPEC
from rlld.data.split import Split
from rlld.metrics import Gate, reference
from rlld.metrics.scores import Scorer
from rlld.networks import han
from rlld.objectives import mil
from rlld.recipes.recipe import load_recipe
from rlld.training.predict import predict_split
from rlld.training.trainer import Trainer
from rlld.types import ModalityLabels
from rlld.utils.compute import Compute

CLASSES, SEGMENTS, FRAMES = 25, 10, 8
STREAMS = {"audio": ("audio", 1), "visual_2d": ("visual", FRAMES), "visual_3d": ("visual_st", 1)}
GATE = Gate(audio="video", visual="video")
GEMM = (2560, 512, 1536)
LLP_VIDEOS = 10_000


@dataclass
class Timing:
    """Wall and CPU seconds of the repetitions of one piece of work."""

    videos: int
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object]) -> None:
        """Runs the work once and notes its time."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def rates(self, kind: str) -> tuple[float, float, float]:
        """Returns the slowest, median and fastest videos per second."""
        rates = sorted(self.videos / seconds for seconds in getattr(self, kind))
        return rates[0], statistics.median(rates), rates[-1]


def write_files(folder: Path, ids: list[str], generator: np.random.Generator) -> None:
    """Writes the features of each video in the published layout."""
    for stream, kind in plain.STREAMS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        rows = SEGMENTS * (FRAMES if stream == "visual" else 1)
        for name in ids:
            values = generator.standard_normal((rows, plain.DIMS[stream]), dtype=np.float32)
            np.save(folder / kind / f"{name}.npy", values)


def pack(folder: Path, ids: list[str], labels: np.ndarray, dense: np.ndarray | None) -> Split:
    """Reads the files once into resident tensors, frames averaged."""
    streams = {}
    for name, (kind, frames) in STREAMS.items():
        rows = [np.load(folder / plain.STREAMS[kind] / f"{video}.npy") for video in ids]
        values = np.stack(rows).reshape(len(ids), SEGMENTS, frames, -1).mean(2)
        streams[name] = torch.from_numpy(values)
    truth = None if dense is None else torch.from_numpy(dense)
    split = "train" if dense is None else "validation"
    return Split(split, LLP_SPEC, tuple(ids), streams, torch.from_numpy(labels), truth)


def random_events(
    ids: list[str], generator: np.random.Generator
) -> tuple[np.ndarray, plain.Table, plain.Table]:
    """Draws two events per video and modality; returns the map (N, T, 2, C) and its tables."""
    dense = np.zeros((len(ids), SEGMENTS, 2, CLASSES), dtype=bool)
    tables = []
    for modality in range(2):
        rows = []
        for number, name in enumerate(ids):
            for label in generator.choice(CLASSES, 2, replace=False):
                onset, offset = np.sort(generator.choice(SEGMENTS + 1, 2, replace=False))
                rows.append((name, onset, offset, label))
                dense[number, onset:offset, modality, label] = True
        names, onsets, offsets, labels = (np.array(column) for column in zip(*rows, strict=True))
        tables.append(plain.Table(names, onsets, offsets, labels))
    return dense, tables[0], tables[1]


class Ours:
    """Our network and optimizer under one compute setting."""

    def __init__(self, compute: Compute, train: Split, batch_size: int) -> None:
        self.compute, self.batch_size = compute, batch_size
        self.train_split = train.to(torch.device("cpu"), compute.dtype)
        torch.manual_seed(0)
        self.network = han.Config().build(LLP_SPEC)
        self.objective = mil.Config().build(LLP_SPEC)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=3e-4, fused=True)

    def epoch(self) -> None:
        """Trains on every video once, in random order."""
        self.compute.setup()
        self.network.train()
        for index in torch.randperm(len(self.train_split)).split(self.batch_size):
            batch = self.train_split.batch(index)
            labels = ModalityLabels(batch.labels, 0.9 * batch.labels + 0.05, batch.labels)
            with self.compute.autocast():
                prediction = self.network(batch.streams)
            loss = self.objective(prediction, labels, batch)["loss"]
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def validate(self, split: Split, scorer: Scorer) -> None:
        """Computes the ten scores of a split."""
        self.compute.setup()
        with self.compute.autocast():
            scorer(GATE.apply(predict_split(self.network, split)))


def count_mflop(work: Callable[[], object], videos: int) -> float:
    """Returns the floating point operations of matrix products per video, in millions."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / videos / 1e6


def gemm_peak(compute: Compute) -> float:
    """Returns the best GFLOP/s of a product of the network's own shape in a few tries."""
    compute.setup()
    rows, inner, columns = GEMM
    left = torch.randn(rows, inner, dtype=compute.dtype)
    right = torch.randn(columns, inner, dtype=compute.dtype)
    best = 0.0
    for _ in range(8):
        start = time.process_time()
        for _ in range(4):
            torch.nn.functional.linear(left, right)
        best = max(best, 8e-9 * rows * inner * columns / (time.process_time() - start))
    return best


def settings() -> Iterator[tuple[str, Compute]]:
    """Yields the ways to compute that are compared."""
    yield "float32", Compute("cpu", threads=1)
    yield "float32 onednn", Compute("cpu", gemm="onednn", threads=1)
    yield "bfloat16", Compute("cpu", "bfloat16", threads=1)


def compare(args: argparse.Namespace, folder: Path) -> None:
    """Times both sides in turns and prints the table."""
    generator = np.random.default_rng(0)
    train_ids = [f"train{number:06d}" for number in range(args.videos)]
    val_ids = [f"val{number:08d}" for number in range(args.validation)]
    write_files(folder, train_ids + val_ids, generator)
    labels = (generator.random((args.videos, CLASSES)) < 0.07).astype(np.float32)
    dense, audio, visual = random_events(val_ids, generator)
    weak = dense.any((1, 2)).astype(np.float32)
    files = plain.PlainFiles(folder, train_ids, labels)
    val_files = plain.PlainFiles(folder, val_ids, weak)
    torch.manual_seed(0)
    network = plain.PlainHAN()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-4)
    train, validation = pack(folder, train_ids, labels, None), pack(folder, val_ids, weak, dense)
    sides = {name: Ours(compute, train, args.batch_size) for name, compute in settings()}
    splits = {
        name: validation.to(torch.device("cpu"), side.compute.dtype) for name, side in sides.items()
    }
    scorer = Scorer(validation.require_dense())
    names = ["plain", *sides]
    training = {name: Timing(args.videos) for name in names}
    validating = {name: Timing(args.validation) for name in names}

    def plain_validation() -> None:
        predicted, true = plain.evaluate(network, val_files, audio, visual)
        reference.ten_scores(predicted, true)

    for repeat in range(args.repeats + 1):
        if repeat == 1:  # the first turn warmed caches up
            for timing in (*training.values(), *validating.values()):
                timing.wall.clear()
                timing.cpu.clear()
        Compute("cpu", threads=1).setup()
        training["plain"].measure(
            lambda: plain.train_epoch(network, files, optimizer, args.batch_size)
        )
        validating["plain"].measure(plain_validation)
        for name, side in sides.items():
            training[name].measure(side.epoch)
            validating[name].measure(lambda s=side, n=name: s.validate(splits[n], scorer))
    peaks = {name: gemm_peak(compute) for name, compute in settings()}
    peaks["plain"] = peaks["float32"]
    ours = sides["float32"]
    epoch = {
        "plain": count_mflop(
            lambda: plain.train_epoch(network, files, optimizer, args.batch_size), args.videos
        ),
        "ours": count_mflop(ours.epoch, args.videos),
    }
    forward = {
        "plain": count_mflop(plain_validation, args.validation),
        "ours": count_mflop(lambda: ours.validate(splits["float32"], scorer), args.validation),
    }
    report("training", training, peaks, epoch)
    report(f"validation of {args.validation}", validating, peaks, forward)


def report(
    title: str, timings: dict[str, Timing], peaks: dict[str, float], mflop: dict[str, float]
) -> None:
    """Prints one table."""
    print(f"\n{title}: videos per second, median (slowest-fastest); ratio to plain")
    print(f"{'':16}{'wall':>24}{'ratio':>7}{'per CPU-second':>26}{'ratio':>7}{'ceiling':>9}  of it")
    base = {kind: timings["plain"].rates(kind)[1] for kind in ("wall", "cpu")}
    for name, timing in timings.items():
        cells = ""
        for kind, width in (("wall", 24), ("cpu", 26)):
            low, median, high = timing.rates(kind)
            text = f"{median:.0f} ({low:.0f}-{high:.0f})"
            cells += f"{text:>{width}}{median / base[kind]:6.2f}x"
        ceiling = 1000 * peaks[name] / mflop["plain" if name == "plain" else "ours"]
        share = timing.rates("cpu")[1] / ceiling
        print(f"{name:16}{cells}{ceiling:9.0f}{share:6.0%}")
    peak = ", ".join(f"{name} {value:.0f}" for name, value in peaks.items() if name != "plain")
    print(f"ceiling = measured peak of matrix products (GFLOP/s: {peak})")
    print(f"          / MFLOP of a video (plain {mflop['plain']:.0f}, ours {mflop['ours']:.0f})")


def random_split(name: str, videos: int, generator: torch.Generator) -> Split:
    """Draws a split of LLP's dimensions in float32, piece by piece to stay small."""
    streams = {n: torch.empty(videos, SEGMENTS, dim) for n, dim in LLP_SPEC.dims.items()}
    for values in streams.values():
        for chunk in values.split(500):
            chunk.copy_(torch.randn(chunk.shape, generator=generator))
    dense = torch.rand(videos, SEGMENTS, 2, CLASSES, generator=generator) < 0.02
    labels = dense.flatten(1, 2).any(1).float()
    ids = tuple(str(number) for number in range(videos))
    return Split(name, LLP_SPEC, ids, streams, labels, None if name == "train" else dense)


def train_full_size(precision: str, args: argparse.Namespace) -> None:
    """Trains one epoch of LLP's size by the training loop and prints the peak memory."""
    compute = Compute("cpu", "bfloat16" if precision == "bfloat16" else "float32", threads=1)
    compute.setup()
    generator = torch.Generator().manual_seed(0)
    train = random_split("train", LLP_VIDEOS, generator)
    validation = random_split("validation", args.validation, generator)
    settings = {"schedule.rounds": 1, "schedule.batch_size": args.batch_size}
    timing = Timing(LLP_VIDEOS)
    trainer = Trainer(load_recipe("han", settings), train, validation, 0, compute)
    timing.measure(lambda: list(trainer.steps()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_gb = peak * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(
        f"{precision}: one epoch of {LLP_VIDEOS} videos and a validation of {args.validation}, "
        f"{timing.rates('wall')[1]:.0f} videos/s, peak memory {peak_gb:.2f} GB"
    )


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=512, help="training videos")
    parser.add_argument("--validation", type=int, default=649, help="validation videos")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", choices=("float32", "bfloat16"), help="measure peak memory")
    args = parser.parse_args()
    if args.memory:
        train_full_size(args.memory, args)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(args, Path(folder))


if __name__ == "__main__":
    main()
