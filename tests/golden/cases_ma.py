"""Golden cases of MA: its three forward passes, the exchange and the targets of retraining."""

from __future__ import annotations

from pathlib import Path

import cases_han
import cases_jomold
import common
import numpy as np
import torch
from common import Case, Expected, Runner

from rlld.denoisers import ma
from rlld.objectives._contrastive import similarity


def second_step(case: Case, expected: Expected, _: Path) -> None:
    """The forward pass of step 2: audio after the attention against visual before, and reversed."""
    values = common.inputs(case)
    found = common.network(case)(common.streams(values))
    cases_han.probabilities(found, expected)
    temperature = case["options"].get("temperature", 0.2)
    pairs = {"sims": ("audio_after", "visual_before"), "sims2": ("audio_before", "visual_after")}
    for name, (audio, visual) in pairs.items():
        rows = similarity(found.extras[audio], found.extras[visual], temperature)
        common.close(name, rows.flatten(0, 1), expected[name])
        common.close("mask", np.tile(np.arange(rows.shape[1]), len(rows)), expected["mask"])


def exchange(case: Case, expected: Expected, _: Path) -> None:
    """Errors by class, and the labels to remove."""
    values = common.inputs(case)
    labels = values["label"]

    def pair(suffix: str) -> torch.Tensor:
        return torch.stack([values[f"a_prob{suffix}"], values[f"v_prob{suffix}"]])

    if "accuracy_audio" in values:
        error = 1 - torch.stack([values["accuracy_audio"], values["accuracy_visual"]])
    else:
        error = ma.class_error(pair(""), labels)
        for number, name in enumerate(("audio", "visual")):
            common.close(f"accuracy_{name}", 1 - error[number], expected[f"accuracy_{name}"])
            normalised = error[number] / error[number].max()
            common.close(f"class_{name}", normalised, expected[f"class_{name}"])
    removed = ma.removals(labels, error, pair("_swap_audio"), pair("_swap_visual"))
    for number, name in enumerate(("audio", "visual")):
        common.close(f"change_{name}", removed[number], expected[f"change_{name}"] > 0.5)


def third_step_targets(case: Case, expected: Expected, _: Path) -> None:
    """The targets of retraining, with the label that both targets share as released."""
    values, options = common.inputs(case), case["options"]
    keep = options.get("keep_global_label", False)
    removed = torch.stack([values["change_audio"], values["change_visual"]]) > 0.5
    found = ma.targets(values["label"], removed, ma.Config(keep_global_label=keep))
    for ours, name in {"audio": "audio", "visual": "visual", "video": "global"}.items():
        common.close(f"target_{name}", getattr(found, ours), expected[f"target_{name}"])


RUNNERS: dict[str, Runner] = {
    "ma_step1_forward": cases_jomold.forward,
    "ma_step2_forward": second_step,
    "ma_step3_forward": cases_jomold.forward,
    "ma_gradient": cases_jomold.gradient,
    "ma_exchange": exchange,
    "ma_step3_targets": third_step_targets,
}
