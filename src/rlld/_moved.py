"""Modules under the paths that they had before the rooms were parted: old imports go on working.

The finder stands behind all others, so that it is asked only for what is nowhere else. It is part
of every start: ``importlib.abc``, which brings archives and much more along, is for types only.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object

SAME = {
    "utils": "cluster compute config console extras files foreign hub names plain pool registry "
    "sheets streams",
    "workflows": "demo llp networks.convert",
    "media": "features.clock features.container features.decode features.pictures features.reading "
    "features.sampling features.sound features.tracks features.views report.conversion",
    "features.extractors": "features.clap features.clip features.light features.r2plus1d "
    "features.resnet152 features.vggish",
    "data.checks": "data.check data.verify",
    "bench.studies": "bench.ablation bench.annotations bench.costs bench.curves bench.paper "
    "bench.signal",
    "parsing": "report.text",
    "recipes": "recipe training.schedule training.selection training.supervision",
    "denoisers.reinforced.labelwise": "denoisers.reinforced.judge denoisers.reinforced.priors",
}
"""Old places by the room that they are in now, their last name being the same."""

RENAMED = {
    "bench.denoising": "bench.studies.denoisers",
    "data.feature_comparison": "data.checks.comparison",
    "data.feature_faults": "data.checks.faults",
    "data.feature_statistics": "data.checks.statistics",
    "data.render": "synthetic.clips",
    "data.scores": "data.similarities",
    "data.simulate": "synthetic.features",
    "denoisers.exchange_file": "denoisers._exchange_file",
    "denoisers.given": "denoisers._given",
    "denoisers.pseudo": "denoisers._pseudo",
    "denoisers.reinforced.denoiser": "denoisers.reinforced.base",
    "denoisers.reinforced.learner": "denoisers.reinforced.base",
    "denoisers.reinforced.states": "denoisers.reinforced.labelwise.evidence",
    "denoising": "evaluation.labels",
    "features.clap_audio": "features.extractors._clap_audio",
    "features.clap_weights": "features.extractors._clap_weights",
    "features.clips": "media.files",
    "features.state": "features.extractors._towers",
    "features.text": "features.extractors._language",
    "features.torchvision_models": "features.extractors._torchvision",
    "metrics.denoising": "metrics.noise_detection",
    "networks.blocks": "networks._blocks",
    "networks.grouping": "networks._grouping",
    "networks.published": "networks._published",
    "networks.recurrent": "networks._recurrent",
    "objectives.bce": "objectives._bce",
    "objectives.contrastive": "objectives._contrastive",
    "objectives.small_loss": "objectives._small_loss",
    "publishing": "workflows.push",
    "report.clip": "media.playable",
    "report.denoise_page": "report.denoise",
    "report.notebook": "parsing.result",
    "suggesting": "evaluation.suggest",
    "teaching": "workflows.pseudo_scores",
    "training.captured": "training.speed.cuda_graphs",
    "training.finite": "training.monitor",
    "training.foreign": "utils.foreign.runs",
    "training.held_out": "training.run_folder",
    "training.kept": "training.validation",
    "training.lockstep": "training.speed.multi_seed",
    "training.predicting": "training.predict",
    "training.seeds": "training.loop",
    "training.shelf": "training.cache",
    "training.stacked": "training.speed.ensemble",
    "training.state": "training.checkpoint",
    "training.task": "training.step",
    "training.totals": "training.monitor",
    "training.waits": "training.speed.cuda_graphs",
}
"""New places of those whose last name is another one."""

MOVED = RENAMED | {
    old: f"{room}.{old.rpartition('.')[2]}" for room, names in SAME.items() for old in names.split()
}


class _Elsewhere(Loader):
    """Gives a module that is imported from its new place."""

    def __init__(self, place: str) -> None:
        self.place = place

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.place)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import put that of the old path there


class Finder:
    """Finds modules by their old paths, and those of packages that moved."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where a module of ours is now; None for any other."""
        package, _, old = fullname.partition(".")
        if package != "rlld":
            return None
        head, tail = old, ""
        while head and head not in MOVED:
            head, _, last = head.rpartition(".")
            tail = f".{last}{tail}"
        if not head:
            return None
        place = f"rlld.{MOVED[head]}{tail}"
        warnings.warn(f"{fullname} is now {place}", DeprecationWarning, stacklevel=2)
        return ModuleSpec(fullname, _Elsewhere(place))


def install() -> None:
    """Lets old imports find what has moved; called once, by the package."""
    sys.meta_path.append(Finder())
