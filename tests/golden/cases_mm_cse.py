"""Golden cases of MM-CSE: network, maps of the attention, loss and gradients."""

from __future__ import annotations

import re
from pathlib import Path

import cases_han
import common
import numpy as np
import torch
from common import Case, Expected, Runner

from rlld.networks.base import Network
from rlld.networks.mm_cse import published_state
from rlld.objectives import mm_cse
from rlld.types import ModalityLabels

MAPS = (("aa", 0, 0), ("av", 0, 1), ("vv", 1, 0), ("va", 1, 1))
"""Published name, modality, and whether the map is of the other one."""
PARTS = ("video", "audio", "visual", "reconstruction", "orthogonality", "maps")
VANISHING = re.compile(r"fc_(frame|av)_att\.fc\.\d+\.bias")
"""A softmax cancels these biases: their true gradient is 0."""


def converted(case: Case) -> Network:
    """The network of a case with the heads that its constructor names."""
    heads = re.search(r"nhead=(\d+)", case["constructor"])[1]
    return common.network(case, "mm_cse", **{"network.heads": int(heads)})


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass, its parts and its maps."""
    found = converted(case)(common.streams(common.inputs(case)))
    cases_han.probabilities(found, expected, common.DEEP_TOLERANCE)
    extras = found.extras
    logits = extras["segment_logits"]
    common.close("frame_logits", logits, expected["frame_logits"], common.DEEP_TOLERANCE)
    for name, modality, other in MAPS:
        part = extras["maps"][:1, ::3, modality, other]
        common.close(name, part, expected[f"map_{name}"], common.DEEP_TOLERANCE)
    lost = (extras["embedded"] - extras["reconstructed"]).square().mean((0, 1, 3))
    common.close("reconstruction", lost, expected["reconstruction"])
    total = mm_cse.likeness(extras["parts"].flatten(0, 1))
    common.close("orthogonality", total, expected["orthogonality"].sum())


def loss_of(case: Case, dtype: torch.dtype) -> tuple[Network, dict[str, torch.Tensor]]:
    """The network of a case and its loss, in a precision."""
    network = converted(case).to(dtype)
    values = {name: value.to(dtype) for name, value in common.inputs(case).items()}
    segment = torch.stack([values[f"{name}_pseudo_labels"] for name in ("audio", "visual")], 2)
    labels = ModalityLabels(*segment.amax(1).unbind(1), values["label"], segment)
    found, batch = network(common.streams(values)), common.batch(values["label"])
    return network, mm_cse.MmCseObjective(mm_cse.Config())(found, labels, batch)


def losses(case: Case, expected: Expected, _: Path) -> None:
    """The loss, its parts and the gradients by their published names."""
    loss = loss_of(case, torch.float32)[1]
    for name in PARTS:
        common.close(name, loss[name], expected[f"loss_{name}"])
    common.close("loss", loss["loss"], expected["loss_total"])
    # Among a million ReLUs one is so near to its kink that float32 decides about its gradient.
    network, loss = loss_of(case, torch.float64)
    loss["loss"].backward()
    gradients = published_state({name: p.grad for name, p in network.named_parameters()})
    for name in expected:
        if name.startswith("grad/"):
            own = gradients[name.removeprefix("grad/")]
            common.close(name, own, expected[name], common.GRADIENT_TOLERANCE)
    keys = [each["key"] for each in case["parameters"]]
    live = [key for key in keys if not key.startswith("av_enhance.final_norm_")]
    norms = dict(zip(live, expected["gradnorms"], strict=True))
    for key, norm in norms.items():
        own = gradients[key].double().norm()
        if VANISHING.fullmatch(key):
            assert own <= 1e-6 * max(norms.values()), f"{key}: {own:.3g} instead of 0"
        else:
            common.close(key, own, np.asarray(norm), common.GRADIENT_TOLERANCE)


RUNNERS: dict[str, Runner] = {
    "mm_cse_forward": forward,
    "mm_cse_maps": forward,
    "mm_cse_losses": losses,
}
