"""A trained parser whose classes are text vectors, asked for classes that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rlld.errors import RlldError
from rlld.networks._ensemble import members_of
from rlld.networks.leap import VECTORS, Leap
from rlld.training.run_folder import Run


def with_classes(run: Run, classes: Sequence[str], vectors: Path | None = None) -> Run:
    """Returns a run that parses other classes, by the weights that it has.

    Args:
        run: A run of the network ``leap`` that was trained on text vectors.
        classes: Class names, trained ones or not.
        vectors: The table in which their vectors are: that of the training, or one that was made
            alike. That of the training when None.

    Returns:
        The run; its ``path`` is that of the trained one.

    Raises:
        RlldError: If classes of the run are no text, or the table does not fit.
    """
    _require_text(run)
    table = {} if vectors is None else {f"network.{VECTORS}": str(vectors)}
    recipe = run.recipe.varied(table)
    priors = run.spec.priors.only(classes)
    spec = replace(run.spec, classes=tuple(classes), priors=priors)
    network = recipe.build_parser(spec).to(run.device)
    asked = {k: v for k, v in network.state_dict().items() if k.split(".")[-1] == VECTORS}
    network.load_state_dict({**run.network.state_dict(), **asked})
    data = run.facts.get("data")
    network.prepare(Path(data) if isinstance(data, str) else None)
    return replace(run, recipe=recipe, spec=spec, network=network.eval())


def _require_text(run: Run) -> None:
    network = members_of(run.network)[0]
    if not isinstance(network, Leap):
        raise RlldError(
            f"{run.path}: network {run.recipe.network.name} knows the classes that it was trained "
            "on; others can be asked of recipe leap, trained with network.vectors"
        )
    if network.config.vectors is None:
        raise RlldError(
            f"{run.path}: its classes learned their vectors, so that no others can be asked for; "
            "train it with a table of text vectors (network.vectors)"
        )
