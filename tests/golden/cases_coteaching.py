"""Golden cases of Co-teaching, Co-teaching+ and JoCoR, official and multi-label."""

from __future__ import annotations

from pathlib import Path

import common
import numpy as np
import single_label
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.objectives import coteaching, jocor
from rlld.objectives._small_loss import SmallLoss

CLEAN = 0.5


def multilabel(case: Case, expected: Expected, _: Path) -> None:
    """Losses, chosen labels and gradients of one modality, in float64."""
    values, options = common.inputs(case), case["constructor"]
    rate = torch.tensor(options["forget_rate"], dtype=torch.float64)
    target = values["target"].double()
    for granularity, prefix in (("element", ""), ("video", "video_")):
        selection = SmallLoss(granularity)
        for name, plus in (("coteaching", False), ("coteaching_plus", True)):
            if f"{prefix}{name}_loss1" not in expected:
                continue
            objective = coteaching.Config(plus=plus, selection=selection).build(None)
            objective.step.fill_(options["step"])
            logits = peers(values)
            losses, kept = objective.losses(logits.sigmoid(), target, rate)
            losses.sum().backward()
            for number in (0, 1):
                tag = f"{prefix}{name}_{{}}{number + 1}"
                found = {"loss": losses[number], "keep": kept[number], "grad": logits.grad[number]}
                compare(tag, found, expected)
        objective = jocor.Config(options["co_lambda"], selection).build(None)
        logits = peers(values)
        loss, kept = objective.losses(logits.sigmoid(), target, rate)
        loss.backward()
        compare(f"{prefix}jocor_{{}}", {"loss": loss, "keep": kept}, expected)
        for number in (0, 1):
            compare(f"{prefix}jocor_{{}}{number + 1}", {"grad": logits.grad[number]}, expected)


def peers(values: dict[str, Tensor]) -> Tensor:
    """The logits of both networks."""
    both = torch.stack([values["logits1"], values["logits2"]]).double()
    return both.requires_grad_()


def compare(tag: str, found: dict[str, Tensor], expected: Expected) -> None:
    """Asserts what is stored of some outputs."""
    for kind, value in found.items():
        name = tag.format(kind)
        if name not in expected:
            continue
        stored = expected[name]
        if kind == "keep":
            common.close(name, value, stored > 0.5)
        else:
            tolerance = common.GRADIENT_TOLERANCE if kind == "grad" else common.OUTPUT_TOLERANCE
            common.close(name, value, stored, tolerance)


def official(case: Case, expected: Expected, _: Path) -> None:
    """The official functions; the notes of the case say how its inputs are made."""
    values, options = common.inputs(case), case["constructor"]
    scale, alike = options["scale"], options["corr"]
    first = scale * values["logits1"]
    second = scale * (alike * values["logits1"] + (1 - alike) * values["noise"])
    videos, classes = first.shape
    labels = (classes * values["label_u"]).long().clamp(max=classes - 1)
    index = 7 * torch.arange(videos) + 3
    differing = (first.argmax(1) != second.argmax(1)).nonzero()[:, 0]
    assert len(differing) == case.get("num_disagree", len(differing))
    first_differing = differing[0] if len(differing) else 0
    zeroed = 7 * ((torch.arange(videos) - first_differing) % videos)
    rate, step = options["forget_rate"], options["step"]

    leaves = (first.requires_grad_(), second.requires_grad_())

    def given(one: Tensor, other: Tensor, index: Tensor) -> single_label.Peers:
        logits = torch.stack([one, other])
        return single_label.Peers(logits, labels, index, values["clean"] > CLEAN)

    def gradient(loss: Tensor, number: int) -> Tensor:
        # Where the networks agree both were given the first logits.
        (found,) = torch.autograd.grad(
            loss, leaves[number], retain_graph=True, materialize_grads=True, allow_unused=True
        )
        return found

    batches = {
        "coteaching": given(first, second, index),
        "coteaching_plus": given(first, second, index),
        "coteaching_plus_index0": given(first, second, zeroed),
        "coteaching_plus_agree": given(first, first, index),
    }
    for tag, batch in batches.items():
        if tag == "coteaching":
            losses, pure = single_label.coteaching(batch, rate)
        else:
            losses, pure = single_label.coteaching_plus(batch, rate, step)
        for number in (0, 1):
            name = f"{number + 1}"
            common.close(f"{tag}_loss{name}", losses[number], expected[f"{tag}_loss{name}"])
            common.close(f"{tag}_pure{name}", pure[number], expected[f"{tag}_pure{name}"])
            stored = f"{tag}_grad_loss{name}_logits{name}"
            found = gradient(losses[number], number)
            common.close(stored, found, expected[stored], common.GRADIENT_TOLERANCE)
    batch = given(first, second, index)
    loss, pure, per_sample = single_label.jocor(batch, rate, options["co_lambda"])
    common.close("jocor_loss", loss, expected["jocor_loss"])
    common.close("jocor_pure", pure, expected["jocor_pure"])
    common.close("jocor_per_sample", per_sample, np.asarray(expected["jocor_per_sample"]))
    for number in (0, 1):
        name = f"jocor_grad_logits{number + 1}"
        found = gradient(loss, number)
        common.close(name, found, expected[name], common.GRADIENT_TOLERANCE)


RUNNERS: dict[str, Runner] = {
    "coteaching_jocor_multilabel": multilabel,
    "coteaching_jocor_official": official,
}
