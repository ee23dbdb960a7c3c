"""Golden cases of CPSP: network, PSP module, both contrasts and the total loss."""

from __future__ import annotations

import re
from pathlib import Path

import cases_han
import common
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.networks.cpsp import PSP
from rlld.objectives import cpsp
from rlld.objectives._contrastive import Contrastive, matching_loss, similarity
from rlld.objectives.cpsp import Config, VideoContrast

CONTRAST = Contrastive(1.0, "ma")


def options(case: Case) -> dict[str, float]:
    """The numbers of a constructor like ``VconInfoLoss(ratio=0.9, eta=0.2)``, by name."""
    found = re.findall(r"(\w+)\s*=\s*(\d*\.?\d+(?:e-?\d+)?)", case["constructor"])
    return {name: float(value) for name, value in found}


def video_contrast(case: Case) -> VideoContrast:
    """The contrast between videos with the options of a case."""
    found = options(case)
    return VideoContrast(found.get("lambda_v", 1.0), found["ratio"], found["eta"])


def labels(case: Case, values: Tensor) -> Tensor:
    """Gives row i the class i mod 4 (or what the notes say), so that no row is empty."""
    rows = torch.arange(len(values))
    values[rows, rows % int(common.said(case, r"i mod (\d+)", 4))] = 1
    return values


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass and the similarities of the first contrast."""
    network = common.network(case, "cpsp", **{"network.threshold": options(case)["threshold"]})
    found = network(common.streams(common.inputs(case)))
    cases_han.probabilities(found, expected)
    both = torch.stack([found.extras["audio_after"], found.extras["visual_after"]], 2)
    common.close("x", both, expected["x"])
    before = found.extras["visual_before"]
    logits = similarity(found.extras["audio_after"], before, CONTRAST.temperature)
    common.close("sims", logits.flatten(0, 1), expected["sims"])
    videos, segments = logits.shape[:2]
    common.close("mask", torch.arange(segments).repeat(videos).float(), expected["mask"])


def module(case: Case, expected: Expected, _: Path) -> None:
    """The PSP module alone."""
    found, values = options(case), common.inputs(case)
    psp = PSP(int(found["hidden_dim"]), int(found["out_dim"])).eval()
    psp.load_state_dict(common.state(case))
    audio, visual = psp(values["a_fea"], values["v_fea"], found["thr_val"])
    common.close("a_psp", audio, expected["a_psp"])
    common.close("v_psp", visual, expected["v_psp"])
    common.close("fuse", (audio + visual) / 2, expected["fuse"])


def between_videos(case: Case, expected: Expected, _: Path) -> None:
    """The contrast between videos and its gradient, or what it contributes where undefined."""
    values = common.inputs(case)
    features = values["video_fea"].requires_grad_()
    embedding = features.mean((1, 2))
    if "contribution" in expected:
        found = video_contrast(case).loss(embedding, values["target"])
        common.close("contribution", found, expected["contribution"])
        return
    found = video_contrast(case).loss(embedding, labels(case, values["target"]))
    common.close("loss", found, expected["loss"])
    found.backward()
    gradient = 1e4 * features.grad
    common.close("grad_x1e4", gradient, expected["grad_x1e4"], common.GRADIENT_TOLERANCE)


def between_segments(case: Case, expected: Expected, _: Path) -> None:
    """The contrast between the segments of a video and its gradient."""
    logits = common.said(case, r"([\d.]+)\*sims", 3) * common.inputs(case)["sims"]
    segments = logits.shape[-1]
    logits = logits.view(-1, segments, segments).requires_grad_()
    found = matching_loss(logits, "cross_entropy", options(case)["smoothing"])
    common.close("loss", found, expected["loss"])
    found.backward()
    gradient = 1e4 * logits.grad.flatten(0, 1)
    common.close("grad_x1e4", gradient, expected["grad_x1e4"], common.GRADIENT_TOLERANCE)


def total(case: Case, expected: Expected, _: Path) -> None:
    """All five losses through the network."""
    values = common.inputs(case)
    network = common.network(case, "cpsp", **{"network.threshold": options(case)["threshold"]})
    targets = cases_han.targets(labels(case, values["label"]))
    objective = cpsp.CPSPObjective(
        Config(contrastive=CONTRAST, video_contrast=video_contrast(case))
    )
    found = network(common.streams(values))
    losses = objective(found, targets, common.batch(values["label"]))
    names = {"audio": "audio", "visual": "visual", "video": "global", "contrastive": "sims"}
    for ours, name in {**names, "video_contrast": "vcon", "loss": "total"}.items():
        common.close(name, losses[ours], expected[f"loss_{name}"])
    if any(name.startswith("grad") for name in expected):
        losses["loss"].backward()
        common.gradients(network, expected)


RUNNERS: dict[str, Runner] = {
    "cpsp_avvp": forward,
    "cpsp_psp_module": module,
    "cpsp_sims_loss": between_segments,
    "cpsp_total_loss": total,
    "cpsp_vcon_loss": between_videos,
}
