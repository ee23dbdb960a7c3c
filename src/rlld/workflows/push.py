"""Putting a run on the hub: its files and its model card, in one commit."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from rlld.data.spec import weak_files
from rlld.errors import RlldError, nearest
from rlld.evaluation.labels import judge, label_report
from rlld.evaluation.scoring import Evaluation, evaluate, load_for
from rlld.metrics.noise_detection import DenoisingReport
from rlld.recipes.recipe import COMPONENTS
from rlld.report.card import Measured
from rlld.training.run_folder import CONFIG, FILES, Run, load_held_out, load_tensors, read_config
from rlld.utils import hub
from rlld.utils.foreign.runs import LOCAL
from rlld.utils.plain import json_text

CARD = "README.md"
# fmt: off
LICENCES = frozenset((
    "afl-3.0", "agpl-3.0", "apache-2.0", "apple-amlr", "apple-ascl", "artistic-2.0",
    "bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd",
    "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "c-uda", "cc", "cc-by-2.0",
    "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0",
    "cdla-permissive-2.0", "cdla-sharing-1.0", "creativeml-openrail-m", "deepfloyd-if-license",
    "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2",
    "fair-noncommercial-research-license", "gemma", "gfdl", "gpl", "gpl-2.0", "gpl-3.0",
    "grok2-community", "h-research", "intel-research", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0",
    "lgpl-lr", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "lppl-1.3c",
    "mit", "mpl-2.0", "ms-pl", "ncsa", "odbl", "odc-by", "ofl-1.1", "openmdw-1.0", "openmdw-1.1",
    "openrail", "openrail++", "osl-3.0", "other", "pddl", "postgresql", "unknown", "unlicense",
    "wtfpl", "zlib",
))
# fmt: on
"""Identifiers of licences that the hub knows."""


def require_licence(licence: str | None) -> str:
    """Returns a licence that the hub knows.

    Raises:
        RlldError: If none is given, or another.
    """
    if licence is None:
        raise RlldError(
            "--license: nobody may use a run without one; give an identifier of the hub, "
            "--license apache-2.0 for instance (huggingface.co/docs/hub/repositories-licenses)"
        )
    if licence not in LICENCES:
        raise RlldError(f"--license: unknown licence {licence!r}{nearest(licence, LICENCES)}")
    return licence


def measure(run: Run, data: Path | None) -> Measured:
    """Scores a run on its test split, and counts what its denoiser removed.

    Args:
        run: The run.
        data: The data-set folder; that of the training when None, if it is there.

    Returns:
        What could be measured, and why the rest could not.

    Raises:
        RlldError: If the data set does not fit the run, or is damaged.
    """
    known = run.facts.get("data")
    if data is None and (known is None or not Path(known).is_dir()):
        missing = "The data set of the training was not at hand, so nothing was measured for it."
        return Measured(why=(missing,))
    train = load_for(run, "train", data).to(run.device)
    why: list[str] = []
    test: Evaluation | None = None
    labels: DenoisingReport | None = None
    if "test" in weak_files(train.spec) and load_for(run, "test", data).dense is not None:
        test = evaluate(run, "test", data)
    else:
        why.append("The data set has no annotated test videos, so there are no test scores.")
    try:
        labels = label_report(train, judge(run, train).keep)
    except RlldError:
        # Files were looked at before: what is left is a denoiser without keep probabilities.
        why.append("Its denoiser gives no keep probabilities, so no removals are counted.")
    return Measured(test, labels, tuple(why))


def require_whole(run: Run) -> None:
    """Requires that every file of a run is what it was when the run was written.

    Raises:
        RlldError: If one is missing, damaged or changed.
    """
    config = read_config(run.path)
    for name in config["sha256"]:
        load_tensors(run.path, name, config)
    load_held_out(run)


def push(run: Run, repository: str, card: str, *, private: bool) -> str:
    """Puts a run on the hub in one commit, without the places of this machine.

    Args:
        run: The run.
        repository: ``owner/name``; made where there is none.
        card: Its model card.
        private: Whether only the owner may see it.

    Returns:
        The address of the commit.

    Raises:
        RlldError: If the repository holds something else than a run or is public against
            ``private``, or the hub refuses.
    """
    target = hub.named(repository)
    if target.revision is not None:
        raise RlldError(f"{repository!r}: runs are pushed to the main branch; leave out the @")
    held = hub.contents(target)
    if held is not None:
        _require_run(target, held)
        if private and not held.private:
            raise RlldError(
                f"{target}: exists already and is public; make it private on its page, or leave "
                "out --private"
            )
    files: dict[str, Path | bytes] = {CARD: card.encode(), CONFIG: _public_config(run)}
    for name in FILES[1:]:
        if (run.path / name).is_file():
            files[name] = run.path / name
    removed = [name for name in FILES if held and name in held.sizes and name not in files]
    message = f"Run of recipe {run.recipe.name}"
    return hub.commit(
        target, files, removed, message, held.commit if held else None, private=private
    )


def _require_run(target: hub.Repository, held: hub.Contents) -> None:
    if not held.files:
        return
    some = ", ".join(held.files[:3])
    try:
        hub.fetched(hub.Repository(target.name, held.commit), CONFIG, (), read_config)
    except RlldError:
        raise RlldError(
            f"{target}: holds something else than a run of rlld ({some}); choose another name, or "
            "empty it first"
        ) from None


def _public_config(run: Run) -> bytes:
    """Returns ``config.json`` without places of this machine; only names of files are left."""
    config: dict[str, Any] = read_config(run.path)
    for key in LOCAL:
        config["facts"].pop(key, None)
    for section in COMPONENTS:
        options = getattr(run.recipe, section).config
        for field in fields(options):
            value = getattr(options, field.name)
            if isinstance(value, Path):
                config["recipe"][section][field.name] = value.name
    return (json_text(config, f"{run.path / CONFIG}", indent=2, ensure_ascii=False) + "\n").encode()
