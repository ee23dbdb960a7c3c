"""Which claimed segments to believe: a policy that was taught on annotated segments.

A source with labels of segments can be asked about annotated videos too. There it shows what its
claims are worth beside the evidence of the networks that were trained for the policy, segment by
segment, and a policy that is logistic in both then says how probable each event is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rlld.data.split import Split
from rlld.denoisers.reinforced.labelwise.evidence import CLIP
from rlld.denoisers.reinforced.labelwise.judge import minimise
from rlld.denoisers.reinforced.policy import CHUNK
from rlld.networks._blocks import time_mean
from rlld.networks.base import Network
from rlld.types import MODALITIES, Batch

RIDGE = 1e-3
STEPS = 100
BELIEVED = 0.3
"""Probability from which an event is believed.

Networks are unsure of what they learn and answer from one half on only: labels that are as likely
true as not would leave them silent where they should speak."""
HALF = 0.5
"""A claim above it is one, and an event with a keep probability from it on is believed."""


class SegmentEvidence:
    """What networks say of the segments of videos that they were not trained on.

    Args:
        train: The training videos.
        reward: The annotated videos.
    """

    def __init__(self, train: Split, reward: Split) -> None:
        self._train, self._reward = train, reward
        self.train = _nothing(train)
        self._judged: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def reward(self) -> Tensor:
        """The mean logits of the last networks (n, T, 2, C) that a video did not teach."""
        said, unseen = (torch.stack(each) for each in zip(*self._judged.values(), strict=True))
        return (said * unseen[..., None, None, None]).sum(0) / unseen.sum(0)[:, None, None, None]

    @property
    def known(self) -> bool:
        """Whether a network was seen."""
        return bool(self._judged)

    def see(self, network: Network, videos: Tensor, teachers: Split | None = None) -> None:
        """Asks a network; what an earlier one said of the same videos is forgotten.

        Args:
            network: Trained without attention across modalities, in evaluation mode.
            videos: The training videos that it learned from (m,), int64; all of them are asked
                where none is left.
            teachers: The annotated videos that taught it, too; not all of them teach every network.
        """
        unseen = torch.ones(len(self._train), dtype=torch.bool, device=self._train.device)
        unseen[videos] = False
        own = unseen.nonzero()[:, 0] if unseen.any() else videos
        for batch in self._train.portions(CHUNK, own):
            self.train[batch.index, : batch.segments] = _logits(network, batch)
        said = _nothing(self._reward)
        for batch in self._reward.portions(CHUNK):
            said[batch.index, : batch.segments] = _logits(network, batch)
        taught = set() if teachers is None else set(teachers.ids)
        others = [name not in taught for name in self._reward.ids]
        self._judged[int(own[0])] = said, torch.tensor(others, device=said.device).to(said)


def _nothing(split: Split) -> Tensor:
    return split.labels.new_zeros(len(split), split.spec.segments, 2, split.labels.shape[1])


@torch.no_grad()
def _logits(network: Network, batch: Batch) -> Tensor:
    streams = {name: value.float() for name, value in batch.streams.items()}
    found = network.unimodal(streams, batch.mask).segment.float()
    return found.clamp(CLIP, 1 - CLIP).logit()


@dataclass(frozen=True)
class Claims:
    """What is known of the segments of some videos.

    Attributes:
        split: The videos, n of them.
        claimed: The source's labels (n, T, 2, C), in [0, 1].
        evidence: Logits of networks (n, T, 2, C).
        keep: The policy's keep probabilities (n, 2, C).
    """

    split: Split
    claimed: Tensor
    evidence: Tensor
    keep: Tensor

    def at(self, index: Tensor) -> Claims:
        """Returns some of the videos."""
        return Claims(
            self.split.subset(index), self.claimed[index], self.evidence[index], self.keep[index]
        )

    def portions(self) -> Iterator[tuple[Tensor, Claims]]:
        """Yields some videos after the other, with their places."""
        everyone = torch.arange(len(self.split), device=self.keep.device)
        for index in torch.split(everyone, CHUNK):
            yield index, self.at(index)

    @property
    def tagged(self) -> Tensor:
        """Where a tag may hold (n, T, C), bool."""
        tagged = self.split.labels.bool()[:, None].expand(-1, self.claimed.shape[1], -1)
        mask = self.split.mask
        return tagged if mask is None else tagged & mask[..., None]

    def inputs(self, modality: int) -> Tensor:
        """Returns what the policy reads of each segment (n, T, C, 7).

        Claim, claims of the neighbours, share of the video that is claimed; evidence and its mean
        over the video; the logit of keeping the tag; 1.
        """
        claim, evidence = self.claimed[:, :, modality], self.evidence[:, :, modality]
        claim = (claim > HALF).to(evidence.dtype)
        around = functional.pad(claim, (0, 0, 1, 1))
        keep = self.keep[:, None, modality].clamp(CLIP, 1 - CLIP).logit().expand_as(claim)
        means = [time_mean(each, self.split.mask)[:, None] for each in (claim, evidence)]
        share, mean = (each.expand_as(claim) for each in means)
        neighbours = around[:, :-2] + around[:, 2:]
        columns = [claim, neighbours, share, evidence, mean, keep, torch.ones_like(claim)]
        return torch.stack(columns, -1)


def believed(annotated: Claims, claims: Claims) -> Tensor:
    """Returns which events are believed, by what claims were worth on annotated videos.

    Args:
        annotated: Videos with dense annotation.
        claims: The videos to judge, N of them.

    Returns:
        Keep probabilities (N, T, 2, C): from 1/2 on, the event is believed; 0 where no tag holds.
    """
    truth, tagged = annotated.split.require_dense(), annotated.tagged
    threshold = torch.tensor(BELIEVED).logit()
    found = torch.zeros_like(claims.evidence)
    for modality in range(len(MODALITIES)):
        weights = _logistic(annotated.inputs(modality)[tagged], truth[:, :, modality][tagged])
        for index, part in claims.portions():
            keep = (part.inputs(modality) @ weights - threshold).sigmoid()
            found[index, :, modality] = keep * part.tagged
    return found


def answered(keep: Tensor, answers: Tensor) -> Tensor:
    """Returns keep probabilities (N, T, 2, C) that agree with what a person answered.

    Args:
        keep: Of every segment.
        answers: Of every video (N, 2, C): 1 present, in the likeliest segment at least; 0 absent;
            -1 not answered.
    """
    likeliest = (keep == keep.amax(1, keepdim=True)) & (answers == 1)[:, None]
    keep = torch.where(likeliest, keep.clamp(min=HALF), keep)
    return keep.masked_fill((answers == 0)[:, None], 0)


def _logistic(inputs: Tensor, target: Tensor) -> Tensor:
    """Fits logistic regression: inputs (n, F), target (n,); returns the weights (F,)."""
    weights = inputs.new_zeros(inputs.shape[1], requires_grad=True)

    def loss() -> Tensor:
        fit = functional.binary_cross_entropy_with_logits(
            inputs @ weights, target.to(inputs.dtype), reduction="sum"
        )
        return fit + RIDGE * weights.square().sum()

    with torch.enable_grad():
        minimise(loss, [weights], STEPS)
    return weights.detach()
