"""EfficientNet-Lite0: the network, with the names of the published file."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad
from torch.nn.utils.fusion import fuse_conv_bn_eval

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks of a stage, kernel, stride of the first block, expansion, channels."""

STEM = 32
DIM = 1280
CLASSES = 1000
EPSILON = 1e-3


class Convolution(nn.Conv2d):
    """A convolution that pads as TensorFlow does: of an odd padding the larger half comes last."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(before, after, kernel, stride, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns (N, after, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        sides: list[int] = []
        for length in (maps.shape[3], maps.shape[2]):
            lacking = max(0, (-(-length // stride) - 1) * stride + kernel - length)
            sides += [lacking // 2, lacking - lacking // 2]
        return super().forward(pad(maps, sides) if any(sides) else maps)


class Block(nn.Module):
    """An inverted residual block: expand, filter each channel, project; no squeeze-and-excite."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = before * expansion
        if expansion > 1:
            self._expand_conv = Convolution(before, inside, 1)
            self._bn0 = nn.BatchNorm2d(inside, EPSILON)
        self._depthwise_conv = Convolution(inside, inside, kernel, stride, groups=inside)
        self._bn1 = nn.BatchNorm2d(inside, EPSILON)
        self._project_conv = Convolution(inside, after, 1)
        self._bn2 = nn.BatchNorm2d(after, EPSILON)
        self._expands, self._same = expansion > 1, stride == 1 and before == after

    def forward(self, maps: Tensor) -> Tensor:
        """Returns the maps of the block, with what came in added where that fits."""
        inside = maps
        if self._expands:
            inside = self._bn0(self._expand_conv(inside)).clamp(0, 6)
        inside = self._bn1(self._depthwise_conv(inside)).clamp(0, 6)
        made: Tensor = self._bn2(self._project_conv(inside))
        return made + maps if self._same else made


class Lite0(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = Convolution(3, STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(STEM, EPSILON)
        blocks, before = [], STEM
        for number, kernel, stride, expansion, after in STAGES:
            for place in range(number):
                blocks.append(Block(before, after, kernel, 1 if place else stride, expansion))
                before = after
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = Convolution(before, DIM, 1)
        self._bn1 = nn.BatchNorm2d(DIM, EPSILON)
        self._fc = nn.Linear(DIM, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Describes pictures.

        Args:
            pictures: (N, 3, H, W), red, green and blue, ``(value - 127) / 128``.

        Returns:
            (N, 1280), in [0, 6]: what the classifier gets.
        """
        maps = self._bn0(self._conv_stem(pictures)).clamp(0, 6)
        maps = self._bn1(self._conv_head(self._blocks(maps))).clamp(0, 6)
        return adaptive_avg_pool2d(maps, 1).flatten(1)

    def classify(self, described: Tensor) -> Tensor:
        """Returns logits of ImageNet's classes (N, 1000) for what ``forward`` returned."""
        logits: Tensor = self._fc(described)
        return logits

    def fuse(self) -> Lite0:
        """Puts each batch normalisation into the convolution before it, which is a third faster.

        Only of a network that is evaluated.
        """
        for module in (self, *self._blocks):
            names = [name for name, _ in module.named_children()]
            for first, then in pairwise(names):
                if then.startswith("_bn"):
                    fused = fuse_conv_bn_eval(getattr(module, first), getattr(module, then))
                    setattr(module, first, fused)
                    setattr(module, then, nn.Identity())
        return self


def empty() -> Lite0:
    """Returns the network with memory for its weights, and nothing in it."""
    with torch.device("meta"):
        network = Lite0()
    return network.to_empty(device="cpu")
