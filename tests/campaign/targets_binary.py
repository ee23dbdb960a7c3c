"""Cases for what reads bytes: features, stores, weights, runs, clips."""

from __future__ import annotations

import io
import json
import random
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from campaign.archives import checkpoint_case, npy_case, rezip, safetensors_case
from campaign.mutations import mutated, overwritten, reshaped, yaml_case
from campaign.samples import UNFINISHED, Samples, buffer, put, quiet
from campaign.target import target
from rlld.data.checks.check import check
from rlld.data.checks.stores import verify_store
from rlld.data.checks.verify import verify
from rlld.data.dataset import load_data
from rlld.data.published import FeatureFinder
from rlld.data.spec import spec_from
from rlld.data.store import StoreWriter, read_store
from rlld.denoisers._exchange_file import read_exchange
from rlld.denoisers.jomold import read_ratios
from rlld.features import load_extractor
from rlld.features.extractors._towers import read_state
from rlld.features.job import Task
from rlld.features.to_files import Manifest
from rlld.media.playable import page_clip
from rlld.parsing.sources import stored_features
from rlld.recipes.recipe import load_recipe
from rlld.training.checkpoint import load_state
from rlld.training.loop import train
from rlld.training.run_folder import METRICS, load_denoiser, load_held_out, load_run, read_rounds
from rlld.utils.files import sha256
from rlld.workflows.convert import convert_file, read_checkpoint


def hurt(rng: random.Random, path: Path, samples: Samples) -> None:
    """Damages a file as fits its kind."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        made = safetensors_case(rng, data)
    elif path.suffix == ".yaml":
        made = yaml_case(rng, samples.spec_plain, data)
    else:
        made = mutated(rng, data, path.suffix in (".csv", ".json", ".jsonl"))
    path.write_bytes(made)


def copied(source: Path, target: Path) -> Path:
    """Copies a folder of the samples into a case."""
    shutil.copytree(source, target)
    return target


def some_file(rng: random.Random, folder: Path) -> Path:
    """Draws a file below a folder."""
    return rng.choice(sorted(file for file in folder.rglob("*") if file.is_file()))


@target(weight=1)
def checked(rng: random.Random, at: Path, samples: Samples) -> None:
    """The checker must report, never raise, whatever is inside the files."""
    folder = copied(samples.sim, at / "D")
    hurt(rng, some_file(rng, folder), samples)
    check(folder)


@target(weight=3)
def npy(rng: random.Random, at: Path, samples: Samples) -> None:
    """Features of a video in a file."""
    path = put(at, "audio/v.npy", npy_case(rng, samples.npy))
    streams = {
        name: samples.spec_plain["streams"][name] | {"folder": "audio"}
        for name in ("audio", "visual_2d")
    }
    spec = spec_from({**samples.spec_plain, "streams": streams}, "spec")
    if rng.random() < 0.5:
        FeatureFinder({"audio": at / "audio"}, spec, ["v"]).read("audio", path)
    else:
        stored_features(at, "v", spec)


@target(weight=3)
def store(rng: random.Random, at: Path, samples: Samples) -> None:
    """A packed store."""
    verify_store(read_store(put(at, "test.safetensors", safetensors_case(rng, samples.store))))


@target(weight=1)
def half_store(rng: random.Random, at: Path, samples: Samples) -> None:
    """Damage in the half-done work beside a store."""
    path, spec = at / "features" / "train.safetensors", samples.spec
    row = {name: np.zeros((spec.segments, dim), np.float32) for name, dim in spec.dims.items()}
    videos = [f"v{number}" for number in range(4)]
    with StoreWriter(path, "train", spec, provenance="x") as writer:
        for video in videos:
            writer.add(video, row, "stamp")
    victim = some_file(rng, path.with_name(path.name + ".part"))
    victim.write_bytes(mutated(rng, victim.read_bytes()))
    with StoreWriter(path, "train", spec, provenance="x") as writer:
        for video in videos:
            if video not in writer.done:
                writer.add(video, row, "stamp")
        writer.finish(videos)


@target(weight=2)
def run(rng: random.Random, at: Path, samples: Samples) -> None:
    """A run folder that somebody sent."""
    folder = copied(samples.run, at / "run")
    config: Any = json.loads(json.dumps(samples.config))
    match rng.randrange(4):
        case 0:
            config = reshaped(rng, config)
        case 1:
            hurt(rng, folder / "config.json", samples)
            config = None
        case _:
            victim = rng.choice(sorted(folder.glob("*.safetensors")))
            victim.write_bytes(safetensors_case(rng, victim.read_bytes()))
            if victim.name in config["sha256"]:  # as somebody would who tampers with it
                config["sha256"][victim.name] = sha256(victim)
    if config is not None:
        text = json.dumps(config)
        (folder / "config.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    loaded = load_run(folder)
    load_denoiser(loaded)
    load_held_out(loaded)


@target(weight=2)
def state(rng: random.Random, at: Path, samples: Samples) -> None:
    """A resume state by itself."""
    put(at, "resume/state.pt", checkpoint_case(rng, samples.checkpoints, samples.hostile))
    load_state(at, torch.device("cpu"))


@target(weight=1)
def resumed(rng: random.Random, at: Path, samples: Samples) -> None:
    """An unfinished run with a damaged log or state, gone on with."""
    folder = copied(samples.unfinished, at / "run")
    log, state_file = folder / "metrics.jsonl", folder / "resume" / "state.pt"
    match rng.randrange(4):
        case 0:
            log.write_bytes(mutated(rng, log.read_bytes(), True))
        case 1:
            log.write_bytes(log.read_bytes()[: rng.randrange(log.stat().st_size)])
        case 2:
            state_file.write_bytes(rezip(rng, state_file.read_bytes()))
        case 3:
            held = torch.load(state_file, weights_only=True)
            key = rng.choice(sorted(held))
            held[key] = rng.choice((None, 1, "x", [], {}, [10**12], -1, [held[key]]))
            torch.save(held, state_file)
    recipe = load_recipe("han", UNFINISHED, samples.spec.overrides)
    with quiet():
        train(recipe, load_data(samples.sim), folder, resume=True)


@target(weight=3)
def checkpoint(rng: random.Random, at: Path, samples: Samples) -> None:
    """Somebody's checkpoint."""
    read_checkpoint(put(at, "m.pt", checkpoint_case(rng, samples.checkpoints, samples.hostile)))


@target(weight=1)
def convert(rng: random.Random, at: Path, samples: Samples) -> None:
    """A checkpoint of the right layout with something wrong in it."""
    state: dict[Any, Any] = dict(samples.han)
    key = rng.choice(sorted(state))
    value = state[key]
    match rng.randrange(6):
        case 0:
            state.pop(key)
        case 1:
            state[key] = rng.choice((None, 1, [value], {"a": 1}, "x"))
        case 2:
            kinds = (torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16)
            state[key] = value.to(rng.choice(kinds))
        case 3:
            others = (value.T, value.to_sparse(), value * float("nan"), value.flatten(), value[:0])
            state[key] = rng.choice(others)
        case 4:
            state[rng.choice((0, "", "x", key + ".x", None, ("a",)))] = state.pop(key)
        case 5:
            state[key] = torch.empty(value.shape, device="meta")
    content = rng.choice((state, {"model": state}))
    path = put(at, "m.pt", buffer(lambda file: torch.save(content, file)))
    convert_file(path, "han")


@target(weight=2)
def weights(rng: random.Random, at: Path, samples: Samples) -> None:
    """Weights of an extractor."""
    if rng.random() < 0.4:
        good = save({"a": torch.zeros(3)})
        read_state(put(at, "m.safetensors", safetensors_case(rng, good)))
    else:
        read_state(put(at, "m.pt", checkpoint_case(rng, samples.checkpoints, samples.hostile)))


@target(weight=3)
def exchange(rng: random.Random, at: Path, samples: Samples) -> None:
    """MA's file of removed labels, and ours."""
    good = rng.choice(samples.exchanges)
    match rng.randrange(6):
        case 0:
            data = mutated(rng, good)
        case 1:
            data = rng.choice(samples.hostile)
        case 2:
            data = mutated(rng, rng.choice(samples.hostile))
        case 3:
            data = rezip(rng, samples.masks)
        case 4:
            data = mutated(rng, samples.masks)
        case _:
            cut = rng.randrange(len(good))
            data = good[:cut] + rng.choice(samples.hostile) + good[cut:]
    read_exchange(put(at, "need_to_change.pkl", data), 8, 3)


@target(weight=2)
def ratios(rng: random.Random, at: Path, samples: Samples) -> None:
    """JoMoLD's noise ratios."""
    match rng.randrange(4):
        case 0:
            data = rezip(rng, samples.ratios)
        case 1:
            data = mutated(rng, samples.ratios)
        case _:
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w") as archive:
                for name in ("audio", "visual"):
                    archive.writestr(f"{name}.npy", npy_case(rng, samples.npy))
            data = out.getvalue()
    read_ratios(put(at, "noise_ratios.npz", data), 3)


def damaged_clip(rng: random.Random, samples: Samples) -> bytes:
    """Returns a damaged clip; most keep their length."""
    damage = mutated if rng.random() < 0.3 else overwritten
    return damage(rng, samples.clip)


@target(weight=2)
def clip(rng: random.Random, at: Path, samples: Samples) -> None:
    """A damaged clip under any name, extracted."""
    suffix = rng.choice((".mp4", ".mp4", ".webm", ".ts", ".wav", ""))
    path = put(at, f"c{suffix}", damaged_clip(rng, samples))
    load_extractor("light").extract(path, 1.0)


@target(weight=1)
def page(rng: random.Random, at: Path, samples: Samples) -> None:
    """A damaged clip on a page."""
    path = put(at, rng.choice(("c.mp4", "c.mkv")), damaged_clip(rng, samples))
    with quiet():
        page_clip(path, at / "page.html", link=rng.random() < 0.5)


@target(weight=1)
def manifest(rng: random.Random, at: Path, samples: Samples) -> None:
    """The manifest of extracted features, and its journal."""
    path, extractor = at / "manifest.json", load_extractor("light")
    Manifest(path, extractor, 1.0)
    content = json.loads(path.read_text())
    entry = {"file": "v.mp4", "stamp": "1-1", "duration": 1.0, "segments": 1, "has_audio": True}
    entry |= {"has_video": True, "notes": [], "sha256": {}}
    content["clips"] = {"v": entry}
    path.write_text(json.dumps(reshaped(rng, content) if rng.random() < 0.5 else content))
    line = json.dumps(["w", entry]).encode() + b"\n"
    put(at, "clips.jsonl", mutated(rng, line * 3, True))
    found = Manifest(path, extractor, 1.0)
    clip_file = put(at, "v.mp4", b"x")
    for video in list(found.clips)[:3]:
        found.has(Task(video, clip_file, "light", 1.0))
        found.forget(Task("v", clip_file, "light", 1.0))


@target(weight=1)
def rounds(rng: random.Random, at: Path, samples: Samples) -> None:
    """The log of a run."""
    log = (samples.run / METRICS).read_bytes()
    lines = [json.dumps(reshaped(rng, json.loads(line))) for line in log.splitlines()]
    put(at, METRICS, "\n".join(lines).encode() if rng.random() < 0.5 else mutated(rng, log, True))
    for line in read_rounds(at):
        sum(line["validation"].values(), float(line["updates"]))


@target(weight=1)
def reference(rng: random.Random, at: Path, samples: Samples) -> None:
    """Statistics of features that are right, with which others are compared."""
    made = json.dumps(reshaped(rng, json.loads(samples.reference))).encode()
    text = made if rng.random() < 0.5 else mutated(rng, samples.reference, True)
    verify(samples.sim, put(at, "reference.json", text))
