"""The REINFORCE gradient against the analytic gradient of the expected reward.

Two videos with two and one weak labels: 2**6 joint actions over both modalities. The expectation is
written out here in plain Python, rewards included; the gradient under test comes from the denoiser
as the training loop drives it, with every joint action forced in turn, or with sampled ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from rlld.data.spec import DataSpec, StreamSpec
from rlld.denoisers.reinforced import Config, actions
from rlld.denoisers.reinforced.options import InterRewardOptions
from rlld.denoisers.reinforced.reinforce import Reinforce
from rlld.types import Batch, ModalityLabels

SPEC = DataSpec(
    "toy", ("a", "b", "c"), 2, 1.0, {"audio": StreamSpec(2), "visual_2d": StreamSpec(3)}
)
LABELS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).double()
PRESENT = [(i, m, c) for i in range(2) for m in range(2) for c in range(3) if LABELS[i, c]]
Scores = Callable[[torch.Tensor], dict[str, float]]


def batch() -> Batch:
    generator = torch.Generator().manual_seed(2)
    streams = {
        name: torch.randn(2, 2, dim, generator=generator, dtype=torch.float64)
        for name, dim in SPEC.dims.items()
    }
    return Batch(streams, LABELS, torch.arange(2))


def constant_scores(_: torch.Tensor) -> dict[str, float]:
    return {"segment_audio": 31.0, "event_visual": 17.0}


def scores_of_the_whole_batch(revised: torch.Tensor) -> dict[str, float]:
    """Any function of all revised labels: what a task network makes of them."""
    audio, visual = revised[:, 0], revised[:, 1]
    return {
        "segment_audio": 20 + 7 * audio[0, 0].item() - 5 * visual[1, 1].item(),
        "event_visual": 15 - 9 * visual[0, 2].item() + 4 * (audio[1, 1] * visual[0, 0]).item(),
    }


def joint_actions() -> Iterator[torch.Tensor]:
    for bits in itertools.product([False, True], repeat=len(PRESENT)):
        taken = torch.ones(2, 2, 3, dtype=torch.bool)
        for place, bit in zip(PRESENT, bits, strict=True):
            taken[place] = bit
        yield taken


def plain_inter(weak: list[float], revised: list[float]) -> float:
    soft, after = ([0.9 * y + 0.05 for y in row] for row in (weak, revised))
    soft, after = [x / sum(soft) for x in soft], [x / sum(after) for x in after]
    pairs = list(zip(soft, after, strict=True))
    divergence = sum(a * math.log(a / b) + b * math.log(b / a) for a, b in pairs)
    cosine = sum(a * b for a, b in pairs) / math.hypot(*soft) / math.hypot(*after)
    return 0.6 * math.exp(-divergence / 2) + 0.4 * cosine


def plain_rewards(taken: torch.Tensor, rule: str, scores: Scores) -> list[list[float]]:
    revised = LABELS.unsqueeze(1) * taken
    undone = [[False, False], [False, False]]
    for i in range(2):
        empty = [not revised[i, m].any() for m in range(2)]
        for m in range(2):
            if (rule == "both" and all(empty)) or (rule == "modality" and empty[m]):
                undone[i][m] = True
                revised[i, m] = LABELS[i]
    named = scores(revised)
    terminal = [0.1 * named["segment_audio"], 0.1 * named["event_visual"]]
    return [
        [
            -1.0
            if undone[i][m]
            else terminal[m] + plain_inter(LABELS[i].tolist(), revised[i, m].tolist())
            for m in range(2)
        ]
        for i in range(2)
    ]


def expected_gradient(
    denoiser: Reinforce, rule: str, scores: Scores, own_branch_only: bool
) -> torch.Tensor:
    """Gradient of the expected mean reward, flattened.

    Each branch of each video is an agent with its own reward (section 4.1). When that reward
    depends on the other agents too, the gradient is taken through the agent's own policy alone.
    """
    keep = denoiser.policy(batch().streams, LABELS).sigmoid()
    objective = torch.zeros((), dtype=torch.float64)
    for taken in joint_actions():
        agent = torch.ones(2, 2, dtype=torch.float64)
        factors = [[agent[i, m] for m in range(2)] for i in range(2)]
        for i, m, c in PRESENT:
            p = keep[i, m, c]
            factors[i][m] = factors[i][m] * (p if taken[i, m, c] else 1 - p)
        value = plain_rewards(taken, rule, scores)
        for i, m in itertools.product(range(2), range(2)):
            others = math.prod(
                [factors[j][n] for j in range(2) for n in range(2) if (j, n) != (i, m)],
                start=torch.ones((), dtype=torch.float64),
            )
            if own_branch_only:
                others = others.detach()
            objective = objective + factors[i][m] * others * value[i][m] / 2
    gradients = torch.autograd.grad(objective, list(denoiser.policy.parameters()))
    return torch.cat([gradient.flatten() for gradient in gradients])


def step(denoiser: Reinforce, scores: Scores) -> torch.Tensor:
    """One step of the loop; returns the policy gradient (of ascent), flattened."""
    revised: ModalityLabels = denoiser.revise(batch(), None)
    denoiser.feedback(scores(torch.stack([revised.audio, revised.visual], 1)))
    parameters = list(denoiser.policy.parameters())
    gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
    for parameter in parameters:
        parameter.grad = None
    return -gradient


def toy(rule: str, **options: Any) -> Reinforce:
    # Updates per episode, and no episode ends here: the policy stays where it is.
    config = Config(hidden=3, update="episode", initial_bias=0.3, empty_rule=rule, **options)  # type: ignore[arg-type]
    denoiser = Reinforce(config, SPEC)
    denoiser.policy.double()
    return denoiser


def enumerated_gradient(
    denoiser: Reinforce, scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> torch.Tensor:
    """The denoiser's gradient for every joint action, weighted by how probable that action is."""
    with torch.no_grad():
        keep = denoiser.policy(batch().streams, LABELS).sigmoid()
    total, gradient = 0.0, torch.zeros(())
    for taken in joint_actions():
        monkeypatch.setattr(actions, "sample", lambda *_, taken=taken: taken)
        chance = math.prod(
            (keep[place] if taken[place] else 1 - keep[place]).item() for place in PRESENT
        )
        gradient = gradient + chance * step(denoiser, scores)
        total += chance
    assert total == pytest.approx(1, abs=1e-12)
    return gradient


@pytest.mark.parametrize("rule", ["both", "modality", "none"])
@pytest.mark.parametrize("scores", [constant_scores, scores_of_the_whole_batch])
def test_gradient_is_exact_when_all_actions_are_enumerated(
    rule: str, scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoiser = toy(rule)
    found = enumerated_gradient(denoiser, scores, monkeypatch)
    expected = expected_gradient(denoiser, rule, scores, own_branch_only=True)
    assert expected.norm() > 0.1
    assert (found - expected).abs().max().item() < 1e-10
    if scores is constant_scores and rule != "both":
        # No agent's reward depends on another: this is the gradient of E[R] itself.
        whole = expected_gradient(denoiser, rule, scores, own_branch_only=False)
        assert (found - whole).abs().max().item() < 1e-10


@pytest.mark.slow
def test_sampled_gradient_agrees_within_its_sampling_error() -> None:
    """Follows from the exact gradient and from samples that follow their probabilities."""
    denoiser = toy("both")
    samples = torch.stack([step(denoiser, scores_of_the_whole_batch) for _ in range(1500)])
    error = samples.std(0) / math.sqrt(len(samples))
    expected = expected_gradient(denoiser, "both", scores_of_the_whole_batch, True)
    deviation = (samples.mean(0) - expected).abs()
    # Parameters without influence have neither gradient nor error.
    assert (deviation < 4.5 * error + 1e-12).all()
    assert deviation.norm() < 0.15 * expected.norm()


def test_a_reward_that_ignores_the_actions_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = toy("none", inter=InterRewardOptions(alpha1=0, alpha2=0))
    found = enumerated_gradient(denoiser, constant_scores, monkeypatch)
    assert found.abs().max().item() < 1e-12
