"""Golden cases of DHHN: its networks, losses, targets and inference."""

from __future__ import annotations

from pathlib import Path

import common
import torch
from cases_han import probabilities
from common import Case, Expected, Runner
from torch import Tensor

from rlld.denoisers import ma, weak
from rlld.metrics import published_gate
from rlld.networks.dhhn import AudioGuide, VisualGuide, merged
from rlld.objectives import dhhn
from rlld.types import ModalityLabels, Prediction

NAMES = {"a_prob": "audio", "v_prob": "visual", "global_prob": "video"}
GUIDES = {"audio": "audio_net_prob", "visual": "video_net_prob"}
MODES = {
    "train": ("both", dhhn.Config(guide_targets="weak")),
    "retrain": ("both", dhhn.Config()),
    "retrain_no_mgn": ("none", dhhn.Config(reverse=False)),
    "retrain_audio": ("audio", dhhn.Config(reverse=False)),
    "retrain_video": ("visual", dhhn.Config(reverse=False)),
}
"""Which guides take part, and the options of the loss, by published mode."""


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass of the main network, and its attention at each scale."""
    network = common.network(case, "hcmn")
    values = common.streams(common.inputs(case))
    probabilities(network(values), expected)
    for number, both in enumerate(network.attend(network.convolve(network.embed(values)))):
        for modality, value in zip(("audio", "visual"), both, strict=True):
            name = f"hat_{modality}_scale{number}_slice"
            step = value.shape[-1] // expected[name].shape[-1]
            common.close(name, value[..., ::step], expected[name])


def dual(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass of the two networks; each answers for one modality."""
    network = common.network(case, "dhhn")
    values = common.streams(common.inputs(case))
    audio, visual = network.audio_net(values), network.video_net(values)
    common.close("audio_frame_prob", audio.segment, expected["audio_frame_prob"])
    common.close("video_frame_prob", visual.segment, expected["video_frame_prob"])
    found = network(values)
    common.close("audio_prob", found.audio, expected["audio_prob"])
    common.close("video_prob", found.visual, expected["video_prob"])
    for modality, name in enumerate(("audio_frame_prob", "video_frame_prob")):
        own = expected[name][:, :, modality]
        common.close(name, found.segment[:, :, modality], own)


def guide(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass of a guide."""
    state = common.state(case)
    kind = AudioGuide if case["case"].startswith("dhhn_audio") else VisualGuide
    network = kind(state["fc_prob.weight"].shape[1], common.spec(case)).eval()
    network.load_state_dict(state)
    values = common.streams(common.inputs(case))
    video, segment = network(values)
    common.close("prob", video, expected["prob"])
    common.close("frame_prob", segment, expected["frame_prob"])
    embedded = network.embed(values)
    step = embedded.shape[-1] // expected["input_slice"].shape[-1]
    common.close("input_slice", embedded[..., ::step], expected["input_slice"])


def targets(mode: str, label: Tensor, removed: Tensor) -> ModalityLabels:
    """The targets of a published mode, removals being those of MA (2, N, C)."""
    if mode == "train":
        return weak.WeakLabels(weak.Config(1.0, 0.9)).revise(common.batch(label), None)
    return ma.targets(label, removed, ma.Config())


def labels(case: Case, expected: Expected, _: Path) -> None:
    """What the published loader makes of weak labels and removals."""
    values = common.inputs(case)
    label = values["label"].clone()
    rows = torch.arange(len(label))
    classes = label.shape[1]
    # The repairs of the case: one video of the last class alone, no video without any label.
    label[0] = torch.nn.functional.one_hot(torch.tensor(classes - 1), classes)
    empty = rows[label.sum(1) == 0]
    label[empty, empty % classes] = 1
    common.close("weak_label", label, expected["weak_label"])
    removed = torch.stack([values["remove_a"], values["remove_v"]]).bool()
    found = targets(case["options"]["mode"], label, removed)
    for name, field in {"label": "video", "pa": "audio", "pv": "visual"}.items():
        common.close(name, getattr(found, field), expected[name])


def loss(case: Case, expected: Expected, _: Path) -> None:
    """Losses, targets and gradients of given probabilities."""
    values, mode = common.inputs(case), case["options"]["mode"]
    for name in (*NAMES, *GUIDES.values()):
        values[name].requires_grad_()
    removed = ~torch.stack([values["keep_a"], values["keep_v"]]).bool()
    given = targets(mode, values["label"], removed)
    for name, field in {
        "target_a": "audio",
        "target_v": "visual",
        "target_global": "video",
    }.items():
        common.close(name, getattr(given, field), expected[name])
    guides, config = MODES[mode]
    said = {
        f"{name}_guide": values[published]
        for name, published in GUIDES.items()
        if guides in ("both", name)
    }
    objective = dhhn.DHHNObjective(config)
    losses = objective(common.prediction(values, **said), given, common.batch(values["label"]))
    compare_parts(losses, expected)
    losses["loss"].backward()
    for name in (*NAMES, *GUIDES.values()):
        gradient = values[name].grad
        found = torch.zeros_like(values[name]) if gradient is None else gradient
        common.close(f"grad_{name}", found, expected[f"grad_{name}"])


def compare_parts(losses: dict[str, Tensor], expected: Expected) -> None:
    """Asserts the parts of the loss, some of which the published code adds up."""
    for name, field in {"a": "audio", "v": "visual", "global": "video"}.items():
        common.close(f"loss_bce_{name}", losses[field], expected[f"loss_bce_{name}"])
    main = ("audio", "visual", "video", "audio_lesson", "visual_lesson", "reverse")
    common.close("loss_hcmn", sum(losses.get(part, 0) for part in main), expected["loss_hcmn"])
    others = {
        "loss_audio_net": "audio_guide",
        "loss_video_net": "visual_guide",
        "loss_nets_adversarial": "guide_reverse",
    }
    for name, field in others.items():
        if name in expected:
            common.close(name, losses[field], expected[name])
    if "loss_guide" in expected:
        (found,) = (losses[name] for name in ("audio_guide", "visual_guide") if name in losses)
        common.close("loss_guide", found, expected["loss_guide"])


def inference(case: Case, expected: Expected, _: Path) -> None:
    """The binary maps of one network, and of two that answer for a modality each."""
    values = common.inputs(case)
    gate = published_gate("dhhn", values["global_prob"].shape[1])
    one = common.prediction(values)
    picture = Prediction(values["frame_prob_video_net"], one.audio, one.visual, one.video)
    for prefix, found in {"": one, "dual_": merged(one, picture)}.items():
        maps = gate.apply(found).permute(2, 0, 3, 1)
        common.close(f"{prefix}pred_a", maps[0], expected[f"{prefix}pred_a"] > 0.5)
        common.close(f"{prefix}pred_v", maps[1], expected[f"{prefix}pred_v"] > 0.5)
        common.close(f"{prefix}pred_av", maps[0] & maps[1], expected[f"{prefix}pred_av"] > 0.5)


RUNNERS: dict[str, Runner] = {
    "dhhn_hcmn_forward": forward,
    "dhhn_dual_forward": dual,
    "dhhn_audio_net": guide,
    "dhhn_video_net": guide,
    "dhhn_labels": labels,
    "dhhn_loss": loss,
    "dhhn_inference": inference,
}
