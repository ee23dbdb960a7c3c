"""Damaged files through the command line: exit status 0 or 2, no traceback, an end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

from campaign import processes
from campaign.archives import checkpoint_case, hostile_pickles, npy_case, rezip, safetensors_case
from campaign.fuzzing import Limits, Outcome
from campaign.mutations import mutated
from campaign.samples import Samples, put
from campaign.targets_binary import copied, damaged_clip, hurt
from campaign.targets_text import PATHS, VALUES

NAME = "commands"


def run_commands(
    samples: Samples, seed: int, numbers: range, work: Path, deadline: float
) -> dict[int, Outcome]:
    """Runs cases through the command line; returns outcomes by number."""
    outcomes = {}
    for number in numbers:
        if time.monotonic() > deadline:
            break
        at = work / NAME
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir()
        argv = command(random.Random(f"{seed}/{NAME}/{number}"), at, samples)
        outcomes[number] = _outcome(argv, at)
    return outcomes


def _outcome(argv: list[str], at: Path) -> Outcome:
    limits, log, before = Limits(), at / "log", processes.spent()
    pid = processes.spawn(argv, at, log)
    status = processes.wait(pid, limits.clock)
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return Outcome("hang", f"over {limits.clock} s: {argv[:2]}")
    if (seconds := processes.spent() - before) > limits.seconds:
        return Outcome("hang", f"{seconds:.0f} s of the processor: {argv[:2]}")
    text = log.read_text(errors="replace")
    last = (text.strip().splitlines() or [""])[-1]
    if "Traceback" in text:
        places = [line for line in text.splitlines() if "/rlld/" in line and "campaign" not in line]
        where = places[-1].rpartition("/rlld/")[2] if places else ""
        told = f"{last.partition(':')[0]} at {where}: {' '.join(argv)[:60]} {last[:90]}"
        return Outcome("traceback", told)
    if status not in (0, 2):
        return Outcome("crash", f"status {status} of {argv[:2]}: {last[:100]}")
    return Outcome("refused" if status else "fine")


def command(rng: random.Random, at: Path, samples: Samples) -> list[str]:
    """Makes damaged files in a folder and returns the command that reads them."""

    def harmed(source: Path, name: str) -> str:
        folder = copied(source, at / name)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in rng.sample(files, rng.choice((1, 1, 2))):
            hurt(rng, file, samples)
        return str(folder)

    good, run, out = str(samples.sim), str(samples.run), str(at / "r")
    train = ["--out", out, "--schedule.updates", "2"]
    match rng.randrange(11):
        case 0:
            return ["data", "check", harmed(samples.sim, "D")]
        case 1:
            recipe = rng.choice(("han", "rlld-labelwise"))
            return ["train", recipe, "--data", harmed(samples.sim, "D"), *train]
        case 2:
            damaged = harmed(samples.run, "R")
            return ["evaluate", damaged, "--split", "test", "--data", good, "--per-class"]
        case 3:
            return ["denoise", harmed(samples.run, "R"), "--out", str(at / "l.csv")]
        case 4:
            clip = put(at, "c.mp4", damaged_clip(rng, samples))
            return ["extract", str(clip), "--out", str(at / "f"), "--workers", "1"]
        case 5:
            made = checkpoint_case(rng, samples.checkpoints, samples.hostile)
            return ["convert", str(put(at, "m.pt", made)), "--network", "han", "--out", out]
        case 6:
            path = put(at, "a.csv", mutated(rng, samples.answers, True))
            return ["data", "answers", str(copied(samples.sim, at / "D")), str(path)]
        case 7:
            return ["train", *_label_source(rng, at, samples), "--data", good, *train]
        case 8:
            # The shell cannot pass these bytes either.
            value = rng.choice(VALUES).replace("\x00", "").encode("utf-8", "replace").decode()
            return ["train", "han", "--data", good, *train, f"--{rng.choice(PATHS)}", value]
        case 9:
            store = put(at, "s.safetensors", safetensors_case(rng, samples.store))
            page = str(at / f"p.{rng.choice(('html', 'json', 'csv', 'txt'))}")
            return ["parse", run, "--features", str(store), "--id", "test_00000", "--out", page]
        case _:
            for name in ("audio", "visual_2d"):
                put(at, f"features/{name}/v.npy", npy_case(rng, samples.npy))
            features = str(at / "features")
            return ["parse", run, "--features", features, "--id", "v", "--out", str(at / "p.json")]


def _label_source(rng: random.Random, at: Path, samples: Samples) -> list[str]:
    if rng.random() < 0.5:
        path = put(at, "n.npz", rezip(rng, samples.ratios))
        return ["jomold", "--denoiser.ratios", str(path)]
    good = rng.choice(samples.exchanges)
    hostile = rng.choice(hostile_pickles(samples.canary))
    data = rng.choice((mutated(rng, good), hostile, rezip(rng, samples.masks)))
    return ["ma", "--denoiser.exchange", str(put(at, "n.pkl", data))]
