"""Published checkpoints in, networks of ours out; nothing else reads ``.pt`` files of others.

Nothing is unpickled but tensors, plain containers and the numpy arrays of a random state.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlld.data.spec import LLP_SPEC, DataSpec
from rlld.errors import RlldError, nearest
from rlld.files import sha256
from rlld.networks.base import Network
from rlld.networks.published import Layout, State
from rlld.recipe import Recipe, load_recipe
from rlld.registry import NETWORKS

CONTAINER = frozenset(
    {"model", "optimizer", "scheduler", "epochs"}
    | {"torch_rng", "cuda_rng", "random_rng", "numpy_rng"}
)
"""Keys of a JoMoLD-style checkpoint, the state dict being under ``model``."""

ALIKE = 0.7
"""Share of common names from which on a checkpoint looks like another network's."""


@dataclass(frozen=True)
class Converted:
    """A converted checkpoint.

    Attributes:
        network: The network with the published weights, in evaluation mode.
        recipe: The recipe that it belongs to.
        spec: The data set that it parses.
        layout: The publication.
        facts: Where it came from, for the run folder.
    """

    network: Network
    recipe: Recipe
    spec: DataSpec
    layout: Layout
    facts: dict[str, Any] = field(default_factory=dict)


def convert_file(
    path: Path,
    network: str = "han",
    spec: DataSpec = LLP_SPEC,
    overrides: Mapping[str, Any] | None = None,
) -> Converted:
    """Converts a published checkpoint file.

    Args:
        path: The ``.pt`` file.
        network: Name of the network.
        spec: Classes, segments and feature dimensions that it was trained for.
        overrides: Dotted recipe settings.

    Raises:
        RlldError: If the file is no checkpoint of a published layout of that network.
    """
    state = read_checkpoint(path)
    converted = convert_state(state, network, spec, overrides, where=str(path))
    converted.facts.update(
        converted_from=path.name, source_sha256=sha256(path), layout=converted.layout.name
    )
    return converted


def convert_state(
    state: State,
    network: str = "han",
    spec: DataSpec = LLP_SPEC,
    overrides: Mapping[str, Any] | None = None,
    where: str = "state dict",
) -> Converted:
    """Builds the network of a published state dict; ``where`` names it in messages.

    Raises:
        RlldError: If keys or shapes are not those of a published layout of the network.
    """
    candidates = []
    for layout in published_layouts(network):
        settings = {**layout.settings, **layout.infer(state), **(overrides or {})}
        recipe = load_recipe(layout.recipe, settings)
        built: Network = recipe.network.config.build(spec)
        converted = Converted(built.eval(), recipe, spec, layout)
        candidates.append((converted, layout.live(state)))
    # The layout whose keys agree best is the one that the file was meant to have.
    converted, live = min(
        candidates, key=lambda c: len(c[0].network.state_dict().keys() ^ c[1].keys())
    )
    reason = _mismatch(live, converted.network.state_dict())
    if reason is not None:
        alike = _alike(state, spec)
        advice = "give a checkpoint of that network, and --data if it is not of LLP"
        if alike and network not in alike:
            advice = f"its keys look like network {' or '.join(alike)}: give --network {alike[0]}"
        raise RlldError(
            f"{where}: does not fit network {network!r} in its {converted.layout.name} layout: "
            f"{reason}; {advice}"
        )
    converted.network.load_state_dict(live)
    return converted


def published_layouts(network: str) -> tuple[Layout, ...]:
    """Returns the published layouts of a network.

    Raises:
        RlldError: If there is no such network, or nobody published checkpoints of it.
    """
    if network not in NETWORKS.names():
        raise RlldError(f"unknown network {network!r}{nearest(network, NETWORKS.names())}")
    layouts = _layouts(network)
    if not layouts:
        raise RlldError(f"network {network!r} has no published checkpoint layout to convert from")
    return layouts


def _layouts(network: str) -> tuple[Layout, ...]:
    module = importlib.import_module(NETWORKS.config_type(network).__module__)
    layouts: tuple[Layout, ...] = getattr(module, "PUBLISHED", ())
    return layouts


def _alike(state: State, spec: DataSpec) -> list[str]:
    """Returns the networks with the published layout whose names agree best with a state dict.

    Numbers of layers are left out of the comparison, and sizes too, so that nothing needs to be
    known of the checkpoint. Empty where no layout shares ``ALIKE`` of the names.
    """
    best: dict[str, float] = {}
    for network in NETWORKS.names():
        for layout in _layouts(network):
            recipe = load_recipe(layout.recipe, layout.settings)
            with torch.device("meta"):  # names without the cost of weights
                built: Network = recipe.network.config.build(spec)
            ours, theirs = _unnumbered(built.state_dict()), _unnumbered(layout.live(state))
            share = len(ours & theirs) / len(ours | theirs)
            best[network] = max(share, best.get(network, 0.0))
    largest = max(best.values())
    return [name for name, share in best.items() if share == largest >= ALIKE]


def _unnumbered(names: Iterable[str]) -> set[str]:
    return {re.sub(r"\.\d+(?=\.)", ".#", name) for name in names}


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Reads the state dict of a published ``.pt`` file without running any of its code.

    Args:
        path: A bare state dict, or a JoMoLD-style dictionary that holds it under ``model``.

    Raises:
        RlldError: If it is no such file, is damaged, or would need arbitrary unpickling.
    """
    _check_magic(path)
    try:
        with _random_state_globals(), warnings.catch_warnings():
            # A warning about the pickle protocol says nothing that the refusal does not.
            warnings.simplefilter("ignore")
            data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Damaged or hostile bytes make the reader raise nearly anything; all of it is refusal.
        raise RlldError(f"{path}: {_reason(error)}") from None
    if isinstance(data, Mapping) and "model" in data:
        unknown = sorted(str(key) for key in data if key not in CONTAINER)
        if unknown:
            raise RlldError(
                f"{path}: a checkpoint dictionary with the unknown entry {unknown[0]!r}; known: "
                f"{', '.join(sorted(CONTAINER))}"
            )
        data = data["model"]
    if not isinstance(data, Mapping) or not data:
        raise RlldError(f"{path}: holds {type(data).__name__}, expected a non-empty state dict")
    for key, value in data.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise RlldError(
                f"{path}: entry {key!r} is {type(value).__name__}, expected a tensor by its name; "
                "this is no state dict"
            )
        if not value.isfinite().all():
            raise RlldError(f"{path}: tensor {key!r} holds NaN or infinite values; refused")
    return dict(data)


def _check_magic(path: Path) -> None:
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "not there"
        raise RlldError(f"{path}: {kind}; give the .pt file of a published checkpoint")
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise RlldError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    if not head:
        raise RlldError(f"{path}: is empty; download it again")
    if head[8:9] == b"{" and not head.startswith(b"PK"):
        raise RlldError(
            f"{path}: looks like safetensors, which published checkpoints are not; a run of rlld "
            "needs no conversion"
        )
    if not head.startswith((b"PK\x03\x04", b"\x80")):
        raise RlldError(f"{path}: not a file of torch.save; give a published .pt checkpoint")


def _random_state_globals() -> AbstractContextManager[None]:
    """Allows what a pickled ``numpy.random.get_state()`` consists of, nothing else."""
    reconstruct = np.random.get_state()[1].__reduce__()[0]  # type: ignore[index]
    allowed: list[Any] = [
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        type(np.dtype(np.uint32)),
    ]
    context: AbstractContextManager[None] = torch.serialization.safe_globals(allowed)
    return context


def _reason(error: Exception) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found:
        return (
            f"refused, because reading it would run {found[1]}; published checkpoints hold "
            "tensors and random states only, take the file from its publisher"
        )
    return "damaged or no checkpoint of PyTorch; download it again"


def _mismatch(live: State, expected: State) -> str | None:
    missing = sorted(expected.keys() - live.keys())
    unexpected = sorted(live.keys() - expected.keys())
    if unexpected:
        return f"unexpected tensor {unexpected[0]!r}" + _more(unexpected)
    if missing:
        return f"tensor {missing[0]!r} is missing" + _more(missing)
    for key, value in expected.items():
        if live[key].shape != value.shape:
            found, wanted = tuple(live[key].shape), tuple(value.shape)
            return f"tensor {key!r} has shape {found}, expected {wanted}"
        if live[key].is_floating_point() != value.is_floating_point():
            wanted_kind = "floating point" if value.is_floating_point() else "whole numbers"
            return f"tensor {key!r} is {live[key].dtype}, expected {wanted_kind}"
    return None


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
