"""Published checkpoints in, networks of ours out."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rlld.data.spec import LLP_SPEC, DataSpec
from rlld.errors import RlldError, nearest
from rlld.networks._published import Layout, State
from rlld.networks.base import Network
from rlld.recipes.recipe import Recipe, load_recipe
from rlld.utils.config import to_dict
from rlld.utils.files import sha256
from rlld.utils.foreign.damage import Told
from rlld.utils.foreign.weights import Weights, read_weights
from rlld.utils.registry import NETWORKS

TOLD = Told(
    "damaged or no checkpoint of PyTorch",
    "give the file of a checkpoint (tensors and plain values), or take it anew from its publisher",
)

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
        path: A file of ``torch.save`` or safetensors.
        network: Name of the network.
        spec: Classes, segments and feature dimensions that it was trained for.
        overrides: Dotted recipe settings.

    Raises:
        RlldError: If the file is no checkpoint of a published layout of that network.
    """
    found = read_checkpoint(path, [layout.parts for layout in published_layouts(network)])
    converted = convert_state(found.tensors, network, spec, overrides, where=str(path))
    converted.facts.update(
        converted_from=path.name, source_sha256=sha256(path), layout=converted.layout.name
    )
    if found.unwrapped:
        converted.facts.update(unwrapped=list(found.unwrapped))
    return converted


def tells_of(config: Mapping[str, Any], converted: Converted) -> bool:
    """Says whether the ``config.json`` of a run folder is that of this very conversion."""
    parts = {
        "recipe": converted.recipe.as_dict(),
        "dataset": to_dict(converted.spec),
        "facts": converted.facts,
    }
    made = json.loads(json.dumps(parts))
    return all(config.get(name) == part for name, part in made.items())


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
        candidates.append((layout, recipe, layout.live(state), _sizes(recipe, spec)))
    # The layout whose keys agree best is the one that the file was meant to have.
    layout, recipe, live, sizes = min(candidates, key=lambda c: len(c[2].keys() ^ c[3].keys()))
    held = {key: value for key, value in sizes.items() if key not in layout.elsewhere}
    reason = _mismatch(live, held)
    if reason is not None:
        alike = _alike(state, spec)
        advice = "give a checkpoint of that network, and --data if it is not of LLP"
        if alike and network not in alike:
            advice = f"its keys look like network {' or '.join(alike)}: give --network {alike[0]}"
        raise RlldError(
            f"{where}: does not fit network {network!r} in its {layout.name} layout: "
            f"{reason}; {advice}"
        )
    for tensor, option in layout.elsewhere.items():
        if getattr(recipe.network.config, option) is None:
            raise RlldError(
                f"{where}: checkpoints of {layout.name} do not hold their {tensor}; give the file "
                f"that does by --network.{option} FILE"
            )
    built = recipe.build_network(spec)
    built.load_state_dict({**built.state_dict(), **live})
    built.prepare(None)
    return Converted(built.eval(), recipe, spec, layout)


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
            ours, theirs = _unnumbered(_sizes(recipe, spec)), _unnumbered(layout.live(state))
            share = len(ours & theirs) / len(ours | theirs)
            best[network] = max(share, best.get(network, 0.0))
    largest = max(best.values())
    return [name for name, share in best.items() if share == largest >= ALIKE]


def _sizes(recipe: Recipe, spec: DataSpec) -> State:
    """Returns the tensors of a network without values: what a file claims costs no memory."""
    with torch.device("meta"):
        built = recipe.build_network(spec)
    sizes: State = built.state_dict()
    return sizes


def _unnumbered(names: Iterable[str]) -> set[str]:
    return {re.sub(r"\.\d+(?=\.)", ".#", name) for name in names}


def read_checkpoint(path: Path, together: Iterable[tuple[str, ...]] = ()) -> Weights:
    """Reads the state dict of a checkpoint without running any of its code.

    Args:
        path: A file of ``torch.save`` or safetensors; wrappers around the state dict are looked
            through.
        together: Entries that hold a state dict each and make a network together, if they are all
            there.

    Raises:
        RlldError: If it is no such file, is damaged, or would need arbitrary unpickling.
    """
    found = read_weights(path, TOLD, together=together)
    for key, value in found.tensors.items():
        # In the type that it will have: what float64 can hold may be infinite in float32.
        number = value.float() if value.is_floating_point() else value
        if not number.isfinite().all():
            raise RlldError(
                f"{path}: tensor {key[:80]!r} holds NaN, infinity or values beyond float32; give a "
                "checkpoint of a training that did not diverge"
            )
    return found


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
