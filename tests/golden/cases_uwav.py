"""Golden cases of UWAV: network, loss and thresholds."""

from __future__ import annotations

from pathlib import Path

import cases_han
import common
import torch
from common import Case, Expected, Runner
from torch.nn import functional

from rlld.denoisers.uwav import best_thresholds, soften
from rlld.objectives import uwav
from rlld.types import MODALITIES, ModalityLabels

LOWEST = -1e9
"""Stands for a threshold of minus infinity."""
LOSSES = {
    "loss": "loss_total",
    "audio": "loss_audio",
    "visual": "loss_visual",
    "video": "loss_video",
    "mixup": "loss_mixup",
}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass of a published checkpoint, 5 layers deep."""
    found = common.network(case, "uwav")(common.streams(common.inputs(case)))
    cases_han.probabilities(found, expected, common.DEEP_TOLERANCE)
    common.close(
        "frame_logits",
        found.extras["segment_logits"],
        expected["frame_logits"],
        common.DEEP_TOLERANCE,
    )
    for modality in MODALITIES:
        name = f"{modality}_after"
        common.close(name, found.extras[name], expected[name], common.DEEP_TOLERANCE)


def losses(case: Case, expected: Expected, _: Path) -> None:
    """The loss of given embeddings behind a head, its parts and its gradients."""
    values, head = common.inputs(case), common.state(case)
    weight = head["fc_prob.weight"].requires_grad_()
    features = [values[f"{modality}_feature"].requires_grad_() for modality in MODALITIES]
    logits = functional.linear(torch.stack(features, 2), weight, head["fc_prob.bias"])
    thresholds = torch.stack([values[f"{modality}_threshold"] for modality in MODALITIES])
    thresholds[0, ::5] = thresholds[1, 3::5] = -torch.inf
    scores = torch.stack([4 * values[f"{modality}_score"] for modality in MODALITIES], 2)
    soft = soften(scores, values["label"], thresholds, 2.0)
    events = torch.stack([0.1 * values[f"{modality}_freq"].sum() for modality in MODALITIES])
    labels = ModalityLabels(*soft.amax(1).unbind(1), values["label"], soft, {"events": events})
    zeros = torch.zeros_like(values["label"])
    given = common.prediction({**values, "a_prob": zeros, "v_prob": zeros}, segment_logits=logits)
    drawn = uwav.draw
    uwav.draw = lambda *_: (values["share"], values["order"].argsort(1))
    try:
        found = uwav.UwavObjective(uwav.Config())(given, labels, common.batch(values["label"]))
    finally:
        uwav.draw = drawn
    for part, name in LOSSES.items():
        common.close(name, found[part], expected[name])
    found["loss"].backward()
    for modality, value in zip(MODALITIES, features, strict=True):
        name = f"grad_{modality}_x1e4"
        common.close(name, 1e4 * value.grad, expected[name], common.GRADIENT_TOLERANCE)
    gradient = 1e4 * weight.grad
    common.close("grad_head_x1e4", gradient, expected["grad_head_x1e4"], common.GRADIENT_TOLERANCE)


def thresholds(case: Case, expected: Expected, _: Path) -> None:
    """The thresholds of each class, some minus infinity."""
    values = common.inputs(case)
    tags = values["label"]
    truth = [values[f"{modality}_truth"] * tags[:, None] for modality in MODALITIES]
    scores = [values[f"{m}_score"] + true for m, true in zip(MODALITIES, truth, strict=True)]
    dense = torch.stack(truth, 2).bool()
    dense[..., 24] = False
    found = best_thresholds(torch.stack(scores, 2), tags, dense).nan_to_num(neginf=LOWEST)
    for modality, row in zip(MODALITIES, found, strict=True):
        wanted = expected[f"{modality}_threshold"]
        lowest = torch.from_numpy(wanted == LOWEST)
        assert torch.equal(row == LOWEST, lowest), f"{modality}: minus infinity elsewhere"
        common.close(modality, row[~lowest], wanted[wanted != LOWEST])


RUNNERS: dict[str, Runner] = {
    "uwav_forward": forward,
    "uwav_losses": losses,
    "uwav_thresholds": thresholds,
}
