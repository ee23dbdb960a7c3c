"""Golden cases of AVE: the weakly supervised network, its loss, and DMRN."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import common
from common import Case, Expected, Runner
from torch import Tensor

from rlld.data.spec import DataSpec, StreamSpec
from rlld.networks import ave
from rlld.networks.base import Network
from rlld.objectives import soft_margin
from rlld.types import ModalityLabels, Prediction
from rlld.workflows.convert import convert_state


def network(case: Case, name: str, classes: int, **settings: Any) -> Network:
    """Builds the localisation form of a network through the converter.

    Its ``visual_2d`` are the positions of a feature map.
    """
    shapes = {entry["name"]: entry["shape"] for entry in case["inputs"]}
    streams = {
        "audio": StreamSpec(shapes["audio"][-1]),
        "visual_2d": StreamSpec(shapes["video"][-1]),
    }
    labels = tuple(map(str, range(classes)))
    spec = DataSpec("golden", labels, shapes["audio"][1], 1.0, streams)
    state = common.state(case)
    return convert_state(state, name, spec, settings, where=case["case"]).network


def maps(case: Case) -> dict[str, Tensor]:
    """The streams of a case; a map's positions lie side by side."""
    values = common.inputs(case)
    return {"audio": values["audio"], "visual_2d": values["video"].flatten(1, 3)}


def weak(case: Case, expected: Expected, _: Path) -> None:
    """The weakly supervised network."""
    found = network(case, "ave", expected["segment_score"].shape[-1])(maps(case))
    common.close("video_probability", found.video, expected["video_probability"])
    for name in ("segment_score", "attended_visual"):
        common.close(name, found.extras[name], expected[name])


def weak_loss(case: Case, expected: Expected, _: Path) -> None:
    """Pooling over time, softmax, and the loss with its sigmoid on top."""
    values = common.inputs(case)
    scores = values["segment_score"].requires_grad_()
    streams = {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)}
    spec = DataSpec("golden", tuple(map(str, range(scores.shape[-1]))), 1, 1.0, streams)
    pooling = "max" if "max over time" in case["constructor"] else "mean"
    video = ave.Config(form="localisation", pooling=pooling).build(spec).pooled(scores)
    common.close("video_probability", video, expected["video_probability"])
    objective = soft_margin.Config(audio_weight=0, visual_weight=0).build(spec)
    labels = values["labels"]
    targets = ModalityLabels(labels, labels, labels)
    found = Prediction(video[:, None, None], video, video, video)
    loss = objective(found, targets, common.batch(labels))["loss"]
    common.close("loss", loss, expected["loss"])
    loss.backward()
    common.close("grad_x1e4", 1e4 * scores.grad, expected["grad_x1e4"], common.GRADIENT_TOLERANCE)


def dmrn(case: Case, expected: Expected, _: Path) -> None:
    """The supervised network with residual fusion."""
    # The last argument of the published constructor is the number of blocks.
    blocks = int(re.findall(r"\d+", case["constructor"])[-1])
    classes = expected["segment_probability"].shape[-1]
    found = network(case, "ave", classes, **{"network.blocks": blocks})(maps(case))
    for modality in range(2):
        segment = found.segment[:, :, modality]
        common.close("segment_probability", segment, expected["segment_probability"])


RUNNERS: dict[str, Runner] = {"ave_weak": weak, "ave_weak_loss": weak_loss, "ave_dmrn": dmrn}
