"""``light``: hand-made sound, picture and motion descriptors; nothing to download.

They are good enough to learn clips with clear sounds and shapes from, such as rendered ones, and
no replacement for learned features (VGGish, ResNet, R(2+1)D) on real video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.features import base
from rlld.features.base import Extractor, Rows, flat
from rlld.features.extractors._mel import hertz_of_htk, htk
from rlld.features.weights import PublishedWeights
from rlld.media.views import Chunk, Pictures, Sound
from rlld.utils.config import Weight, Width

Array = NDArray[np.float32]

REVISION = 4
"""Raised whenever the numbers change for the same parameters."""

FFT = 512
HOP = 160
BAND_GROUPS = 8
MODULATIONS = ((1.5, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 24.0))
"""Rhythms of sound in Hz: slow events, syllables, fast strokes, roughness."""

RHYTHMS = ((0.5, 1.5), (1.5, 2.5), (2.5, 3.5), (3.5, 4.5))
"""Rhythms of motion in Hz, up to half of 8 pictures per second."""

GRID = 4
ORIENTATIONS = 8
COLOURS = 4

TILE = 8
"""Pixels of the side of a tile, from 2 x 2 of which a visual word is read."""

WORDS = 256
LARGEST = 12
STILL = 0.04
"""Change of brightness below which a pixel counts as still: sensor noise."""


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        rate: Samples per second.
        bands: Mel bands, a multiple of 8.
        fps: Pictures per second.
        width: Picture width in pixels, a multiple of 8.
        height: Picture height in pixels, a multiple of 8.
    """

    rate: Width = 16000
    bands: Width = 48
    fps: Weight = 8.0
    width: Width = 64
    height: Width = 48

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the weights that it needs: none."""
        return ()


@Config.makes
class Light(Extractor):
    """The ``light`` extractor: 128 sound, 512 picture and 209 motion dimensions by default."""

    name = "light"
    alone = True

    def __init__(self, config: Config) -> None:
        self.config = config
        self.views = (Sound(config.rate), Pictures(config.fps, config.width, config.height))

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        return {**asdict(self.config), "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its streams; the dimensions do not depend on the segment length."""
        cells = GRID * GRID
        return {
            "audio": StreamSpec(2 * self.config.bands + BAND_GROUPS * len(MODULATIONS), "audio"),
            "visual_2d": StreamSpec(cells * (4 + ORIENTATIONS) + COLOURS**3 + WORDS, "visual_2d"),
            "visual_3d": StreamSpec(_motion_dim(), "visual_3d"),
        }

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns one row per stream and segment."""
        streams = self.streams(segment_seconds)
        empty = {name: np.zeros(spec.dim, np.float32) for name, spec in streams.items()}
        rows: list[dict[str, Array]] = []
        before, shown = None, empty
        for segment in flat(chunks):
            samples, frames = (segment.views[view] for view in self.views)
            # A picture that stands for minutes is described once.
            if before is None or frames is None or not np.array_equal(frames, before):
                before, shown = frames, _shown(frames, segment_seconds)
            rows.append({**empty, **shown, **self._heard(samples)})
        return {name: np.stack([row[name] for row in rows]) for name in empty}

    def _heard(self, samples: Array | None) -> dict[str, Array]:
        if samples is None:
            return {}
        return {"audio": audio_row(samples, self.config.rate, self.config.bands)}


def _shown(frames: NDArray[np.uint8] | None, segment_seconds: float) -> dict[str, Array]:
    if frames is None:
        return {}
    planes = ycc(frames)
    return {
        "visual_2d": picture_row(frames, planes),
        "visual_3d": motion_row(frames, planes, segment_seconds),
    }


def audio_row(samples: Array, rate: int, bands: int) -> Array:
    """Returns mean and spread of the log-mel bands and their rhythms.

    Args:
        samples: (n,) in [-1, 1]; shorter than a window is padded with silence.
        rate: Samples per second.
        bands: Mel bands.

    Returns:
        (2 * bands + 32,), roughly in [-2, 2].
    """
    samples = np.pad(samples, (0, max(0, FFT + HOP - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(samples, FFT)[::HOP]
    spectrum = np.abs(np.fft.rfft(windows * np.hanning(FFT).astype(np.float32))) ** 2
    # einsum sums in one order on every machine load; a threaded matrix product need not.
    mel = np.log10(np.einsum("fk,kb->fb", spectrum, mel_filters(rate, bands)) + 1e-5)
    rhythm = _band_power(mel, HOP / rate, MODULATIONS)
    groups = rhythm.reshape(len(MODULATIONS), BAND_GROUPS, -1).mean(2)
    row = [mel.mean(0) / 2.0, mel.std(0) * 1.5, np.log10(groups + 1e-3).ravel() + 1.5]
    return _scaled(row)


@lru_cache(maxsize=4)
def mel_filters(rate: int, bands: int) -> Array:
    """Returns triangular filters (257, bands), equally wide on the mel scale, from 50 Hz up."""
    edges = hertz_of_htk(np.linspace(htk(50.0), htk(0.475 * rate), bands + 2))
    frequencies = np.fft.rfftfreq(FFT, 1.0 / rate)[:, None]
    # Low bands are narrower than a bin: widen them so that none is empty.
    width = np.maximum(np.diff(edges), rate / FFT)
    rising = (frequencies - edges[1:-1] + width[:-1]) / width[:-1]
    falling = (edges[1:-1] + width[1:] - frequencies) / width[1:]
    filters: Array = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    return filters


def ycc(frames: NDArray[np.uint8]) -> Array:
    """Returns brightness and two colour differences (3, F, H, W), in [0, 1] and [-0.5, 0.5]."""
    red, green, blue = np.moveaxis(frames, 3, 0).astype(np.float32) / 255.0
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([brightness, (blue - brightness) * 0.564, (red - brightness) * 0.713])


def picture_row(frames: NDArray[np.uint8], planes: Array) -> Array:
    """Returns colour layout, colour histogram, edge orientations, texture and visual words.

    Args:
        frames: (F, H, W, 3), RGB.
        planes: The same as ``ycc`` gives it.

    Returns:
        Means over the pictures: colour per cell (3 x 16), histogram of 64 colours, edge
        orientations per cell (16 x 8), texture per cell (16) and words (256), mostly in [-2, 2].
    """
    layout = np.stack([_cells(plane).mean(0) for plane in planes])
    layout = (layout - [[0.5], [0.0], [0.0]]) * [[3.0], [6.0], [6.0]]
    codes = _colours(frames)
    histogram = np.bincount(codes.ravel(), minlength=COLOURS**3) / codes.size
    down, across = np.gradient(planes[0], axis=(1, 2))
    texture = _cells(np.abs(down) + np.abs(across)).mean(0)
    row = [
        layout.ravel(),
        np.sqrt(histogram) * 2.0,
        _orientations(down, across),
        np.log10(texture + 1e-3) + 1.5,
        _words(planes[:, ::2], down[::2], across[::2]),
    ]
    return _scaled(row)


def _colours(frames: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Returns which of 64 colours each pixel has."""
    red, green, blue = np.moveaxis((frames >> 6).astype(np.intp), 3, 0)
    codes: NDArray[np.intp] = (red * COLOURS + green) * COLOURS + blue
    return codes


def _words(planes: Array, down: Array, across: Array) -> Array:
    """Returns how strongly each visual word occurs anywhere in the picture, mean over pictures.

    A word is a fixed random direction in the space of small patches (colour, contrast and edge
    orientations of 2 x 2 tiles); taking the strongest patch makes it indifferent to place.
    """
    bins = np.arctan2(down, across) * (ORIENTATIONS / np.pi) % ORIENTATIONS
    strength = np.hypot(down, across)
    parts = []
    for plane, centre, scale in zip(planes, (0.5, 0.0, 0.0), (2.0, 6.0, 6.0), strict=True):
        mean = _tiles(plane)
        spread = np.sqrt(np.maximum(_tiles(plane**2) - mean**2, 0.0))
        parts += [(mean - centre) * scale, spread * 2.0 * scale]
    for number in range(ORIENTATIONS):
        chosen = bins.astype(np.intp) % ORIENTATIONS == number
        parts.append(np.sqrt(_tiles(strength * chosen)) * 8.0)
    tiles = np.stack(parts, axis=-1)
    corners = (tiles[:, :-1, :-1], tiles[:, 1:, :-1], tiles[:, :-1, 1:], tiles[:, 1:, 1:])
    patches = np.concatenate(corners, axis=-1)
    directions, offsets = _vocabulary(patches.shape[-1])
    found = np.einsum("fhwk,kn->fhwn", patches, directions) - offsets
    strongest: Array = np.maximum(found.max((1, 2)), 0.0).mean(0)
    return strongest


@lru_cache(maxsize=1)
def _vocabulary(size: int) -> tuple[Array, Array]:
    # RandomState promises the same numbers in every version of numpy.
    random = np.random.RandomState(7)
    directions = random.standard_normal((size, WORDS)) / np.sqrt(size / 4)
    return directions.astype(np.float32), random.uniform(0.2, 2.0, WORDS).astype(np.float32)


def _orientations(down: Array, across: Array) -> Array:
    """Returns the share of each edge orientation per cell, by magnitude, (16 * 8,)."""
    strength = np.hypot(down, across)
    angle = np.arctan2(down, across) * (ORIENTATIONS / np.pi) % ORIENTATIONS
    bins = angle.astype(np.intp) % ORIENTATIONS
    height, width = strength.shape[1:]
    rows = np.arange(height)[:, None] * GRID // height
    columns = np.arange(width)[None] * GRID // width
    code = (rows * GRID + columns) * ORIENTATIONS + bins
    total = np.bincount(code.ravel(), strength.ravel(), GRID * GRID * ORIENTATIONS)
    total = total.reshape(-1, ORIENTATIONS)
    # The constant keeps faint noise of an even wall from looking like strong edges.
    share = total / (total.sum(1, keepdims=True) + 0.01 * strength.size / GRID**2)
    result: Array = (np.sqrt(share) * 2.0).astype(np.float32).ravel()
    return result


def motion_row(frames: NDArray[np.uint8], planes: Array, segment_seconds: float) -> Array:
    """Returns strength, unrest, direction and rhythm of motion, and the colours of what moves.

    Args:
        frames: (F, H, W, 3), RGB.
        planes: The same as ``ycc`` gives it.
        segment_seconds: Time that the F pictures cover.

    Returns:
        Per cell the strength (16), its spread over time (16), the direction across and down
        (2 x 16) and the rhythm of the brightness (4 x 16); wherever it is in the picture the
        colours of what moves (64), the strongest tiles (12), and the rhythm (4) and spread (1) of
        all motion; roughly in [-2, 2]. Zeros for a single picture.
    """
    brightness = planes[0]
    if len(brightness) < 2:
        return np.zeros(_motion_dim(), np.float32)
    step = segment_seconds / len(brightness)
    change = np.diff(brightness, axis=0)
    strength = _cells(np.abs(change))
    down, across = np.gradient(brightness[:-1], axis=(1, 2))
    flow = np.stack([_cells(-change * across).mean(0), _cells(-change * down).mean(0)])
    rhythm = _band_power(_cells(brightness), step, RHYTHMS)
    tiles = _tiles(np.abs(change)).reshape(len(change), -1)
    overall = tiles.sum(1, keepdims=True)
    row = [
        np.log10(strength.mean(0) + 1e-3) + 2.0,
        np.log10(strength.std(0) + 1e-3) + 2.0,
        (np.sign(flow) * np.sqrt(np.abs(flow)) * 20.0).ravel(),
        np.log10(rhythm + 1e-6).ravel() / 2.0 + 2.0,
        _moving_colours(frames, np.maximum(np.abs(change) - STILL, 0.0)),
        np.log10(np.sort(tiles.mean(0))[: -LARGEST - 1 : -1] + 1e-3) + 2.0,
        np.log10(_band_power(overall, step, RHYTHMS).ravel() + 1e-4) / 2.0 + 1.0,
        np.log10(overall.std(0) + 1e-3) + 1.0,
    ]
    return _scaled(row)


def _motion_dim() -> int:
    return GRID**2 * (4 + len(RHYTHMS)) + COLOURS**3 + LARGEST + len(RHYTHMS) + 1


def _moving_colours(frames: NDArray[np.uint8], change: Array) -> Array:
    """Returns the histogram of 64 colours before and after each change, weighted by it."""
    codes = _colours(frames)
    total = np.bincount(codes[1:].ravel(), change.ravel(), COLOURS**3)
    total += np.bincount(codes[:-1].ravel(), change.ravel(), COLOURS**3)
    # The constant keeps what little moves in a still picture from filling the histogram.
    result: Array = (np.sqrt(total / (total.sum() + 5.0)) * 2.0).astype(np.float32)
    return result


def _tiles(planes: Array) -> Array:
    """Returns means (F, H / 8, W / 8) of tiles of 8 x 8 pixels."""
    count, height, width = planes.shape
    tiles = planes.reshape(count, height // TILE, TILE, width // TILE, TILE)
    means: Array = tiles.mean((2, 4))
    return means


def _cells(planes: Array) -> Array:
    """Returns cell means (F, 16) of pictures (F, H, W)."""
    count, height, width = planes.shape
    grid = planes.reshape(count, GRID, height // GRID, GRID, width // GRID)
    means: Array = grid.mean((2, 4)).reshape(count, -1)
    return means


def _band_power(signal: Array, step: float, limits: tuple[tuple[float, float], ...]) -> Array:
    """Returns the power of each column of a signal (n, k) in frequency bands, (bands, k)."""
    length = len(signal)
    window = np.hanning(length + 2)[1:-1].astype(np.float32)[:, None]
    power = np.abs(np.fft.rfft((signal - signal.mean(0)) * window, axis=0)) ** 2 / length**2
    frequencies = np.fft.rfftfreq(length, step)
    # A short segment may have no frequency in a band: the nearest one stands for it.
    bands = []
    for low, high in limits:
        inside = (frequencies >= low) & (frequencies < high)
        if not inside.any():
            inside[np.argmin(np.abs(frequencies - (low + high) / 2))] = True
        bands.append(power[inside].sum(0))
    return np.stack(bands).astype(np.float32)


def _scaled(parts: list[Any]) -> Array:
    row: Array = np.clip(np.concatenate([np.ravel(part) for part in parts]), -4.0, 4.0)
    return row.astype(np.float32)
