"""Golden cases of the Poisson-binomial count."""

from __future__ import annotations

import re
from pathlib import Path

import common
import torch
from common import Case, Expected, Runner

from rlld.objectives import poibin


def count(case: Case, expected: Expected, _: Path) -> None:
    """Distribution, least counts, posteriors, loss and gradient."""
    values, transform = common.inputs(case), case["constructor"].get("logit_transform", "x")
    found = re.fullmatch(r"(?:([\d.eE+-]+)\*)?x([+-][\d.eE-]+)?", transform.replace(" ", ""))
    assert found is not None, f"unknown transform {transform}"
    factor, shift = float(found[1] or 1), float(found[2] or 0)
    logits = (factor * values["logits"].double() + shift).requires_grad_()
    cells = logits.sigmoid().transpose(1, 2)
    target = values["target"] > 0.5

    pmf = poibin.distribution(cells)
    common.close("pmf", pmf, expected["pmf"])
    common.close("tail", poibin.tail(pmf), expected["tail"])
    name = "expected_count_given_positive"
    common.close(name, poibin.expected_count(cells), expected[name])
    name = "mode_count_given_positive"
    common.close(name, poibin.mode_count(cells), expected[name].astype("int64"))
    least = poibin.minimum_count(cells)
    common.close("k_hat", least, expected["k_hat"].astype("int64"))
    for name in expected:
        if (kind := re.fullmatch(r"posterior_k(\d+|hat)", name)) is not None:
            fixed = kind[1] != "hat"
            counts = torch.full_like(least, int(kind[1])) if fixed else least
            common.close(name, poibin.posterior(cells, counts), expected[name])

    nll = poibin.count_losses(cells, target, least, soft=False)
    common.close("nll", nll, expected["nll"])
    common.close("loss", nll.mean(), expected["loss"])
    for soft in (False, True):
        loss = poibin.count_losses(logits.sigmoid().transpose(1, 2), target, least, soft=soft)
        (gradient,) = torch.autograd.grad(loss.mean(), logits)
        stored = expected["grad_logits"]
        common.close("grad_logits", gradient, stored, common.GRADIENT_TOLERANCE)


RUNNERS: dict[str, Runner] = {"poibin": count}
