"""Golden cases of RLLD: revised labels, soft inter-reward, top-k selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
from fill import tensor

from rlld.denoisers.reinforced import actions, rewards, segments
from rlld.denoisers.reinforced.options import InterRewardOptions, TopKOptions


def soft_reward_topk(case: dict[str, Any], expected: Mapping[str, np.ndarray], _: Path) -> None:
    """Checks a case of ``rlld_soft_reward_topk``; its notes give the formulas."""
    inputs = {
        entry["name"]: torch.from_numpy(
            tensor(entry["name"], tuple(entry["shape"]), case["seed"], entry["dist"])
        )
        for entry in case["inputs"]
    }
    target, scores = inputs["target"], inputs["pa"]
    target[:, 0] = 1
    settings = case["constructor"]

    share = common.said(case, r"action_u < ([\d.]*\d)", 0.6)
    kept = (inputs["action_u"] < share).unsqueeze(1).expand(-1, 2, -1)
    revised = actions.revise(target, kept, "both").labels[:, 0]
    np.testing.assert_array_equal(revised, expected["revised"])

    for form in ("raw", "normalised"):
        options = InterRewardOptions(
            alpha1=settings["alpha1"],
            alpha2=settings["alpha2"],
            smoothing=settings["smoothing"],
            normalised=form == "normalised",
        )
        r1, r2 = rewards.similarity(target, revised, options)
        found = {"R1": r1, "R2": r2, "reward": rewards.inter_reward(target, revised, options)}
        for name, value in found.items():
            np.testing.assert_allclose(value, expected[f"{name}_{form}"], rtol=1e-5)

    cap, sharpness = settings["cap"], common.said(case, r"softmax\(([\d.]+)\*pa\)", 4)
    default = TopKOptions("all", cap, temperature=1 / sharpness)
    masks = {
        "topk_restricted": segments.select(scores, target, TopKOptions("restricted", cap)),
        "topk_all": segments.longest_prefix((sharpness * scores.double()).softmax(-1), cap),
        "topk_default": segments.select(scores, target, default),
    }
    for name, mask in masks.items():
        np.testing.assert_array_equal(mask, expected[name].astype(bool))


RUNNERS: dict[str, Callable[[dict[str, Any], Mapping[str, np.ndarray], Path], None]] = {
    "rlld_soft_reward_topk": soft_reward_topk
}
