"""Table 3 of the paper: parameters that are trained and the time it takes, relative to MMIL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rlld.bench.jobs import Job, Terms, plan
from rlld.bench.page import NOTHING, Block, Page
from rlld.bench.runs import Failure, Result, is_finished, run_all
from rlld.bench.statistics import Estimate, estimate
from rlld.bench.studies.denoisers import Settings
from rlld.bench.studies.paper import Conditions, terms_of
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.training.loop import train
from rlld.utils.compute import Compute
from rlld.utils.console import quiet
from rlld.utils.sheets import sheet_text

MMIL = "han"
RECIPES = (MMIL, "ma", "jomold", "rlld", "rlld-labelwise")
PRINTED = {"ma": (1.5, 2.5), "jomold": (2.0, 3.0), "rlld": (2.0, 8.0)}
"""Printed multiple of MMIL's parameters and hours, on two RTX 4090, by recipe."""
TIMED = "timed"
"""Folder of the runs: apart from those of other tables, which share networks among them."""


@dataclass(frozen=True)
class Cost:
    """What a recipe costs.

    Attributes:
        recipe: Its name.
        parameters: Parameters of everything that a run trains: the task network, policies, and
            networks that a denoiser trains before.
        seconds: Wall time of a run, one at a time.
    """

    recipe: str
    parameters: int
    seconds: Estimate


def costs(settings: Settings, *, conditions: Conditions = "equal") -> tuple[list[Cost], Terms]:
    """Trains every recipe, one run at a time, and says what it took.

    Args:
        settings: Data, seeds and places; its ``workers`` is not looked at.
        conditions: As in ``rlld.bench.studies.paper.table``.

    Returns:
        The costs, MMIL first, and what all runs have in common.

    Raises:
        RlldError: If a run failed.
    """
    terms = terms_of(settings, conditions)
    methods: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in RECIPES}
    jobs = plan(methods, settings.data, range(settings.seeds), terms, settings.device)
    found: dict[str, list[Result]] = {}
    cache = (settings.cache or settings.out) / TIMED
    if not all(is_finished(job, cache) for job in jobs):
        _warm_up(jobs[0])
    for outcome in run_all(jobs, cache, 1, settings.log, share=False):
        if isinstance(outcome, Failure):
            raise RlldError(f"{outcome.reason}; the same command tries again")
        found.setdefault(outcome.job.method, []).append(outcome)
    return [
        Cost(
            name,
            int(results[0].facts["trained_parameters"]),
            estimate(
                {
                    (each.job.fingerprint, each.job.seed): float(each.facts["seconds"])
                    for each in results
                }
            ),
        )
        for name, results in found.items()
    ], terms


def _warm_up(job: Job) -> None:
    """Trains a moment untimed: what a process loads at its first training is no cost of a row."""
    recipe = job.recipe.varied({"schedule.updates": 2, "schedule.rounds": 1})
    with quiet(), TemporaryDirectory() as folder:
        compute = Compute(job.device, threads=1)
        train(recipe, load_data(job.data), Path(folder) / "run", compute=compute)


def _block(found: Sequence[Cost]) -> Block:
    """Returns the table."""
    base = next(cost for cost in found if cost.recipe == MMIL)
    rows = []
    for cost in found:
        printed = PRINTED.get(cost.recipe)
        rows.append(
            (
                cost.recipe,
                f"{cost.parameters:,}",
                f"{cost.parameters / base.parameters:.2f}",
                f"{printed[0]:g}" if printed else NOTHING,
                f"{cost.seconds.mean:.3g}" + _spread(cost.seconds),
                f"{cost.seconds.mean / base.seconds.mean:.1f}",
                f"{printed[1]:g}" if printed else NOTHING,
            )
        )
    heads = ("method", "parameters", "x MMIL", "printed", "seconds", "x MMIL", "printed hours")
    return Block("Parameters trained and training time", heads, tuple(rows))


def page(found: Sequence[Cost], terms: Terms, settings: Settings, conditions: Conditions) -> Page:
    """Returns the table and everything that is written of it.

    Args:
        found: The costs.
        terms: What all runs have in common.
        settings: Data, seeds and places.
        conditions: As in ``costs``.
    """
    table = _block(found)
    cells = [["" if cell == NOTHING else cell for cell in row] for row in table.rows]
    command = f"rlld bench table3 {settings.command} --terms {conditions}"
    remarks = (
        f"{terms}.",
        f"Data: {', '.join(map(str, settings.data))}; {settings.seeds} seeds; one run at a time.",
        "Parameters: of everything that a run trains, the networks before the task network too.",
        "Printed: Gao et al., RLLD, Table 3; hours on two RTX 4090, of other lengths than these.",
    )
    rows = [{**asdict(cost), "seconds": cost.seconds.as_dict()} for cost in found]
    return Page(
        title="Table 3",
        command=command,
        blocks=(table,),
        remarks=remarks,
        sheet=sheet_text([table.heads, *cells], ","),
        report={"command": command, "remarks": list(remarks), "rows": rows},
    )


def _spread(found: Estimate) -> str:
    return f" ± {found.sd:.2g}" if found.runs > 1 else ""
