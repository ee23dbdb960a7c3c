"""Credit through the task network: by hand, against finite differences, resumed after any step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from resume_kit import require_resumable
from rlld.data.dataset import load_data
from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.split import Split
from rlld.denoisers.base import Context
from rlld.denoisers.reinforced import Config, actions
from rlld.denoisers.reinforced.base import TaskCredit
from rlld.denoisers.reinforced.counterfactual import (
    Counterfactual,
    leave_one_out,
    validation_reward,
)
from rlld.denoisers.reinforced.first_order import FirstOrder, first_order_credit, video_loss
from rlld.denoisers.reinforced.options import CounterfactualOptions, FirstOrderOptions
from rlld.errors import RlldError
from rlld.networks.han import HAN
from rlld.networks.han import Config as HANConfig
from rlld.objectives.mil import Config as MILConfig
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute

SPEC = DataSpec(
    "toy", ("a", "b", "c"), 2, 1.0, {"audio": StreamSpec(3), "visual_2d": StreamSpec(4)}
)
LABELS = torch.tensor([[1.0, 1, 0], [0, 1, 0]], dtype=torch.float64)


def split(videos: int, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    streams = {
        name: torch.randn(videos, 2, dim, generator=generator, dtype=torch.float64)
        for name, dim in SPEC.dims.items()
    }
    dense = torch.rand(videos, 2, 2, 3, generator=generator) < 0.4
    labels = dense.flatten(1, 2).any(1).double()
    return Split("validation", SPEC, tuple(map(str, range(videos))), streams, labels, dense)


def batch() -> Batch:
    return Batch(split(2, seed=1).streams, LABELS, torch.arange(2))


def prepared(credit: Any, **options: Any) -> TaskCredit:
    options = {"hidden": 4, "empty_rule": "none", "baseline_decay": 0.75, **options}
    denoiser = Config(credit=credit, **options).build(SPEC)
    denoiser.policy.double()
    reward = split(4)

    def fit(*_: Any, **__: Any) -> Any:
        raise AssertionError("these learners train no network of their own")

    denoiser.prepare(Context(reward, reward, 0, torch.device("cpu"), fit))
    return denoiser


class Task:
    """A task network whose validation probability is a function of the labels it was given."""

    network: Any = None

    def __init__(self) -> None:
        self.probability = torch.zeros(2, 3)
        self.tried: list[torch.Tensor] = []

    def learn(self, labels: ModalityLabels) -> None:
        revised = torch.stack([labels.audio, labels.visual])
        self.probability = 0.2 + 0.5 * revised.mean(1).float()

    @contextmanager
    def trial(self, batch: Batch, labels: ModalityLabels) -> Iterator[None]:
        before = self.probability
        self.tried.append(torch.stack([labels.audio, labels.visual], 1))
        self.learn(labels)
        yield
        self.probability = before

    def trials(self, batch: Batch, choices: list[ModalityLabels], split: Split) -> list[Prediction]:
        found = []
        for labels in choices:
            with self.trial(batch, labels):
                found.append(self.predict(split))
        return found

    def predict(self, split: Split) -> Prediction:
        audio, visual = (row.expand(len(split), 3) for row in self.probability)
        segment = self.probability.expand(len(split), 2, 2, 3)
        return Prediction(segment, audio, visual, audio)


def forced(monkeypatch: pytest.MonkeyPatch, samples: list[torch.Tensor]) -> None:
    iterator = iter(samples)
    monkeypatch.setattr(actions, "sample", lambda *_: next(iterator))


def all_but(*removed: tuple[int, int, int]) -> torch.Tensor:
    taken = torch.ones(2, 2, 3, dtype=torch.bool)
    for place in removed:
        taken[place] = False
    return taken


SAMPLES = [all_but(), all_but((0, 0, 0)), all_but((0, 1, 1), (1, 1, 1)), all_but((1, 0, 1))]


def by_hand(reward: str, logits: torch.Tensor) -> float:
    """The loss of a step that earned what the steps before it did, number by number."""
    dense = split(4).dense
    assert dense is not None
    paid = []
    for taken in SAMPLES:
        row = []
        for m in range(2):
            probability = 0.2 + 0.5 * (LABELS * taken[:, m]).mean(0)
            entropies = []
            for c in range(3):
                p = probability[c]
                video = [-(p if dense[i, :, m, c].any() else 1 - p).log() for i in range(4)]
                segment = [
                    -(p if dense[i, t, m, c] else 1 - p).log() for i in range(4) for t in range(2)
                ]
                entropies.append(-100 * (sum(video) / 4 + sum(segment) / 8))
            mean = sum(entropies) / 3
            row.append([mean] * 3 if reward == "branch" else entropies)
        paid.append(row)
    loss = 0.0
    for m in range(2):
        advantage = [
            [paid[k][m][c] - sum(paid[j][m][c] for j in range(4) if j != k) / 3 for c in range(3)]
            for k in range(4)
        ]
        # Equal steps have an equal size, of which the moving mean is the same.
        size = sum(abs(value) for row in advantage for value in row) / 12
        for k, i, c in itertools.product(range(4), range(2), range(3)):
            if LABELS[i, c]:
                p = logits[i, m, c].sigmoid()
                log_pi = p.log() if SAMPLES[k][i, m, c] else (1 - p).log()
                loss -= float(advantage[k][c] / size * log_pi) / 4 / 2
    return loss


@pytest.mark.parametrize("reward", ["branch", "class"])
def test_counterfactual_loss_of_enumerated_actions_by_hand(
    reward: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    denoiser = prepared("counterfactual", counterfactual=CounterfactualOptions(reward=reward))
    task = Task()
    for _ in range(2):
        forced(monkeypatch, SAMPLES)
        with torch.no_grad():
            logits = denoiser.policy(batch().streams, LABELS)
        denoiser.before_step(task)
        labels = denoiser.revise(batch(), None)
        assert torch.equal(
            torch.stack([labels.audio, labels.visual], 1), LABELS[:, None] * SAMPLES[3]
        )
        task.learn(labels)
        figures = denoiser.after_step()
        assert figures["policy_loss"].item() == pytest.approx(by_hand(reward, logits), rel=1e-5)
    tried = [LABELS[:, None] * taken for taken in SAMPLES[:3]]
    assert all(torch.equal(a, b) for a, b in zip(task.tried, 2 * tried, strict=True))


def test_leave_one_out_by_hand() -> None:
    found = leave_one_out(torch.tensor([[1.0, 0.0], [4.0, 0.0], [7.0, 3.0]]))
    assert found.tolist() == [[-4.5, -1.5], [0.0, -1.5], [4.5, 3.0]]


def test_validation_reward_rises_with_the_likelihood_of_the_truth() -> None:
    dense = split(4).dense
    assert dense is not None
    right = dense.float() * 0.8 + 0.1
    video = dense.any(1).float() * 0.8 + 0.1
    found = validation_reward(Prediction(right, video[:, 0], video[:, 1], video[:, 0]), dense)
    expected = 200 * torch.log(torch.tensor(0.9))
    torch.testing.assert_close(found, expected.expand(2, 3))
    half = Prediction(right, 1 - video[:, 0], video[:, 1], video[:, 0])
    worse = validation_reward(half, dense)
    assert (worse[0] < found[0]).all()
    assert torch.equal(worse[1], found[1])


def network(seed: int = 0) -> HAN:
    torch.manual_seed(seed)
    return HAN(HANConfig(hidden=6, attention_dropout=0.0), SPEC).double()


@pytest.mark.parametrize("modality", [0, 1])
@pytest.mark.parametrize(("video", "label"), [(0, 0), (0, 1), (1, 1)])
def test_first_order_credit_is_what_keeping_a_label_does_to_the_validation_loss(
    modality: int, video: int, label: int
) -> None:
    """Takes the SGD step with and without the label, and measures the loss after each."""
    annotated, given, rate = split(5, seed=3), batch(), 1e-4
    assert annotated.dense is not None
    credit = first_order_credit(network(), given, annotated.all(), annotated.dense, 1e-3)
    plain = network()
    loss = video_loss(plain(annotated.streams), annotated.dense)
    length = torch.cat(
        [g.flatten() for g in torch.autograd.grad(loss, list(plain.parameters()))]
    ).norm()

    def after(keeps: bool) -> float:
        trained = network()
        targets = [LABELS.clone(), LABELS.clone()]
        targets[modality][video, label] = float(keeps)
        labels = ModalityLabels(*targets, LABELS)
        objective = MILConfig(audio_weight=2.0).build(SPEC)
        optimizer = torch.optim.SGD(trained.parameters(), lr=rate)
        objective(trained(given.streams), labels, given)["loss"].backward()
        optimizer.step()
        with torch.no_grad():
            return video_loss(trained(annotated.streams), annotated.dense).item()

    gained = after(False) - after(True)
    weight = 2.0 if modality == 0 else 1.0
    # d BCE / d logit differs by 1 between the targets; the loss is a mean over 2 x 3 values.
    scale = rate * weight / 6 * length / (2 * 1e-3)
    assert (credit[video, modality, label] * scale).item() == pytest.approx(gained, rel=0.01)


def test_first_order_credit_leaves_the_network_as_it_was() -> None:
    judged = HAN(HANConfig(hidden=6), SPEC).train()
    annotated, given = split(5, seed=3), batch()
    assert annotated.dense is not None
    known = annotated.to(annotated.device, torch.float32)
    given = Batch({k: v.float() for k, v in given.streams.items()}, LABELS.float(), given.index)
    before = [value.clone() for value in judged.state_dict().values()]
    chance = torch.get_rng_state()
    first_order_credit(judged, given, known.all(), annotated.dense, 0.01)
    after = judged.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(chance, torch.get_rng_state())
    assert judged.training
    assert all(parameter.grad is None for parameter in judged.parameters())


CREDIT = torch.tensor(
    [[[0.3, -0.1, 9.0], [-0.5, 0.2, 9.0]], [[9.0, 0.2, 9.0], [9.0, -4.0, 9.0]]],
    dtype=torch.float64,
)
"""Those of absent labels must count nowhere."""


def first_order(monkeypatch: pytest.MonkeyPatch, form: Any, **options: Any) -> TaskCredit:
    chosen = FirstOrderOptions(form=form, warm_up=0, clip=2.0)
    denoiser = prepared("first_order", first_order=chosen, initial_bias=0.5, **options)
    monkeypatch.setattr(FirstOrder, "_credit", lambda *_: CREDIT)
    return denoiser


def scaled_credit() -> torch.Tensor:
    sizes = torch.tensor([(0.3 + 0.1 + 0.2) / 3, (0.5 + 0.2 + 4.0) / 3], dtype=torch.float64)
    return (CREDIT / sizes[None, :, None]).clamp(-2, 2)


def gradient(denoiser: TaskCredit, figures: list[dict[str, torch.Tensor]]) -> torch.Tensor:
    """Runs a step and returns the policy's gradient instead of moving by it."""
    seen: list[torch.Tensor] = []
    optimizer: Any = denoiser.optimizer
    optimizer.step = lambda *_: seen.append(
        torch.cat([p.grad.flatten() for p in denoiser.policy.parameters() if p.grad is not None])
    )
    denoiser.before_step(Task())
    denoiser.revise(batch(), None)
    figures.append(denoiser.after_step())
    return seen[0]


def test_first_order_expected_form_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = first_order(monkeypatch, "expected")
    with torch.no_grad():
        keep = denoiser.policy(batch().streams, LABELS).sigmoid()
    figures: list[dict[str, torch.Tensor]] = []
    gradient(denoiser, figures)
    value = (scaled_credit() * keep * LABELS[:, None]).sum() / 2
    assert figures[0]["policy_loss"].item() == pytest.approx(-value.item())
    assert figures[0]["credit_visual"].item() == pytest.approx(4.7 / 3)


def test_first_order_forms_have_the_same_expectation(monkeypatch: pytest.MonkeyPatch) -> None:
    """All 2**6 joint actions of the sampled form, weighted by their probabilities."""
    expected = gradient(first_order(monkeypatch, "expected"), [])
    places = [(i, m, c) for i in range(2) for m in range(2) for c in range(3) if LABELS[i, c]]
    total = torch.zeros_like(expected)
    for bits in itertools.product([False, True], repeat=len(places)):
        denoiser = first_order(monkeypatch, "sampled")
        taken = all_but(*[place for place, bit in zip(places, bits, strict=True) if not bit])
        forced(monkeypatch, [taken])
        with torch.no_grad():
            logits = denoiser.policy(batch().streams, LABELS)
        chance = actions.log_probability(logits, taken, LABELS).sum().exp()
        total += chance * gradient(denoiser, [])
    torch.testing.assert_close(total, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("replaces", [True, False])
@pytest.mark.parametrize(("rule", "undone"), [("none", 0), ("both", 0), ("modality", 1)])
def test_the_empty_rule_and_its_reward_reach_the_policy(
    rule: Any, undone: int, replaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Video 1 loses its only label in the visual modality alone."""
    denoiser = first_order(monkeypatch, "expected", empty_rule=rule, empty_replaces=replaces)
    taken = all_but((1, 1, 1))
    forced(monkeypatch, [taken])
    with torch.no_grad():
        logits = denoiser.policy(batch().streams, LABELS)
    keep, figures = logits.sigmoid(), []
    gradient(denoiser, figures)
    value = scaled_credit() * keep * LABELS[:, None]
    own = value[1, 1].sum()
    rest = value.sum() - own
    if undone:
        own = -1 * (1 - keep[1, 1, 1]).log() + (0 if replaces else own)
    assert figures[0]["policy_loss"].item() == pytest.approx(-(rest + own).item() / 2)
    assert figures[0]["undone_visual"].item() == undone / 2


def test_an_emptied_sample_is_penalised_in_place_of_its_advantage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {"empty_rule": "both", "counterfactual": CounterfactualOptions(samples=2)}
    denoiser = prepared("counterfactual", **options)
    nothing = all_but((1, 0, 1), (1, 1, 1))
    forced(monkeypatch, [nothing, all_but()])
    with torch.no_grad():
        logits = denoiser.policy(batch().streams, LABELS)
    task = Task()
    denoiser.before_step(task)
    task.learn(denoiser.revise(batch(), None))
    figures = denoiser.after_step()
    # All labels were given back, so that both samples train on the same and earn the same.
    penalty = -(1 - logits[1, :, 1].sigmoid()).log().sum()
    assert figures["policy_loss"].item() == pytest.approx(-penalty.item() / 2 / 2)


@pytest.mark.parametrize("mode", ["joint", "one_epoch"])
@pytest.mark.parametrize("recipe", ["rlld-counterfactual", "rlld-first-order"])
def test_resuming_changes_nothing(tiny_data: Any, tmp_path: Any, recipe: str, mode: str) -> None:
    data = load_data(tiny_data)
    settings = {
        "schedule.rounds": 2,
        "denoiser.mode": mode,
        "denoiser.counterfactual.samples": 3,
        "denoiser.first_order.warm_up": 2,
        "denoiser.first_order.videos": 8,
        "denoiser.lr": 1e-2,
    }
    loaded = load_recipe(recipe, settings, data.spec.overrides)

    def fresh() -> Trainer:
        compute = Compute(device="cpu", threads=1)
        return Trainer(loaded, data.train, data.validation, 7, compute)

    # While it warms up, between two rounds, and before the end.
    whole, _ = require_resumable(fresh, tmp_path, (1, 3, 5))
    assert isinstance(whole.denoiser, TaskCredit)


def test_warm_up_steps_use_all_labels_and_leave_the_policy_alone(tiny_data: Any) -> None:
    data = load_data(tiny_data)
    settings = {"denoiser.first_order.warm_up": 2, "schedule.rounds": 1}
    recipe = load_recipe("rlld-first-order", settings, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, Compute(device="cpu"))
    assert isinstance(trainer.denoiser, TaskCredit)
    policy = trainer.denoiser.policy
    start = [p.detach().clone() for p in policy.parameters()]
    steps = trainer.steps()
    moved = []
    for _ in range(3):
        next(steps)
        pairs = zip(start, policy.parameters(), strict=True)
        moved.append(not all(torch.equal(a, b) for a, b in pairs))
    assert moved == [False, False, True]


def test_feedback_without_a_revision_is_a_mistake_of_the_caller() -> None:
    for credit in ("counterfactual", "first_order"):
        with pytest.raises(RuntimeError, match="without a revision"):
            prepared(credit).after_step()


@pytest.mark.parametrize("credit", ["counterfactual", "first_order"])
def test_without_annotated_videos_there_is_nothing_to_learn_from(credit: Any) -> None:
    context = Context(split(4), split(0), 0, torch.device("cpu"), None)  # type: ignore[arg-type]
    with pytest.raises(RlldError, match=f"credit {credit} needs annotated validation videos"):
        Config(credit=credit, hidden=4).build(SPEC).prepare(context)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(RlldError, match=r"counterfactual\.samples must be 2 or more, found 1"):
        CounterfactualOptions(samples=1)
    with pytest.raises(RlldError, match=r"first_order\.step must be positive"):
        FirstOrderOptions(step=0)
    with pytest.raises(RlldError, match=r"first_order\.warm_up must not be negative"):
        FirstOrderOptions(warm_up=-1)


def test_credits_by_name() -> None:
    assert isinstance(prepared("counterfactual"), Counterfactual)
    assert isinstance(prepared("first_order"), FirstOrder)
    assert not prepared("counterfactual").wants_feedback
