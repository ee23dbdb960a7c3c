"""A short seeded form of the campaign; ``make campaign`` runs the long one."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from campaign import (
    inputs,
    kills,
    processes,
    targets_tags,  # noqa: F401  which registers its targets
    verbs,
)
from campaign.commands import NAME, run_commands
from campaign.fuzzing import FAULTS, Limits, Outcome, run_case, run_target
from campaign.samples import Samples
from campaign.target import TARGETS
from rlld.errors import RlldError

SLOW = ("train_on", "train_override", "resumed", "checked", "page", "convert")
"""Targets whose cases train, or write large files."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return Samples(tmp_path_factory.mktemp("campaign"))


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_hostile_files_are_read_or_refused(name, samples, tmp_path):
    numbers = range(2 if name in SLOW else 10)
    deadline = time.monotonic() + 60
    outcomes = run_target(
        TARGETS[name].case, samples, name, 0, numbers, tmp_path, Limits(), deadline
    )
    assert list(outcomes) == list(numbers)
    faults = {number: each for number, each in outcomes.items() if each.kind in FAULTS}
    assert not faults
    assert not samples.canary.exists()


def test_hostile_files_through_the_command_line(samples, tmp_path):
    processes.preload()
    outcomes = run_commands(samples, 0, range(6), tmp_path, time.monotonic() + 60)
    assert {number: each for number, each in outcomes.items() if each.kind in FAULTS} == {}
    assert len(outcomes) == 6, NAME


@pytest.mark.slow
def test_what_is_killed_goes_on_to_the_same_bytes(tmp_path):
    processes.preload()
    inputs.make_few(tmp_path)
    chosen = [verb for verb in verbs.all_verbs(tmp_path) if verb.name in verbs.SHORT]
    sums = kills.run_kills(chosen, tmp_path, 0, time.monotonic() + 6)
    assert [note for verb in chosen for note in verb.notes] == []
    assert sums == {"kills": sums["kills"]}
    assert sums["kills"] > 0


def test_faults_are_seen(samples, tmp_path):
    """A loader that raises, grows, waits, works on, dies or talks too much is none that passes."""

    def grows(rng: random.Random, at: Path, samples: Samples) -> None:
        with mmap.mmap(-1, 300_000_000) as block:  # new pages: a list might get freed ones again
            block[:: mmap.PAGESIZE] = bytes(len(range(0, len(block), mmap.PAGESIZE)))

    def hangs(rng: random.Random, at: Path, samples: Samples) -> None:
        while True:
            time.sleep(0.01)

    def works(rng: random.Random, at: Path, samples: Samples) -> None:
        while True:
            pass

    def dies(rng: random.Random, at: Path, samples: Samples) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def talks(rng: random.Random, at: Path, samples: Samples) -> None:
        raise RlldError("x" * 5000)

    def raises(rng: random.Random, at: Path, samples: Samples) -> None:
        raise ValueError("no")

    limits = Limits(30.0, 60.0, peak=200, message=50)
    faults = {
        grows: ("memory", limits),
        hangs: ("hang", replace(limits, clock=0.5)),
        works: ("hang", replace(limits, seconds=0.5)),
        dies: ("crash", limits),
        talks: ("long", limits),
    }
    for case, (kind, narrow) in faults.items():
        deadline = time.monotonic() + 60
        found = run_target(case, samples, "x", 0, range(1), tmp_path, narrow, deadline)
        assert found[0].kind == kind
        told = {hangs: "over 0.5 s in ", works: "over 0.5 s of the processor in "}.get(case, "")
        assert found[0].told.startswith(told)
    outcome = run_case(raises, samples, "x", 0, 0, tmp_path / "case", Limits())
    assert outcome == Outcome("traceback", outcome.told)


def test_a_case_is_made_again_from_its_number(samples, tmp_path):
    made = []

    def writes(rng: random.Random, at: Path, samples: Samples) -> None:
        made.append(rng.random())

    for _ in range(2):
        run_case(writes, samples, "x", 7, 3, tmp_path / "case", Limits())
    assert made[0] == made[1]
