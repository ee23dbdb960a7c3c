"""Speed of RLLD: policy, task network, validation of all videos and reward, in every step.

    OMP_NUM_THREADS=1 python benchmarks/rlld.py
    python benchmarks/rlld.py --device cuda --precision bfloat16 --whole

Features are random and of LLP's size; the speed does not depend on what is in them. Steps of
``rlld`` and of a plain loop (``plain_rlld.py``) take turns in one process, so that a busy machine
slows them alike; ratios of CPU time are the figures to quote. A whole run is that many times a
step, and is called scaled, unless ``--whole`` trains it. The limit is the work of a step, counted
as it runs, over the rates of this machine, measured before it: matrix products for the FLOPs of a
step, a copy for the bytes that its operators read and write, which is as if no cache held any.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

# This file is called like the package, which has to be found first.
sys.path.append(sys.path.pop(0))

import plain
import plain_rlld
from rlld.data.spec import LLP_SPEC
from rlld.data.split import Split
from rlld.recipes.recipe import load_recipe
from rlld.training.predict import predict_split
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

EPISODES, STEPS, EPOCHS, LLP_VIDEOS = 320, 32, 25, 10_000
FRAMES = 8
GEMM = (2560, 512, 1536)
COPIED = 1 << 26
"""Floats of the copy that measures the memory, 256 MiB."""


@dataclass
class Timing:
    """Wall and CPU seconds of the repetitions of one piece of work."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object], times: int) -> None:
        """Runs the work some times, waits for the device, and notes the mean time of one."""
        wait()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            work()
        wait()
        self.wall.append((time.perf_counter() - wall) / times)
        self.cpu.append((time.process_time() - cpu) / times)

    def text(self, kind: str) -> str:
        """Median, fastest and slowest, in milliseconds."""
        values = [1e3 * seconds for seconds in getattr(self, kind)]
        return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f}) ms"


class Bytes(TorchDispatchMode):
    """Counts the bytes of all tensors that operators read and write, views apart."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs the operator and adds its tensors."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(each.nbytes for each in tensors((args, kwargs, result)))
        return result


def tensors(value: Any) -> Iterator[Tensor]:
    """Yields the tensors in nested arguments."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)


def wait() -> None:
    """Waits for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def random_videos(name: str, count: int, seed: int) -> Split:
    """Draws a split of LLP's dimensions."""
    generator = torch.Generator().manual_seed(seed)
    spec = LLP_SPEC
    streams = {
        n: torch.randn(count, spec.segments, dim, generator=generator)
        for n, dim in spec.dims.items()
    }
    shape = (count, spec.segments, 2, len(spec.classes))
    dense = torch.rand(shape, generator=generator) < 0.008
    labels = dense.flatten(1, 2).any(1).float()
    ids = tuple(str(number) for number in range(count))
    return Split(name, spec, ids, streams, labels, None if name == "train" else dense)


def plain_videos(split: Split) -> plain_rlld.Videos:
    """The same videos as the published files have them: eight equal frames in a segment."""
    dense = None if split.dense is None else split.dense.numpy()
    frames = split.streams["visual_2d"].repeat_interleave(FRAMES, 1)
    return plain_rlld.Videos(
        split.streams["audio"], frames, split.streams["visual_3d"], split.labels, dense
    )


def trainer(recipe: str, train: Split, validation: Split, compute: Compute, **more: Any) -> Trainer:
    """Returns a run that is long enough to be measured in the middle."""
    settings = {"schedule.rounds": 10**6, **more}
    return Trainer(load_recipe(recipe, settings), train, validation, 0, compute)


def stepping(run: Trainer) -> Callable[[], None]:
    """Returns a function that takes a step of a run; its rounds never end."""
    inputs = itertools.cycle(run.start(0))
    return lambda: run._step(*next(inputs))


def same_numbers(ours: Trainer, simple: plain_rlld.PlainRLLD) -> None:
    """Gives the plain loop our weights and requires its decisions and scores to be ours."""
    simple.network.load_state_dict(ours.network.state_dict())
    policy = ours.denoiser.networks()["policy"]
    simple.policy.load_state_dict(policy.state_dict())
    batch = ours.train.batch(torch.arange(16))
    with torch.no_grad():
        found = policy(batch.streams, batch.labels)
        expected = simple.policy(*simple.train.features(batch.index), batch.labels)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    scores = list(ours.scores(ours.reward).values())
    assert np.allclose([float(score) for score in scores], simple.evaluate(), atol=0.05)


def rates(compute: Compute) -> tuple[float, float]:
    """Returns FLOP/s of a product of the network's shape, and bytes/s of a copy: the best of 8."""
    device = compute.torch_device
    rows, inner, columns = GEMM
    left = torch.randn(rows, inner, dtype=compute.dtype, device=device)
    right = torch.randn(columns, inner, dtype=compute.dtype, device=device)
    source = torch.empty(COPIED, device=device).fill_(1)
    target = torch.empty_like(source)
    repeats = 100 if device.type == "cuda" else 4
    product, copy = Timing(), Timing()
    for _ in range(8):
        product.measure(lambda: torch.nn.functional.linear(left, right), repeats)
        copy.measure(lambda: target.copy_(source), repeats // 4)
    kind = "wall" if device.type == "cuda" else "cpu"
    flops = 2 * rows * inner * columns / min(getattr(product, kind))
    return flops, 2 * source.nbytes / min(getattr(copy, kind))


def report_limit(run: Trainer, seconds: float, compute: Compute) -> None:
    """Prints what one step would take if products, or memory, were all there is."""
    inputs = run._inputs(0, 0)[0]
    with FlopCounterMode(display=False) as flops:
        run._take(*inputs)
    with Bytes() as moved:
        run._take(*inputs)
    peak, bandwidth = rates(compute)
    products, memory = flops.get_total_flops() / peak, moved.total / bandwidth
    print(
        f"  work of a step: {flops.get_total_flops() / 1e9:.0f} GFLOP in matrix products at "
        f"{peak / 1e9:.0f} GFLOP/s = {1e3 * products:.1f} ms; {moved.total / 1e9:.2f} GB at "
        f"{bandwidth / 1e9:.0f} GB/s = {1e3 * memory:.1f} ms"
    )
    print(
        f"  fraction of the limit: {products / seconds:.0%} of products, {memory / seconds:.0%} "
        "of memory without caches"
    )


def rlld_step(args: argparse.Namespace, compute: Compute) -> None:
    """Times the paper's step, the plain one beside it on a CPU, and scales a whole run."""
    train = random_videos("train", args.videos, 1)
    validation = random_videos("validation", args.validation, 2)
    run = trainer("rlld", train, validation, compute)
    step_once = stepping(run)
    simple, plainly = None, Timing()
    if compute.torch_device.type == "cpu" and compute.precision == "float32" and args.plain:
        dims = plain.DIMS
        simple = plain_rlld.PlainRLLD(plain_videos(train), plain_videos(validation), dims)
        same_numbers(run, simple)
    order = torch.Generator().manual_seed(0)
    ours, selection = Timing(), Timing()
    for _ in range(5):
        step_once()
    for _ in range(args.turns):
        ours.measure(step_once, args.steps)
        selection.measure(run._validated, max(1, args.steps // 4))
        if simple is not None:
            size = min(128, args.videos)
            index = torch.randperm(args.videos, generator=order)[:size]
            plainly.measure(lambda i=index: simple.step(i), 1)
    kind = "wall" if compute.torch_device.type == "cuda" else "cpu"
    step = statistics.median(getattr(ours, kind))
    whole = EPISODES * (STEPS * step + statistics.median(getattr(selection, kind)))
    print(f"RLLD, batch 128, validation of {args.validation} in every step")
    print(f"  step: wall {ours.text('wall')}, CPU {ours.text('cpu')}; {1 / step:.2f} steps/s")
    print(f"  selection, once an episode: {selection.text(kind)}")
    print(f"  run of {EPISODES} x {STEPS} steps: {whole:.0f} s, scaled from a step")
    if simple is not None:
        ratio = statistics.median(plainly.cpu) / step
        print(f"  plain step: CPU {plainly.text('cpu')}; ratio of the medians {ratio:.1f}")
    report_limit(run, step, compute)
    with torch.no_grad(), FlopCounterMode(display=False) as flops:
        predict_split(run.network, run.selection.split)
    print(f"  of which validation: {flops.get_total_flops() / 1e9:.0f} GFLOP")


def jomold_run(args: argparse.Namespace, compute: Compute) -> None:
    """Times the steps of both stages of JoMoLD and scales a whole run."""
    train = random_videos("train", args.videos, 1)
    validation = random_videos("validation", args.validation, 2)
    estimator = trainer("weak", train, validation, compute)
    estimator.unimodal = True
    # Its own estimator would be trained to the end of a run that has none.
    run = trainer("jomold", train, validation, compute, **{"schedule.updates": 1})
    run.schedule = estimator.schedule
    stages = {"estimator": stepping(estimator), "denoising": stepping(run)}
    timings = {name: Timing() for name in stages}
    selection = Timing()
    for _ in range(5):
        for step_once in stages.values():
            step_once()
    for _ in range(args.turns):
        for name, step_once in stages.items():
            timings[name].measure(step_once, args.steps)
        selection.measure(run._validated, 1)
    kind = "wall" if compute.torch_device.type == "cuda" else "cpu"
    epoch = -(-LLP_VIDEOS // 128)
    whole = EPOCHS * (
        epoch * sum(statistics.median(getattr(each, kind)) for each in timings.values())
        + statistics.median(getattr(selection, kind))
    )
    print("JoMoLD, batch 128")
    for name, timing in timings.items():
        print(f"  {name} step: {timing.text(kind)}")
    print(f"  run of 2 x {EPOCHS} epochs of {LLP_VIDEOS}: {whole:.0f} s, scaled from the steps")


def whole_runs(compute: Compute) -> None:
    """Trains runs of full length on LLP's number of videos, with nothing scaled."""
    train = random_videos("train", LLP_VIDEOS, 1)
    validation = random_videos("validation", 649, 2)
    for name in ("jomold", "rlld"):
        wait()
        start = time.perf_counter()
        run = Trainer(load_recipe(name, {}), train, validation, 0, compute)
        for _ in run.steps():
            pass
        wait()
        print(f"{name}: {run.updates} updates in {time.perf_counter() - start:.1f} s, whole run")


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--no-graphs", action="store_true", help="launch every kernel by itself")
    parser.add_argument("--no-plain", dest="plain", action="store_false", help="leave it out")
    parser.add_argument("--videos", type=int, default=256, help="training videos in memory")
    parser.add_argument("--validation", type=int, default=649)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps per turn (2, on a GPU 200)")
    parser.add_argument("--whole", action="store_true", help="train whole runs, nothing scaled")
    args = parser.parse_args()
    compute = Compute(args.device, args.precision, threads=1, graphs=not args.no_graphs)
    for name, value in compute.setup().items():
        print(f"{name} {value}", end="; ")
    print()
    args.steps = args.steps or (200 if compute.torch_device.type == "cuda" else 2)
    rlld_step(args, compute)
    jomold_run(args, compute)
    if args.whole:
        whole_runs(compute)


if __name__ == "__main__":
    main()
