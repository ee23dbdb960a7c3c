"""``vggish``: 128 numbers per segment of sound, as in the published LLP features.

The front end and the network are those of Hershey et al., "CNN architectures for large-scale audio
classification" (2017), as defined in ``research/audioset`` of the TensorFlow models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import base, spelled
from rlld.features.base import Extractor, Rows, flat, rows_where_seen
from rlld.features.extractors._mel import triangles
from rlld.features.extractors._towers import load_whole, read_state
from rlld.features.weights import PublishedWeights, find
from rlld.media.views import Chunk, Sound
from rlld.utils.files import sha256

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Array = NDArray[np.float32]
Network = TypeVar("Network", bound="nn.Module")

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

RELEASE = "https://github.com/harritaylor/torchvggish/releases/download/v0.1/"
WEIGHTS = PublishedWeights("vggish-10086976.pth", f"{RELEASE}vggish-10086976.pth", "10086976")
PCA = PublishedWeights(
    "vggish_pca_params-970ea276.pth", f"{RELEASE}vggish_pca_params-970ea276.pth", "970ea276"
)

RATE = 16000
WINDOW = 400
HOP = 160
FFT = 512
BANDS = 64
LOWEST = 125.0
HIGHEST = 7500.0
OFFSET = 0.01
"""Added to the mel spectrum before the logarithm."""

FRAMES = 96
"""Frames of an example: what the network sees at once, 0.96 seconds."""

SAMPLES = (FRAMES - 1) * HOP + WINDOW
"""Samples of an example."""

DIM = 128
CHANNELS = ((64,), (128,), (256, 256), (512, 512))
"""Channels of the convolutions, a group before each max-pooling."""

CLIP = 2.0
"""Largest magnitude that the 8 bits of a quantised embedding stand for."""

BATCH = 64
"""Examples in one go of the network; 64 need about 0.4 GB."""


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters; the defaults give the form of the published LLP features.

    Attributes:
        activation: Whether a ReLU follows the last layer, as in the network's definition until
            2020 and in the LLP features; later definitions leave it out.
        pca: Whether the embedding is transformed by the published whitening, as the features
            published with AudioSet are.
        quantised: Whether the transformed embedding is then clipped to [-2, 2] and cut to 8 bits,
            0 to 255; needs ``pca``.

    Raises:
        RlldError: If ``quantised`` is asked for without ``pca``.
    """

    activation: bool = True
    pca: bool = False
    quantised: bool = False

    def __post_init__(self) -> None:
        if self.quantised and not self.pca:
            raise RlldError(
                "extractor 'vggish': 8 bits are defined for the transformed embedding only; give "
                "pca=true with quantised=true"
            )

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the weights that it needs."""
        return (WEIGHTS, PCA) if self.pca else (WEIGHTS,)


@Config.makes
class VGGish(Extractor):
    """The ``vggish`` extractor."""

    name = "vggish"
    views = (Sound(RATE),)

    def __init__(self, config: Config) -> None:
        import torch

        paths = [find(file, spelled(self.name, config)) for file in config.files()]
        self.config = config
        self._digests = [sha256(path) for path in paths]
        self._network = _filled(_network(config.activation), paths[0])
        self._whitening = _filled(_whitening(), paths[1]) if config.pca else None
        self._device = torch.device("cpu")

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        return {**asdict(self.config), "weights": self._digests, "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream, in the published layout."""
        return {"audio": StreamSpec(DIM, "vggish")}

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._device = device
        for module in filter(None, (self._network, self._whitening)):
            module.to(device)

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns one row per segment."""
        rows = rows_where_seen(
            flat(chunks), self.views[0], 1, DIM, lambda heard: self._rows(np.stack(heard))
        )
        return {"audio": rows}

    def _rows(self, samples: Array) -> Array:
        import torch

        waves = examples(samples)
        plain = waves.reshape(-1, SAMPLES)
        with torch.inference_mode():
            parts = [
                self._embed(torch.from_numpy(plain[start : start + BATCH]).to(self._device))
                for start in range(0, len(plain), BATCH)
            ]
            rows = torch.cat(parts).view(len(samples), -1, DIM).mean(1)
            if self._whitening is not None:
                means, vectors = self._whitening["pca_means"], self._whitening["pca_eigen_vectors"]
                rows = (rows - means.T) @ vectors.T
            if self.config.quantised:
                rows = quantised(rows)
            result: Array = rows.cpu().numpy()
        return result

    def _embed(self, waves: Tensor) -> Tensor:
        maps = self._network["features"](log_mel(waves)[:, None])
        # Flattened in the order time, frequency, channel, which the linear layers were trained on.
        result: Tensor = self._network["embeddings"](maps.permute(0, 2, 3, 1).flatten(1))
        return result


def examples(samples: Array) -> Array:
    """Cuts segments into the examples of the network, one after the other without overlap.

    Args:
        samples: (n, length) at 16 kHz; less than an example is filled up with silence, a rest of
            less than an example is left out.

    Returns:
        (n, k, 15600): 96 frames each; k is 1 for segments of a second, 2 for two seconds.
    """
    padded = np.pad(samples, ((0, 0), (0, max(0, SAMPLES - samples.shape[1]))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SAMPLES, axis=1)
    return windows[:, :: FRAMES * HOP].copy()


def log_mel(waves: Tensor) -> Tensor:
    """Returns the log-mel spectrogram of examples.

    Computed in float64, as the published front end does: beside a loud tone the rounding of
    float32 is heard in the quiet bands, and the network takes far longer anyway.

    Args:
        waves: (n, 15600) in [-1, 1] at 16 kHz.

    Returns:
        (n, 96, 64), float32: logarithm of 0.01 plus the magnitudes in 64 bands, every 10 ms.
    """
    import torch

    window = torch.hann_window(WINDOW, dtype=torch.float64, device=waves.device)
    frames = waves.double().unfold(1, WINDOW, HOP) * window
    filters = torch.from_numpy(mel_filters()).to(waves.device)
    return torch.log(torch.fft.rfft(frames, FFT).abs() @ filters + OFFSET).float()


@lru_cache(maxsize=1)
def mel_filters() -> NDArray[np.float64]:
    """Returns triangles (257, 64) with straight flanks on the mel scale, 125 Hz to 7.5 kHz.

    The bin at 0 Hz belongs to no band.
    """
    bins = _mel(np.arange(FFT // 2 + 1) * (RATE / FFT))[:, None]
    edges = np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2)
    filters = triangles(bins, edges)
    filters[0] = 0.0
    return filters


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(hertz / 700.0)


def quantised(rows: Tensor) -> Tensor:
    """Returns 8 bits, 0 to 255 as floats, of values in [-2, 2].

    Cut off, not rounded: so did the program that made the features published with AudioSet.
    """
    return ((rows.clamp(-CLIP, CLIP) + CLIP) * (255.0 / (2 * CLIP))).floor()


def _network(activation: bool) -> nn.ModuleDict:
    """Returns the network without its weights, its names those of the published file."""
    import torch
    from torch import nn

    with torch.device("meta"):
        layers: list[nn.Module] = []
        before = 1
        for group in CHANNELS:
            for channels in group:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
                before = channels
            layers.append(nn.MaxPool2d(2))
        flat = before * (FRAMES // 16) * (BANDS // 16)
        linear = [nn.Linear(flat, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
        linear += [nn.Linear(4096, DIM), *([nn.ReLU()] if activation else [])]
        return nn.ModuleDict(
            {"features": nn.Sequential(*layers), "embeddings": nn.Sequential(*linear)}
        )


def _whitening() -> nn.ParameterDict:
    """Returns the published transformation without its numbers: a matrix and a column of means."""
    import torch
    from torch import nn

    with torch.device("meta"):
        shapes = {"pca_eigen_vectors": (DIM, DIM), "pca_means": (DIM, 1)}
        return nn.ParameterDict({name: torch.empty(shape) for name, shape in shapes.items()})


def _filled(network: Network, path: Path) -> Network:
    """Fills a network with a file of weights.

    Raises:
        RlldError: If it is damaged, or holds other weights.
    """
    state = read_state(path)
    # The other published conversion (tcvrick's) differs in a name, the PCA's means in their shape.
    named = {re.sub(r"^fc\.", "embeddings.", key): value for key, value in state.items()}
    if "pca_means" in named:
        named["pca_means"] = named["pca_means"].reshape(-1, 1)
    filled = network.to_empty(device="cpu")
    load_whole(filled, named, path)
    return filled
