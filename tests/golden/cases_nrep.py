"""Golden cases of NREP: both networks, a training step of either stage, and decisions."""

from __future__ import annotations

from pathlib import Path

import common
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.metrics import published_gate
from rlld.networks.nrep import NETS, NREP, probabilities
from rlld.objectives import nrep
from rlld.objectives._contrastive import similarity
from rlld.types import ModalityLabels, Prediction

PARTS = dict(zip(NETS, ("model_audio", "model_video"), strict=True))
STAGES = dict(zip(NETS, ("audio", "video"), strict=True))
LOGITS = {
    "global_logits": "video_evidence",
    "frame_logits": "segment_evidence",
    "temporal_logits": "joint_evidence",
}
WEIGHTS = {"frame_att": "segment_weights", "temporal_att": "joint_weights"}
EMBEDDINGS = ("audio_after", "visual_after")


def forward(case: Case, expected: Expected, _: Path) -> None:
    """What both networks of a published checkpoint say."""
    network = common.network(case, "nrep")
    assert isinstance(network, NREP)
    streams = common.streams(common.inputs(case))
    together = network(streams)
    for net, part in PARTS.items():
        said = getattr(network, net)(streams).extras
        audio, visual = said["modality_evidence"].unbind(1)
        found = {published: said[name] for published, name in (LOGITS | WEIGHTS).items()}
        found |= {"a_logits": audio, "v_logits": visual}
        found["sims_after"] = similarity(*(said[name] for name in EMBEDDINGS), 0.2).flatten(0, 1)
        for name, value in found.items():
            common.close(f"{part}.{name}", value, expected[f"{part}.{name}"])
        for name, value in said.items():
            assert torch.equal(together.extras[f"{net}.{name}"], value), name
    common.close("audio_prob", together.audio, expected["audio_prob"])
    common.close("video_prob", together.visual, expected["video_prob"])
    common.close("frame_prob", together.segment, expected["frame_prob"])


def step(case: Case, expected: Expected, _: Path) -> None:
    """Losses of both stages, and their gradients."""
    config = nrep.Config(evidential=case["case"].endswith("evidential"))
    for net, stage in STAGES.items():
        values = common.inputs(case)
        tags = values["label"]
        segment = torch.stack([values["audio_segment"], values["visual_segment"]], 2)
        segment = segment * tags[:, None, None]
        labels = ModalityLabels(*segment.amax(1).unbind(1), tags, segment)
        scale = {name: 2.0 if name.endswith("logits") else 1.0 for name in values}
        given = {name: (scale[name] * value).requires_grad_() for name, value in values.items()}
        said = {ours: given[name] for name, ours in LOGITS.items()}
        said |= {ours: given[name].softmax(1) for name, ours in WEIGHTS.items()}
        said |= {name: given[name] for name in EMBEDDINGS}
        said["modality_evidence"] = torch.stack([given["a_logits"], given["v_logits"]], 1)
        extras = {f"{net}.{name}": value for name, value in said.items()}
        objective = nrep.NREPObjective(config)
        loss = objective.total(objective.parts(net, _silent(tags, extras), labels))
        common.close(f"{stage}.loss", loss, expected[f"{stage}.loss"])
        loss.backward()
        for name in (*LOGITS, *WEIGHTS, *EMBEDDINGS, "a_logits", "v_logits"):
            key = f"{stage}.grad_{name}_x1e4"
            gradient = given[name].grad
            assert gradient is not None, name
            common.close(key, 1e4 * gradient, expected[key], common.GRADIENT_TOLERANCE)


def decisions(case: Case, expected: Expected, _: Path) -> None:
    """The binary maps of the two networks together."""
    said = {name: probabilities(2 * value)[..., 0] for name, value in common.inputs(case).items()}
    frames = said["a_frame_logits"][:, :, 0], said["v_frame_logits"][:, :, 1]
    nothing = torch.zeros_like(said["a_logits"])
    pair = Prediction(torch.stack(frames, 2), said["a_logits"], said["v_logits"], nothing)
    audio, visual = published_gate("nrep", nothing.shape[-1]).apply(pair).unbind(2)
    for name, found in {"a": audio, "v": visual, "av": audio & visual}.items():
        common.close(f"pred_{name}", found, expected[f"pred_{name}"])


def _silent(tags: Tensor, extras: dict[str, Tensor]) -> Prediction:
    nothing = torch.zeros_like(tags)
    return Prediction(nothing[:, None, None], nothing, nothing, nothing, extras)


RUNNERS: dict[str, Runner] = {
    "nrep_forward": forward,
    "nrep_step": step,
    "nrep_decisions": decisions,
}
