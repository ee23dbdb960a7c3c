"""Train a recipe on a data set; any recipe setting can be overridden: --denoiser.lr 1e-4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

import tyro

from rlld.cli._verb import HELP_ALL, Expert, resumable
from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.data.dataset import DataSet
    from rlld.training.run_folder import Run

OVERRIDES = True


@dataclass(frozen=True)
class Args:
    """Options of ``rlld train``."""

    recipe: tyro.conf.Positional[str]
    """A packaged recipe (rlld recipes lists them) or a YAML file."""
    data: Path
    """Data-set folder with packed features."""
    out: Path
    """Run folder to make."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same numbers."""
    seeds: int = 1
    """Train that many seeds at once, from --seed on, each into OUT/seed-N; alone, a seed draws
    other dropout masks."""
    resume: bool = False
    """Go on with the unfinished run in --out."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster where the processor multiplies in it: GPUs, AMD Zen 4, Intel with AMX."""
    gemm: Expert[Literal["default", "onednn"]] = "default"
    """onednn multiplies float32 matrices about twice as fast on AMD processors, not on Intel."""
    graphs: Expert[bool] = True
    """On a GPU, record steps as CUDA graphs and replay them."""
    checkpoint_seconds: Expert[float] = 20.0
    """Longest time between two states to resume from."""
    log: str | None = None
    """Trackers beside metrics.jsonl, joined by commas: tensorboard, wandb."""
    print_config: bool = False
    """Print the complete recipe as YAML and train nothing."""


def run(args: Args, overrides: Mapping[str, str]) -> None:
    """Trains and prints the validation scores of the selected weights."""
    from rlld.data.dataset import load_data
    from rlld.tracking import Tracking, tracker_names
    from rlld.training.compared import is_cheap
    from rlld.training.fitted import fitted_recipe
    from rlld.training.loop import train, train_seeds
    from rlld.utils.compute import Compute
    from rlld.utils.console import OUT
    from rlld.utils.hub import PREFIX

    if args.seeds < 1:
        raise RlldError(f"--seeds: expected how many seeds, 1 or more, found {args.seeds}")
    if str(args.out).startswith(PREFIX):
        raise RlldError(f"--out {args.out}: names a run of the hub; train into a folder, then push")
    log = tracker_names(args.log)
    data = load_data(args.data)
    recipe, decided = fitted_recipe(args.recipe, data, overrides)
    if args.print_config:
        import yaml

        OUT.print(yaml.safe_dump(recipe.as_dict(), sort_keys=False))
        return
    compute = Compute(args.device, args.precision, args.gemm, graphs=args.graphs)
    _say_empty(data)
    options: dict[str, Any] = {"compute": compute, "resume": args.resume}
    options |= {"checkpoint_seconds": args.checkpoint_seconds, "decided": decided}
    with resumable("add --resume"), Tracking(log) as tracking:
        options["watcher"] = tracking
        if args.seeds > 1:
            seeds = range(args.seed, args.seed + args.seeds)
            runs = train_seeds(recipe, data, args.out, seeds, **options)
        else:
            compare = is_cheap(recipe, data)
            runs = [train(recipe, data, args.out, seed=args.seed, compare=compare, **options)]
        for each in runs:
            tracking.finish(each)
    for seed, each in enumerate(runs, start=args.seed):
        _show(each, f"{recipe.name}, seed {seed}" if args.seeds > 1 else recipe.name, data)


def further_help(words: Sequence[str]) -> str:
    """Returns the options of the recipe that is named, with the components that are."""
    if not words or words[0].startswith("-"):
        return "\nrlld train RECIPE --help shows the options of a recipe, too.\n"
    from shutil import get_terminal_size

    from rlld.recipes.options import WIDTH, as_help
    from rlld.recipes.recipe import COMPONENTS, load_recipe

    chosen = {}
    for flag, value in zip(words, [*words[1:], ""], strict=True):
        name, equals, joined = flag.removeprefix("--").partition("=")
        if flag.startswith("--") and name in COMPONENTS:
            chosen[name] = joined if equals else value
    recipe = load_recipe(words[0], chosen)
    width = min(get_terminal_size().columns, WIDTH)
    return "\n" + as_help(recipe, width, every=HELP_ALL in words)


def _say_empty(data: DataSet) -> None:
    """Says how many training videos teach that nothing occurs in them."""
    from rlld.utils.console import OUT

    count = int((data.train.labels.sum(1) == 0).sum())
    if count:
        OUT.print(
            f"{count} of {len(data.train)} training videos have an empty tag cell: they teach that "
            "nothing occurs in them (a video of which nothing is known has no row)"
        )


def _show(run: Run, title: str, data: DataSet) -> None:
    """Prints what a run came to, beside what needs no run."""
    from rlld.data.spec import dense_files
    from rlld.evaluation.outcome import outcome
    from rlld.metrics.tags import TAGS
    from rlld.report.tables import score_table
    from rlld.training.compared import WEAK
    from rlld.training.facts import SUPERVISION_NOTE
    from rlld.utils.console import ERR, OUT

    found, facts = outcome(run, data), run.facts
    scores: dict[str, float] = facts["validation"]
    if found.evaluation is not None:
        if SUPERVISION_NOTE in facts["notes"]:
            OUT.print("What follows are scores on the videos that taught the run: no measurement.")
        # As rlld evaluate has them: the policy that judges new videos had no say in the rounds.
        OUT.print(score_table(found.rows(title), "validation", run.spec.lanes))
        if found.weak:
            OUT.print(f"{WEAK}: the same network on the bare tags, taught by no validation video")
    elif scores:
        OUT.print(f"tags of the validation videos: mean average precision {scores[TAGS]:.1f}")
    if found.tags:
        most = "; the most certain:" if found.suspects else ""
        OUT.print(f"{found.wrong} of {found.tags} tags found wrong, counting each track{most}")
    for suspect in found.suspects:
        OUT.print(f"  {suspect}")
    for note in found.notes:
        OUT.print(f"note: {note}")
    for warning in found.evaluation.warnings if found.evaluation else ():
        ERR.print(f"warning: {warning}")
    tested = data.spec.annotations.test and dense_files(data.spec, "test")
    named = quote(str(run.path))
    following = f"evaluate {named} --split test" if tested else f"parse {named} CLIPS"
    OUT.print(
        f"{run.path}: weights of update {facts['selected_updates']} of {facts['updates']}; "
        f"next: rlld report {named}, rlld {following}"
    )
