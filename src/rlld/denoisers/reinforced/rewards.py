"""Rewards of RLLD as pure functions (section 3.3, Eq. 9-11; section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from rlld.denoisers.reinforced.options import InterRewardOptions, Options, TerminalRewardOptions

CLIP = 1e-7


def soften(labels: Tensor, options: InterRewardOptions) -> Tensor:
    """Returns (1 - s) y + s / 2, or with s / C, before any normalisation.

    Args:
        labels: (..., C), 0 or 1.
        options: ``smoothing`` and ``spread``.
    """
    share = 1 / 2 if options.spread == "half" else 1 / labels.shape[-1]
    return (1 - options.smoothing) * labels + options.smoothing * share


def similarity(
    original: Tensor, revised: Tensor, options: InterRewardOptions
) -> tuple[Tensor, Tensor]:
    """Returns R1 and R2 of Eq. 9.

    Args:
        original: Weak labels (..., C), 0 or 1.
        revised: Revised labels of the same shape.
        options: The reading of the equation.

    Returns:
        R1 = exp(-(KL(l || t) + KL(t || l)) / 2) and R2 = cos(l, t), each (...), in (0, 1].
    """
    soft = soften(original, options)
    after = soften(revised, options) if options.revised == "smoothed" else revised.clamp(min=CLIP)
    if options.normalised:
        soft = soft / soft.sum(-1, keepdim=True)
        after = after / after.sum(-1, keepdim=True)
    jeffreys = ((soft - after) * (soft.log() - after.log())).sum(-1)
    return torch.exp(-jeffreys / 2), functional.cosine_similarity(soft, after, dim=-1)


def inter_reward(original: Tensor, revised: Tensor, options: InterRewardOptions) -> Tensor:
    """Returns alpha1 R1 + alpha2 R2 (Eq. 9).

    With smoothed revised labels it is largest when nothing was removed, whatever was noisy: it is
    a brake on removal, and the terminal reward has to pay for every removal.

    Args:
        original: Weak labels (..., C), 0 or 1.
        revised: Revised labels of the same shape.
        options: Weights and reading.

    Returns:
        (...).
    """
    divergence, cosine = similarity(original, revised, options)
    return options.alpha1 * divergence + options.alpha2 * cosine


def terminal_reward(
    scores: Mapping[str, float | Tensor], options: TerminalRewardOptions, like: Tensor
) -> Tensor:
    """Returns the validation-based reward of each branch (Eq. 10).

    Args:
        scores: Scores in percent by name, numbers or zero-dimensional tensors.
        options: Which scores, and their scale.
        like: A tensor of the wanted device and dtype.

    Returns:
        (2,), audio and visual.
    """
    percent = torch.stack(
        [
            torch.as_tensor(scores[name], device=like.device, dtype=like.dtype)
            for name in (options.audio, options.visual)
        ]
    )
    return percent * (options.scale / (100 if options.unit == "fraction" else 1))


def reward(inter: Tensor, terminal: Tensor, undone: Tensor, config: Options) -> Tensor:
    """Returns R(S) of each video and branch (Eq. 11), and the empty rule's reward where it acted.

    Args:
        inter: Inter-rewards (B, 2).
        terminal: Terminal rewards (2,).
        undone: Where a removal was undone (B, 2), bool.
        config: ``empty_reward`` and ``empty_replaces``.

    Returns:
        (B, 2).
    """
    return penalised(inter + terminal, undone, config)


def penalised(value: Tensor, undone: Tensor, config: Options, unit: float | Tensor = 1.0) -> Tensor:
    """Puts the empty rule's reward where it acted (section 4.1).

    Args:
        value: What each branch of each video is worth (..., B, 2).
        undone: Where a removal was undone, of the same shape, bool.
        config: ``empty_reward`` and ``empty_replaces``.
        unit: What a reward of 1 is worth there.
    """
    other = 0 if config.empty_replaces else value
    return torch.where(undone, config.empty_reward * unit + other, value)
