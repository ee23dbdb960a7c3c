"""Golden cases of HAN: forward, gradients, loss and inference."""

from __future__ import annotations

from pathlib import Path

import common
from common import Case, Expected, Runner
from torch import Tensor

from rlld.denoisers import weak
from rlld.metrics import published_gate
from rlld.objectives import mil
from rlld.types import ModalityLabels, Prediction

PARTS = {"loss": "loss", "audio": "loss_audio", "visual": "loss_visual", "video": "loss_global"}
PROBABILITIES = {
    "global_prob": "video",
    "a_prob": "audio",
    "v_prob": "visual",
    "frame_prob": "segment",
}


def probabilities(
    found: Prediction, expected: Expected, tolerance: float = common.OUTPUT_TOLERANCE
) -> None:
    """Asserts the four probabilities of a forward pass."""
    for name, field in PROBABILITIES.items():
        common.close(name, getattr(found, field), expected[name], tolerance)


def targets(
    label: Tensor, audio_smoothing: float = 1.0, visual_smoothing: float = 0.9
) -> ModalityLabels:
    """HAN's targets, which MA and JoMoLD start from: the visual label smoothed."""
    source = weak.WeakLabels(weak.Config(audio_smoothing, visual_smoothing))
    return source.revise(common.batch(label), None)


def parts(losses: dict[str, Tensor], expected: Expected) -> None:
    """Asserts the loss and its parts."""
    for ours, name in PARTS.items():
        common.close(name, losses[ours], expected[name])


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass; ``hat_*_slice`` are embeddings after the attention."""
    found = common.network(case)(common.streams(common.inputs(case)))
    probabilities(found, expected)
    for modality in ("audio", "visual"):
        name = f"hat_{modality}_slice"
        after = found.extras[f"{modality}_after"]
        step = after.shape[-1] // expected[name].shape[-1]
        common.close(name, after[..., ::step], expected[name])


def gradient(case: Case, expected: Expected, _: Path) -> None:
    """The gradient of the training loss without dropout."""
    network, values = common.network(case), common.inputs(case)
    found = network(common.streams(values))
    losses = mil.MILObjective(mil.Config())(
        found, targets(values["label"]), common.batch(found.video)
    )
    parts(losses, expected)
    losses["loss"].backward()
    common.gradients(network, expected)


def loss(case: Case, expected: Expected, _: Path) -> None:
    """Loss, targets and gradients of given probabilities."""
    values = common.inputs(case)
    for name in ("global_prob", "a_prob", "v_prob"):
        values[name].requires_grad_()
    labels = targets(values["label"])
    common.close("target_audio", labels.audio, expected["target_audio"])
    common.close("target_visual", labels.visual, expected["target_visual"])
    given = common.prediction(values)
    losses = mil.MILObjective(mil.Config())(given, labels, common.batch(labels.video))
    parts(losses, expected)
    losses["loss"].backward()
    for name in ("global_prob", "a_prob", "v_prob"):
        common.close(f"grad_{name}", values[name].grad, expected[f"grad_{name}"])


def inference(case: Case, expected: Expected, _: Path) -> None:
    """The binary maps by the published gate of the method that the case is named after."""
    values = common.inputs(case)
    gate = published_gate(case["case"].split("_")[0], values["global_prob"].shape[1])
    maps = gate.apply(common.prediction(values)).permute(2, 0, 3, 1)
    common.close("pred_a", maps[0], expected["pred_a"] > 0.5)
    common.close("pred_v", maps[1], expected["pred_v"] > 0.5)
    common.close("pred_av", maps[0] & maps[1], expected["pred_av"] > 0.5)


RUNNERS: dict[str, Runner] = {
    "han_forward": forward,
    "han_gradient": gradient,
    "han_loss": loss,
    "han_inference": inference,
    "jomold_inference": inference,
    "ma_inference": inference,
}
