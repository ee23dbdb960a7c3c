"""The commands that write, each small enough to be killed often."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from campaign.kills import CLOCK, Verb
from campaign.pushing import Pushed, publish
from rlld.workflows import demo

RECIPES = (
    *("han", "rlld", "rlld-labelwise", "rlld-counterfactual", "rlld-first-order", "jomold", "ma"),
    *("han+coteaching", "constant", "valor", "lsld"),
)
"""One of every source of labels, and of every way in which a policy learns."""

SHORT = ("train-han", "pack", "extract-files")
"""Those of the short form."""

OUT = ("--out", "out")
LIGHT = ("--features", "light", "--workers", "1")
BRIEF = demo.Size((4, 4, 2), 20)
"""A demo that shows nothing, and is over in seconds."""


def all_verbs(work: Path) -> list[Verb]:
    """Returns the verbs, their inputs lying in ``work``; the longest first."""
    demo.SIZES["tiny"] = BRIEF
    verbs = [Verb("demo", ["demo", "--size", "tiny", *OUT, "--workers", "2"])]
    return verbs + _clips(work) + _benches(work) + _trainings(work) + _data(work) + _results(work)


def _trainings(work: Path) -> list[Verb]:
    often = ["--schedule.updates", "40", "--checkpoint-seconds", "0.05"]
    rest = ["--data", str(work / "sim"), *OUT, *often]
    commands = {f"train-{name}": ["train", name, *rest] for name in RECIPES}
    commands["train-seeds"] = ["train", "rlld", *rest, "--seeds", "2"]
    verbs = [Verb(name, argv, [*argv, "--resume"]) for name, argv in commands.items()]
    tracked = ["train", "weak", *rest, "--log", "tensorboard"]
    return [*verbs, Verb("train-log", tracked, [*tracked, "--resume"], fetch=_events_read)]


def _events_read(folder: Path) -> None:
    """Puts what a reader sees of TensorBoard files in their place, whose names are the clock's."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "out" / "tensorboard"))
    events.Reload()
    names = [name for name in events.Tags()["scalars"] if name.rpartition("/")[2] not in CLOCK]
    seen = {name: {event.step: event.value for event in events.Scalars(name)} for name in names}
    told = {"scalars": seen, "images": sorted(events.Tags()["images"])}
    (folder / "events.json").write_text(json.dumps(told))
    shutil.rmtree(folder / "out" / "tensorboard")
    sent = folder / "out" / "tracking.json"
    known = json.loads(sent.read_text())
    sent.write_text(json.dumps({name: known[name] for name in ("sent", "ended")}))


def _data(work: Path) -> list[Verb]:
    layout = work / "layout"
    places = ["--annotations", str(layout / "annotations"), "--features", str(layout)]
    llp = ["--annotations", str(work / "llp"), "--features", str(work / "llp")]
    scores = ["--audio", str(work / "scores"), "--visual", str(work / "scores")]
    return [
        Verb("simulate", ["data", "simulate", *OUT, "--videos", "400", "60", "60"]),
        Verb("pack", ["data", "pack", *places, "--spec", str(layout / "dataset.yaml"), *OUT]),
        Verb("llp", ["data", "llp", *llp, *OUT]),
        Verb(
            "answers",
            ["data", "answers", "out", str(work / "answers.csv")],
            setup=_copy(work / "sim"),
        ),
        Verb("scores", ["data", "scores", "out", *scores], setup=_copy(work / "bare")),
        Verb("weights", ["weights", "vggish"], setup=publish),
        Verb("verify", ["data", "verify", str(work / "sim"), "--write", "out/reference.json"]),
    ]


def _clips(work: Path) -> list[Verb]:
    clips = str(work / "clips")
    alone, pool = ["--workers", "1"], ["--workers", "2"]
    light = str(work / "light")
    texts = ["parse", light, clips, *OUT, "--format", "json"]
    setup = _copy(work / "rendered")
    return [
        Verb("render", ["data", "render", *OUT, "--videos", "2,1,1", *pool]),
        Verb("extract-files", ["extract", clips, *OUT, *alone]),
        Verb("extract-pool", ["extract", clips, *OUT, *pool]),
        Verb("extract-stores", ["extract", "out", *pool], setup=setup),
        Verb("llp-clips", _llp_clips(work)),
        Verb("new", _new(work)),
        Verb("new-again", _new(work), setup=_copy(work / "owned")),
        Verb("parse-clips", texts),
        Verb("parse", ["parse", light, str(work / "odd.mkv"), *OUT[:1], "out/p.html"]),
    ]


def _new(work: Path) -> list[str]:
    """Makes a data set of clips, or brings the one up to date that knows fewer clips and tags."""
    known = work / "known"
    tables = [f"--{kind}={known / kind}.csv" for kind in ("tags", "events", "answers")]
    return ["data", "new", "out", "--videos", str(work / "clips"), *tables, *LIGHT]


def _llp_clips(work: Path) -> list[str]:
    places = ["--annotations", str(work / "llp"), "--videos", str(work / "llp-clips")]
    return ["data", "llp", *places, *OUT, "--extractors", "light", "--workers", "1"]


def _benches(work: Path) -> list[Verb]:
    rest = ["--data", str(work / "sim"), *OUT, "--workers", "1", "--seeds", "1"]
    few = ["--updates", "20"]
    table = ["bench", "denoising", *rest, *few, "--recipes", "weak,rlld-labelwise"]
    counts = ["bench", "annotations", *rest, *few, "--counts", "8"]
    signal = ["bench", "signal", "--data", str(work / "sim"), *OUT, "--after", "2"]
    return [
        Verb("bench-denoising", table),
        Verb("bench-annotations", counts),
        Verb("bench-signal", [*signal, "--batches", "2", "--repeats", "1"]),
    ]


def _results(work: Path) -> list[Verb]:
    run, sim = str(work / "run"), str(work / "sim")
    data = ["--data", sim]
    asked = ["--out", "out/next.csv", "--answers", "out/sheet.csv"]
    convert = ["convert", str(work / "old.pt"), "--network", "han", *data, *OUT]
    push = ["push", run, "owner/run", "--license", "mit", *data]
    pushed = Pushed()
    return [
        Verb(
            "denoise", ["denoise", run, *data, "--out", "out/labels.csv", "--report", "out/report"]
        ),
        Verb("suggest", ["suggest", run, *data, *asked]),
        Verb("evaluate", ["evaluate", run, *data, "--json", "out/scores.json"]),
        Verb("compare", ["compare", run, f"again={run}", *data, *OUT]),
        Verb("convert", convert),
        Verb("card", [*push, "--card", "out/card.md"]),
        Verb("push", push, setup=pushed.empty, fetch=pushed.fetch),
    ]


def _copy(source: Path) -> Callable[[Path], object]:
    return lambda folder: shutil.copytree(source, folder / "out", symlinks=True)
