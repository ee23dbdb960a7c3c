"""A policy that acts on the labels of every step, and what it takes to teach it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers.base import Context, Denoiser, TaskStep
from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.actions import Decision
from rlld.denoisers.reinforced.options import Options
from rlld.denoisers.reinforced.policy import CHUNK, initialised
from rlld.denoisers.reinforced.segments import SegmentTargets
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.compute import make_recordable

POLICY_SEED, ACTION_SEED = 0x5EED_0001, 0x5EED_0002

SMALLEST = 1e-12
"""Below this a scale is rounding, and dividing by it would make noise of nothing."""


class PolicyDenoiser(Denoiser):
    """RLLD (section 3): removes labels by a policy that validation rewards.

    A subclass says how it acts (``act``) and learns (``feedback`` or ``after_step``), one for each
    value of ``credit``.

    Args:
        config: Options.
        spec: The data set.

    Attributes:
        policy: The label denoising network.
        optimizer: Its Adam.
        generator: What actions are drawn from.
        steps: Steps that count for the learner.
        average_name: Part of the learner's state that holds the moving average, and its name there.
    """

    learns_from_validation = needs_dense = True
    average_name: ClassVar[tuple[str, str]]

    def __init__(self, config: Options, spec: DataSpec) -> None:
        self.config, self.spec = config, spec
        self.fresh_network_each_round = config.mode == "one_epoch"
        self.policy = initialised(config, spec, POLICY_SEED)
        self.segments = SegmentTargets(config.segments)
        self._start(0)

    def prepare(self, context: Context) -> None:
        """Starts anew from the seed of the run, on its device."""
        fresh = initialised(self.config, self.spec, context.seed + POLICY_SEED)
        self.policy.load_state_dict(fresh.state_dict())
        self.policy.to(context.device)
        self._start(context.seed)
        self.segments.prepare(context.train)

    def _start(self, seed: int) -> None:
        parameters = list(self.policy.parameters())
        self.optimizer = torch.optim.Adam(parameters, lr=self.config.lr, fused=True)
        make_recordable(self.optimizer)
        self.generator = torch.Generator(parameters[0].device).manual_seed(seed + ACTION_SEED)
        self.steps = 0
        self._average: Tensor | None = None

    def generators(self) -> list[torch.Generator]:
        """Returns the generator of the actions."""
        return [self.generator]

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns labels after sampled removals; the prediction is not looked at."""
        revised = self.act(batch)
        labels = actions.targets(revised, batch.labels, self.config.video_target)
        return self.segments.added(labels, batch, lambda: self.keep_probability(batch))

    @abstractmethod
    def act(self, batch: Batch) -> Tensor:
        """Acts on the labels of a step; returns what is left of them (B, 2, C), 0 or 1."""

    def logits(self, batch: Batch) -> Tensor:
        """Returns the policy's logits of keeping (B, 2, C), with their graph."""
        self.policy.train()
        with torch.enable_grad():
            logits: Tensor = self.policy(batch.streams, batch.labels, batch.mask)
        return logits

    def sampled(self, batch: Batch, logits: Tensor) -> Decision:
        """Samples actions and applies them."""
        taken = actions.sample(logits, self.generator)
        revision = actions.revise(batch.labels, taken, self.config.empty_rule)
        return Decision(batch.labels, logits, taken, revision)

    def learn(self, value: Tensor, decision: Decision) -> Tensor:
        """Adds the gradient that ascends a value and its entropy bonus to the policy's.

        Args:
            value: A scalar with its graph.
            decision: What was decided; its logits have their graph.

        Returns:
            The loss, which is minus both.
        """
        with torch.enable_grad():
            spread = actions.entropy(decision.logits, decision.labels).sum(1).mean()
            loss = -value - self.config.entropy * spread
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def move(self) -> None:
        """Moves the policy by the gradient it has gathered."""
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def average(self, value: Tensor) -> Tensor:
        """Moves the moving average towards a value, in place, and returns it."""
        if self._average is None:
            self._average = value.clone()
        decay = self.config.baseline_decay
        return self._average.copy_(decay * self._average + (1 - decay) * value)

    @torch.no_grad()
    def keep_probability(self, batch: Batch) -> Tensor:
        """Returns how probable it is that each label is kept (B, 2, C).

        Values where the weak label is 0 have no meaning.
        """
        self.policy.eval()
        chunks = [slice(at, at + CHUNK) for at in range(0, len(batch.labels), CHUNK)]
        logits = [
            self.policy(
                {name: value[part] for name, value in batch.streams.items()},
                batch.labels[part],
                None if batch.mask is None else batch.mask[part],
            )
            for part in chunks
        ]
        return torch.cat(logits).sigmoid()

    def decide(self, batch: Batch, threshold: float = 0.5) -> ModalityLabels:
        """Returns the final labels: those kept with at least the probability ``threshold``.

        The empty rule of the training applies here too.
        """
        kept = self.keep_probability(batch) >= threshold
        revision = actions.revise(batch.labels, kept, self.config.empty_rule)
        return actions.targets(revision.labels, batch.labels, self.config.video_target)

    def networks(self) -> dict[str, nn.Module]:
        """Returns the policy."""
        return {"policy": self.policy}

    def state_dict(self) -> dict[str, Any]:
        """Returns weights and the learner's state; to be called between steps."""
        weights = {name: value.clone() for name, value in self.policy.state_dict().items()}
        return {"credit": self.config.credit, "policy": weights, "learner": self.learner_state()}

    def learner_state(self) -> dict[str, Any]:
        """Returns optimizer, generator, moving average and step count."""
        place, name = self.average_name
        return {
            "optimizer": _moments(self.optimizer),
            "generator": self.generator.get_state(),
            place: {} if self._average is None else {name: self._average.clone()},
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned, after ``prepare``.

        Raises:
            RlldError: If the state belongs to a learner or a policy of another kind.
        """
        found = state.get("credit")
        if found != self.config.credit:
            raise RlldError(
                f"denoiser state: written with credit {found!r}, the recipe has "
                f"{self.config.credit!r}; resume with the settings of the run"
            )
        try:
            self.policy.load_state_dict(state["policy"])
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise RlldError(
                f"denoiser state: does not fit the policy ({reason}); resume with the settings of "
                "the run"
            ) from None
        self.load_learner_state(state["learner"])

    def load_learner_state(self, state: Mapping[str, Any]) -> None:
        """Restores what ``learner_state`` returned."""
        place, name = self.average_name
        _restore_moments(self.optimizer, state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        average = state[place].get(name)
        self._average = None if average is None else average.to(self.generator.device)
        self.steps = state["steps"]


class TaskCredit(PolicyDenoiser):
    """A policy that is paid through steps of the task network; see ``before_step``.

    Attributes:
        task: The task network of the current step.
        validation: The videos whose loss rewards.
    """

    average_name = ("scale", "value")
    task: TaskStep
    validation: Split

    def prepare(self, context: Context) -> None:
        """Takes the reward videos too.

        Raises:
            RlldError: If there are none.
        """
        super().prepare(context)
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

    def scaled(self, value: Tensor, size: Tensor) -> Tensor:
        """Divides by the moving average of a size, this step's included.

        Args:
            value: (..., 2, C) or (..., 2, 1).
            size: Mean absolute value of this step by modality (2,).
        """
        return value / self.average(size).clamp(min=SMALLEST).unsqueeze(-1)

    def ascend(self, value: Tensor, decision: Decision) -> dict[str, Tensor]:
        """Moves the policy up the gradient of a value and of its entropy bonus.

        Returns:
            ``policy_loss`` and ``policy_gradient``, the norm of its gradient.
        """
        loss = self.learn(value, decision)
        gradients = [p.grad for p in self.policy.parameters() if p.grad is not None]
        self.move()
        return {
            "policy_loss": loss,
            "policy_gradient": torch.nn.utils.get_total_norm(gradients),
        }


def _moments(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """Returns copies of an optimizer's state by parameter number, without its settings."""
    return {
        number: {name: value.clone() for name, value in entry.items()}
        for number, entry in optimizer.state_dict()["state"].items()
    }


def _restore_moments(optimizer: torch.optim.Optimizer, state: Mapping[int, Any]) -> None:
    """Restores what ``_moments`` returned; the settings stay those of the recipe."""
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
