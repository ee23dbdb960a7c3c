"""Co-teaching, Co-teaching+ and JoCoR as their official codes compute them, for one label a sample.

No network of ours is trained by them: they are what the multi-label form was derived from, quirks
included (``loss.py`` of xingruiyu/coteaching_plus, ``algorithm/loss.py`` of hongxin001/JoCoR).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Peers:
    """What the functions are given of a batch.

    Attributes:
        logits: Of both networks (2, B, C).
        labels: Class of each sample (B,), int64.
        index: Position of each sample in its data set (B,), int64.
        clean: Whether each sample of the data set has a right label, bool or 0/1; only to report.
    """

    logits: Tensor
    labels: Tensor
    index: Tensor
    clean: Tensor

    def at(self, rows: Tensor, index: Tensor | None = None) -> Peers:
        """Returns some of the samples, optionally with other positions."""
        positions = self.index[rows] if index is None else index
        return Peers(self.logits[:, rows], self.labels[rows], positions, self.clean)


def coteaching(peers: Peers, forget_rate: float) -> tuple[Tensor, Tensor]:
    """Co-teaching: each network learns from what has small losses for the other one.

    The mean over the n kept samples is divided by n once more, as in the official code.

    Args:
        peers: The batch.
        forget_rate: Share of the samples to drop.

    Returns:
        The losses (2,), and the shares of clean samples among those that each network chose (2,).
    """
    losses = _cross_entropies(peers.logits, peers.labels)
    count = losses.shape[1]
    number = int((1 - forget_rate) * count) or count
    chosen = losses.detach().argsort(dim=1, stable=True)[:, :number]
    exchanged = losses.gather(1, chosen.flip(0)).mean(1) / number
    return exchanged, peers.clean[peers.index[chosen]].float().mean(1)


def coteaching_plus(
    peers: Peers, forget_rate: float, step: int, agreed_steps: int = 5000
) -> tuple[Tensor, Tensor]:
    """Co-teaching+: Co-teaching on the samples whose predicted classes differ.

    As in the official code the losses take probabilities for logits, and where a differing sample
    is number 0 of its data set, the last differing sample of the batch is left out and the shares
    of clean samples look one sample too far.

    Args:
        peers: The batch.
        forget_rate: Share of the differing samples to drop.
        step: The official count, epoch times step of the epoch.
        agreed_steps: If no class differs, all samples are learnt from before this step and none
            from it on.

    Returns:
        As ``coteaching``.
    """
    classes = peers.logits.argmax(2)
    probability = peers.logits.softmax(2)
    flat = Peers(probability, peers.labels, peers.index, peers.clean)
    differing = (classes[0] != classes[1]).nonzero()[:, 0]
    index = peers.index[differing]
    index = index[index != 0]
    if len(index):
        return coteaching(flat.at(differing[: len(index)], index), forget_rate)
    losses = _cross_entropies(probability, peers.labels).mean(1)
    clean = peers.clean[peers.index].float().mean()
    return losses * float(step < agreed_steps), torch.stack([clean, clean])


def jocor(peers: Peers, forget_rate: float, agreement: float) -> tuple[Tensor, Tensor, Tensor]:
    """JoCoR: both networks learn from what has a small joint loss.

    Args:
        peers: The batch.
        forget_rate: Share of the samples to drop; if none are left the loss is NaN.
        agreement: Weight lambda of the symmetric Kullback-Leibler divergence.

    Returns:
        The loss, the share of clean samples among the kept ones, and every sample's loss (B,).
    """
    logarithms = peers.logits.log_softmax(2)
    ratio = logarithms[0] - logarithms[1]
    divergence = ((logarithms[0].exp() - logarithms[1].exp()) * ratio).sum(1)
    labels = _cross_entropies(peers.logits, peers.labels).sum(0)
    losses = (1 - agreement) * labels + agreement * divergence
    number = int((1 - forget_rate) * len(losses))
    kept = losses.detach().argsort(dim=0, stable=True)[:number]
    return losses[kept].mean(), peers.clean[peers.index[kept]].float().mean(), losses


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the cross-entropy of every sample and network (2, B)."""
    both = labels.expand(len(logits), -1)
    return functional.cross_entropy(logits.transpose(1, 2), both, reduction="none")
