"""Counterfactual credit: several action samples of one step, each compared with the others."""

from __future__ import annotations

import torch
from torch import Tensor

from rlld.denoisers.reinforced import actions, rewards
from rlld.denoisers.reinforced.actions import Decision
from rlld.denoisers.reinforced.base import TaskCredit
from rlld.objectives._bce import EPSILON
from rlld.types import Batch, Prediction

PERCENT = 100.0


class Counterfactual(TaskCredit):
    """REINFORCE on the validation loss after one task step, with a leave-one-out baseline.

    All samples of a step start from the same weights, optimizer state and dropout masks, so that
    their rewards differ by their labels alone; the run goes on from the last one.
    """

    _waiting: tuple[list[Decision], list[Tensor]] | None = None

    def act(self, batch: Batch) -> Tensor:
        """Tries all samples but the last, and returns the labels of that one (B, 2, C)."""
        logits = self.logits(batch)
        count = self.config.counterfactual.samples
        branches = [self.sampled(batch, logits) for _ in range(count)]
        target = self.config.video_target
        choices = [
            actions.targets(branch.revision.labels, batch.labels, target)
            for branch in branches[:-1]
        ]
        paid = [self._reward(each) for each in self.task.trials(batch, choices, self.validation)]
        self._waiting = (branches, paid)
        return branches[-1].revision.labels

    def after_step(self) -> dict[str, Tensor]:
        """Rewards the last sample too and moves the policy.

        Raises:
            RuntimeError: If no actions are waiting for a reward.
        """
        if self._waiting is None:
            raise RuntimeError("a step ended without a revision before it")
        branches, paid = self._waiting
        self._waiting = None
        last = branches[-1]
        reward = torch.stack([*paid, self._reward(self.task.predict(self.validation))])
        advantage = leave_one_out(reward)
        size = advantage.abs().mean((0, 2))
        advantage = self.scaled(advantage, size).to(last.logits.dtype)
        with torch.enable_grad():
            pairs = zip(branches, advantage, strict=True)
            value = torch.stack([self._value(branch, own) for branch, own in pairs])
            learnt = self.ascend(value.mean(), last)
        self.steps += 1
        return {**actions.figures(last, reward=reward[-1].mean(-1), credit=size), **learnt}

    def _value(self, branch: Decision, advantage: Tensor) -> Tensor:
        """Returns a scalar whose gradient is the sample's share of the policy gradient."""
        labels, logits, taken, revision = branch
        log_pi = actions.log_probabilities(logits, taken, labels)
        value = (advantage * log_pi).sum(-1)
        paid = rewards.penalised(value, revision.undone, self.config, log_pi.sum(-1))
        return paid.sum(1).mean()

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
    segments = _log_likelihood(prediction.segment, dense)
    mask = prediction.mask
    by_segment = segments.mean((0, 1)) if mask is None else segments[mask].mean(0)
    return PERCENT * (_log_likelihood(video, dense.any(1)).mean(0) + by_segment)


def _log_likelihood(probability: Tensor, truth: Tensor) -> Tensor:
    return torch.where(truth, probability, 1 - probability).clamp(min=EPSILON).log()


def leave_one_out(reward: Tensor) -> Tensor:
    """Returns each reward less the mean of the others.

    Args:
        reward: (K, ...), K at least 2.
    """
    count = len(reward)
    return (count * reward - reward.sum(0)) / (count - 1)
