"""First-order credit: what keeping each label would do to the validation loss, by one gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from rlld.denoisers.reinforced import actions, rewards
from rlld.denoisers.reinforced.actions import Decision
from rlld.denoisers.reinforced.base import SMALLEST, TaskCredit
from rlld.networks.base import Network
from rlld.objectives._bce import EPSILON, clamped_bce
from rlld.types import AUDIO, VISUAL, Batch, Prediction


class FirstOrder(TaskCredit):
    """Teaches every label of the batch by its own first-order effect on the validation loss."""

    _waiting: tuple[Decision, Tensor | None] | None = None

    @property
    def warming_up(self) -> bool:
        """Whether the task network still has to learn what its credit says."""
        return self.steps < self.config.first_order.warm_up

    def act(self, batch: Batch) -> Tensor:
        """Credits the labels at the weights before the step; returns sampled ones (B, 2, C)."""
        logits = self.logits(batch)
        if self.warming_up:
            taken = torch.ones_like(logits, dtype=torch.bool)
            revision = actions.revise(batch.labels, taken, "none")
            self._waiting = Decision(batch.labels, logits, taken, revision), None
        else:
            self._waiting = self.sampled(batch, logits), self._credit(batch)
        return self._waiting[0].revision.labels

    def after_step(self) -> dict[str, Tensor]:
        """Moves the policy.

        Raises:
            RuntimeError: If no actions are waiting for their credit.
        """
        if self._waiting is None:
            raise RuntimeError("a step ended without a revision before it")
        decision, credit = self._waiting
        self._waiting = None
        self.steps += 1
        labels, logits, taken, revision = decision
        if credit is None:
            none = logits.new_zeros(())
            learnt = {"policy_loss": none, "policy_gradient": none}
            return {**actions.figures(decision, credit=none.expand(2)), **learnt}
        weak = labels.unsqueeze(1)
        size = (credit.abs() * weak).sum((0, 2)) / labels.sum().clamp(min=1)
        clip = self.config.first_order.clip
        scaled = self.scaled(credit, size).clamp(-clip, clip).to(logits.dtype) * weak
        with torch.enable_grad():
            log_pi = actions.log_probabilities(logits, taken, labels)
            keep = logits.sigmoid()
            if self.config.first_order.form == "sampled":
                worth = scaled * (taken.to(keep.dtype) - keep).detach() * log_pi
            else:
                worth = scaled * keep
            value = rewards.penalised(worth.sum(-1), revision.undone, self.config, log_pi.sum(-1))
            learnt = self.ascend(value.sum(1).mean(), decision)
        return {**actions.figures(decision, credit=size), **learnt}

    def _credit(self, batch: Batch) -> Tensor:
        options = self.config.first_order
        count = len(self.validation)
        order = torch.randperm(count, generator=self.generator, device=self.generator.device)
        drawn = order[: options.videos]
        known, dense = self.validation.batch(drawn), self.validation.require_dense()[drawn]
        # A step of 0.01 in the weights would drown in the rounding of 16-bit products.
        with torch.autocast(batch.labels.device.type, enabled=False):
            return first_order_credit(self.task.network, batch, known, dense, options.step)


def first_order_credit(
    network: Network, batch: Batch, known: Batch, dense: Tensor, step: float
) -> Tensor:
    """Returns what keeping each label, rather than removing it, is worth.

    A label kept instead of removed moves the weights along the gradient of its logit. So the
    validation loss of gradient g falls, to first order, in proportion to the derivative of the
    logit along -g, which a central difference gives for all labels at once: logit at W - step
    g/|g| less logit at W + step g/|g|. Its half, divided by ``step`` and times |g|, is that
    derivative.

    Args:
        network: The task network; it is left as it was, bit by bit.
        batch: The videos whose labels are judged.
        known: The annotated videos of the validation loss (video level, both modalities), N of
            them.
        dense: Their events (N, T, 2, C), bool.
        step: Length of the move in weight space.

    Returns:
        (B, 2, C); positive where keeping lowers the validation loss.
    """
    training = network.training
    network.eval()
    parameters = [p for p in network.parameters() if p.requires_grad]
    with torch.enable_grad():
        loss = video_loss(network(known.streams, known.mask), dense)
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    length = torch.nn.utils.get_total_norm(gradients).clamp(min=SMALLEST)
    with torch.no_grad():
        with moved(parameters, gradients, -step / length):
            after = video_logits(network(batch.streams, batch.mask))
        with moved(parameters, gradients, step / length):
            before = video_logits(network(batch.streams, batch.mask))
    network.train(training)
    return after - before


def video_loss(prediction: Prediction, dense: Tensor) -> Tensor:
    """Returns the video-level cross-entropies of audio and visual, added.

    Args:
        prediction: Of N videos.
        dense: Their events (N, T, 2, C), bool.
    """
    truth = dense.any(1)
    audio = clamped_bce(prediction.audio, truth[:, AUDIO])
    return audio + clamped_bce(prediction.visual, truth[:, VISUAL])


def video_logits(prediction: Prediction) -> Tensor:
    """Returns the video-level logits of both modalities (B, 2, C)."""
    return torch.stack([prediction.audio, prediction.visual], 1).logit(EPSILON)


@contextmanager
def moved(
    parameters: Sequence[Tensor], direction: Sequence[Tensor], factor: Tensor
) -> Iterator[None]:
    """Adds factor times direction to the parameters, and puts their very bits back at the end."""
    kept = [parameter.detach().clone() for parameter in parameters]
    try:
        for parameter, towards in zip(parameters, direction, strict=True):
            parameter.data.add_(towards * factor)
        yield
    finally:
        for parameter, before in zip(parameters, kept, strict=True):
            parameter.data.copy_(before)
