"""Golden cases of AVSDN as CPSP's repository has it."""

from __future__ import annotations

import re
from pathlib import Path

import cases_ave
import common
from common import Case, Expected, Runner


def weak(case: Case, expected: Expected, _: Path) -> None:
    """The weakly supervised network, pooled as the case says."""
    kind = re.search(r"'(avg|max)'", case["constructor"])
    pooling = {"avg": "mean", "max": "max"}[kind[1] if kind else "avg"]
    classes = expected["category_logit"].shape[-1]
    network = cases_ave.network(case, "avsdn", classes, **{"network.pooling": pooling})
    found = network(cases_ave.maps(case))
    common.close("video_probability", found.video, expected["video_probability"])
    for name in ("decoder_feature", "event_logit", "category_logit"):
        common.close(name, found.extras[name], expected[name])


RUNNERS: dict[str, Runner] = {"avsdn_cpsp_weak": weak}
