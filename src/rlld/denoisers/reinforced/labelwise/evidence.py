"""Evidence for a label: what networks trained on the bare tags say of its modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.split import Split
from rlld.denoisers.base import Build, Context
from rlld.denoisers.reinforced.policy import CHUNK
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import ModalityLabels
from rlld.utils.stopping import repeatable

LESSONS = {"supervision.batch_size": 32, "supervision.mixing": 0.0}
"""How annotated videos teach such a network, whose tracks do not meet: pairs would be no use."""
LEAST = 30
"""Annotated videos from which they teach such networks: the folds of fewer are learnt by heart, and
a start from what is supposed (``start``) is worth as much. It still is with 30 to 50 where it fits;
elsewhere lessons are worth 1 to 4 points of Type more."""
CLIP = 1e-3
"""Probabilities are clipped here before they become logits."""


class States(nn.Module):
    """Frozen task networks, trained on tags without cross-modal attention.

    A network that attends across modalities learns what the other one perceives, and its
    probabilities tell the label instead of the modality. Each network is trained on all but one
    fold of the training videos, so that a label can be judged by one that has not learned it.
    Annotated videos that teach the task network teach these, too, again all but one fold of them:
    nothing else tells a class that is seldom in a track from what comes with its tag.

    Args:
        build: Builds a task network.
        folds: Number of networks.
        settings: What they have other than the recipe's.
    """

    def __init__(self, build: Build, folds: int, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.networks = nn.ModuleList(build(settings) for _ in range(folds))
        self.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> States:
        """Stays in evaluation mode: the networks are frozen."""
        return super().train(mode=False)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Tensor:
        """Returns the mean logits of all networks (B, 2, C), for videos none was trained on."""
        return torch.stack([_logits(network, streams, mask) for network in self.networks]).mean(0)

    def learn(
        self, context: Context, labels: ModalityLabels, share: float, *, go_on: bool = False
    ) -> Tensor:
        """Trains the networks.

        Args:
            context: What the loop hands over.
            labels: Labels of the training split: the bare tags, or cleaned ones.
            share: Length of each training as a share of the run's, for the whole split.
            go_on: Whether they go on from where they are. On labels that were cleaned, half a
                training from there tells as much as a whole one from scratch.

        Returns:
            Logits of the training videos (N, 2, C), each by the network that did not see it.

        Raises:
            RlldError: If there are fewer training videos than networks.
        """
        train = context.train
        folds = len(self.networks)
        if len(train) < folds:
            raise RlldError(
                f"denoiser reinforced: labelwise.folds is {folds}, more than the {len(train)} "
                "training videos; bring more videos, or set --denoiser.labelwise.folds 1"
            )
        taught = self.teachers(context)
        for number, network in repeatable("learning evidence", enumerate(self.networks), folds):
            others = self._others(train, number)
            trained = context.fit(
                labels,
                share=share * len(others) / len(train),
                videos=others,
                unimodal=True,
                settings=self.settings if taught is None else {**(self.settings or {}), **LESSONS},
                start=_network(network) if go_on else None,
                teachers=None if taught is None else taught.subset(self._others(taught, number)),
            )
            network.load_state_dict(trained.state_dict())
            network.to(train.device)
        return self.crossed(train)

    def teachers(self, context: Context) -> Split | None:
        """Returns the annotated videos that teach the networks, None where there are too few."""
        found = context.teachers
        few = found is None or len(found) < LEAST or len(self.networks) == 1
        return None if few else found

    def crossed(self, split: Split) -> Tensor:
        """Returns the logits of videos that taught (N, 2, C), each by the network it did not."""
        found = split.labels.new_zeros(len(split), 2, split.labels.shape[1])
        fold = self._fold(split)
        for number, network in enumerate(self.networks):
            for batch in split.portions(CHUNK, (fold == number).nonzero()[:, 0]):
                found[batch.index] = _logits(network, batch.streams, batch.mask)
        return found

    def _fold(self, split: Split) -> Tensor:
        return torch.arange(len(split), device=split.device) % len(self.networks)

    def _others(self, split: Split, number: int) -> Tensor:
        """Returns the videos that a network may learn from (n,): all, where it is the only one."""
        alone = len(self.networks) == 1
        return ((self._fold(split) != number) | alone).nonzero()[:, 0]

    def of(self, split: Split) -> Tensor:
        """Returns the mean logits of a whole split (N, 2, C)."""
        if not len(split):
            return split.labels.new_zeros(0, 2, split.labels.shape[1])
        found = split.labels.new_zeros(len(split), 2, split.labels.shape[1])
        for batch in split.portions(CHUNK):
            found[batch.index] = self(batch.streams, batch.mask)
        return found


def _network(network: nn.Module) -> Network:
    assert isinstance(network, Network)  # noqa: S101  (ModuleList forgets it)
    return network


@torch.no_grad()
def _logits(network: nn.Module, streams: Mapping[str, Tensor], mask: Tensor | None) -> Tensor:
    network.eval()
    prediction = _network(network).unimodal(
        {name: value.float() for name, value in streams.items()}, mask
    )
    probability = torch.stack([prediction.audio, prediction.visual], 1)
    return probability.clamp(CLIP, 1 - CLIP).logit()
