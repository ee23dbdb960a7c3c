"""Runs cases in forked workers with two clocks, a limit of memory and an eye on what they raise."""

from __future__ import annotations

import json
import os
import random
import resource
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from campaign.samples import Samples
from campaign.target import Case
from rlld.errors import RlldError

FAULTS = ("traceback", "memory", "hang", "crash", "long")


class Outcome(NamedTuple):
    """What became of a case: ``fine``, ``refused`` or a fault, and where."""

    kind: str
    told: str = ""


@dataclass(frozen=True)
class Limits:
    """What a case may take.

    Attributes:
        seconds: Of the processor, so that a busy machine makes no fault.
        clock: Seconds on the clock, for what waits without working.
        gigabytes: Address space beyond what the worker starts with.
        peak: Megabytes that it may add to the memory in use.
        message: Characters of a refusal.
    """

    seconds: float = 10.0
    clock: float = 60.0
    gigabytes: float = 3.0
    peak: float = 700.0
    message: int = 2000


class Hang(BaseException):
    """A case has taken more than it may; says of what."""


TIMERS = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
"""What counts the processor's time and what the clock's, by the signal that tells."""


def place_of(error: BaseException) -> str:
    """Returns the innermost line of rlld, else the innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/rlld/" in frame.filename]
    frame = (ours or frames)[-1]
    return f"{frame.filename.rpartition('/rlld/')[2]}:{frame.lineno} {frame.name}"


def run_case(
    case: Case, samples: Samples, name: str, seed: int, number: int, at: Path, limits: Limits
) -> Outcome:
    """Runs one case in an empty folder and says what became of it."""
    shutil.rmtree(at, ignore_errors=True)
    at.mkdir(parents=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.clock)
    try:
        case(random.Random(f"{seed}/{name}/{number}"), at, samples)
        outcome = Outcome("fine")
    except RlldError as error:
        outcome = Outcome("refused")
        if len(str(error)) > limits.message:
            told = f"a message of {len(str(error))} characters in {place_of(error)}"
            outcome = Outcome("long", told)
    except Hang as error:
        outcome = Outcome("hang", f"{error} in {place_of(error)}")
    except MemoryError as error:
        outcome = Outcome("memory", f"MemoryError in {place_of(error)}")
    except BaseException as error:
        text = " ".join(str(error).split())[:110]
        kind = "memory" if "alloc" in text and "memory" in text else "traceback"
        outcome = Outcome(kind, f"{type(error).__name__} at {place_of(error)}: {text}")
    finally:
        for timer in TIMERS.values():
            signal.setitimer(timer, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > limits.peak and outcome.kind in ("fine", "refused"):
        told = f"memory grew by {grown:.0f} MB, then {outcome.kind}"
        outcome = Outcome("memory", told)
    return outcome


def run_target(
    case: Case,
    samples: Samples,
    name: str,
    seed: int,
    numbers: range,
    work: Path,
    limits: Limits,
    deadline: float,
) -> dict[int, Outcome]:
    """Runs the cases of a target in workers; one that dies or hangs costs its own case.

    Args:
        case: The target.
        samples: What cases are made of.
        name: Name of the target.
        seed: Seed of the campaign.
        numbers: Numbers of the cases.
        work: Folder for them.
        limits: What a case may take.
        deadline: When to stop, on the monotonic clock.

    Returns:
        Outcomes by number, of the cases that there was time for.
    """
    outcomes: dict[int, Outcome] = {}
    following = numbers.start
    while following < numbers.stop and time.monotonic() < deadline:
        end, begin = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(end)
            try:
                rest = range(following, numbers.stop)
                _work(case, samples, name, seed, rest, work / name, limits, begin)
            finally:
                os._exit(0)
        os.close(begin)
        current, hung = _listen(end, outcomes, limits, deadline)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if current is None:
            break
        if current not in outcomes and time.monotonic() < deadline:
            code = os.waitstatus_to_exitcode(status)
            outcomes[current] = Outcome("crash", f"the worker ended with {code}")
            if hung:
                outcomes[current] = Outcome("hang", "does not even answer the alarm")
        following = current + 1
    shutil.rmtree(work / name, ignore_errors=True)
    return outcomes


def _listen(
    end: int, outcomes: dict[int, Outcome], limits: Limits, deadline: float
) -> tuple[int | None, bool]:
    """Reads what a worker says; returns the last case it began, and whether it hangs."""
    current, rest, last = None, b"", time.monotonic()
    with os.fdopen(end, "rb", buffering=0) as pipe:
        while time.monotonic() < deadline:
            if time.monotonic() - last > limits.clock + 10:
                return current, True
            if not select.select([pipe], [], [], 0.5)[0]:
                continue
            data = pipe.read(65536)
            if not data:
                break
            last = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                current, *told = json.loads(line)
                if told:
                    outcomes[current] = Outcome(*told)
    return current, False


def _work(
    case: Case,
    samples: Samples,
    name: str,
    seed: int,
    numbers: Iterable[int],
    at: Path,
    limits: Limits,
    pipe: int,
) -> None:
    """Runs cases in a worker and says before and after each what it does."""

    def ring(sent: int, _: object) -> None:
        spent = {signal.SIGPROF: f"{limits.seconds} s of the processor"}
        raise Hang(f"over {spent.get(sent, f'{limits.clock} s')}")

    for sent in TIMERS:
        signal.signal(sent, ring)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + int(limits.gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for number in numbers:
        os.write(pipe, json.dumps([number]).encode() + b"\n")
        outcome = run_case(case, samples, name, seed, number, at, limits)
        os.write(pipe, json.dumps([number, *outcome]).encode() + b"\n")
