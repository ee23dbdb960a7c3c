"""Golden cases of MGN: forward, loss and inference, soft and hard."""

from __future__ import annotations

from pathlib import Path

import cases_han
import common
import torch
from common import Case, Expected, Runner

from rlld.objectives import mgn
from rlld.recipes.recipe import load_recipe
from rlld.types import Prediction

PARTS = {
    "loss": "loss",
    "audio_class": "loss_cls_audio",
    "visual_class": "loss_cls_visual",
    "video": "loss_av",
    "audio": "loss_a",
    "visual": "loss_v",
}
LOGITS = {"aud_cls_logits": "audio_class_logits", "vis_cls_logits": "visual_class_logits"}
GROUPS = {"audio": "audio_groups", "visual": "visual_groups", "av": "fused_groups"}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass; frame probabilities before they are cut off at 1."""
    options = case["options"]
    assigned = {
        f"network.{name}": options[name] for name in ("unimodal_assign", "crossmodal_assign")
    }
    found = common.network(case, "mgn", **assigned)(common.streams(common.inputs(case)))
    common.close("global_prob", found.video, expected["global_prob"])
    common.close("a_prob", found.audio, expected["a_prob"])
    common.close("v_prob", found.visual, expected["v_prob"])
    for modality, name in enumerate(("a_frame_prob", "v_frame_prob")):
        uncut = found.extras["uncut_segment"][:, :, modality]
        common.close(name, uncut, expected[name])
        common.close(name, found.segment[:, :, modality], expected[name].clip(max=1))
    for published, ours in LOGITS.items():
        common.close(published, found.extras[ours], expected[published])
    for published, ours in GROUPS.items():
        name = f"{published}_groups_slice"
        step = found.extras[ours].shape[-1] // expected[name].shape[-1]
        common.close(name, found.extras[ours][..., ::step], expected[name])


def loss(case: Case, expected: Expected, _: Path) -> None:
    """The loss of given probabilities and logits, its parts and its gradients."""
    values = common.inputs(case)
    given = (*LOGITS, "global_prob", "a_prob", "v_prob")
    for name in given:
        values[name].requires_grad_()
    labels = cases_han.targets(values["label"])
    logits = {ours: values[published] for published, ours in LOGITS.items()}
    objective = mgn.MGNObjective(mgn.Config(), None)
    losses = objective(common.prediction(values, **logits), labels, common.batch(labels.video))
    for ours, name in PARTS.items():
        common.close(name, losses[ours], expected[name])
    losses["loss"].backward()
    for name in given:
        common.close(f"grad_{name}", values[name].grad, expected[f"grad_{name}"])


def inference(case: Case, expected: Expected, _: Path) -> None:
    """The binary maps by the recipe's gate."""
    values = common.inputs(case)
    segment = torch.stack([values["a_frame_prob"], values["v_frame_prob"]], 2)
    video = values["global_prob"]
    maps = load_recipe("mgn").gate.apply(Prediction(segment, video, video, video))
    maps = maps.permute(2, 0, 3, 1)
    common.close("pred_a", maps[0], expected["pred_a"] > 0.5)
    common.close("pred_v", maps[1], expected["pred_v"] > 0.5)
    common.close("pred_av", maps[0] & maps[1], expected["pred_av"] > 0.5)


RUNNERS: dict[str, Runner] = {
    "mgn_forward": forward,
    "mgn_loss": loss,
    "mgn_inference": inference,
}
