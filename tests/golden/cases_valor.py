"""Golden cases of VALOR: network, segment losses, learning rate and pseudo labels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cases_han
import common
import numpy as np
import torch
from common import Case, Expected, Runner

from rlld.data.spec import DataSpec, StreamSpec
from rlld.denoisers import valor as pseudo
from rlld.media import sampling
from rlld.networks.base import Network
from rlld.objectives import segment
from rlld.recipes.recipe import load_recipe
from rlld.recipes.schedule import Schedule
from rlld.types import ModalityLabels


def converted(case: Case) -> Network:
    """The network of a case with the options that its constructor names."""
    text = str(case.get("constructor", "")) + str(case.get("options", ""))
    heads = re.search(r"nhead\D+(\d+)", text)
    settings = {
        "network.heads": int(heads[1]) if heads else 8,
        "network.norm": "pre" if "pre_norm" in text else "post",
    }
    return common.network(case, "valor", **settings)


def forward(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass."""
    network, values = converted(case), common.inputs(case)
    found = network(common.streams(values))
    cases_han.probabilities(found, expected)
    common.close("frame_logits", found.extras["segment_logits"], expected["frame_logits"])


def losses(case: Case, expected: Expected, _: Path) -> None:
    """The training loss of given probabilities and logits, and its gradient."""
    values = common.inputs(case)
    logits = values["frame_logits"].requires_grad_()
    zeros = torch.zeros_like(values["global_prob"])
    given = common.prediction({**values, "a_prob": zeros, "v_prob": zeros}, segment_logits=logits)
    both = [values[f"{modality}_pseudo_labels"] for modality in ("audio", "visual")]
    labels = ModalityLabels(zeros, zeros, values["label"], torch.stack(both, 2))
    found = segment.SegmentObjective(segment.Config())(given, labels, common.batch(values["label"]))
    for part, name in {**cases_han.PARTS, "loss": "loss_total", "video": "loss_video"}.items():
        common.close(name, found[part], expected[name])
    found["loss"].backward()
    common.close("grad_x1e4", 1e4 * logits.grad, expected["grad_x1e4"])


def learning_rate(case: Case, expected: Expected, _: Path) -> None:
    """The rate of every epoch; warm-up and limits are read off the constructor."""
    text = case["constructor"]
    warm_up = float(re.search(r"warm_up=([\d.e-]+)", text)[1])
    lowest, highest = (float(re.search(rf"lr_{k}=([\d.e-]+)", text)[1]) for k in ("min", "max"))
    epochs = len(expected["lr_times_1e4"])
    schedule = Schedule(
        rounds=epochs,
        learning_rate=highest,
        decay="cosine",
        warm_up=warm_up / epochs,
        final_rate=lowest / highest,
    )
    rates = [1e4 * schedule.rate(epoch, 10_000) for epoch in range(epochs)]
    common.close("lr_times_1e4", np.array(rates), expected["lr_times_1e4"])
    if (epochs, warm_up, lowest, highest) == (60, 10, 1e-6, 1e-4):
        recipe = load_recipe("valor").schedule
        published = [1e4 * recipe.rate(epoch, 10_000) for epoch in range(epochs)]
        common.close("recipe", np.array(published), expected["lr_times_1e4"])


def pseudo_labels(case: Case, expected: Expected, _: Path) -> None:
    """The labels of segments from logits, those of the first segment being the thresholds."""
    values = common.inputs(case)
    config = pseudo.Config()
    spec = DataSpec(
        "golden",
        tuple(f"class {number}" for number in range(values["label"].shape[1])),
        values["visual_noise"].shape[1],
        1.0,
        {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)},
    )
    thresholds = config.build(spec).thresholds
    logits = torch.stack([1.5 + 2.5 * values["audio_noise"], 16 + 3 * values["visual_noise"]], 2)
    logits[:, 0] = thresholds
    found = pseudo.elaborate(logits, values["label"], thresholds)
    for number, modality in enumerate(("audio", "visual")):
        name = f"{modality}_pseudo_labels"
        common.close(name, found[:, :, number], expected[name] > 0)


def sampling_rules(case: Case, expected: Expected, _: Path) -> None:
    """Frames and sound samples of clips whose lengths the constructor lists."""
    frames, samples = (json.loads(part) for part in re.findall(r"\[.*?\]", case["constructor"]))
    segments = expected["frame_index"].shape[1]
    places = [int(place) for place in re.search(r"entries ([\d,]+)", case["notes"])[1].split(",")]
    length = int(re.search(r"of the (\d+) sample", case["notes"])[1])
    bounds = [sampling.window_bounds(count, segments) for count in samples]
    found = {
        "frame_index": [sampling.frame_indices(count, segments) for count in frames],
        "audio_boundary": bounds,
        "stretch_index": [sampling.stretch_indices(count, length)[places] for count in samples],
        "repeat_and_zeros": [
            sampling.repeats_and_zeros(int(windows[0, 1]), length) for windows in bounds
        ],
    }
    for name, rows in found.items():
        common.close(name, np.array(rows), expected[name].astype(np.int64))


RUNNERS: dict[str, Runner] = {
    "valor_base": forward,
    "valor_plus": forward,
    "valor_losses": losses,
    "valor_lr": learning_rate,
    "valor_pseudo_labels": pseudo_labels,
    "valor_sampling": sampling_rules,
}
