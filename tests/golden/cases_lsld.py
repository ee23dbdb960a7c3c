"""Golden cases of LSLD: network and labels of segments."""

from __future__ import annotations

from pathlib import Path

import cases_han
import common
import numpy as np
import torch
from common import Case, Expected, Runner
from fill import tensor
from torch import Tensor
from torch.nn import functional

from rlld.denoisers import lsld
from rlld.taxonomy import LLP


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass."""
    found = common.network(case, "lsld")(common.streams(common.inputs(case)))
    cases_han.probabilities(found, expected)


def drawn_labels(case: Case, values: dict[str, Tensor]) -> Tensor:
    """The weak labels of a case: the first of an order, as many as it says."""
    order, few = values["order"], int(common.said(case, r"modulo (\d+)", 6))
    target = torch.zeros_like(order)
    number = 1 + (3 * values["count"]).floor().clamp(max=2).long()
    for row, ranked in enumerate(order.argsort(1, descending=True)):
        target[row, ranked[: number[row]] % few] = 1
    return target


def labels(case: Case, expected: Expected, _: Path) -> None:
    """Labels of segments from embeddings, before and after doubtful visual ones become soft."""
    values, seed = common.inputs(case), case["seed"]
    target = drawn_labels(case, values)
    common.close("target", target, expected["target"])
    width = values["audio"].shape[-1]

    def text(model: str, prompt: str) -> Tensor:
        return torch.from_numpy(tensor(f"{model}_text:{prompt}", (width,), seed, "normal"))

    video, share = values["video"].clone(), common.said(case, r"\+= ([\d.]+)\*order", 0.9)
    for row, number in target.nonzero().tolist():
        video[row] += share * values["order"][row, number] * text("clip", LLP.classes[number])
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
    ratios = common.options(case)
    final = lsld.reweigh(visual, similarity, ratios["event_ratio"], ratios["noise_ratio"])
    common.close("final_visual", final, expected["final_visual"])
    common.close("final_audio", audio, expected["final_audio"])
    assert np.array_equal(final.numpy() == 1, expected["final_visual"] == 1)


RUNNERS: dict[str, Runner] = {"lsld_forward": forward, "lsld_label": labels}
