"""What some tests need and a stranger's machine may lack, and what to say where it does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
LLP_FOLDER = Path(os.environ.get("RLLD_LLP_DIR") or SHARED / "llp")
MEDIA_FOLDER = Path(os.environ.get("RLLD_MEDIA_DIR") or SHARED / "media")
SETS_FOLDER = Path(os.environ.get("RLLD_SETS_DIR") or SHARED / "datasets")
CLIP = "BjCEufrlXm4"
"""The YouTube id of the real clip, a training video of LLP."""


@dataclass(frozen=True)
class Need:
    """Something outside the checkout.

    Attributes:
        there: Says whether this machine has it.
        without: What is not checked without it, and how to bring it.
    """

    there: Callable[[], bool]
    without: str


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


NEEDS = {
    "llp": Need(
        (LLP_FOLDER / "AVVP_train.csv").is_file,
        "LLP's real annotation files were not checked, the same rules were on invented ones; put "
        f"the files AVVP_*.csv of YapengTian/AVVP-ECCV20 into {LLP_FOLDER}, or name their folder "
        "in RLLD_LLP_DIR",
    ),
    "media": Need(
        (MEDIA_FOLDER / f"{CLIP}.mp4").is_file,
        "a real clip was not decoded, drawn ones were; put seconds 20 to 30 of the YouTube video "
        f"{CLIP} as {CLIP}.mp4 into {MEDIA_FOLDER}, or name its folder in RLLD_MEDIA_DIR",
    ),
    "sets": Need(
        (SETS_FOLDER / "lfav" / "train").is_dir,
        "the real annotation files of LFAV, AVE, VGGSounder and OV-AVE were not read, invented "
        "ones with the same traps were; put each as published into a folder of its name in "
        f"{SETS_FOLDER}, or name their folder in RLLD_SETS_DIR",
    ),
    "gpu": Need(
        _cuda,
        "nothing was run on a GPU (CUDA graphs, scores on the device): torch finds no CUDA device; "
        "run these tests with 'pytest -m gpu' on a machine that has one",
    ),
}
"""By the mark of the tests that need it."""
