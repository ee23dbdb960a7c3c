"""Golden cases of MM-Pyramid: the network, its pyramid alone, loss and inference."""

from __future__ import annotations

from pathlib import Path

import cases_han
import common
from common import Case, Expected, Runner
from torch import Tensor

from rlld.networks import mm_pyramid
from rlld.objectives import mil
from rlld.recipes.recipe import load_recipe

PARTS = {"loss": "loss", "audio": "loss_stream0", "visual": "loss_stream1", "video": "loss_global"}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass; ``fused_*_slice`` are what the pyramid returns."""
    heads = {"network.heads": case["options"]["head"]}
    found = common.network(case, "mm_pyramid", **heads)(common.streams(common.inputs(case)))
    # The sum over levels is not normalised: float32 alone leaves up to 6e-6 in its logits.
    cases_han.probabilities(found, expected, common.DEEP_TOLERANCE)
    for modality in ("audio", "visual"):
        sliced(f"fused_{modality}_slice", found.extras[f"{modality}_after"], expected)


def sliced(name: str, value: Tensor, expected: Expected) -> None:
    """Asserts every n-th channel."""
    step = value.shape[-1] // expected[name].shape[-1]
    common.close(name, value[..., ::step], expected[name])


def module(case: Case, expected: Expected, _: Path) -> None:
    """The pyramid alone: its levels and its outputs."""
    options, values = case["options"], common.inputs(case)
    config = mm_pyramid.Config(
        hidden=options["num_inputs"],
        heads=options["nhead"],
        feed_forward=options["ffn_dim"],
        levels=options["levels"],
    )
    (layout,) = mm_pyramid.PUBLISHED
    live = layout.live({f"MMP.{key}": value for key, value in common.state(case).items()})
    pyramid = mm_pyramid.Pyramid(config).eval()
    pyramid.load_state_dict({key.removeprefix("MMP."): value for key, value in live.items()})
    heard, seen = pyramid.capture(values["audio"], values["video"])
    common.close("captured_audio", heard.flatten(0, 1), expected["captured_audio"])
    common.close("captured_video", seen.flatten(0, 1), expected["captured_video"])
    audio, visual = pyramid(values["audio"], values["video"])
    common.close("fused_audio", audio, expected["fused_audio"])
    common.close("fused_video", visual, expected["fused_video"])


def loss(case: Case, expected: Expected, _: Path) -> None:
    """The loss of given probabilities, its parts and its gradients."""
    values = common.inputs(case)
    for name in ("global_prob", "a_prob", "v_prob"):
        values[name].requires_grad_()
    labels = cases_han.targets(values["label"])
    objective = mil.MILObjective(mil.Config())
    losses = objective(common.prediction(values), labels, common.batch(labels.video))
    for ours, name in PARTS.items():
        common.close(name, losses[ours], expected[name])
    losses["loss"].backward()
    for name in ("global_prob", "a_prob", "v_prob"):
        common.close(f"grad_{name}", values[name].grad, expected[f"grad_{name}"])


def inference(case: Case, expected: Expected, _: Path) -> None:
    """The binary maps by the recipe's gate."""
    gate = load_recipe("mm-pyramid").gate
    maps = gate.apply(common.prediction(common.inputs(case))).permute(2, 0, 3, 1)
    common.close("pred_a", maps[0], expected["pred_a"] > 0.5)
    common.close("pred_v", maps[1], expected["pred_v"] > 0.5)
    common.close("pred_av", maps[0] & maps[1], expected["pred_av"] > 0.5)


RUNNERS: dict[str, Runner] = {
    "mm_pyramid_forward": forward,
    "mm_pyramid_module": module,
    "mm_pyramid_loss": loss,
    "mm_pyramid_inference": inference,
}
