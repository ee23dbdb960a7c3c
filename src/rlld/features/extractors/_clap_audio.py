"""CLAP's front end: sound to log-mel spectrograms of ten seconds.

As defined by LAION's ``laion_clap`` (Wu et al., 2023): checkpoints trained with fusion see filters
as torchaudio makes them, the others as librosa does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.features.extractors import _mel
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
    slaneys, htks = (_mel.slaney, _mel.hertz_of_slaney), (_mel.htk, _mel.hertz_of_htk)
    to_mel, to_hertz = slaneys if slaney else htks
    lowest, highest = to_mel(np.array([LOWEST, HIGHEST]))
    corners = to_hertz(np.linspace(lowest, highest, BANDS + 2))
    bins = np.fft.rfftfreq(FFT, 1 / RATE)[:, None]
    filters = _mel.triangles(bins, corners)
    if slaney:
        filters *= 2 / (corners[2:] - corners[:-2])
    return filters.astype(np.float32)
