"""Golden cases of the two contrastive losses, from similarities and from embeddings."""

from __future__ import annotations

from pathlib import Path

import common
from cases_jomold import contrast, scaled, square
from common import Case, Expected, Runner

from rlld.objectives._contrastive import matching_loss, similarity
from rlld.types import Prediction


def rows(case: Case, expected: Expected, _: Path) -> None:
    """Loss and gradient of given similarities, scaled as the case says."""
    sims = common.inputs(case)["sims"].requires_grad_()
    formula = "cross_entropy" if contrast(case).flavour == "ma" else "log_mixture"
    found = matching_loss(square(scaled(case, sims)), formula, contrast(case).smoothing)
    common.close("loss", found, expected["loss"])
    found.backward()
    common.close("grad_sims", sims.grad, expected["grad_sims"])


def features(case: Case, expected: Expected, _: Path) -> None:
    """Loss and gradients of given embeddings."""
    extras = {name: value.requires_grad_() for name, value in common.inputs(case).items()}
    options = contrast(case)
    empty = extras["audio_after"][:, :, :1]
    found = options.loss(Prediction(empty, empty, empty, empty, extras))
    common.close("loss", found, expected["loss"])
    visual = "visual_before" if options.flavour == "ma" else "visual_after"
    logits = similarity(extras["audio_after"], extras[visual], options.temperature)
    common.close("sims", logits.flatten(0, 1), expected["sims"])
    found.backward()
    for name in ("audio_after", visual):
        stored = expected[f"grad_{name}"]
        step = extras[name].shape[-1] // stored.shape[-1]
        common.close(f"grad_{name}", extras[name].grad[..., ::step], stored)
    if options.flavour == "ma":
        assert extras["visual_after"].grad is None
        assert expected["gradnorm_visual_after"] == 0


RUNNERS: dict[str, Runner] = {
    "jomold_contrastive_rows": rows,
    "ma_contrastive_rows": rows,
    "jomold_contrastive_features": features,
    "ma_contrastive_features": features,
}
