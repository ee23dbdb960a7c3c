"""Small networks of every kind, and videos of different lengths for them."""

from __future__ import annotations

from dataclasses import replace

import torch

from models_kit import shaken
from rlld.data.spec import DataSpec, StreamSpec
from rlld.networks.base import Network
from rlld.utils.registry import NETWORKS

LENGTHS = (7, 1, 12, 4, 9)
LONGEST = max(LENGTHS)
STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(6), "visual_3d": StreamSpec(4)}
SPEC = DataSpec("ragged", ("a", "b", "c"), LONGEST, 1.0, STREAMS)
WIDTH = {"hidden": 8}
ANY = replace(SPEC, any_length=True)
PARTS = ("segment", "audio", "visual", "video")


def network_of(name: str, options: dict, spec: DataSpec = ANY) -> Network:
    torch.manual_seed(0)
    width = {} if name in ("peers",) else WIDTH
    chosen = {"name": name, **width, **options}
    if name == "peers":
        chosen |= {"hidden": 8}
    network = NETWORKS.config(chosen, "test").build(spec)
    # A layer norm of few values magnifies what float32 rounds.
    return shaken(network, 1).double()


def padded(lengths: tuple[int, ...] = LENGTHS) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Features whose padding is anything but zeros, and the mask."""
    generator = torch.Generator().manual_seed(3)
    streams = {
        name: torch.randn(
            len(lengths), max(lengths), stream.dim, generator=generator, dtype=torch.float64
        )
        for name, stream in STREAMS.items()
    }
    return streams, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def alone(streams: dict[str, torch.Tensor], video: int, length: int) -> dict[str, torch.Tensor]:
    return {name: value[video : video + 1, :length] for name, value in streams.items()}
