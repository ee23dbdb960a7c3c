"""RLLD as a label source: a policy, and the learner that teaches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.denoisers.base import Context, Denoiser, TaskStep
from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.counterfactual import Counterfactual
from rlld.denoisers.reinforced.first_order import FirstOrder
from rlld.denoisers.reinforced.learner import Learner
from rlld.denoisers.reinforced.options import Config
from rlld.denoisers.reinforced.policy import initialised
from rlld.denoisers.reinforced.reinforce import Reinforce
from rlld.denoisers.reinforced.segments import SegmentTargets
from rlld.denoisers.reinforced.states import CHUNK
from rlld.denoisers.reinforced.task_learner import TaskLearner
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction

LEARNERS: dict[str, type[Reinforce | TaskLearner]] = {
    "paper": Reinforce,
    "counterfactual": Counterfactual,
    "first_order": FirstOrder,
}
"""Learners by the value of ``credit``."""

POLICY_SEED, ACTION_SEED = 0x5EED_0001, 0x5EED_0002


class Reinforced(Denoiser):
    """RLLD (section 3): removes labels by a policy that validation rewards.

    Attributes:
        config: Its options.
        policy: The label denoising network.
        learner: What teaches it.
    """

    learns_from_validation = needs_dense = True

    def __init__(self, config: Config, spec: DataSpec) -> None:
        self.config = config
        self.spec = spec
        self.fresh_network_each_round = config.mode == "one_epoch"
        self.policy = initialised(config, spec, POLICY_SEED)
        self.learner: Learner = self._learner(0)
        self.wants_feedback = self.learner.wants_feedback
        self.replayable = self.learner.replayable
        self.segments = SegmentTargets(config.segments)

    def prepare(self, context: Context) -> None:
        """Starts policy and learner anew from the seed of the run, on its device."""
        fresh = initialised(self.config, self.spec, context.seed + POLICY_SEED)
        self.policy.load_state_dict(fresh.state_dict())
        self.policy.to(context.device)
        self.learner = self._learner(context.seed)
        self.learner.prepare(context)
        self.segments.prepare(context.train)

    def _learner(self, seed: int) -> Learner:
        return LEARNERS[self.config.credit](self.config, self.policy, seed + ACTION_SEED)

    def generators(self) -> list[torch.Generator]:
        """Returns the generator of the actions."""
        return [self.learner.generator]

    def before_step(self, task: TaskStep) -> None:
        """Hands the task network to the learner."""
        self.learner.before_step(task)

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns labels after sampled removals; the prediction is not looked at."""
        revised = self.learner.revise(batch)
        labels = actions.targets(revised, batch.labels, self.config.video_target)
        return self.segments.added(labels, batch, lambda: self.keep_probability(batch))

    def after_step(self) -> dict[str, Tensor]:
        """Lets the policy learn from the task network after the step."""
        return self.learner.after_step()

    def feedback(self, scores: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Lets the policy learn from the validation scores after the step."""
        return self.learner.feedback(scores)

    def end_of_round(self) -> dict[str, Tensor]:
        """Ends an episode of the learner."""
        return self.learner.end_of_round()

    @torch.no_grad()
    def keep_probability(self, batch: Batch) -> Tensor:
        """Returns how probable it is that each label is kept (B, 2, C).

        Values where the weak label is 0 have no meaning.
        """
        self.policy.eval()
        chunks = [slice(at, at + CHUNK) for at in range(0, len(batch.labels), CHUNK)]
        logits = [
            self.policy({k: v[part] for k, v in batch.streams.items()}, batch.labels[part])
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
        return {
            "credit": self.config.credit,
            "policy": weights,
            "learner": self.learner.state_dict(),
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
        self.learner.load_state_dict(state["learner"])
