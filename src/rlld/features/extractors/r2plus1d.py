"""``r2plus1d``: what moves in a segment, by R(2+1)D-18 trained on Kinetics-400 (``visual_3d``).

Source: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR
2018. The features published with LLP (folder ``r2plus1d_18``) are its pooled activations before
the classifier, of 8 consecutive pictures at 8 per second, each stretched to 112 x 112.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import base
from rlld.features.base import Extractor, Rows, flat, rows_where_seen
from rlld.features.extractors._torchvision import URL, Backbone
from rlld.features.weights import PublishedWeights, find
from rlld.media.views import Chunk, Pictures
from rlld.utils.extras import optional
from rlld.utils.files import sha256

if TYPE_CHECKING:
    import torch

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

DIM = 512
FPS = 8.0
SIDE = 112
MEAN = (0.43216, 0.394666, 0.37645)
STD = (0.22803, 0.22145, 0.216989)
KINETICS400_V1 = PublishedWeights(
    "r2plus1d_18-91a641e6.pth", f"{URL}r2plus1d_18-91a641e6.pth", "91a641e6"
)


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        batch: Pictures that the network gets at once, but at least one segment's; it bounds
            memory and changes no result.
    """

    batch: int = 64

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise RlldError(f"extractor 'r2plus1d': batch must be at least 1, found {self.batch}")

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the weights that it needs."""
        return (KINETICS400_V1,)


@Config.makes
class R2Plus1D(Extractor):
    """The ``r2plus1d`` extractor: 512 dimensions, a row for the pictures of a segment."""

    name = "r2plus1d"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.view = Pictures(FPS, SIDE, SIDE, scaling="BILINEAR")
        self.views = (self.view,)
        models = optional("torchvision", f"extractor {self.name!r}").models
        path = find(KINETICS400_V1, self.name)
        self.backbone = Backbone(models.video.r2plus1d_18, path, MEAN, STD)
        self._digest = sha256(path)

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        return {
            "weights": "KINETICS400_V1",
            "sha256": self._digest,
            "fps": FPS,
            "size": [SIDE, SIDE],
            "scaling": self.view.scaling,
            "mean": list(MEAN),
            "std": list(STD),
            "revision": REVISION,
        }

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream, with a row per segment of any length."""
        return {"visual_3d": StreamSpec(DIM, "r2plus1d_18")}

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns a row per segment, zeros for those without pictures."""
        at_once = max(1, self.config.batch // self.view.count(segment_seconds))
        rows = rows_where_seen(
            flat(chunks), self.view, 1, DIM, lambda seen: self.backbone.rows(seen, at_once)
        )
        return {"visual_3d": rows}

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self.backbone.to(device)
