"""The commands that write, each small enough to be killed often."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from campaign import processes
from campaign.kills import Verb
from rlld.data.annotations import read_weak
from rlld.data.dataset import load_data
from rlld.data.spec import read_spec, spec_text

RECIPES = ("han", "rlld", "rlld-labelwise", "jomold", "ma")
SHORT = ("train-han", "pack", "extract-files")
"""Those of the short form."""


def all_verbs(work: Path) -> list[Verb]:
    """Returns the verbs, their inputs lying in ``work``."""
    sim, layout, clips = work / "sim", work / "layout", str(work / "clips")
    out = ["--out", "out"]
    often = ["--schedule.updates", "60", "--checkpoint-seconds", "0.05"]
    data = ["--data", str(sim), *out, *often]
    verbs = [
        Verb(f"train-{name}", ["train", name, *data], ["train", name, *data, "--resume"])
        for name in RECIPES
    ]
    seeds = ["train", "rlld", *data, "--seeds", "2"]
    verbs.append(Verb("train-seeds", seeds, [*seeds, "--resume"]))
    verbs.append(Verb("simulate", ["data", "simulate", *out, "--videos", "400", "60", "60"]))
    places = ["--annotations", str(layout / "annotations"), "--features", str(layout)]
    spec = ["--spec", str(layout / "dataset.yaml")]
    verbs.append(Verb("pack", ["data", "pack", *places, *spec, *out]))
    verbs.append(Verb("render", ["data", "render", *out, "--videos", "4,1,1", "--workers", "2"]))
    verbs.append(Verb("extract-files", ["extract", clips, *out, "--workers", "1"]))
    verbs.append(Verb("extract-pool", ["extract", clips, *out, "--workers", "2"]))

    def dataset(folder: Path) -> None:
        shutil.copytree(work / "rendered", folder / "out")

    verbs.append(Verb("extract-stores", ["extract", "out", "--workers", "1"], setup=dataset))
    run = str(work / "run")
    labels = ["--out", "out/labels.csv", "--report", "out/report"]
    verbs.append(Verb("denoise", ["denoise", run, "--data", str(sim), *labels]))

    def simulated(folder: Path) -> None:
        shutil.copytree(sim, folder / "out")

    answers = ["data", "answers", "out", str(work / "answers.csv")]
    verbs.append(Verb("answers", answers, setup=simulated))
    pages = ["parse", str(work / "light"), clips, *out, "--format", "html"]
    verbs.append(Verb("parse", pages))
    table = ["--recipes", "weak,rlld-labelwise", "--updates", "30", "--seeds", "1"]
    bench = ["bench", "denoising", "--data", str(sim), *out, "--workers", "1", *table]
    verbs.append(Verb("bench", bench))
    demo = ["demo", "--size", "tiny", *out, "--workers", "1"]
    verbs.append(Verb("demo", demo, takes=600))
    return verbs


def make_inputs(work: Path) -> None:
    """Makes what the verbs read: a small simulation, a published layout, a few clips."""
    sim = ["data", "simulate", "--out", str(work / "sim"), "--videos", "48", "24", "24"]
    _done(sim, work)
    _layout(work / "sim", work / "layout")
    rendered = work / "rendered"
    _done(["data", "render", "--out", str(rendered), "--videos", "6,2,2", "--workers", "1"], work)
    shutil.copytree(rendered / "videos", work / "clips")
    trained = ["train", "rlld", "--data", str(work / "sim"), "--out", str(work / "run")]
    _done([*trained, "--schedule.updates", "4"], work)
    _answers(work)
    ready = work / "ready"
    shutil.copytree(rendered, ready)
    _done(["extract", str(ready), "--workers", "1"], work)
    trained = ["train", "han", "--data", str(ready), "--out", str(work / "light")]
    _done([*trained, "--schedule.updates", "4"], work)


def _answers(work: Path) -> None:
    """Answers the first label of every training video with yes."""
    spec = read_spec(work / "sim")
    weak = read_weak(work / "sim" / "annotations" / spec.annotations.train, spec.taxonomy)
    rows = [
        f"{video}\t{spec.classes[row.nonzero()[0][0]]}\taudio\tyes\n"
        for video, row in zip(weak.ids, weak.labels, strict=True)
    ]
    (work / "answers.csv").write_text("video\tclass\tmodality\tpresent\n" + "".join(rows))


def _done(argv: list[str], work: Path) -> None:
    log = work / "inputs.log"
    if processes.wait(processes.spawn(argv, work, log), 300) != 0:
        raise SystemExit(f"cannot make the inputs: {log.read_text()[-2000:]}")


def _layout(sim: Path, layout: Path) -> None:
    """Unpacks a simulation into one .npy file per video and stream."""
    spec, data = read_spec(sim), load_data(sim)
    shutil.copytree(sim / "annotations", layout / "annotations")
    streams = {name: replace(stream, folder=name) for name, stream in spec.streams.items()}
    (layout / "dataset.yaml").write_text(spec_text(replace(spec, streams=streams)))
    for split in (data.train, data.validation, data.test):
        for name, value in split.streams.items():
            (layout / name).mkdir(exist_ok=True)
            for video, rows in zip(split.ids, value.numpy(), strict=True):
                np.save(layout / name / f"{video}.npy", rows)
