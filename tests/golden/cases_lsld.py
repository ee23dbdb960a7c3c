"""Golden cases of LSLD: network and labels of segments."""

from __future__ import annotations

from pathlib import Path

import cases_han
import common
import numpy as np
import torch
from cases_valor import spec_of
from common import Case, Expected, Runner
from fill import tensor
from torch import Tensor
from torch.nn import functional

from rlld.denoisers import lsld
from rlld.networks.convert import convert_state
from rlld.taxonomy import LLP

STREAMS = {"audio": "audio", "video": "visual_2d"}


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass."""
    spec = spec_of(case, STREAMS, expected["frame_prob"].shape[1])
    network = convert_state(common.state(case), "lsld", spec, where=case["case"]).network
    values = common.inputs(case)
    found = network({ours: values[theirs] for theirs, ours in STREAMS.items()})
    cases_han.probabilities(found, expected)


def labels(case: Case, expected: Expected, _: Path) -> None:
    """Labels of segments from embeddings, before and after doubtful visual ones become soft."""
    values, seed = common.inputs(case), case["seed"]
    target = torch.from_numpy(expected["target"])
    width = values["audio"].shape[-1]

    def text(model: str, prompt: str) -> Tensor:
        return torch.from_numpy(tensor(f"{model}_text:{prompt}", (width,), seed, "normal"))

    video = values["video"].clone()
    for row, number in target.nonzero().tolist():
        video[row] += 0.9 * values["order"][row, number] * text("clip", LLP.classes[number])
    segments = values["audio"].shape[1]
    pictures = video.unflatten(1, (segments, -1)).mean(2)

    def cosines(features: Tensor, texts: list[Tensor]) -> Tensor:
        return (
            functional.normalize(features, dim=-1)
            @ functional.normalize(torch.stack(texts), dim=-1).T
        )

    names = lsld.spoken_names(LLP.classes)
    scores = torch.zeros(2, len(target), segments, 2 ** int(target.sum(1).max()))
    for row, weak in enumerate(target):
        heard, seen = lsld.prompts(weak.nonzero()[:, 0].tolist(), names)
        for number, (features, model, prompts) in enumerate(
            ((values["audio"], "clap", heard), (pictures, "clip", seen))
        ):
            found = cosines(features[row], [text(model, prompt) for prompt in prompts])
            scores[number, row, :, : len(prompts)] = found
    audio, visual = (lsld.refine(part, target) for part in scores)
    common.close("language_audio", audio, expected["language_audio"] > 0)
    common.close("language_visual", visual, expected["language_visual"] > 0)
    similarity = cosines(pictures, [text("clip", name) for name in LLP.classes])
    ratios = case.get("options") or case["constructor"]
    final = lsld.reweigh(visual, similarity, ratios["event_ratio"], ratios["noise_ratio"])
    common.close("final_visual", final, expected["final_visual"])
    common.close("final_audio", audio, expected["final_audio"])
    assert np.array_equal(final.numpy() == 1, expected["final_visual"] == 1)


RUNNERS: dict[str, Runner] = {"lsld_forward": forward, "lsld_label": labels}
