"""CoLeaF's losses cell by cell, who learns when from whom, and what selects its weights."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from rlld.data.dataset import load_data
from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks import cmpae
from rlld.networks._reference import Said
from rlld.objectives.cmpae import Mutual
from rlld.objectives.coleaf import (
    CoLeaFObjective,
    Config,
    asymmetric_loss,
    class_distance,
    share_alone,
)
from rlld.recipes.recipe import load_recipe
from rlld.training.step import NetworkStep
from rlld.training.trainer import Trainer
from rlld.types import MODALITIES, Batch, ModalityLabels, Prediction
from rlld.utils.compute import Compute

VIDEOS, SEGMENTS, CLASSES, WIDTH = 3, 4, 5, 6
STREAMS = {"audio": StreamSpec(4), "visual_2d": StreamSpec(4), "visual_3d": StreamSpec(4)}
SPEC = DataSpec("small", tuple("abcde"), SEGMENTS, 0.5, STREAMS)
COMPUTE = Compute(device="cpu", threads=1)
RULES = {
    "audio": {"early": (1, 1.2, 0), "late": (0.5, 0.001, 0.5), "agreed": 0.5, "sure": (0.1, 0.8)},
    "visual": {"early": (1, 1, 0), "late": (0.5, 0, 0.5), "agreed": 0.6, "sure": (0.4, 0.6)},
}


class Case(SimpleNamespace):
    """Given predictions of anchor and references, their labels, and the objective."""

    prediction: Prediction
    said: dict[str, Said]
    labels: ModalityLabels
    batch: Batch
    objective: CoLeaFObjective


def case(seed: int = 0, **options: object) -> Case:
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    audio, visual, video = (leaf(VIDEOS, CLASSES) for _ in range(3))
    extras = {f"{name}_after": leaf(VIDEOS, SEGMENTS, WIDTH) for name in MODALITIES}
    extras |= {f"{name}_uncertainty": leaf(VIDEOS, CLASSES) for name in MODALITIES}
    extras["video_uncertainty"] = leaf(VIDEOS)
    prediction = Prediction(torch.zeros(VIDEOS, 1, 2, CLASSES), audio, visual, video, extras)
    said = {
        name: Said(
            leaf(VIDEOS, CLASSES),
            leaf(VIDEOS, CLASSES),
            torch.zeros(VIDEOS, SEGMENTS, CLASSES),
            leaf(VIDEOS, SEGMENTS, WIDTH),
        )
        for name in MODALITIES
    }
    tags = (torch.rand(VIDEOS, CLASSES, generator=generator) < 0.6).double()
    seen = 0.9 * tags + 0.05
    seen[0, 0] = 0
    objective = Config(hidden=WIDTH, **options).build(SPEC)  # type: ignore[arg-type]
    for name, each in said.items():
        # A copy, so that it has no gradient where there is to be none.
        copied = [value.clone for value in each]
        objective.references[name].forward = lambda *_, c=copied: Said(*(copy() for copy in c))
    batch = Batch({}, tags, torch.arange(VIDEOS))
    labels = ModalityLabels(tags, seen, tags)
    return Case(prediction=prediction, said=said, labels=labels, batch=batch, objective=objective)


def slow_asymmetric(probability: Tensor, target: Tensor) -> float:
    total = 0.0
    for p, y in zip(probability.flatten().tolist(), target.flatten().tolist(), strict=True):
        q = min(1 - p + 0.05, 1)
        entropy = y * math.log(max(p, 1e-8)) + (1 - y) * math.log(max(q, 1e-8))
        total -= entropy * (1 - p * y - q * (1 - y))
    return total


@pytest.mark.parametrize(("number", "when"), [(0, "early"), (2, "early"), (3, "late"), (9, "late")])
def test_references_learn_labels_and_later_what_the_network_agrees_with(number, when) -> None:
    given = case()
    given.objective.start_round(number)
    losses = given.objective.leading(given.prediction, given.labels, given.batch)
    for name, rule in RULES.items():
        target, said = getattr(given.labels, name), given.said[name]
        believed = getattr(given.prediction, name)
        agreed = torch.where(believed >= rule["agreed"], target, 0)
        pairs = ((said.video, target), (said.tokens, target), (said.video, agreed))
        wanted = sum(w * slow_asymmetric(*p) for w, p in zip(rule[when], pairs, strict=True))
        assert losses[f"{name}_reference"].item() == pytest.approx(wanted, rel=1e-9)
    sum(losses.values()).backward()
    learners = {f.grad is None for f in (given.prediction.audio, given.prediction.visual)}
    assert learners == {True}


def test_what_is_nearly_right_has_a_weight_without_gradient() -> None:
    probability = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    loss = asymmetric_loss(probability, torch.zeros(1, 1, dtype=torch.float64))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(0.75) * 0.25)
    assert probability.grad.item() == pytest.approx(0.25 / 0.75)
    surely = torch.tensor([[0.04]], dtype=torch.float64)
    assert asymmetric_loss(surely, torch.zeros(1, 1)).item() == 0


def slow_contrast(own: Tensor, rows: Tensor, weight: list[float]) -> float:
    total = 0.0
    for video in range(VIDEOS):
        for t in range(SEGMENTS):
            cosines = [
                float(torch.cosine_similarity(own[video, t], rows[video, u], 0)) / 0.2
                for u in range(SEGMENTS)
            ]
            whole = sum(math.exp(each) for each in cosines)
            mass = [0.9 if u == t else 0.1 / (SEGMENTS - 1) for u in range(SEGMENTS)]
            found = sum(m * math.exp(c) / whole for m, c in zip(mass, cosines, strict=True))
            total -= weight[video] * math.log(found)
    return total / (VIDEOS * SEGMENTS)


def slow_alone(own: Tensor, other: Tensor) -> list[float]:
    rows = []
    for a, b in zip(own.tolist(), other.tolist(), strict=True):
        alone = sum(x >= 0.5 > y for x, y in zip(a, b, strict=True))
        both = sum(x >= 0.5 and y >= 0.5 for x, y in zip(a, b, strict=True))
        rows.append(alone / (alone + both) if alone + both else 0.0)
    return rows


def slow_classes(given: Case, name: str) -> float:
    low, high = RULES[name]["sure"]
    total = 0.0
    student, said = getattr(given.prediction, name).detach(), given.said[name].video.detach()
    for video in range(VIDEOS):
        p, s, y = (x[video].tolist() for x in (student, said, getattr(given.labels, name)))
        teacher = []
        for c in range(CLASSES):
            k = y[c] if s[c] >= high or s[c] <= low else 0
            teacher.append(k * s[c] + (1 - k) * p[c])
        for i in range(CLASSES):
            for j in range(CLASSES):
                total += (teacher[i] * teacher[j] - p[i] * p[j]) ** 2
    return total / CLASSES * VIDEOS


@pytest.mark.parametrize("seed", range(3))
def test_the_network_learns_from_the_references_from_the_second_round_on(seed: int) -> None:
    given = case(seed)
    totals = []
    for number in (0, 1):
        given.objective.start_round(number)
        losses = given.objective(given.prediction, given.labels, given.batch)
        totals.append(losses["loss"].item())
        for name, other in (("audio", "visual"), ("visual", "audio")):
            weight = slow_alone(given.said[name].video, given.said[other].video)
            rows = given.prediction.extras[f"{name}_after"]
            wanted = slow_contrast(given.said[name].rows.detach(), rows.detach(), weight)
            assert losses[f"{name}_contrast"].item() == pytest.approx(wanted, rel=1e-9)
            wanted = slow_classes(given, name)
            assert losses[f"{name}_classes"].item() == pytest.approx(wanted, rel=1e-9)
    taught = 0.009 * losses["audio_contrast"] + losses["visual_contrast"]
    taught = taught + 1e-4 * (losses["audio_classes"] + losses["visual_classes"])
    assert totals[1] - totals[0] == pytest.approx(taught.item(), rel=1e-9)
    usual = 2 * losses["audio"] + losses["visual"] + 2 * losses["video"]
    usual = usual + losses["contrastive"] + losses["mutual"]
    assert totals[0] == pytest.approx(usual.item(), rel=1e-9)
    losses["loss"].backward()
    assert all(value.grad is None for said in given.said.values() for value in said)


def test_a_video_in_which_nothing_is_alone_is_not_contrasted() -> None:
    own = torch.tensor([[0.9, 0.9, 0.1], [0.9, 0.1, 0.1], [0.1, 0.1, 0.1]])
    other = torch.tensor([[0.9, 0.1, 0.9], [0.9, 0.9, 0.9], [0.9, 0.1, 0.1]])
    assert share_alone(own, other).tolist() == [0.5, 0, 0]
    same = case(mutual=Mutual(0), audio_classes=0, visual_classes=0)
    said = same.said["audio"]
    same.objective.references["visual"].forward = lambda *_: said
    same.objective.start_round(1)
    losses = same.objective(same.prediction, same.labels, same.batch)
    assert losses["audio_contrast"].item() == losses["visual_contrast"].item() == 0


def test_the_distance_of_classes_is_multiplied_by_the_videos_as_released() -> None:
    student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    # Three of four products differ by 1.
    assert class_distance(student, teacher).item() == 3 / 2
    many = student.expand(4, 2), teacher.expand(4, 2)
    assert class_distance(*many).item() == 4 * 4 * 3 / 2
    assert class_distance(*many, released=False).item() == 3 / 2


def step() -> tuple[NetworkStep, Batch, ModalityLabels]:
    torch.manual_seed(0)
    network = cmpae.Config(hidden=WIDTH).build(SPEC).train()
    objective = Config(hidden=WIDTH).build(SPEC)
    objective.start_round(3)
    learners = [*network.parameters(), *objective.parameters()]
    streams = {name: torch.randn(VIDEOS, SEGMENTS, 4) for name in STREAMS}
    tags = (torch.rand(VIDEOS, CLASSES) < 0.5).float()
    batch = Batch(streams, tags, torch.arange(VIDEOS))
    task = NetworkStep(network, objective, torch.optim.Adam(learners, 0.01), COMPUTE)
    return task, batch, ModalityLabels(tags, 0.9 * tags + 0.05, tags)


def test_references_move_before_the_network_and_each_once() -> None:
    task, batch, labels = step()
    losses = task.take(batch, labels)
    assert {"audio_reference", "visual_reference", "audio_contrast", "loss"} <= losses.keys()
    moved = {value for value in task.optimizer.state if task.optimizer.state[value]["step"] == 1}
    parts = (task.network, task.objective)
    named = [pair for part in parts for pair in part.named_parameters()]
    still = {name for name, value in named if value not in moved}
    assert still and all("cm_attn" in name and "references" in name for name in still)


def test_a_step_that_is_only_tried_moves_no_reference() -> None:
    task, batch, labels = step()
    task.take(batch, labels)
    before = {k: v.clone() for k, v in task.objective.state_dict().items()}
    state = [{k: v.clone() for k, v in each.items()} for each in task.optimizer.state.values()]
    with task.trial(batch, labels):
        changed = [k for k, v in task.objective.state_dict().items() if not v.equal(before[k])]
        assert "references.audio.cls_tokens_a" in changed
    for key, value in task.objective.state_dict().items():
        assert torch.equal(value, before[key]), key
    for entry, old in zip(task.optimizer.state.values(), state, strict=True):
        assert all(torch.equal(entry[name], value) for name, value in old.items())


def test_recipe_has_the_published_settings_and_selects_by_what_is_alone(tiny_data: Path) -> None:
    recipe = load_recipe("coleaf")
    rates = [recipe.schedule.rate(number, 10_000) for number in range(10)]
    assert rates == pytest.approx([5e-4] * 6 + [1.25e-4] * 4)
    assert (recipe.selection.ties, recipe.network.config.fuse_ratio) == ("later", 0.7)
    data = load_data(tiny_data)
    recipe = load_recipe("coleaf", {"schedule.updates": 9}, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    references = trainer.objective.references
    assert references["audio"].fc_a.out_features == recipe.network.config.hidden == 16
    assert trainer.trained_parameters > trainer.fitted + sum(
        each.numel() for each in trainer.network.parameters()
    )
    reports = [report for report in trainer.steps() if report is not None]
    means = []
    for report in reports:
        only = [v for k, v in report["validation"].items() if k.startswith("exclusive_")]
        assert (len(only), len(report["validation"])) == (10, 20)
        means.append(sum(only) / 10)
    assert len(means) == 3
    assert trainer.best["score"] == pytest.approx(max(means))
    assert trainer.best["round"] == max(range(3), key=lambda n: (round(means[n], 9), n))


def test_wrong_options_are_named() -> None:
    with pytest.raises(RlldError, match="must not be negative, found -1 and 3"):
        Config(alone=-1)
    with pytest.raises(RlldError, match="hidden must be positive, found 0"):
        Config(hidden=0)
    given = case()
    for name in MODALITIES:
        given.prediction.extras[f"{name}_after"] = torch.zeros(VIDEOS, SEGMENTS, 7)
    with pytest.raises(RlldError, match="6 wide and the embeddings of the network 7; set"):
        given.objective(given.prediction, given.labels, given.batch)
    with pytest.raises(RlldError, match=r"unknown score 'exclusive_maen'.*exclusive_mean"):
        load_recipe("coleaf", {"selection.score": "exclusive_maen"}).selection.require_known()
