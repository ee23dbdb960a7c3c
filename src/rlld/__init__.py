"""rlld: weakly-supervised audio-visual video parsing with reinforced label denoising."""

from rlld.errors import RlldError

__all__ = ["RlldError"]
