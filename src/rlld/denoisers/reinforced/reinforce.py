"""The paper's learner: REINFORCE on inter-reward and validation scores (section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced import actions, rewards
from rlld.denoisers.reinforced.actions import Decision
from rlld.denoisers.reinforced.base import PolicyDenoiser
from rlld.denoisers.reinforced.options import Options
from rlld.types import Batch


def policy_objective(log_probability: Tensor, advantage: Tensor) -> Tensor:
    """Returns the scalar whose gradient is the policy gradient of one step (Eq. 12-15).

    Each branch is credited with its own reward (section 4.1): the mean over the videos of the sum
    over the modalities of R_m log pi(a_m).

    Args:
        log_probability: log pi per video and modality (B, 2), with its graph.
        advantage: Rewards, less a baseline if there is one (B, 2).
    """
    return (advantage.detach() * log_probability).sum(1).mean()


class Reinforce(PolicyDenoiser):
    """REINFORCE, one update per step or per episode; ``steps`` are those since the last update."""

    wants_feedback = True
    average_name = ("average", "terminal")

    def __init__(self, config: Options, spec: DataSpec) -> None:
        super().__init__(config, spec)
        # The gradient that an episode gathers has no place of its own in a recording.
        self.replayable = config.update == "step"
        self._waiting: Decision | None = None

    def act(self, batch: Batch) -> Tensor:
        """Samples actions and returns the labels they leave (B, 2, C)."""
        self._waiting = self.sampled(batch, self.logits(batch))
        return self._waiting.revision.labels

    def feedback(self, scores: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Rewards the last actions; see ``Denoiser.feedback``.

        Raises:
            RuntimeError: If no actions are waiting for a reward.
        """
        decision, self._waiting = self._waiting, None
        if decision is None:
            raise RuntimeError("feedback came without a revision before it")
        labels, logits, taken, revision = decision
        original = labels.unsqueeze(1).expand_as(revision.labels)
        inter = rewards.inter_reward(original, revision.labels, self.config.inter)
        terminal = rewards.terminal_reward(scores, self.config.terminal, logits)
        total = rewards.reward(inter, terminal, revision.undone, self.config)
        advantage = total - self._baseline(inter, terminal)
        with torch.enable_grad():
            log_pi = actions.log_probability(logits, taken, labels)
            loss = self.learn(policy_objective(log_pi, advantage), decision)
        self.steps += 1
        if self.config.update == "step":
            self._update()
        paid = {"reward": total.mean(0), "terminal": terminal, "inter": inter.mean(0)}
        return {**actions.figures(decision, **paid), "policy_loss": loss}

    def end_of_round(self) -> dict[str, Tensor]:
        """Moves the policy by the mean gradient of the episode (Eq. 15) where it waits for it."""
        if self.steps:
            self._update()
        return {}

    def _update(self) -> None:
        for parameter in self.policy.parameters():
            if parameter.grad is not None and self.steps > 1:
                parameter.grad /= self.steps
        self.move()
        self.steps = 0

    def _baseline(self, inter: Tensor, terminal: Tensor) -> Tensor:
        """Returns what is subtracted from the rewards (2,), known before this step's score."""
        if self.config.baseline == "none":
            return torch.zeros_like(terminal)
        known = (terminal if self._average is None else self._average) + inter.mean(0)
        self.average(terminal)
        return known

    def learner_state(self) -> dict[str, Any]:
        """Returns the gradient that the episode gathered too.

        To be called between steps: actions that still wait for a reward are not part of it.
        """
        gathered = {
            name: parameter.grad.clone()
            for name, parameter in self.policy.named_parameters()
            if parameter.grad is not None
        }
        return {**super().learner_state(), "gradient": gathered}

    def load_learner_state(self, state: Mapping[str, Any]) -> None:
        """Restores what ``learner_state`` returned."""
        super().load_learner_state(state)
        self._waiting = None
        for name, parameter in self.policy.named_parameters():
            gradient = state["gradient"].get(name)
            parameter.grad = None if gradient is None else gradient.clone().to(parameter.device)
