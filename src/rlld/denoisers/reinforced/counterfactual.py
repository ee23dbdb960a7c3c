"""Counterfactual credit: several action samples of one step, each compared with the others."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.actions import Revision
from rlld.denoisers.reinforced.task_learner import TaskLearner
from rlld.objectives._bce import EPSILON
from rlld.types import Batch, Prediction

PERCENT = 100.0


class Branch(NamedTuple):
    """One action sample of a step.

    Attributes:
        taken: Actions (B, 2, C), bool.
        revision: What they did.
    """

    taken: Tensor
    revision: Revision


class Counterfactual(TaskLearner):
    """REINFORCE on the validation loss after one task step, with a leave-one-out baseline.

    All samples of a step start from the same weights, optimizer state and dropout masks, so that
    their rewards differ by their labels alone; the run goes on from the last one.
    """

    _waiting: tuple[Batch, Tensor, list[Branch], list[Tensor]] | None = None

    def revise(self, batch: Batch) -> Tensor:
        """Tries all samples but the last, and returns the labels of that one (B, 2, C)."""
        logits = self.decide(batch)
        branches = [
            Branch(*self.act(batch, logits)) for _ in range(self.config.counterfactual.samples)
        ]
        target = self.config.video_target
        choices = [
            actions.targets(branch.revision.labels, batch.labels, target)
            for branch in branches[:-1]
        ]
        paid = [self._reward(each) for each in self.task.trials(batch, choices, self.validation)]
        self._waiting = (batch, logits, branches, paid)
        return branches[-1].revision.labels

    def after_step(self) -> dict[str, Tensor]:
        """Rewards the last sample too and moves the policy.

        Raises:
            RuntimeError: If no actions are waiting for a reward.
        """
        if self._waiting is None:
            raise RuntimeError("a step ended without a revision before it")
        batch, logits, branches, paid = self._waiting
        self._waiting = None
        reward = torch.stack([*paid, self._reward(self.task.predict(self.validation))])
        advantage = leave_one_out(reward)
        size = advantage.abs().mean((0, 2))
        advantage = self.scaled(advantage, size).to(logits.dtype)
        with torch.enable_grad():
            value = torch.stack(
                [
                    self._value(logits, batch.labels, branch, own)
                    for branch, own in zip(branches, advantage, strict=True)
                ]
            )
            learnt = self.ascend(value.mean(), logits, batch.labels)
        self.steps += 1
        last = branches[-1].revision
        paid_last = reward[-1].mean(-1)
        return {**self.described(batch, logits, last, reward=paid_last, credit=size), **learnt}

    def _value(self, logits: Tensor, labels: Tensor, branch: Branch, advantage: Tensor) -> Tensor:
        """Returns a scalar whose gradient is the sample's share of the policy gradient."""
        log_pi = actions.log_probabilities(logits, branch.taken, labels)
        value = (advantage * log_pi).sum(-1)
        penalised = self.penalised(value, log_pi.sum(-1), branch.revision.undone)
        return penalised.sum(1).mean()

    def _reward(self, prediction: Prediction) -> Tensor:
        by_class = validation_reward(prediction, self.validation.require_dense())
        if self.config.counterfactual.reward == "class":
            return by_class
        return by_class.mean(1, keepdim=True)


def validation_reward(prediction: Prediction, dense: Tensor) -> Tensor:
    """Returns -100 times the mean cross-entropy at video level plus that at segment level.

    Args:
        prediction: Of N videos.
        dense: Their events (N, T, 2, C), bool.

    Returns:
        (2, C), not above 0.
    """
    video = torch.stack([prediction.audio, prediction.visual], 1)
    return PERCENT * (
        _log_likelihood(video, dense.any(1)).mean(0)
        + _log_likelihood(prediction.segment, dense).mean((0, 1))
    )


def _log_likelihood(probability: Tensor, truth: Tensor) -> Tensor:
    return torch.where(truth, probability, 1 - probability).clamp(min=EPSILON).log()


def leave_one_out(reward: Tensor) -> Tensor:
    """Returns each reward less the mean of the others.

    Args:
        reward: (K, ...), K at least 2.
    """
    count = len(reward)
    return (count * reward - reward.sum(0)) / (count - 1)
