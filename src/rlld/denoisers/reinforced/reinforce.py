"""The paper's learner: REINFORCE on inter-reward and validation scores (section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlld.denoisers.reinforced import actions, figures, rewards
from rlld.denoisers.reinforced.actions import Revision
from rlld.denoisers.reinforced.learner import Learner, moments, restore_moments
from rlld.denoisers.reinforced.options import Config
from rlld.denoisers.reinforced.policy import Policy
from rlld.types import Batch
from rlld.utils.compute import make_recordable


@dataclass(frozen=True)
class Decision:
    """A step's actions, waiting for their reward.

    Attributes:
        labels: Weak labels (B, C).
        logits: Logits of keeping (B, 2, C), with their graph.
        taken: Actions (B, 2, C), bool.
        revision: What they did.
    """

    labels: Tensor
    logits: Tensor
    taken: Tensor
    revision: Revision


def policy_loss(log_probability: Tensor, advantage: Tensor) -> Tensor:
    """Returns the loss whose gradient is minus the policy gradient of one step (Eq. 13-15).

    Each branch is credited with its own reward (section 4.1): the mean over the videos of the sum
    over the modalities of R_m log pi(a_m).

    Args:
        log_probability: log pi per video and modality (B, 2), with its graph.
        advantage: Rewards, less a baseline if there is one (B, 2).
    """
    return -(advantage.detach() * log_probability).sum(1).mean()


class Reinforce(Learner):
    """REINFORCE, one update per step or per episode.

    Args:
        config: Options.
        policy: The policy, on its device.
        seed: Seed of the action sampling.
    """

    def __init__(self, config: Config, policy: Policy, seed: int) -> None:
        self.config = config
        self.policy = policy
        device = next(policy.parameters()).device
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=config.lr, fused=True)
        make_recordable(self.optimizer)
        # The gradient that an episode gathers has no place of its own in a recording.
        self.replayable = config.update == "step"
        self.generator = torch.Generator(device).manual_seed(seed)
        self._decision: Decision | None = None
        self._steps = 0
        self._average: Tensor | None = None

    def revise(self, batch: Batch) -> Tensor:
        """Samples actions and returns the labels they leave (B, 2, C)."""
        self.policy.train()
        with torch.enable_grad():
            logits = self.policy(batch.streams, batch.labels)
        taken = actions.sample(logits, self.generator)
        revision = actions.revise(batch.labels, taken, self.config.empty_rule)
        self._decision = Decision(batch.labels, logits, taken, revision)
        return revision.labels

    def feedback(self, scores: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Rewards the last actions; see ``Learner.feedback``.

        Raises:
            RuntimeError: If no actions are waiting for a reward.
        """
        decision = self._decision
        if decision is None:
            raise RuntimeError("feedback came without a revision before it")
        self._decision = None
        labels, logits = decision.labels, decision.logits
        options = self.config.inter
        original = labels.unsqueeze(1).expand_as(decision.revision.labels)
        inter = rewards.inter_reward(original, decision.revision.labels, options)
        terminal = rewards.terminal_reward(scores, self.config.terminal, logits)
        total = rewards.reward(inter, terminal, decision.revision.undone, self.config)
        advantage = total - self._baseline(inter, terminal)
        with torch.enable_grad():
            log_pi = actions.log_probability(logits, decision.taken, labels)
            spread = actions.entropy(logits, labels)
            loss = policy_loss(log_pi, advantage) - self.config.entropy * spread.sum(1).mean()
            loss.backward()  # type: ignore[no-untyped-call]
        self._steps += 1
        if self.config.update == "step":
            self._update()
        paid = {"reward": total.mean(0), "terminal": terminal, "inter": inter.mean(0)}
        decided = figures.of_decision(labels, logits, decision.revision)
        return {**figures.by_modality({**paid, **decided}), "policy_loss": loss.detach()}

    def end_of_round(self) -> dict[str, Tensor]:
        """Moves the policy by the mean gradient of the episode (Eq. 15) where it waits for it."""
        if self._steps:
            self._update()
        return {}

    def _update(self) -> None:
        for parameter in self.policy.parameters():
            if parameter.grad is not None and self._steps > 1:
                parameter.grad /= self._steps
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._steps = 0

    def _baseline(self, inter: Tensor, terminal: Tensor) -> Tensor:
        """Returns what is subtracted from the rewards (2,), known before this step's score."""
        if self.config.baseline == "none":
            return torch.zeros_like(terminal)
        if self._average is None:
            self._average = terminal.clone()
        decay, known = self.config.baseline_decay, self._average + inter.mean(0)
        self._average.copy_(decay * self._average + (1 - decay) * terminal)
        return known

    def state_dict(self) -> dict[str, Any]:
        """Returns optimizer, generator, baseline and the gradient that the episode gathered.

        To be called between steps: actions that still wait for a reward are not part of it.
        """
        gathered = {
            name: parameter.grad.clone()
            for name, parameter in self.policy.named_parameters()
            if parameter.grad is not None
        }
        average = {} if self._average is None else {"terminal": self._average.clone()}
        return {
            "optimizer": moments(self.optimizer),
            "generator": self.generator.get_state(),
            "average": average,
            "steps": self._steps,
            "gradient": gathered,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned; the policy's weights are restored before."""
        restore_moments(self.optimizer, state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        device = self.generator.device
        average = state["average"].get("terminal")
        self._average = None if average is None else average.to(device)
        self._steps = state["steps"]
        self._decision = None
        for name, parameter in self.policy.named_parameters():
            gradient = state["gradient"].get(name)
            parameter.grad = None if gradient is None else gradient.clone().to(device)
