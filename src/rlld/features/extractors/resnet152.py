"""``resnet152``: what each picture shows, by ResNet-152 trained on ImageNet (``visual_2d``).

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. The features
published with LLP (folder ``res152``) are its pooled activations before the classifier, of 8
pictures per second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import base, spelled
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

DIM = 2048
FPS = 8.0
CROP = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
WEIGHTS = {
    "IMAGENET1K_V1": (
        PublishedWeights("resnet152-394f9c45.pth", f"{URL}resnet152-394f9c45.pth", "394f9c45"),
        256,
    ),
    "IMAGENET1K_V2": (
        PublishedWeights("resnet152-f82ba261.pth", f"{URL}resnet152-f82ba261.pth", "f82ba261"),
        232,
    ),
}
"""By torchvision's name: the file, and the shorter side of pictures before the crop."""


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        weights: Torchvision's name of the weights. The published features of LLP were made with
            the first ones; the second come from a longer training and are another feature space.
        batch: Pictures that the network gets at once; it bounds memory and changes no result.
    """

    weights: Literal["IMAGENET1K_V1", "IMAGENET1K_V2"] = "IMAGENET1K_V1"
    batch: int = 64

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise RlldError(f"extractor 'resnet152': batch must be at least 1, found {self.batch}")

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the weights that it needs."""
        return (WEIGHTS[self.weights][0],)


@Config.makes
class ResNet152(Extractor):
    """The ``resnet152`` extractor: 2048 dimensions, a row for each of 8 pictures per second."""

    name = "resnet152"

    def __init__(self, config: Config) -> None:
        self.config = config
        published, short_side = WEIGHTS[config.weights]
        self.view = Pictures(FPS, CROP, CROP, short_side, "BILINEAR")
        self.views = (self.view,)
        models = optional("torchvision", f"extractor {self.name!r}").models
        path = find(published, spelled(self.name, config))
        self.backbone = Backbone(models.resnet152, path, MEAN, STD)
        self._digest = sha256(path)

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        return {
            "weights": self.config.weights,
            "sha256": self._digest,
            "fps": FPS,
            "short_side": self.view.short_side,
            "crop": CROP,
            "scaling": self.view.scaling,
            "mean": list(MEAN),
            "std": list(STD),
            "revision": REVISION,
        }

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream, with a row per picture."""
        return {"visual_2d": StreamSpec(DIM, "res152", self.view.count(segment_seconds))}

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns a row per picture, zeros for segments without any."""
        rows = rows_where_seen(
            flat(chunks),
            self.view,
            self.view.count(segment_seconds),
            DIM,
            lambda seen: self.backbone.rows(
                [picture for pictures in seen for picture in pictures], self.config.batch
            ),
        )
        return {"visual_2d": rows}

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self.backbone.to(device)
