"""Golden cases of LEAP: network and loss."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cases_han
import cases_mm_pyramid
import common
import numpy as np
import torch
from common import Case, Expected, Runner

from rlld.objectives import leap
from rlld.types import MODALITIES, ModalityLabels

PARTS = {
    "loss": "loss_total",
    "audio": "loss_audio",
    "visual": "loss_visual",
    "video": "loss_video",
    "similarity": "loss_similarity",
}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass of a published checkpoint, whose text vectors lie in another file."""
    values = common.inputs(case)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "vectors.npy"
        np.save(table, values["label_vector"].numpy())
        network = common.network(case, "leap", **{"network.vectors": str(table)})
    found = network(common.streams(values))
    cases_han.probabilities(found, expected, common.DEEP_TOLERANCE)
    for modality in MODALITIES:
        name = f"{modality}_after"
        cases_mm_pyramid.sliced(name, found.extras[name], expected)


def losses(case: Case, expected: Expected, _: Path) -> None:
    """The loss of given probabilities and embeddings, its parts and its gradients."""
    values = common.inputs(case)
    segment = torch.stack([values[f"{m}_label"] for m in MODALITIES], 2)
    segment = segment * values["label"][:, None, None]
    segment[1], segment[2, :, 1], segment[3, :, 1] = 0, 0, segment[3, :, 0]
    features = {f"{m}_after": values[f"{m}_feature"] for m in MODALITIES}
    learned = ("a_prob", "v_prob", "frame_prob", "audio_feature", "visual_feature")
    for name in learned:
        values[name].requires_grad_()
    gate = torch.from_numpy(expected["global_prob"])
    given = common.prediction({**values, "global_prob": gate}, **features)
    labels = ModalityLabels(*segment.amax(1).unbind(1), values["label"], segment)
    found = leap.LeapObjective(leap.Config())(given, labels, common.batch(values["label"]))
    for part, name in PARTS.items():
        common.close(name, found[part], expected[name])
    frames = expected["loss_frame_audio"] + expected["loss_frame_visual"]
    common.close("loss_frame", found["segment"], frames)
    found["loss"].backward()
    for name in learned:
        gradient = 1e4 * values[name].grad
        wanted = expected[f"grad_{name}_x1e4"]
        common.close(name, gradient, wanted, common.GRADIENT_TOLERANCE)


RUNNERS: dict[str, Runner] = {"leap_forward": forward, "leap_losses": losses}
