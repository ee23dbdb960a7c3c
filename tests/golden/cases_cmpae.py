"""Golden cases of CMPAE: network, losses and the removal of labels."""

from __future__ import annotations

from pathlib import Path

import cases_han
import cases_jomold
import common
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.objectives._contrastive import Contrastive, matching_loss, similarity
from rlld.objectives.cmpae import CMPAEObjective, Config, Mutual
from rlld.types import ModalityLabels, Prediction

UNCERTAINTIES = {"a_uct": "audio", "v_uct": "visual", "global_uct": "video", "frame_uct": "segment"}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass with and without cross-modal attention."""
    network, values = common.network(case, "cmpae"), common.inputs(case)
    embedded = network.embed(common.streams(values))
    temperature = common.options(case).get("temperature", 0.2)
    for cross, suffix in ((True, ""), (False, "_noca")):
        found = network.predict(embedded, cross)
        after = (found.extras["audio_after"], found.extras["visual_after"])
        outputs = {
            **{name: getattr(found, ours) for name, ours in cases_han.PROBABILITIES.items()},
            **{name: found.extras[f"{ours}_uncertainty"] for name, ours in UNCERTAINTIES.items()},
            "sims_after": similarity(*after, temperature).flatten(0, 1),
        }
        for name, value in outputs.items():
            # What the fused branch says does not depend on the attention and is stored once.
            stored = name if name.startswith("global") else name + suffix
            common.close(name + suffix, value, expected[stored])


def given(values: dict[str, Tensor]) -> Prediction:
    """A prediction of the probabilities and uncertainties of a case."""
    names = {name: ours for name, ours in UNCERTAINTIES.items() if name in values}
    extras = {f"{ours}_uncertainty": values[name] for name, ours in names.items()}
    return common.prediction(values, **extras)


def losses(case: Case, expected: Expected, _: Path) -> None:
    """Mutual learning in both directions, the contrast, and the weighted sum of all losses."""
    values, made = common.inputs(case), case["constructor"]
    leaves = ("global_prob", "a_prob", "v_prob", "a_uct", "v_uct", "global_uct", "sims")
    for name in leaves:
        values[name].requires_grad_()
    weights, label = made["weights"], values["target"]
    mutual = Mutual(weights["mutual"], made["MutualLearningLoss"]["lamb"])
    for parity in ("even", "odd"):
        found = mutual.loss(given(values), label, torch.tensor(parity == "odd"))
        common.close(f"mutual_{parity}", found, expected[f"mutual_{parity}"])
        gradients = torch.autograd.grad(found, [values[name] for name in leaves[:-1]])
        for name, gradient in zip(leaves, gradients, strict=False):
            stored = f"mutual_{parity}_grad_{name}"
            common.close(stored, gradient, expected[stored], common.GRADIENT_TOLERANCE)
    temperature = common.said(case, r"sims/([\d.]*\d)", 0.2)
    logits = cases_jomold.square(values["sims"] / temperature)
    nce = matching_loss(logits, "log_mixture", made["LabelSmoothingNCELoss"]["smoothing"])
    common.close("nce", nce, expected["nce"])
    (gradient,) = torch.autograd.grad(nce, [values["sims"]], retain_graph=True)
    common.close("nce_grad_sims", gradient, expected["nce_grad_sims"], common.GRADIENT_TOLERANCE)
    three = (weights[name] for name in ("audio", "visual", "video"))
    objective = CMPAEObjective(Config(*three, Contrastive(0.0), mutual))
    objective.start_round(0)
    objective.step.fill_(1)  # the case is the second step of an epoch
    targets = ModalityLabels(label, 0.9 * label + 0.05, label)
    found = objective(given(values), targets, common.batch(label))["loss"]
    common.close("total", found + weights["nce"] * nce, expected["total"])


def removal(case: Case, expected: Expected, _: Path) -> None:
    """The targets of one step, which JoMoLD's denoiser makes."""
    values, options = common.inputs(case), case["constructor"]
    values["label"] = values["target"]
    for modality in ("audio", "visual"):
        values[f"{modality[0]}_prob"].clamp_(options["clamp"], 1 - options["clamp"])
        ratio = options["ratio_scale"] * values[f"ratio_{modality[0]}"].double()
        values[f"noise_ratio_{modality}"] = ratio
    smoothing = {"audio_smoothing": options["a_smooth"], "visual_smoothing": options["v_smooth"]}
    denoiser = cases_jomold.prepared(values, len(values["label"]), warm_up="none", **smoothing)
    targets = cases_jomold.denoised(denoiser, values)
    common.close("Pa", targets.audio, expected["Pa"])
    common.close("Pv", targets.visual, expected["Pv"])
    for name, found in (("Pa", targets.audio), ("Pv", targets.visual)):
        common.close(f"removed from {name}", found == 0, expected[name] == 0)


RUNNERS: dict[str, Runner] = {
    "cmpae_forward": forward,
    "cmpae_losses": losses,
    "cmpae_denoise_step": removal,
}
