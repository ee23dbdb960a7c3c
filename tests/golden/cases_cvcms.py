"""Golden cases of CVCMS: forward pass, loss, labels and inference."""

from __future__ import annotations

from pathlib import Path

import common
import torch
from cases_han import inference, probabilities
from common import Case, Expected, Runner

from rlld.denoisers import ma
from rlld.objectives import cvcms
from rlld.types import ModalityLabels

PARTS = {
    "loss": "loss",
    "loss_a": "audio",
    "loss_v": "visual",
    "loss_mil": "video",
    "loss_cm": "contrastive",
}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass, and the similarities that the loss reads off it."""
    values, options = common.inputs(case), case["options"]
    widths = {"feedforward": options["forward_dim"], "token_width": options["occ_dim"]}
    network = common.network(
        case,
        "cvcms",
        **{f"network.{name}": value for name, value in widths.items()},
    )
    found = network(common.streams(values))
    probabilities(found, expected)
    for modality in ("audio", "visual"):
        name = f"hat_{modality}_slice"
        after = found.extras[f"{modality}_after"]
        step = after.shape[-1] // expected[name].shape[-1]
        common.close(name, after[..., ::step], expected[name])
    labels = ModalityLabels(values["a_refine"], values["v_refine"], values["a_refine"])
    config = cvcms.Config(
        temperature=options["tmp"],
        audio_original=bool(options["is_a_ori"]),
        visual_original=bool(options["is_v_ori"]),
    )
    common.close("sims", cvcms.similarities(found.extras, labels, config), expected["sims"])


def loss(case: Case, expected: Expected, _: Path) -> None:
    """The loss of given probabilities and similarities, in the epoch of the case."""
    values, options = common.inputs(case), case["options"]
    names = ("global_prob", "a_prob", "v_prob")
    for name in (*names, "sims"):
        values[name].requires_grad_()
    config = cvcms.Config(
        contrastive_weight=options["delta"],
        temperature=options["tmp"],
        warm_up_rounds=options["init_epoch"],
        warm_audio_smoothing=options["before_audio_smoothing"],
        warm_visual_smoothing=options["before_vis_smoothing"],
        audio_smoothing=options["audio_smoothing"],
        visual_smoothing=options["vis_smoothing"],
    )
    objective = cvcms.CVCMSObjective(config)
    objective.start_round(options["epoch"] - 1)
    audio, visual = values["a_refine"], values["v_refine"]
    videos = len(audio)
    partner = (torch.arange(videos) + 1) % videos
    for name, found in zip(
        ("a_refine_aug", "v_refine_aug"), cvcms.paired(audio, visual, partner), strict=True
    ):
        common.close(name, found, expected[name])
    own = common.prediction({name: values[name][:videos] for name in names})
    labels = ModalityLabels(audio, visual, torch.maximum(audio, visual))
    losses = objective.losses(own, labels, values["sims"], partner)
    for name, part in PARTS.items():
        common.close(name, losses[part], expected[name])
    losses["loss"].backward()
    for name in (*names, "sims"):
        common.close(f"grad_{name}", values[name].grad, expected[f"grad_{name}"])


def labels(case: Case, expected: Expected, _: Path) -> None:
    """What the published loader and loop make of weak labels and removals."""
    values = common.inputs(case)
    label = values["label"].clone()
    empty = torch.arange(len(label))[label.sum(1) == 0]
    label[empty, empty % label.shape[1]] = 1
    common.close("weak_label", label, expected["weak_label"])
    removed = torch.stack([values["remove_a"], values["remove_v"]]).bool()
    found = ma.targets(label, removed, ma.Config(1.0, 1.0, keep_global_label=True))
    common.close("a_refine", found.audio, expected["a_refine"])
    common.close("v_refine", found.visual, expected["v_refine"])
    common.close("label", found.video, expected["label"])
    objective = cvcms.CVCMSObjective(cvcms.Config())
    common.close("label_all", objective.video_target(found), expected["label_all"])


RUNNERS: dict[str, Runner] = {
    "cvcms_forward": forward,
    "cvcms_loss": loss,
    "cvcms_labels": labels,
    "cvcms_inference": inference,
}
