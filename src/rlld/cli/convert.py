"""Turn a published checkpoint (.pt, .pth, .safetensors) into a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rlld.errors import RlldError

OVERRIDES = True


@dataclass(frozen=True)
class Args:
    """Options of ``rlld convert``; dotted recipe settings (--gate.audio video) may follow."""

    file: Annotated[Path, tyro.conf.Positional]
    """The checkpoint: a state dict, also inside a dictionary of a training loop."""
    out: Path
    """Run folder to write."""
    network: str = "han"
    """Network that the checkpoint belongs to."""
    data: Path | None = None
    """Data-set folder that it was trained for; LLP with the published features if not given."""


def run(args: Args, overrides: Mapping[str, str]) -> None:
    """Converts the file and says what was recognised."""
    from rlld.data.spec import LLP_SPEC, read_spec
    from rlld.training.checkpoint import require_run_folder
    from rlld.training.run_folder import CONFIG, read_config, save_run
    from rlld.utils.console import OUT
    from rlld.workflows.convert import convert_file, tells_of

    spec = read_spec(args.data).require_streams(args.data) if args.data else LLP_SPEC
    converted = convert_file(args.file, args.network, spec, overrides)
    if (args.out / CONFIG).exists():
        if not tells_of(read_config(args.out), converted):
            raise RlldError(f"{args.out}: holds another run already; choose another --out")
        OUT.print(f"{args.out}: finished already")
        return
    require_run_folder(args.out)
    save_run(args.out, converted.network, converted.recipe, spec, converted.facts)
    count = sum(parameter.numel() for parameter in converted.network.parameters())
    for step in converted.facts.get("unwrapped", ()):
        OUT.print(f"{args.file}: {step}")
    OUT.print(
        f"{args.file}: {converted.layout.name} layout, {count:,} parameters in use; "
        f"run folder {args.out}",
    )
