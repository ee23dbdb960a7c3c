"""Golden cases of PreFM: network, maps of sound, loss and gradients, the score that selects."""

from __future__ import annotations

import tempfile
from pathlib import Path

import common
import numpy as np
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.metrics.moments import moment_precision
from rlld.networks.base import Network
from rlld.objectives import prefm
from rlld.types import ModalityLabels

PARTS = {
    "loss": "loss_total",
    "segment": "loss_cls",
    "current": "loss_kd_curr",
    "future": "loss_kd_futu",
}


def converted(case: Case, values: dict[str, Tensor]) -> Network:
    """The network of a case, with its text vectors where it has any."""
    settings = {"network.heads": case["constructor"]["nhead"]}
    if "text" not in values:
        return common.network(case, "prefm", **settings)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "vectors.npy"
        np.save(table, values["text"].numpy())
        return common.network(case, "prefm", **settings, **{"network.vectors": str(table)})


def window(extras: dict[str, Tensor], segment: int) -> Tensor:
    """The logits of the window of a segment and of its future."""
    return torch.cat([extras[f"{name}_logits"][:, segment] for name in ("current", "future")], 1)


def forward(case: Case, expected: Expected, _: Path) -> None:
    """Every segment by its own window, two whole windows, and what text asks for."""
    values = common.inputs(case)
    found = converted(case, values)(common.streams(values))
    common.close("frame_prob", found.segment, expected["frame_prob"], common.DEEP_TOLERANCE)
    for segment in (3, 11):
        name = f"window_{segment}"
        said = window(found.extras, segment)
        common.close(name, said, expected[name], common.DEEP_TOLERANCE)
    common.close("curr_f", found.extras["words"], expected["curr_f"])


def maps(case: Case, expected: Expected, _: Path) -> None:
    """The window of the last segment, whose sound is a whole map."""
    values = common.inputs(case)
    found = converted(case, values)(common.streams(values))
    said = window(found.extras, 9)
    common.close("window_9", said, expected["window_9"], common.DEEP_TOLERANCE)
    decided = expected["frame_prob"][:, 9]
    common.close("frame_prob", found.segment[:, 9], decided, common.DEEP_TOLERANCE)


def losses(case: Case, expected: Expected, _: Path) -> None:
    """The loss of all windows, its parts and the gradients by their published names."""
    values = common.inputs(case)
    network = converted(case, values).double()
    values = {name: value.double() for name, value in values.items()}
    segment = values["segment"] * values["label"][:, None, None]
    segment[0, 2] = 0
    labels = ModalityLabels(*segment.amax(1).unbind(1), values["label"], segment)
    found = network(common.streams(values))
    loss = prefm.PreFMObjective(prefm.Config())(found, labels, common.batch(values["label"]))
    for ours, name in PARTS.items():
        common.close(name, loss[ours], expected[name])
    weights = prefm.focus_weights(10, 13, 4.0)
    common.close("time_weights", weights, expected["time_weights"])
    loss["loss"].backward()
    common.gradients(network, expected)


def moments(case: Case, expected: Expected, _: Path) -> None:
    """How the classes of each second are ranked, which selects."""
    values = common.inputs(case)
    probability, truth = values["frame_prob"], values["truth"].bool()
    truth[1, 3:] = False
    probability[2] = (probability[2] * 8).round() / 8
    found = moment_precision(probability, truth)
    common.close("perframe_map", found, expected["perframe_map"])


RUNNERS: dict[str, Runner] = {
    "prefm_forward": forward,
    "prefm_maps": maps,
    "prefm_losses": losses,
    "prefm_moments": moments,
}
