"""CLAP's front end: sound to log-mel spectrograms of ten seconds.

As defined by LAION's ``laion_clap`` (Wu et al., 2023): checkpoints trained with fusion see filters
as torchaudio makes them, the others as librosa does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.media.sampling import repeats_and_zeros, stretch_indices

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float32]

RATE = 48000
SAMPLES = 10 * RATE
FFT = 1024
HOP = 480
BANDS = 64
LOWEST = 50.0
HIGHEST = 14000.0
FLOOR = 1e-10
"""Smallest power of a band; there is no other limit to the range of the decibels."""

FRAMES = SAMPLES // HOP + 1
INT16 = 32767.0

LINEAR = 200.0 / 3
"""Hertz per mel below ``BREAK`` on the scale of Slaney, which librosa uses."""
BREAK = 1000.0
LOG_STEP = np.log(6.4) / 27
"""Logarithm of the step from mel to mel above it."""


def quantised(samples: Array) -> Array:
    """Returns sound as 16 bits hold it, cut off towards zero.

    Args:
        samples: (n,), clipped to [-1, 1].
    """
    whole = (np.clip(samples, -1.0, 1.0) * np.float32(INT16)).astype(np.int16)
    return (whole / INT16).astype(np.float32)


def repeated(samples: Array) -> Array:
    """Fills ten seconds with a short sound: as often as it fits wholly, then silence.

    Args:
        samples: (n,), n from 1 to 480000.

    Returns:
        (480000,).
    """
    repeats, zeros = repeats_and_zeros(len(samples), SAMPLES)
    return np.pad(np.tile(samples, repeats), (0, zeros))


def stretched(samples: Array) -> Array:
    """Forces a sound to ten seconds by taking the nearest samples, as VALOR's feature maps do.

    Args:
        samples: (n,), n at least 1.

    Returns:
        (480000,).
    """
    return samples[stretch_indices(len(samples), SAMPLES)]


def log_mel(waves: Tensor, slaney: bool) -> Tensor:
    """Returns the spectrograms of sounds.

    Args:
        waves: (n, 480000) at 48 kHz.
        slaney: Whether the filters are librosa's.

    Returns:
        (n, 1001, 64) in decibels.
    """
    import torch

    window = torch.hann_window(FFT, device=waves.device)
    spectrum = torch.stft(waves, FFT, HOP, window=window, return_complex=True)
    filters = torch.from_numpy(mel_filters(slaney)).to(waves.device)
    power = spectrum.real.square() + spectrum.imag.square()
    return 10 * torch.log10((power.transpose(1, 2) @ filters).clamp(min=FLOOR))


@lru_cache(maxsize=2)
def mel_filters(slaney: bool) -> Array:
    """Returns triangles (513, 64) between 50 Hz and 14 kHz.

    Args:
        slaney: Whether their corners are even on the scale of Slaney and their areas equal, or
            even on the scale 2595 log10(1 + f / 700) and their heights 1.
    """
    to_mel, to_hertz = (_slaney, _hertz_of_slaney) if slaney else (_htk, _hertz_of_htk)
    lowest, highest = to_mel(np.array([LOWEST, HIGHEST]))
    corners = to_hertz(np.linspace(lowest, highest, BANDS + 2))
    bins = np.fft.rfftfreq(FFT, 1 / RATE)[:, None]
    width = np.diff(corners)
    rising = (bins - corners[:-2]) / width[:-1]
    falling = (corners[2:] - bins) / width[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    if slaney:
        triangles *= 2 / (corners[2:] - corners[:-2])
    return triangles.astype(np.float32)


def _htk(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595 * np.log10(1 + hertz / 700)


def _hertz_of_htk(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


def _slaney(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = BREAK / LINEAR + np.log(np.maximum(hertz, BREAK) / BREAK) / LOG_STEP
    return np.where(hertz < BREAK, hertz / LINEAR, above)


def _hertz_of_slaney(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.maximum(mel - BREAK / LINEAR, 0.0)
    return np.where(mel < BREAK / LINEAR, mel * LINEAR, BREAK * np.exp(LOG_STEP * steps))
