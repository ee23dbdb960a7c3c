"""``python -m campaign --minutes 10``: hostile files in one process, kills in another."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from campaign import (
    inputs,
    kills,
    processes,
    targets_tags,  # noqa: F401  which registers its targets
    verbs,
)
from campaign.commands import NAME, run_commands
from campaign.fuzzing import FAULTS, Limits, Outcome, run_target
from campaign.samples import Samples
from campaign.target import TARGETS

COMMANDS_WEIGHT = 0.1
BLOCK = 20
"""Cases of a target in a round, times its weight."""


def main() -> int:
    """Runs the campaign; returns 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="time in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", default="", help="only these hostile files, by commas")
    parser.add_argument("--number", type=int, help="only this case of the targets")
    parser.add_argument("--verbs", default="", help="kill only these verbs, by commas")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="rlld-campaign-"))
    ends = time.monotonic() + 60 * args.minutes
    processes.preload()
    try:
        if args.targets:
            found = files(work, args.seed, ends, args.targets, args.number)
        elif args.verbs:
            found = struck(work, args.seed, ends, args.verbs)
        else:
            found = both(work, args.seed, ends)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return int(found > 0)


def both(work: Path, seed: int, ends: float) -> int:
    """Kills in a child, which says at the end what it saw, while this process feeds files."""
    told = work / "kills.txt"
    pid = os.fork()
    if not pid:
        code = 1
        try:
            sys.stdout = told.open("w", encoding="utf-8")
            code = int(struck(work, seed, ends) > 0)
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(code)
    found = files(work, seed, ends)
    _, status = os.waitpid(pid, 0)
    sys.stdout.write(told.read_text(encoding="utf-8"))
    return found + (status != 0)


def files(work: Path, seed: int, deadline: float, only: str = "", number: int | None = None) -> int:
    """Feeds hostile files until the deadline; returns the number of faults."""
    samples = Samples(work)
    names = only.split(",") if only else [*TARGETS, NAME]
    outcomes: dict[str, dict[int, Outcome]] = {name: {} for name in names}
    turn = 0
    while time.monotonic() < deadline:
        for name in names:
            weight = TARGETS[name].weight if name in TARGETS else COMMANDS_WEIGHT
            size = round(BLOCK * weight)
            numbers = range(turn * size, (turn + 1) * size)
            if number is not None:
                numbers = range(number, number + 1)
            outcomes[name] |= run_numbers(samples, name, seed, numbers, work, deadline)
        if number is not None:
            break
        turn += 1
    for name, found in outcomes.items():
        sys.stdout.write(summary(name, found))
    return closing(outcomes, samples)


def run_numbers(
    samples: Samples, name: str, seed: int, numbers: range, work: Path, deadline: float
) -> dict[int, Outcome]:
    """Runs cases of one target, or of the command line."""
    if name == NAME:
        return run_commands(samples, seed, numbers, work, deadline)
    case = TARGETS[name].case
    return run_target(case, samples, name, seed, numbers, work, Limits(), deadline)


def summary(name: str, outcomes: dict[int, Outcome]) -> str:
    """Returns a line for a target, and one for every kind of fault."""
    counts = Counter(outcome.kind for outcome in outcomes.values())
    told = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
    lines = [f"{name}: {len(outcomes)} cases: {told}\n"]
    groups: dict[tuple[str, str], list[int]] = {}
    for number, outcome in outcomes.items():
        if outcome.kind in FAULTS:
            head = outcome.told.partition(": ")[0]
            groups.setdefault((outcome.kind, head), []).append(number)
    for (kind, _), numbers in sorted(groups.items(), key=lambda group: -len(group[1])):
        first = outcomes[numbers[0]]
        lines.append(f"    {kind} x{len(numbers)}, case {numbers[0]}: {first.told}\n")
    return "".join(lines)


def closing(outcomes: dict[str, dict[int, Outcome]], samples: Samples) -> int:
    """Prints the sums and returns the number of faults."""
    every = [outcome.kind for found in outcomes.values() for outcome in found.values()]
    counts = Counter(every)
    ran = samples.canary.exists()
    told = " ".join(f"{kind} {counts[kind]}" for kind in FAULTS)
    sys.stdout.write(f"files: cases {len(every)} {told} code_of_a_file_ran {int(ran)}\n")
    sys.stdout.flush()
    return sum(counts[kind] for kind in FAULTS) + ran


def struck(work: Path, seed: int, deadline: float, only: str = "") -> int:
    """Kills verbs until the deadline; returns the number of faults."""
    given, at, temporary = work / "inputs", work / "kills", work / "temporary"
    for folder in (given, at, temporary):
        folder.mkdir()
    inputs.make_inputs(given)
    before = kills.tree(given)
    # What a command leaves among the temporary files of the machine is litter too; torch's cache is
    # not ours.
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(work / "torch")
    known = verbs.all_verbs(given)
    chosen = [verb for verb in known if not only or verb.name in only.split(",")]
    sums = kills.run_kills(chosen, at, seed, deadline)
    if left := sorted(kills.tree(temporary)):
        sys.stdout.write(f"litter among temporary files: {left[:6]}\n")
        sums["litter"] += len(left)
    if kills.tree(given) != before:
        sys.stdout.write("differ: what the commands read was written to\n")
        sums["differ"] += 1
    for verb in chosen:
        told = ", ".join(f"{kind} {verb.counts[kind]}" for kind in kills.COUNTED)
        sys.stdout.write(f"{verb.name}: {verb.length:.1f} s unbroken, {told}\n")
        for note in verb.notes:
            sys.stdout.write("    " + note.replace("\n", "\n      ") + "\n")
    told = " ".join(f"{kind} {sums[kind]}" for kind in kills.COUNTED)
    sys.stdout.write(f"kills: {told}\n")
    return sum(sums[kind] for kind in kills.COUNTED if kind != "kills")


if __name__ == "__main__":
    sys.exit(main())
