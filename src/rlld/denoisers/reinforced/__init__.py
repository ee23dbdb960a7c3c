"""RLLD: a policy that removes noisy labels per modality and is rewarded by validation.

| paper | what it is | here |
|---|---|---|
| Eq. 1 | state: features beside the weak labels | ``policy.Policy`` |
| Eq. 2-3 | self- and cross-modal attention, HAN's layer | ``policy.Policy`` |
| Eq. 4 | keep probability, actions drawn from it | ``policy.Policy``, ``actions.sample`` |
| Eq. 5 | labels after removal | ``actions.revise`` |
| Eq. 6 | the fused target | ``actions.targets`` |
| Eq. 7-8 | loss of the task network | ``rlld.objectives.mil`` |
| Eq. 9 | soft inter-reward | ``rewards.inter_reward`` |
| Eq. 10 | validation-based reward | ``rewards.terminal_reward`` |
| Eq. 11 | both | ``rewards.reward`` |
| Eq. 12-15 | policy gradient | ``reinforce.policy_objective`` |
| Algorithm 1 | the steps in order | ``algorithm1``, below |
| Section 4.3 | targets of segments for VALOR | ``segments.SegmentTargets`` |

The training loop drives ``reinforce.Reinforce``, which does the same in three hooks; docs/paper.md
maps the rest of the paper. ``counterfactual``, ``first_order`` and ``labelwise`` are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced import actions, rewards
from rlld.denoisers.reinforced.base import PolicyDenoiser
from rlld.denoisers.reinforced.composed import Composed
from rlld.denoisers.reinforced.counterfactual import Counterfactual
from rlld.denoisers.reinforced.first_order import FirstOrder
from rlld.denoisers.reinforced.labelwise.denoiser import LabelwiseDenoiser
from rlld.denoisers.reinforced.options import Options
from rlld.denoisers.reinforced.policy import Policy
from rlld.denoisers.reinforced.reinforce import Reinforce, policy_objective
from rlld.networks.base import Network
from rlld.objectives.base import Objective
from rlld.types import Batch

LEARNERS: dict[str, type[PolicyDenoiser | LabelwiseDenoiser]] = {
    "paper": Reinforce,
    "labelwise": LabelwiseDenoiser,
    "counterfactual": Counterfactual,
    "first_order": FirstOrder,
}
"""Learners by the value of ``credit``."""


@dataclass(frozen=True)
class Config(Options):
    """Options of RLLD, each of which ``options.Options`` explains."""

    def build(self, spec: DataSpec) -> PolicyDenoiser | LabelwiseDenoiser | Composed:
        """Builds the denoiser for a data set."""
        policy, source = LEARNERS[self.credit](self, spec), self.source_config()
        return policy if source is None else Composed(source.build(spec), policy, spec)


def algorithm1(
    policy: Policy,
    task: Network,
    objective: Objective,
    eta: torch.optim.Optimizer,
    alpha: torch.optim.Optimizer,
    batches: Iterable[Batch],
    validate: Callable[[Network], Mapping[str, Tensor]],
    options: Options,
    generator: torch.Generator,
) -> tuple[Policy, Network]:
    """Algorithm 1 as the paper prints it, to be read; training gives the same bits (tested).

    Args:
        policy: The denoising network theta.
        task: The task network W.
        objective: Its loss (Eq. 7-8).
        eta: Moves theta.
        alpha: Moves W.
        batches: Training videos of each step t.
        validate: Returns the scores of the task network on validation videos, by name, in percent.
        options: Options with the defaults of ``update``, ``baseline`` and ``entropy``.
        generator: What actions are drawn from.
    """
    policy.train()
    for batch in batches:  # 1, 2, 8: while t <= T_max
        # 3: Generate actions by the denoising network (Eq. 1-4).
        logits = policy(batch.streams, batch.labels, batch.mask)
        taken = actions.sample(logits, generator)
        # 4: Remove the noisy labels (Eq. 5) and get the inter-reward (Eq. 9).
        revised, undone = actions.revise(batch.labels, taken, options.empty_rule)
        original = batch.labels.unsqueeze(1).expand_as(revised)
        inter = rewards.inter_reward(original, revised, options.inter)
        # 5: Train the AVVP network on what is left (Eq. 6-8).
        targets = actions.targets(revised, batch.labels, options.video_target)
        loss = objective(task.train()(batch.streams, batch.mask), targets, batch)["loss"]
        alpha.zero_grad()
        loss.backward()
        alpha.step()
        # 6: Validate the AVVP model to obtain the reward R(S) (Eq. 10-11).
        terminal = rewards.terminal_reward(validate(task), options.terminal, logits)
        reward = rewards.reward(inter, terminal, undone, options)
        # 7: Ascend the policy gradient (Eq. 12-15).
        log_pi = actions.log_probability(logits, taken, batch.labels)
        eta.zero_grad()
        (-policy_objective(log_pi, reward)).backward()  # type: ignore[no-untyped-call]
        eta.step()
    return policy, task  # 10
