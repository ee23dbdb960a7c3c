"""Run folders: what a training leaves behind and everything else reads, here or on the hub.

``model.safetensors`` holds the task network, ``denoiser.safetensors`` the denoiser's networks where
it has any, ``config.json`` everything needed to use them, ``golden.safetensors`` a small batch with
the outputs it must give, ``held_out.safetensors`` cross-validated keep probabilities of the videos
that taught a policy, ``metrics.jsonl`` the curves, ``resume/`` the state of an unfinished run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from rlld.data.spec import DataSpec, spec_from
from rlld.denoisers.base import Denoiser
from rlld.errors import RlldError
from rlld.metrics.gates import Gate
from rlld.networks.base import Network
from rlld.recipes.recipe import Recipe, recipe_from
from rlld.types import PARTS, Batch, Prediction
from rlld.utils import hub
from rlld.utils.config import to_dict
from rlld.utils.files import sha256, write_bytes, write_text
from rlld.utils.foreign.damage import DamagedError, Told, guarded
from rlld.utils.foreign.runs import checked_config
from rlld.utils.foreign.tensors import read_tensors
from rlld.utils.plain import json_text, parsed

FORMAT_VERSION = 1
MODEL, DENOISER, GOLDEN, HELD_OUT, CONFIG, METRICS = (
    "model.safetensors",
    "denoiser.safetensors",
    "golden.safetensors",
    "held_out.safetensors",
    "config.json",
    "metrics.jsonl",
)
FILES = (CONFIG, MODEL, GOLDEN, DENOISER, HELD_OUT)
"""All that is read of a run folder."""
TENSORS = Told("not a readable safetensors file", "other formats, pickles above all, are refused")
JUDGED = Told("cannot be read", "delete it or train again")
GOLDEN_SEGMENTS = 10
GOLDEN_VIDEOS = 2
GOLDEN_TOLERANCE = 1e-3
"""Largest difference of a probability between the writing and the reading machine."""


@dataclass(frozen=True)
class Run:
    """A trained parser.

    Attributes:
        path: Its folder.
        name: What it is called: the name of the folder, or ``owner/name@commit`` on the hub.
        recipe: What was trained, and how.
        spec: The data set that it was trained on.
        network: The task network, in evaluation mode.
        facts: What else ``config.json`` holds: seed, data folder, selection, scores, notes.
        judge: The policy that judges which tracks hold what occurs, where the gate asks for it and
            the run's denoiser has one.
    """

    path: Path
    name: str
    recipe: Recipe
    spec: DataSpec
    network: Network
    facts: dict[str, Any] = field(default_factory=dict)
    judge: Denoiser | None = None

    @property
    def gate(self) -> Gate:
        """How its probabilities become predictions."""
        return self.recipe.gate

    @property
    def causal(self) -> bool:
        """Whether what it says of a segment depends on nothing that follows it."""
        return self.network.causal

    @property
    def device(self) -> torch.device:
        """Where the network lives."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def predict(
        self,
        streams: Mapping[str, Tensor],
        mask: Tensor | None = None,
        tags: Tensor | None = None,
    ) -> Prediction:
        """Predicts in float32, and lets the policy judge where there is one.

        Args:
            streams: Features by stream name (B, T, D), on any device.
            mask: Which segments are of the video (B, T), bool, on any device; all when None.
            tags: Known tags (B, C), bool or 0/1, which a policy that reads tags is told in place of
                what the network finds.
        """
        moved = {name: value.to(self.device, torch.float32) for name, value in streams.items()}
        there = None if mask is None else mask.to(self.device)
        return self.judged(self.network(moved, there), moved, tags)

    @torch.no_grad()
    def judged(
        self, prediction: Prediction, streams: Mapping[str, Tensor], tags: Tensor | None = None
    ) -> Prediction:
        """Adds what the policy says of the tracks; returns the same prediction where there is none.

        Args:
            prediction: Of the network.
            streams: Features of its videos, on the device of the run.
            tags: Known tags (B, C), bool or 0/1; those that the gate finds when None.
        """
        if self.judge is None:
            return prediction
        if tags is None:
            tags = self.gate.apply(prediction).any(1).any(1)
        everyone = torch.arange(len(tags), device=self.device)
        labels = tags.to(self.device, torch.float32)
        batch = Batch(streams, labels, everyone, prediction.mask)
        return replace(prediction, held=self.judge.keep_probability(batch))


def save_run(
    path: Path,
    network: Network,
    recipe: Recipe,
    spec: DataSpec,
    facts: Mapping[str, Any],
    denoiser: Denoiser | None = None,
) -> None:
    """Writes a run folder; every file aside first, ``config.json`` last.

    Args:
        path: The folder; made when missing.
        network: The task network.
        recipe: What was trained.
        spec: The data set.
        facts: JSON-ready remarks (seed, scores, provenance ...).
        denoiser: Its networks are kept where it has any.
    """
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    _save_tensors(path / MODEL, weights)
    _save_tensors(path / GOLDEN, _golden(network, spec))
    judged = denoiser.held_out() if denoiser else None
    if judged is not None:
        save_held_out(path, *judged)
    kept = denoiser.networks() if denoiser else {}
    if kept:
        flat = {
            f"{part}.{name}": value.detach().cpu()
            for part, module in kept.items()
            for name, value in module.state_dict().items()
        }
        _save_tensors(path / DENOISER, flat)
    config = {
        "format_version": FORMAT_VERSION,
        "rlld": version("rlld"),
        "recipe": recipe.as_dict(),
        "dataset": to_dict(spec),
        "sha256": {
            name: sha256(path / name) for name in (MODEL, DENOISER) if (path / name).is_file()
        },
        "facts": dict(facts),
    }
    text = json_text(config, str(path / CONFIG), indent=2, ensure_ascii=False)
    write_text(path / CONFIG, text + "\n")


def load_run(path: Path | str, device: torch.device | str = "cpu") -> Run:
    """Reads a run folder, or a run of the hub.

    Args:
        path: The folder, or ``hub:owner/name[@revision]``, which is fetched into the hub's cache.
        device: Where the network shall live.

    Raises:
        RlldError: If it is no run folder, comes from a newer version, was damaged or changed, does
            not give the outputs that it gave when it was written, or cannot be fetched.
    """
    if not str(path).startswith(hub.PREFIX):
        return _load(Path(path), Path(path).name, device, trusted=True)
    repository = hub.named(str(path))
    folder, commit = hub.fetched(repository, CONFIG, FILES[1:], read_config)
    return _load(folder, f"{repository.name}@{commit[:7]}", device, trusted=False)


def _load(path: Path, name: str, device: torch.device | str, *, trusted: bool) -> Run:
    config = checked_config(read_config(path), path / CONFIG, None if trusted else name)
    recipe = recipe_from(config["recipe"], f"{path / CONFIG}: recipe")
    where = f"{path / CONFIG}: dataset"
    spec = spec_from(config["dataset"], where).require_streams(where)
    network = recipe.build_parser(spec)
    _restore(network, load_tensors(path, MODEL, config), path / MODEL)
    run = Run(path, name, recipe, spec, network.to(device).eval(), config["facts"])
    _verify(run)
    judges = recipe.gate.judged and DENOISER in config["sha256"]
    return replace(run, judge=load_denoiser(run)) if judges else run


def load_denoiser(run: Run) -> Denoiser:
    """Reads the denoiser of a run, ready for ``keep_probability``.

    Raises:
        RlldError: If the run's denoiser has no network, so that it cannot judge labels.
    """
    denoiser = run.recipe.build_denoiser(run.spec)
    denoiser.attach(partial(run.recipe.build_network, run.spec))
    parts = denoiser.networks()
    if not parts:
        raise RlldError(
            f"{run.path}: denoiser {run.recipe.denoiser.name!r} learns no keep probabilities; "
            "train a recipe whose denoiser does (rlld)"
        )
    tensors = load_tensors(run.path, DENOISER, read_config(run.path))
    for name, module in parts.items():
        prefix = f"{name}."
        own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        _restore(module, own, run.path / DENOISER)
        module.to(run.device).eval()
    return denoiser


def save_held_out(folder: Path, ids: Sequence[str], keep: Tensor) -> None:
    """Writes held-out keep probabilities into a run folder.

    A policy that was trained on annotated videos says nothing honest of their labels. A learner
    that works in folds judges each of them by a policy that did not see its annotation, and leaves
    that here, so that ``rlld denoise --split validation`` can measure.

    Args:
        folder: The run folder.
        ids: Ids of the videos, n of them.
        keep: Keep probabilities (n, 2, C), each by a policy that did not see the video.

    Raises:
        ValueError: If there are not as many ids as rows.
    """
    if len(ids) != len(keep):
        raise ValueError(f"{len(ids)} ids for {len(keep)} videos")
    tensors = {"keep": keep.detach().cpu().float().contiguous()}
    write_bytes(folder / HELD_OUT, save(tensors, metadata={"ids": json.dumps(list(ids))}))


def load_held_out(run: Run) -> dict[str, Tensor]:
    """Returns the held-out keep probabilities (2, C) by video id; empty where the run has none.

    Raises:
        RlldError: If the file is damaged or does not fit the run.
    """
    file = run.path / HELD_OUT
    if not file.is_file():
        return {}
    tensors, metadata = read_tensors(file, JUDGED)
    ids, keep = _ids(file, metadata.get("ids", "[]")), tensors.get("keep")
    expected = (len(ids), 2, len(run.spec.classes))
    if keep is None or tuple(keep.shape) != expected or keep.dtype != torch.float32:
        found = "none" if keep is None else f"{keep.dtype} of shape {tuple(keep.shape)}"
        raise RlldError(
            f"{file}: tensor 'keep': found {found}, expected float32 of shape {expected}; "
            f"{JUDGED.advice}"
        )
    return dict(zip(ids, keep, strict=True))


def read_rounds(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of ``metrics.jsonl`` of a run folder, one a round.

    Raises:
        RlldError: If it is missing or damaged.
    """
    path = folder / METRICS
    try:
        lines = [parsed(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            numbers = [line["updates"], *line["validation"].values()]
            if not all(isinstance(number, int | float) for number in numbers):
                raise ValueError("updates or validation scores are no numbers")
            if line["validation"].keys() != lines[0]["validation"].keys():
                raise ValueError("not every round has the same validation scores")
        return lines
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RlldError(
            f"{path}: not the log of a run ({error}); remove the folder to train it again"
        ) from None


def read_config(path: Path) -> dict[str, Any]:
    """Returns ``config.json`` of a run folder.

    Raises:
        RlldError: If it is missing, no JSON, incomplete or from a newer version.
    """
    file = path / CONFIG
    if not file.is_file():
        raise RlldError(f"{path}: no run folder (it has no {CONFIG}); give one of 'rlld train'")
    try:
        config: Any = parsed(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RlldError(f"{file}: cannot be read as JSON ({error}); train again") from None
    found = config.get("format_version") if isinstance(config, dict) else None
    if type(found) is not int or found < 1:
        raise RlldError(f"{file}: no format_version in it, so it is no run of rlld")
    if found > FORMAT_VERSION:
        raise RlldError(
            f"{file}: written in format {found} by rlld {config.get('rlld', '?')}, this one reads "
            f"up to {FORMAT_VERSION}; update rlld"
        )
    for key in ("recipe", "dataset", "sha256", "facts"):
        if not isinstance(config.get(key), dict):
            raise RlldError(f"{file}: section {key!r} is missing; the file was changed")
    result: dict[str, Any] = config
    return result


def load_tensors(path: Path, name: str, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns the tensors of a file of a run folder, after checking its checksum.

    Raises:
        RlldError: If it is missing, not safetensors (a pickle, say), or was changed.
    """
    file = path / name
    if not file.is_file():
        raise RlldError(f"{file}: missing; the run is incomplete, train again or use --resume")
    tensors, _ = read_tensors(file, TENSORS)
    if sha256(file) != config["sha256"].get(name):
        raise RlldError(
            f"{file}: its SHA-256 differs from the one in {CONFIG}; it was changed after the run"
        )
    return tensors


def _ids(file: Path, text: str) -> list[str]:
    with guarded(file, JUDGED):
        ids = parsed(text)
        if not isinstance(ids, list) or not all(isinstance(video, str) for video in ids):
            raise DamagedError("its ids are no list of texts")
    return ids


def _save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # A module under two names is saved twice; safetensors refuses tensors that share memory.
    copies = {name: value.clone().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(copies))


def _restore(module: torch.nn.Module, tensors: Mapping[str, Tensor], file: Path) -> None:
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise RlldError(f"{file}: does not fit the network of {CONFIG} ({reason})") from None


@torch.no_grad()
def _golden(network: Network, spec: DataSpec) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    streams = {
        name: torch.randn(GOLDEN_VIDEOS, _recorded_segments(spec), dim, generator=generator)
        for name, dim in spec.dims.items()
    }
    training = network.training
    network.eval()
    prediction = network({name: value.to(device) for name, value in streams.items()})
    network.train(training)
    tensors = {f"input.{name}": value for name, value in streams.items()}
    for name in PARTS:
        tensors[f"output.{name}"] = getattr(prediction, name).float().cpu()
    return tensors


def _recorded_segments(spec: DataSpec) -> int:
    """Returns how long the recorded videos are; the longest of any length may be very long."""
    return min(spec.segments, GOLDEN_SEGMENTS) if spec.any_length else spec.segments


def _verify(run: Run) -> None:
    file = run.path / GOLDEN
    golden, _ = read_tensors(file, Told("cannot be read", "train again"))
    rows = (GOLDEN_VIDEOS, _recorded_segments(run.spec))
    streams = {
        name: _recorded(file, golden, f"input.{name}", (*rows, dim))
        for name, dim in run.spec.dims.items()
    }
    prediction = run.predict(streams)
    for name in PARTS:
        found = getattr(prediction, name).float().cpu()
        expected = _recorded(file, golden, f"output.{name}", tuple(found.shape))
        if not torch.allclose(found, expected, rtol=0, atol=GOLDEN_TOLERANCE):
            raise RlldError(
                f"{file}: the network no longer gives its recorded {name} probabilities; the "
                "weights, the source of the network or the installed torch changed what it computes"
            )


def _recorded(
    file: Path, golden: Mapping[str, Tensor], name: str, shape: tuple[int, ...]
) -> Tensor:
    value = golden.get(name)
    if value is None or tuple(value.shape) != shape or value.dtype != torch.float32:
        found = "none" if value is None else f"{value.dtype} of shape {tuple(value.shape)}"
        raise RlldError(
            f"{file}: tensor {name!r}: found {found}, expected float32 of shape {shape}; the file "
            "was changed, train again"
        )
    return value
