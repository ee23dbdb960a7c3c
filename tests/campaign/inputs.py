"""What the commands under attack read: small data sets, runs and clips, made once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from campaign import processes
from llp_kit import write_llp
from marked_kit import write_marked
from rlld.data.annotations import YOUTUBE_ID, read_weak
from rlld.data.dataset import load_data
from rlld.data.spec import FILE_NAME, LLP_SPEC, read_spec, spec_text, weak_files
from rlld.recipes.recipe import load_recipe

WIDTH = 32
"""Of every network: what is written often has to be small."""


def make_inputs(work: Path) -> None:
    """Makes all of them, with the commands of the product."""
    make_few(work)
    write_marked(work / "odd.mkv", offset=20.0)
    _trained(work)
    _known(work)
    _llp(work)


def make_few(work: Path) -> None:
    """Makes those that the short form needs: simulated data and rendered clips."""
    _simulated(work)
    rendered = work / "rendered"
    _done(["data", "render", "--out", str(rendered), "--videos", "3,1,1", "--workers", "1"], work)
    shutil.copytree(rendered / "videos", work / "clips")


def _simulated(work: Path) -> None:
    """Makes a simulation, it without its scores, its published layout, scores and answers."""
    sim, bare = work / "sim", work / "bare"
    _done(["data", "simulate", "--out", str(sim), "--videos", "48", "24", "24"], work)
    spec = read_spec(sim)
    narrow = replace(spec, overrides={**spec.overrides, "network.hidden": WIDTH})
    (sim / FILE_NAME).write_text(spec_text(narrow))
    shutil.copytree(sim, bare)
    shutil.rmtree(bare / "scores")
    _layout(sim, work / "layout")
    _answers(work)
    rng = np.random.default_rng(0)
    (work / "scores").mkdir()
    for video in load_data(sim).train.ids:
        made = rng.random((spec.segments, len(spec.classes)), np.float32)
        np.save(work / "scores" / f"{video}.npy", made)


def _trained(work: Path) -> None:
    """Makes a run on the simulation, one that parses clips, and a checkpoint as others have it."""
    few = ["--schedule.updates", "4"]
    sim = str(work / "sim")
    _done(["train", "rlld", "--data", sim, "--out", str(work / "run"), *few], work)
    network = load_recipe("han", {"network.hidden": WIDTH}).network.config.build(
        read_spec(work / "sim")
    )
    torch.save(network.state_dict(), work / "old.pt")
    ready = work / "ready"
    shutil.copytree(work / "rendered", ready)
    _done(["extract", str(ready), "--workers", "1"], work)
    _done(["train", "han", "--data", str(ready), "--out", str(work / "light"), *few], work)


def _llp(work: Path) -> None:
    """Makes annotation files like LLP's with features of the published form, and some clips."""
    folder = write_llp(work / "llp")
    rng = np.random.default_rng(0)
    files = weak_files(LLP_SPEC).values()
    videos = [video for file in files for video in read_weak(folder / file, LLP_SPEC.taxonomy).ids]
    for stream in LLP_SPEC.streams.values():
        (folder / stream.folder).mkdir()
        for video in videos:
            rows = rng.random((LLP_SPEC.segments * stream.frames, stream.dim), np.float32)
            np.save(folder / stream.folder / f"{video[:YOUTUBE_ID]}.npy", rows)
    (work / "llp-clips").mkdir()
    for video, clip in zip(videos[::6], sorted((work / "clips").iterdir()), strict=False):
        shutil.copy(clip, work / "llp-clips" / f"{video[:YOUTUBE_ID]}{clip.suffix}")


def _known(work: Path) -> None:
    """Writes what is known of the clips, and makes a data set of them that knows less."""
    clips = sorted(path.name for path in (work / "clips").iterdir())
    known, early = work / "known", work / "early"
    known.mkdir()
    early.mkdir()
    for name in clips[:3]:
        shutil.copy(work / "clips" / name, early)
    rows = [f"{name},{'dog;speech' if n % 2 else 'dog'}" for n, name in enumerate(clips)]
    (known / "tags.csv").write_text("\n".join(["file,tags", *rows]))
    (known / "events.csv").write_text(
        f"clip,class,modality,onset,offset\n{clips[0]},dog,both,0,3\n{clips[1]},none,,,\n"
    )
    (known / "answers.csv").write_text(
        f"clip,class,modality,present\n{clips[2]},dog,both,yes\n{clips[3]},dog,visual,no\n"
    )
    words = ["--videos", str(early), f"--tags={known / 'tags.csv'}", "--features", "light"]
    _done(["data", "new", str(work / "owned"), *words, "--workers", "1"], work)


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
    (layout / FILE_NAME).write_text(spec_text(replace(spec, streams=streams)))
    for split in (data.train, data.validation, data.test):
        for name, value in split.streams.items():
            (layout / name).mkdir(exist_ok=True)
            for video, rows in zip(split.ids, value.numpy(), strict=True):
                np.save(layout / name / f"{video}.npy", rows)
