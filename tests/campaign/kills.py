"""Kills rlld at random moments, runs it again, and compares what it leaves with an unbroken run.

A *chain* is one output folder: it is killed (SIGKILL 60 %, SIGTERM 20 %, SIGINT 20 %; half of the
SIGKILLs go to the whole process group) at moments drawn over the length of the unbroken run, and
run again by ``--resume`` or the same command, until a run ends by itself. Then the folder is
compared byte by byte with the unbroken one, figures of the clock removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaign import processes

COUNTED = ("kills", "lost", "differ", "litter", "orphans", "again_refused")
"""Kills; runs that fail or show a traceback; other bytes; files left over; processes that outlive
their parent; a finished output that the same command then refuses."""

CLOCK = ("seconds", "videos_per_second", "data")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SPANS = ((0.0, 0.15), (0.0, 1.0), (0.85, 1.1))
"""Parts of a run: the first files are made early, and a finished output may be refused late."""
MOST = 4
"""Kills of one output at most."""


@dataclass
class Verb:
    """A command under attack, and what was seen of it.

    Attributes:
        setup: Lays into an empty folder what the command needs there.
        fetch: Lays into the folder what the command left elsewhere.
        length: Seconds of the unbroken run.
        spent: Seconds that went into it.
        whole: Hashes of what the unbroken run left.
    """

    name: str
    argv: list[str]
    again: list[str] | None = None
    setup: Callable[[Path], object] | None = None
    fetch: Callable[[Path], object] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    length: float = 0.0
    spent: float = 0.0
    whole: dict[str, str] = field(default_factory=dict)

    def fault(self, kind: str, told: str, count: int = 1) -> None:
        """Counts a fault and keeps what is known of it."""
        self.counts[kind] += count
        self.notes.append(f"{kind}: {told}")


def digest(file: Path, root: Path) -> str:
    """Returns a hash of a file without figures of the clock and paths of this machine."""
    data = file.read_bytes()
    if file.suffix == ".json":
        data = _without_clock(data)
    elif file.suffix == ".jsonl":
        data = b"\n".join(map(_without_clock, data.splitlines()))
    elif file.suffix in (".md", ".html", ".tex", ".csv", ".txt"):
        data = re.sub(rb"\d+(\.\d+)? ?(s|min|ms)\b", b"TIME", data)
    elif file.suffix == ".tsv":
        data = re.sub(rb"\d{15,}", b"TIME", data)  # when a clip was made, in nanoseconds
    return hashlib.sha256(data.replace(str(root).encode(), b"ROOT")).hexdigest()


def _without_clock(data: bytes) -> bytes:
    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: stripped(item) for key, item in value.items() if key not in CLOCK}
        return [stripped(item) for item in value] if isinstance(value, list) else value

    try:
        return json.dumps(stripped(json.loads(data)), sort_keys=True).encode()
    except ValueError:
        return data


def tree(root: Path) -> dict[str, str]:
    """Returns the hash of every file below a folder, hidden ones too, and names its folders."""
    return {
        str(path.relative_to(root)): digest(path, root) if path.is_file() else "a folder"
        for path in sorted(root.rglob("*"))
    }


def run_kills(verbs: list[Verb], work: Path, seed: int, deadline: float) -> Counter[str]:
    """Kills the verbs in turn until the deadline; the one that had least time is next."""
    rng = random.Random(f"{seed}/kills")
    number = 0
    while time.monotonic() < deadline:
        verb = min(verbs, key=lambda each: each.spent)
        begun = time.monotonic()
        if not verb.whole:
            _unbroken(verb, work)
        _chain(verb, work, rng, work / f"{verb.name}-{number}")
        verb.spent += time.monotonic() - begun
        number += 1
    return sum((verb.counts for verb in verbs), Counter())


def _unbroken(verb: Verb, work: Path) -> None:
    folder, log = work / f"{verb.name}-whole", work / f"{verb.name}-whole.log"
    folder.mkdir()
    if verb.setup:
        verb.setup(folder)
    started = time.monotonic()
    status = processes.wait(processes.spawn(verb.argv, folder, log), 600)
    verb.length = time.monotonic() - started
    if status != 0:
        raise SystemExit(f"{verb.name}: unbroken, it ends with {status}: {log.read_text()[-900:]}")
    if verb.fetch:
        verb.fetch(folder)
    verb.whole = tree(folder)


def _chain(verb: Verb, work: Path, rng: random.Random, folder: Path) -> None:
    """Kills one output up to ``MOST`` times and looks at what is there in the end."""
    folder.mkdir()
    if verb.setup:
        verb.setup(folder)
    log, history = folder.with_suffix(".log"), []
    argv, most = verb.argv, rng.randint(1, MOST)
    while True:
        pid = processes.spawn(argv, folder, log)
        argv = verb.again or verb.argv
        if len(history) == most:
            status = processes.wait(pid, 60 + 20 * verb.length)
            break
        late = 2 if history else 0  # the first may come too late, and would strike nothing
        moment = verb.length * rng.uniform(*rng.choices(SPANS, (2, 6, late))[0])
        status = processes.wait(pid, moment)
        if status is not None:
            break
        status = _strike(verb, pid, rng, moment, history)
        if status == 0:
            break
    _require_alone(verb, pid, f"{folder.name}: processes outlive the last run")
    verb.counts["kills"] += len(history)
    if verb.fetch:
        verb.fetch(folder)
    if _judge(verb, folder, log, status, f"{folder.name} after {history}"):
        shutil.rmtree(folder)
        log.unlink(missing_ok=True)


def _strike(
    verb: Verb, pid: int, rng: random.Random, moment: float, history: list[str]
) -> int | None:
    """Sends a signal, waits for the end, and looks for processes that outlive it."""
    sent = rng.choices(SIGNALS, (6, 2, 2))[0]
    group = sent == signal.SIGINT or rng.random() < 0.5
    history.append(f"{sent.name}{'+group' if group else ''}@{moment:.3f}")
    with suppress(ProcessLookupError):  # it may just have ended by itself
        (os.killpg if group else os.kill)(pid, sent)
    status = processes.wait(pid, 20)
    if status is None:
        verb.fault("lost", f"still there 20 s after {history[-1]}")
        os.kill(pid, signal.SIGKILL)
        processes.wait(pid, 10)
    _require_alone(verb, pid, f"processes outlive {history[-1]}")
    if sent != signal.SIGKILL and status not in (0, 130, -sent, 128 + sent):
        verb.fault("lost", f"status {status} after {history[-1]}")
    return status


def _require_alone(verb: Verb, pid: int, told: str) -> None:
    """Gives the processes that a run started time to end with it, by how slow the machine is.

    A worker that is still loading what it needs hears of its parent's end when it has.
    """
    end = time.monotonic() + 3 + verb.length
    while processes.members(pid) and time.monotonic() < end:
        time.sleep(0.05)
    if processes.members(pid):
        verb.fault("orphans", told)
        processes.end_group(pid)


UNBORN = re.compile(
    r"Traceback (?:(?!Traceback).)*?multiprocessing.spawn(?:(?!Traceback).)*?"
    r"EOFError: Ran out of input\n",
    re.DOTALL,
)
"""What Python says in a worker whose parent was killed before it had told what to do."""


def _judge(verb: Verb, folder: Path, log: Path, status: int | None, what: str) -> bool:
    """Compares an output with the unbroken one; returns whether all is well."""
    text = log.read_text(errors="replace") if log.exists() else ""
    text = UNBORN.sub("", text)
    before = verb.counts.copy()
    found = tree(folder)
    if "Traceback" in text:
        verb.fault("lost", f"{what}: {text[text.index('Traceback') :][-600:]}")
    if status == 2 and found == verb.whole:
        verb.fault("again_refused", f"{what}: complete, yet {text.splitlines()[-1][:120]}")
        return False
    if status != 0:
        verb.fault("lost", f"{what}: run again, it ends with {status}: {text[-400:]}")
        return False
    other = sorted(name for name in verb.whole if found.get(name) != verb.whole[name])
    more = sorted(found.keys() - verb.whole.keys())
    if other:
        verb.fault("differ", f"{what}: {other[:6]}")
    if more:
        verb.fault("litter", f"{what}: {more[:4]}", len(more))
    return verb.counts == before
