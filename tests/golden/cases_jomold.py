"""Golden cases of JoMoLD; those of MA, which is HAN with another contrast, use its runners."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cases_han
import common
import numpy as np
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.split import Split
from rlld.denoisers import jomold
from rlld.denoisers.base import Context
from rlld.networks.base import Network
from rlld.objectives import mil
from rlld.objectives._contrastive import Contrastive, matching_loss, similarity
from rlld.types import Batch, ModalityLabels, Prediction


def contrast(case: Case, weight: float = 1.0) -> Contrastive:
    """The contrastive loss with the options of a case."""
    options = common.options(case)
    return Contrastive(
        weight,
        "ma" if case["case"].startswith("ma_") else "jomold",
        options.get("temperature", 0.2),
        options.get("nce_smooth", options.get("smoothing", 0.1)),
    )


def scaled(case: Case, similarities: Tensor) -> Tensor:
    """The logits of a case, which are a multiple of its similarities."""
    return common.said(case, r"([\d.]+)\*sims", 5) * similarities


def smoothing(case: Case) -> dict[str, float]:
    """The smoothing options of the denoiser, as released where the case has none."""
    options = common.options(case)
    names = {"audio_smoothing": ("a_smooth", 1.0), "visual_smoothing": ("v_smooth", 0.9)}
    return {ours: options.get(name, usual) for ours, (name, usual) in names.items()}


def weights(case: Case, *usual: float) -> list[float]:
    """The weights of the audio, visual and video terms of a case."""
    options, names = common.options(case), ("audio", "visual", "video")
    return [
        options.get(f"{name}_weight", weight) for name, weight in zip(names, usual, strict=True)
    ]


def nce_weight(case: Case) -> float:
    """The weight of the contrast of a case."""
    return common.options(case).get("nce_weight", 1.0)


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
    labels = cases_han.targets(values["label"], **smoothing(case))
    config = mil.Config(*weights(case, 1, 1, 1), contrast(case, nce_weight(case)))
    objective = mil.MILObjective(config)
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
    logits = square(scaled(case, values["sims"])).requires_grad_()
    labels = cases_han.targets(values["label"], **smoothing(case))
    objective = mil.MILObjective(mil.Config(*weights(case, 2, 1, 1)))
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


def prepared(values: dict[str, Tensor], videos: int, **options: object) -> jomold.JoMoLD:
    """JoMoLD with the noise ratios of a case, read from a file as published ones are."""
    classes = values["label"].shape[1]
    names = ("noise_ratio_audio", "noise_ratio_visual")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise_ratios.npz"
        jomold.write_ratios(path, jomold.Ratios(*(values[name].double() for name in names)))
        denoiser = jomold.JoMoLD(jomold.Config(ratios=path, **options), classes)
        streams = {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)}
        spec = DataSpec("golden", tuple(map(str, range(classes))), 1, 1.0, streams)
        train = Split("train", spec, ("",) * videos, {}, torch.zeros(videos, classes))
        denoiser.prepare(Context(train, train, 0, torch.device("cpu"), never))
    return denoiser


def never(*_: object, **__: object) -> Network:
    """Stands where an estimator would be trained."""
    raise AssertionError("ratios were given, no estimator is needed")


def denoised(denoiser: jomold.JoMoLD, values: dict[str, Tensor]) -> ModalityLabels:
    """The targets of a step whose network predicts the given probabilities."""
    batch = common.batch(values["label"])
    denoiser.advance(len(batch.labels))
    found = {**values, "global_prob": torch.zeros_like(values["label"])}
    return denoiser.revise(batch, common.prediction(found))


def removed(targets: ModalityLabels, labels: Tensor) -> dict[str, Tensor]:
    """Which labels a step removed, by the names of the cases."""
    return {
        f"removed_{name}": ((getattr(targets, name) == 0) & labels.bool()).float()
        for name in ("audio", "visual")
    }


def removal(case: Case, expected: Expected, _: Path) -> None:
    """The targets of one step with the full ratios."""
    values = common.inputs(case)
    denoiser = prepared(values, len(values["label"]), warm_up="none", **smoothing(case))
    targets = denoised(denoiser, values)
    common.close("target_audio", targets.audio, expected["target_audio"])
    common.close("target_visual", targets.visual, expected["target_visual"])
    for name, value in removed(targets, values["label"]).items():
        common.close(name, value, expected[name], 0)


def ramp(case: Case, expected: Expected, _: Path) -> None:
    """Some epochs of steps with the released warm-up."""
    values, options = common.inputs(case), case["options"]
    size, epoch = options["batch"], options["batches"] * options["batch"]
    length = options["warm_up_epoch"]
    kind = {"warm_up": "none"} if length is None else {"warm_up_epochs": length}
    denoiser = prepared(values, epoch, **kind, **smoothing(case))
    found: dict[str, list[Tensor]] = {"removed_audio": [], "removed_visual": []}
    for start in range(0, epoch * options["epochs"], size):
        rows = slice(start, start + size)
        step = {name: values[name][rows] for name in ("a_prob", "v_prob", "label")}
        for name, value in removed(denoised(denoiser, step), step["label"]).items():
            found[name].append(value)
    for name, steps in found.items():
        common.close(name, torch.cat(steps), expected[name], 0)
        counts = torch.stack([step.sum() for step in steps])
        common.close(f"{name}_per_step", counts, expected[f"{name}_per_step"], 0)
    assert float(denoiser.end_of_round()["removed_visual"]) == expected["removed_visual"].sum()


def ratios(case: Case, expected: Expected, _: Path) -> None:
    """The noise ratios of given estimator probabilities."""
    values, options = common.inputs(case), case["options"]
    estimator = jomold.Estimator(
        audio_threshold=options["a_thres"],
        visual_threshold=options["v_thres"],
        batch_size=options["batch"],
    )
    probability = torch.stack([values["a_prob"], values["v_prob"]])
    labels = values["label"]
    targets = jomold.JoMoLD(jomold.Config(**smoothing(case)), labels.shape[1]).targets(labels)
    audio, visual = jomold.noise_ratios(probability, targets, estimator)
    common.close("audio", audio, expected["audio"])
    common.close("visual", visual, expected["visual"])


def denoising_gradient(case: Case, expected: Expected, _: Path) -> None:
    """One denoising step: removals by the network without cross-modal attention, then its loss.

    Dropout is off, so that the two predictions of the training step are those of the case.
    """
    network, values = common.network(case), common.inputs(case)
    labels = values["label"]
    denoiser = prepared(values, len(labels), warm_up="none", **smoothing(case))
    batch = Batch(common.streams(values), labels, torch.arange(len(labels)))
    unimodal, found = network.with_unimodal(batch.streams)
    targets = denoiser.revise(batch, unimodal)
    common.close("target_audio", targets.audio, expected["target_audio"])
    common.close("target_visual", targets.visual, expected["target_visual"])
    config = mil.Config(*weights(case, 2, 1, 1), contrast(case, nce_weight(case)))
    objective = mil.MILObjective(config)
    losses = objective(found, targets, batch)
    cases_han.parts(losses, expected)
    common.close("loss_nce", losses["contrastive"], expected["loss_nce"])
    losses["loss"].backward()
    common.gradients(network, expected)


RUNNERS: dict[str, Runner] = {
    "jomold_forward": forward,
    "jomold_estimator_gradient": gradient,
    "jomold_loss": loss,
    "jomold_removal": removal,
    "jomold_warmup": ramp,
    "jomold_noise_ratio": ratios,
    "jomold_denoising_gradient": denoising_gradient,
}
