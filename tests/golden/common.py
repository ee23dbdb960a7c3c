"""What golden cases share: their tensors, networks and comparisons."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))
from fill import parameter, tensor

from rlld.data.spec import DataSpec, StreamSpec
from rlld.networks.base import Network
from rlld.types import Batch, Prediction
from rlld.workflows.convert import convert_state

Case = Mapping[str, Any]
Expected = Mapping[str, np.ndarray]
Runner = Callable[[Case, Expected, Path], None]
OUTPUT_TOLERANCE = 1e-5
DEEP_TOLERANCE = 2e-5
"""What the cases allow deep stacks, where rounding adds up."""
GRADIENT_TOLERANCE = 1e-4
VANISHING = ("fc_frame_att.bias", "fc_av_att.bias")
"""A softmax cancels these biases: their true gradient is 0, what is stored is rounding noise."""
NAMES = {
    "audio": "audio",
    "visual": "visual_2d",
    "video": "visual_2d",
    "visual_st": "visual_3d",
    "video_st": "visual_3d",
}
"""Our stream names by their published input names."""
BY_CLASS = ("global_prob", "audio_prob", "prob", "label")
"""Outputs and inputs whose last axis counts classes."""


def inputs(case: Case) -> dict[str, Tensor]:
    """Returns the inputs of a case by name."""
    return {
        entry["name"]: torch.from_numpy(
            tensor(entry["name"], tuple(entry["shape"]), case["seed"], entry["dist"])
        )
        for entry in case["inputs"]
    }


def streams(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Picks the feature streams of the inputs, by our names."""
    return {ours: values[published] for published, ours in NAMES.items() if published in values}


def state(case: Case) -> dict[str, Tensor]:
    """Returns the published state dict of a case."""
    return {
        entry["key"]: torch.from_numpy(parameter(entry["key"], tuple(entry["shape"]), case["seed"]))
        for entry in case["parameters"]
    }


def spec(case: Case) -> DataSpec:
    """Returns the data set of a case with feature streams: their widths, classes and segments."""
    shapes = {entry["name"]: entry["shape"] for entry in case["inputs"]}
    streams = {ours: StreamSpec(shapes[name][-1]) for name, ours in NAMES.items() if name in shapes}
    shapes |= {entry["name"]: entry["shape"] for entry in case["outputs"]}
    classes = next(shapes[name][-1] for name in BY_CLASS if name in shapes)
    # Feature maps have more rows than there are segments, what is said of the segments has not.
    rows = [shape for name, shape in shapes.items() if name.endswith("frame_prob")]
    segments = (rows or [shapes["audio"]])[0][1]
    return DataSpec("golden", tuple(map(str, range(classes))), segments, 1.0, streams)


def network(case: Case, name: str = "han", **settings: Any) -> Network:
    """Builds the network of a case through the converter of published checkpoints."""
    return convert_state(state(case), name, spec(case), settings, case["case"]).network


def options(case: Case) -> dict[str, Any]:
    """Returns the options of a case, which some have in their constructor."""
    made = case.get("constructor")
    return {**(made if isinstance(made, dict) else {}), **case.get("options", {})}


def said(case: Case, pattern: str, default: float) -> float:
    """Returns the number that the first group of a pattern finds in the words of a case."""
    found = re.search(pattern, f"{case.get('constructor', '')} {case.get('notes', '')}")
    return float(found[1]) if found else default


def prediction(values: Mapping[str, Tensor], **extras: Tensor) -> Prediction:
    """Makes a prediction of given probabilities."""
    shape = values["global_prob"].shape
    segment = values.get("frame_prob", torch.zeros(shape[0], 1, 2, shape[1]))
    return Prediction(segment, values["a_prob"], values["v_prob"], values["global_prob"], extras)


def batch(labels: Tensor) -> Batch:
    """Makes a batch of labels without features."""
    return Batch({}, labels, torch.arange(len(labels)))


def close(
    name: str,
    found: Tensor | np.ndarray,
    expected: np.ndarray,
    tolerance: float = OUTPUT_TOLERANCE,
) -> None:
    """Asserts that values agree within a tolerance relative to their largest expected value.

    Masks and counts (booleans and integers) have to agree exactly.
    """
    value = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
    assert value.shape == expected.shape, f"{name}: shape {value.shape}, not {expected.shape}"
    if expected.dtype.kind in "biu":
        differing = int((value.astype(expected.dtype) != expected).sum())
        assert not differing, f"{name}: {differing} of {expected.size} values differ"
        return
    value, expected = value.astype(np.float64), expected.astype(np.float64)
    undefined = int((np.isnan(value) != np.isnan(expected)).sum())
    assert not undefined, f"{name}: {undefined} of {expected.size} values are NaN in one only"
    error = np.nanmax(np.abs(value - expected), initial=0)
    scale = np.nanmax(np.abs(expected), initial=0)
    assert error <= tolerance * scale, f"{name}: error {error:.3g}, largest value {scale:.3g}"


def gradients(module: Network, expected: Expected) -> None:
    """Asserts the gradients ``grad/KEY`` and their norms ``gradnorm/KEY`` of a network."""
    norms = [float(expected[name]) for name in expected if name.startswith("gradnorm/")]
    largest = max(norms, default=1.0)
    parameters = dict(module.named_parameters())
    for name, value in expected.items():
        kind, _, key = name.partition("/")
        if kind not in ("grad", "gradnorm"):
            continue
        found = parameters[key].grad
        assert found is not None, f"{name}: no gradient"
        if key in VANISHING:
            assert found.norm() <= 1e-6 * largest, f"{name}: {found.norm():.3g} instead of 0"
            continue
        value_of = found.double().norm() if kind == "gradnorm" else found
        close(name, value_of, value, GRADIENT_TOLERANCE)
