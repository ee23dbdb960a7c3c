"""What the learners share that reward through steps of the task network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rlld.data.split import Split
from rlld.denoisers.base import Context, TaskStep
from rlld.denoisers.reinforced import actions, figures
from rlld.denoisers.reinforced.actions import Revision
from rlld.denoisers.reinforced.learner import Learner, moments, restore_moments
from rlld.denoisers.reinforced.options import Config
from rlld.denoisers.reinforced.policy import Policy
from rlld.errors import RlldError
from rlld.types import Batch
from rlld.utils.compute import make_recordable

SMALLEST = 1e-12
"""Below this a scale is rounding, and dividing by it would make noise of nothing."""


class TaskLearner(Learner):
    """Optimizer, chance and scale of a policy; ``revise`` and ``after_step`` are the subclass's.

    Args:
        config: Options.
        policy: The policy, on its device.
        seed: Seed of the action sampling.

    Attributes:
        task: The task network of the current step.
        validation: The videos whose loss rewards.
    """

    wants_feedback = False
    task: TaskStep
    validation: Split

    def __init__(self, config: Config, policy: Policy, seed: int) -> None:
        self.config = config
        self.policy = policy
        device = next(policy.parameters()).device
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=config.lr, fused=True)
        make_recordable(self.optimizer)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.steps = 0
        self._scale: Tensor | None = None

    def prepare(self, context: Context) -> None:
        """Takes the reward videos.

        Raises:
            RlldError: If there are none.
        """
        context.reward.require_dense()
        if not len(context.reward):
            raise RlldError(
                f"denoiser reinforced: credit {self.config.credit} needs annotated validation "
                "videos, found none; annotate some, or use credit labelwise, which can do without"
            )
        self.validation = context.reward

    def before_step(self, task: TaskStep) -> None:
        """Takes the task network of this step."""
        self.task = task

    def decide(self, batch: Batch) -> Tensor:
        """Returns the policy's logits of keeping (B, 2, C), with their graph."""
        self.policy.train()
        with torch.enable_grad():
            logits: Tensor = self.policy(batch.streams, batch.labels)
        return logits

    def act(self, batch: Batch, logits: Tensor) -> tuple[Tensor, Revision]:
        """Samples actions; returns them (B, 2, C) and what they did to the labels."""
        taken = actions.sample(logits, self.generator)
        return taken, actions.revise(batch.labels, taken, self.config.empty_rule)

    def scaled(self, value: Tensor, size: Tensor) -> Tensor:
        """Divides by the moving average of a size, this step's included.

        Args:
            value: (..., 2, C) or (..., 2, 1).
            size: Mean absolute value of this step by modality (2,).
        """
        decay = self.config.baseline_decay
        before = size if self._scale is None else self._scale
        self._scale = decay * before + (1 - decay) * size
        return value / self._scale.clamp(min=SMALLEST).unsqueeze(-1)

    def penalised(self, value: Tensor, log_pi: Tensor, undone: Tensor) -> Tensor:
        """Puts the empty rule's reward where it acted, in units of the scaled credit.

        Args:
            value: What each branch of each video is worth (..., B, 2).
            log_pi: Log-probability of its actions (..., B, 2).
            undone: Where the rule acted, of the same shape.
        """
        other = 0 if self.config.empty_replaces else value
        return torch.where(undone, self.config.empty_reward * log_pi + other, value)

    def ascend(self, value: Tensor, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Moves the policy up the gradient of a value and of its entropy bonus.

        Args:
            value: A scalar with its graph.
            logits: Logits of keeping (B, 2, C), with their graph.
            labels: Weak labels (B, C).

        Returns:
            ``policy_loss`` and ``policy_gradient``, the norm of its gradient.
        """
        with torch.enable_grad():
            spread = actions.entropy(logits, labels).sum(1).mean()
            loss = -value - self.config.entropy * spread
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in self.policy.parameters() if p.grad is not None]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        norm = torch.nn.utils.get_total_norm(gradients)
        return {"policy_loss": loss.detach(), "policy_gradient": norm}

    def described(
        self, batch: Batch, logits: Tensor, revision: Revision, **own: Tensor
    ) -> dict[str, Tensor]:
        """Returns the figures of a step; ``own`` are the learner's, (2,) each."""
        decided = figures.of_decision(batch.labels, logits, revision)
        return figures.by_modality({**own, **decided})

    def state_dict(self) -> dict[str, Any]:
        """Returns optimizer, generator, scale and step count; to be called between steps."""
        return {
            "optimizer": moments(self.optimizer),
            "generator": self.generator.get_state(),
            "scale": {} if self._scale is None else {"value": self._scale.clone()},
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned; the policy's weights are restored before."""
        restore_moments(self.optimizer, state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        scale = state["scale"].get("value")
        self._scale = None if scale is None else scale.to(self.generator.device)
        self.steps = state["steps"]
