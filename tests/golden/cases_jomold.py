"""Golden cases of JoMoLD's network and loss, and of MA's, which is HAN with another contrast."""

from __future__ import annotations

from pathlib import Path

import cases_han
import common
import numpy as np
from common import Case, Expected, Runner
from torch import Tensor

from rlld.objectives import mil
from rlld.objectives.contrastive import Contrastive, matching_loss, similarity
from rlld.types import Prediction


def contrast(case: Case, weight: float = 1.0) -> Contrastive:
    """The contrastive loss with the options of a case."""
    options = case["options"]
    return Contrastive(
        weight,
        "ma" if case["case"].startswith("ma_") else "jomold",
        options.get("temperature", 0.2),
        options.get("nce_smooth", options.get("smoothing", 0.1)),
    )


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass with or without cross-modal attention, and its contrastive part."""
    network = common.network(case)
    embedded = network.embed(common.streams(common.inputs(case)))
    found = network.predict(embedded, case["options"].get("with_ca", True))
    cases_han.probabilities(found, expected)
    options = contrast(case)
    visual = "visual_before" if options.flavour == "ma" else "visual_after"
    logits = similarity(found.extras["audio_after"], found.extras[visual], options.temperature)
    common.close("sims", logits.flatten(0, 1), expected["sims"])
    videos, segments = logits.shape[:2]
    common.close("mask", np.tile(np.arange(segments), videos), expected["mask"])
    common.close("contrastive_loss", options.loss(found), expected["contrastive_loss"])


def gradient(case: Case, expected: Expected, _: Path) -> None:
    """The gradient of a training loss with all four weights 1 and without dropout.

    JoMoLD's noise estimator trains without cross-modal attention.
    """
    network, values = common.network(case), common.inputs(case)
    found: Prediction = network.predict(
        network.embed(common.streams(values)), case["case"].startswith("ma_")
    )
    labels = cases_han.targets(values["label"])
    objective = mil.MILObjective(mil.Config(contrastive=contrast(case)))
    losses = objective(found, labels, common.batch(labels.video))
    cases_han.parts(losses, expected)
    name = "loss_nce" if "loss_nce" in expected else "loss_contrastive"
    common.close(name, losses["contrastive"], expected[name])
    losses["loss"].backward()
    common.gradients(network, expected)


def loss(case: Case, expected: Expected, _: Path) -> None:
    """The weighted loss of given probabilities and contrastive logits."""
    values, options = common.inputs(case), case["options"]
    for name in ("global_prob", "a_prob", "v_prob"):
        values[name].requires_grad_()
    logits = square(5 * values["sims"]).requires_grad_()
    labels = cases_han.targets(values["label"])
    weights = (options[f"{name}_weight"] for name in ("audio", "visual", "video"))
    objective = mil.MILObjective(mil.Config(*weights))
    losses = objective(common.prediction(values), labels, common.batch(labels.video))
    nce = matching_loss(logits, "log_mixture", options["nce_smooth"])
    losses["loss"] = losses["loss"] + options["nce_weight"] * nce
    cases_han.parts(losses, expected)
    common.close("loss_nce", nce, expected["loss_nce"])
    losses["loss"].backward()
    for name in ("global_prob", "a_prob", "v_prob"):
        common.close(f"grad_{name}", values[name].grad, expected[f"grad_{name}"])
    common.close("grad_logits", logits.grad.flatten(0, 1), expected["grad_logits"])


def square(rows: Tensor) -> Tensor:
    """Returns (B * T, T) rows of similarities as (B, T, T)."""
    return rows.view(-1, rows.shape[-1], rows.shape[-1])


RUNNERS: dict[str, Runner] = {
    "jomold_forward": forward,
    "jomold_estimator_gradient": gradient,
    "jomold_loss": loss,
    "ma_step1_forward": forward,
    "ma_step3_forward": forward,
    "ma_gradient": gradient,
}
