"""Speed of MM-CSE's network: classes at once against a loop over them, with the same weights.

    OMP_NUM_THREADS=1 python benchmarks/mm_cse.py [--videos 16] [--repeats 3]

The loop is our own writing of what is published: a linear layer for every class and every head, the
background beside every class, one modality after the other, PyTorch's attention. Both sides predict
the same, which is checked, and take turns in one process; ratios of CPU time are the figures to
quote. The number of operators is what a GPU has to launch.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

# This file is called like a part of the package, which has to be found first.
sys.path.append(sys.path.pop(0))

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from rlld.data.spec import LLP_SPEC
from rlld.networks import mm_cse
from rlld.networks._blocks import mmil_pool

SEGMENTS = LLP_SPEC.segments


class Operators(TorchDispatchMode):
    """Counts what is launched; views launch nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Runs and counts one operator."""
        self.count += not function.is_view
        return function(*args, **(kwargs or {}))


def each(layer: mm_cse.OfEach) -> Iterator[tuple[Tensor, Tensor]]:
    """Goes through the layers of the classes."""
    return zip(layer.weight.unbind(0), layer.bias.unbind(0), strict=True)


def attended(layer: Any, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """PyTorch's attention among the classes of a segment (B, T, C, width), with its map."""
    rows, seen = (value.flatten(0, 1).transpose(0, 1) for value in (own, other))
    found, shares = functional.multi_head_attention_forward(
        *(rows, seen, seen, own.shape[-1], layer.heads),
        *(layer.in_proj_weight, layer.in_proj_bias, None, None, False),
        *(layer.dropout.p, layer.out_proj.weight, layer.out_proj.bias),
        training=layer.training,
    )
    return own + found.transpose(0, 1).view_as(own), shares


def compared(local: Tensor, whole: Tensor) -> Tensor:
    """What a class takes of its whole video (B, T, C, width)."""
    mean = whole.relu().mean(1, keepdim=True)
    return functional.cosine_similarity(local.relu(), mean, dim=-1).sigmoid()[..., None] * mean


def layered(layer: Any, own: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One layer on the classes of one modality."""
    asked, first = attended(layer.SECM_1.attn, own, own)
    one = own + compared(layer.LGSF_1["glob1"](asked), layer.LGSF_1["glob2"](asked))
    asked, second = attended(layer.SECM_2.attn, own, other)
    two = own + compared(layer.LGSF_2["glob"](asked), layer.LGSF_2["glob"](other))
    mixed = layer.norm1(layer.fc1(one) + layer.fc2(two))
    return layer.linear2(layer.dropout(layer.linear1(mixed).relu())), first, second


def looped(network: mm_cse.MmCse, streams: dict[str, Tensor]) -> list[Tensor]:
    """The forward pass class by class: segments, video level, reconstructions and maps."""
    classes, rebuilt = [], []
    unmix, share = (network.a_unmix, network.v_unmix), (network.alpha_a, network.alpha_v)
    reduce, again = (network.reduce_a, network.reduce_v), (network.a_recon, network.v_recon)
    for number, rows in enumerate(network.embed(streams).unbind(0)):
        first, *second = (part for part in unmix[number] if isinstance(part, mm_cse.OfEach))
        parts = [functional.linear(rows.relu(), *pair).relu() for pair in each(first)]
        for layer in second:
            pairs = zip(parts, each(layer), strict=True)
            parts = [functional.linear(part, *pair).relu() for part, pair in pairs]
        stacked = torch.stack(parts, 2)
        background = stacked[:, :, -1:].repeat(1, 1, len(parts) - 1, 1)
        events = share[number](rows).sigmoid().unsqueeze(-1)
        both = torch.cat([events * stacked[:, :, :-1], (1 - events) * background], -1)
        classes.append(reduce[number][0](both).relu())
        rebuilt.append(again[number](stacked.flatten(2)))
    for layer in network.av_enhance.layers:
        audio, *heard = layered(layer, *classes)
        visual, *seen = layered(layer, *reversed(classes))
        classes = [audio, visual]
    both = torch.stack(classes, 2)
    logits = [
        torch.cat(
            [functional.linear(both[..., n, :], *pair) for n, pair in enumerate(each(head.fc))], -1
        )
        for head in (network.fc_prob, network.fc_frame_att, network.fc_av_att)
    ]
    segment = logits[0].sigmoid()
    return [segment, *mmil_pool(segment, *logits[1:]), *rebuilt, *heard, *seen]


def at_once(network: mm_cse.MmCse, streams: dict[str, Tensor]) -> list[Tensor]:
    """The same values by the network's own forward pass."""
    found = network(streams)
    rebuilt, maps = found.extras["reconstructed"].unbind(2), found.extras["maps"]
    shown = [maps[:, :, m, n].flatten(0, 1) for m in (0, 1) for n in (0, 1)]
    return [found.segment, found.audio, found.visual, found.video, *rebuilt, *shown]


def main() -> None:
    """Prints a row for predicting and one for a step's forward and backward pass."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = mm_cse.Config(dropout=0.0).build(LLP_SPEC)
    streams = {name: torch.randn(args.videos, SEGMENTS, dim) for name, dim in LLP_SPEC.dims.items()}
    forms = {"loop": looped, "at once": at_once}
    with torch.no_grad():
        pair = [form(network, streams) for form in forms.values()]
    for one, other in zip(*pair, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)

    def predicted(form: Callable[..., list[Tensor]]) -> None:
        with torch.no_grad():
            form(network, streams)

    def stepped(form: Callable[..., list[Tensor]]) -> None:
        sum(value.square().sum() for value in form(network, streams)).backward()

    print("work form CPU-seconds operators GFLOP ratio")
    for work in (predicted, stepped):
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(args.repeats):
            for name, form in forms.items():
                before = time.process_time()
                work(form)
                seconds[name].append(time.process_time() - before)
        plain = statistics.median(seconds["loop"])
        for name, form in forms.items():
            with Operators() as operators:
                work(form)
            with FlopCounterMode(display=False) as counter:
                work(form)
            median, flops = statistics.median(seconds[name]), counter.get_total_flops() / 1e9
            print(
                f"{work.__name__} {name}: {median:.2f} {operators.count} {flops:.1f} "
                f"{plain / median:.2f}"
            )


if __name__ == "__main__":
    main()
