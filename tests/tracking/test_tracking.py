"""What ``--log`` sends, read back from the real packages' own files; interrupted runs included."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rlld
from cli_kit import forget, in_fork
from rlld.bench.studies.denoisers import Settings
from rlld.cli import main
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe
from rlld.tracking import Tracking, tracker_names
from rlld.tracking.session import scalars
from rlld.training.loop import train, train_seeds
from rlld.training.run_folder import read_rounds
from rlld.utils.compute import Compute

if TYPE_CHECKING:  # else every process that collects tests would load both packages
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from wandb.proto.wandb_internal_pb2 import Record

BOTH = "tensorboard,wandb"
COMPUTE = Compute(device="cpu", threads=1)
BLOCK = 32768
"""Bytes of a block of W&B's transaction log, in LevelDB's format."""


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)


def recipe_of(data: Path, name: str = "rlld", rounds: int = 3) -> Any:
    return load_recipe(name, {"schedule.rounds": rounds}, load_data(data).spec.overrides)


def tensorboard(folder: Path) -> EventAccumulator:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    return events


def series(events: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(name)]


def text_of(events: EventAccumulator, name: str) -> str:
    (event,) = events.Tensors(f"{name}/text_summary")
    return event.tensor_proto.string_val[0].decode()


def wandb_records(file: Path) -> Iterator[Record]:
    """Reads the records of an offline run: chunks of 7 bytes of header and their data."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the only or the last chunk
            yield Record.FromString(whole)
            whole = b""


def wandb_history(folder: Path) -> list[dict[str, Any]]:
    """The rows that a server would get when every part of a run is sent to it."""
    rows = []
    for file in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        for record in wandb_records(file):
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append(
                    {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}
                )
    return rows


def expected(folder: Path) -> dict[str, list[tuple[int, float]]]:
    rounds = read_rounds(folder)
    return {
        name: [(line["updates"], pytest.approx(scalars(line)[name], rel=1e-6)) for line in rounds]
        for name in scalars(rounds[0])
    }


def require_whole(folder: Path) -> None:
    """Every round stands once in both, with the numbers of ``metrics.jsonl``."""
    wanted = expected(folder)
    assert len(wanted["training/loss"]) >= 2
    events = tensorboard(folder / "tensorboard")
    rows = wandb_history(folder)
    for name, values in wanted.items():
        assert series(events, name) == values
        if name not in ("training/seconds", "training/videos_per_second"):
            assert [(row["_step"], row[name]) for row in rows if name in row] == values


def test_a_line_of_the_log_becomes_grouped_numbers():
    line = {"round": 1, "updates": 6, "loss": 0.5, "keep_audio": 0.9, "selected": True}
    assert scalars({**line, "validation": {"segment_type": 40.0}}) == {
        "training/round": 1.0,
        "training/loss": 0.5,
        "training/keep_audio": 0.9,
        "training/selected": 1.0,
        "validation/segment_type": 40.0,
    }


def test_both_trackers_hold_the_whole_run(tiny_data, tmp_path, capsys):
    out = tmp_path / "a run"
    run = rlld.train(recipe_of(tiny_data), tiny_data, out, seed=2, compute=COMPUTE, log=BOTH)
    require_whole(out)
    names = set(expected(out))
    assert {"training/loss", "training/reward_audio", "training/keep_visual"} <= names
    assert len([name for name in names if name.startswith("validation/")]) == 10

    events = tensorboard(out / "tensorboard")
    assert "selection:" in text_of(events, "config")
    assert {"figures/scores", "figures/keep"} <= set(events.Tags()["images"])
    best = run.facts["validation"]["segment_type"]
    assert series(events, "selected/segment_type")[0][1] == pytest.approx(best)
    plugin = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"recipe.schedule.rounds" in plugin

    (file,) = out.glob("wandb/offline-run-*/run-*.wandb")
    records = {record.WhichOneof("record_type"): record for record in wandb_records(file)}
    assert (records["run"].run.project, records["run"].run.display_name) == ("rlld", "a run")
    config = {item.key: json.loads(item.value_json) for item in records["run"].run.config.update}
    assert config["recipe"]["schedule"]["rounds"] == 3
    assert config["seed"] == 2
    shown = wandb_history(out)[-1]
    assert {"figures/scores/_type", "pages/labels/_type"} <= set(shown) or {
        "figures/scores",
        "pages/labels",
    } <= set(shown)
    assert "labels removed" in (out / "labels.html").read_text()
    assert "wandb sync" in capsys.readouterr().err


class Interrupted(Tracking):
    """Tracks, and then does something in the round that has so many updates."""

    def __init__(self, updates: int, act: Callable[[], None]) -> None:
        super().__init__(tracker_names(BOTH))
        self.updates, self.act = updates, act

    def start(self, folder: Path, config: Mapping[str, Any]) -> Callable[[dict[str, Any]], None]:
        told = super().start(folder, config)

        def take(report: dict[str, Any]) -> None:
            told(report)
            if report["updates"] == self.updates:
                self.act()

        return take


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def _another_second(monkeypatch):
    """W&B names the folder of a run by the second: parts of one are a second apart, as in life."""
    enter = Tracking.__enter__

    def later(tracking: Tracking) -> Tracking:
        time.sleep(1.1)
        return enter(tracking)

    monkeypatch.setattr(Tracking, "__enter__", later)


def crash() -> None:
    raise MemoryError("the machine is lost")


@pytest.mark.usefixtures("_another_second")
def test_an_interrupted_run_goes_on_without_doubled_or_lost_steps(tiny_data, tmp_path):
    """Stopped after round 2, lost after round 4 (so that 3 and 4 come again), finished at 6."""
    out, data = tmp_path / "run", load_data(tiny_data)
    recipe = recipe_of(tiny_data, "weak", rounds=6)
    steps = recipe.schedule.steps_per_round(len(data.train))

    def attempt(tracking: Tracking) -> None:
        with tracking:
            run = train(
                recipe,
                data,
                out,
                compute=COMPUTE,
                resume=True,
                checkpoint_seconds=1e9,
                watcher=tracking,
            )
            tracking.finish(run)

    with pytest.raises(KeyboardInterrupt):
        attempt(Interrupted(2 * steps, stop))
    with pytest.raises(MemoryError):
        attempt(Interrupted(4 * steps, crash))
    attempt(Tracking(tracker_names(BOTH)))
    assert len(read_rounds(out)) == 6
    require_whole(out)
    (name,) = {file.name for file in out.glob("wandb/offline-run-*/run-*.wandb")}
    assert name == f"run-{json.loads((out / 'tracking.json').read_text())['id']}.wandb"


@pytest.mark.usefixtures("_another_second")
def test_figures_that_a_stop_cut_off_are_told_when_the_run_is_resumed(tiny_data, tmp_path):
    """As after a kill between the end of a run and its figures; called once more, nothing comes."""
    out, data = tmp_path / "run", load_data(tiny_data)
    recipe = recipe_of(tiny_data, "weak")

    def attempt(stopped: bool = False) -> None:
        with Tracking(tracker_names(BOTH)) as tracking:
            run = train(recipe, data, out, compute=COMPUTE, resume=True, watcher=tracking)
            if stopped:
                raise KeyboardInterrupt
            tracking.finish(run)

    with pytest.raises(KeyboardInterrupt):
        attempt(stopped=True)
    assert not tensorboard(out / "tensorboard").Tags()["images"]
    for _ in range(2):
        attempt()
        require_whole(out)
        events = tensorboard(out / "tensorboard")
        assert len(series(events, "selected/segment_type")) == 1
        assert len(events.Images("figures/scores")) == 1
        shown = [row for row in wandb_history(out) if any("figures" in name for name in row)]
        assert len(shown) == 1
    assert json.loads((out / "tracking.json").read_text())["ended"] == ["tensorboard", "wandb"]


def test_a_run_that_began_without_trackers_is_told_whole(tiny_data, tmp_path):
    out, data = tmp_path / "run", load_data(tiny_data)
    recipe = recipe_of(tiny_data, "weak", rounds=4)
    steps = recipe.schedule.steps_per_round(len(data.train))
    silent = Interrupted(2 * steps, stop)
    silent.names = ()
    silent.start = lambda folder, config: (  # type: ignore[method-assign]
        lambda report: stop() if report["updates"] == 2 * steps else None
    )
    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, out, compute=COMPUTE, watcher=silent)
    with Tracking(tracker_names("tensorboard")) as tracking:
        train(recipe, data, out, compute=COMPUTE, resume=True, watcher=tracking)
    wanted = expected(out)["training/loss"]
    assert len(wanted) == 4
    assert series(tensorboard(out / "tensorboard"), "training/loss") == wanted


def test_each_seed_is_a_run_of_its_own(tiny_data, tmp_path):
    with Tracking(tracker_names("tensorboard")) as tracking:
        runs = train_seeds(
            recipe_of(tiny_data, "weak"),
            load_data(tiny_data),
            tmp_path,
            [3, 4],
            compute=COMPUTE,
            watcher=tracking,
        )
        for run in runs:
            tracking.finish(run)
    found = []
    for seed in (3, 4):
        folder = tmp_path / f"seed-{seed}"
        events = tensorboard(folder / "tensorboard")
        assert series(events, "training/loss") == expected(folder)["training/loss"]
        assert f"seed: {seed}" in text_of(events, "config")
        found.append(series(events, "training/loss"))
    assert found[0] != found[1]


def test_a_benchmark_tracks_its_runs_and_its_table(tiny_data, tmp_path):
    out = tmp_path / "out"
    words = f"bench denoising --data {tiny_data} --out {out} --seeds 1 --workers 1 --updates 6"
    with pytest.raises(SystemExit) as end:
        main([*words.split(), "--recipes", "weak", "--log", "tensorboard"])
    assert end.value.code == 0
    table = json.loads((out / "denoising.json").read_text())
    (row,) = [row for row in table["rows"] if row["method"] == "weak"]
    events = tensorboard(out / "tensorboard" / "denoising")
    mean = row["measures"]["segment_type"]["mean"]
    assert series(events, "weak/segment_type") == [(0, pytest.approx(mean))]
    assert "tables/denoising/text_summary" in events.Tags()["tensors"]
    (folder,) = [path.parent for path in out.glob("runs/*/metrics.jsonl")]
    (run,) = (folder / "tensorboard").iterdir()
    assert run.name == f"weak, {tiny_data.name}, seed 0"
    assert series(tensorboard(run), "training/loss") == expected(folder)["training/loss"]


@pytest.mark.parametrize("names", ["tensorbord", "wandb,", ""])
def test_an_unknown_tracker_is_refused_before_training(tiny_data, tmp_path, capsys, names):
    out = tmp_path / "run"
    with pytest.raises(SystemExit) as end:
        main(
            [
                "train",
                "weak",
                "--data",
                str(tiny_data),
                "--out",
                str(out),
                "--log",
                names,
                "--fit",
                "false",
            ]
        )
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("rlld: --log: expected names out of tensorboard, wandb joined by")
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_package_is_named_with_its_extra(tiny_data, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    words = rf"--log {name} needs {name}, which is not installed; pip install 'rlld\[track\]'"
    with pytest.raises(RlldError, match=words):
        rlld.train("weak", tiny_data, tmp_path / "run", log=name, overrides={"fit": False})
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    assert tracker_names("wandb, wandb") == ("wandb",)
    assert Settings((tiny_data,), tmp_path).log == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"WANDB_MODE": "online", "WANDB_BASE_URL": "http://localhost:9"}, "run 'wandb login'"),
        ({"WANDB_MODE": "bogus"}, "bogus"),
    ],
)
def test_wandb_without_a_login_says_what_to_do(tiny_data, tmp_path, settings, told):
    """In a process of its own: W&B reads its settings once."""
    place = {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc"), **settings}
    known = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
    words = (
        "train",
        "weak",
        "--data",
        tiny_data,
        "--out",
        "run",
        "--log",
        "wandb",
        "--fit",
        "false",
    )
    done = subprocess.run(
        [sys.executable, "-c", "from rlld.cli import main; main()", *map(str, words)],
        env={**known, **place},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("rlld: ")]
    assert line.startswith("rlld: --log wandb: W&B refused (")
    assert "run 'wandb login', or set WANDB_MODE=offline" in line
    assert told in line


def test_damaged_knowledge_of_a_run_is_refused(tiny_data, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "tracking.json").write_text('{"id": "x", "sent": [1]}')
    with pytest.raises(RlldError, match=r"tracking.json: expected the id of a run"):
        rlld.train(
            "weak", tiny_data, out, log="tensorboard", compute=COMPUTE, overrides={"fit": False}
        )


def test_what_is_not_asked_for_is_not_imported(tiny_data, tmp_path):
    packages = ("wandb", "tensorboard")

    def train_anew() -> list[str]:
        forget("rlld", "torch.utils.tensorboard", *packages)
        import rlld

        overrides = {"schedule.rounds": 1}
        rlld.train("weak", tiny_data, tmp_path / "run", overrides=overrides)
        return [name for name in packages if name in sys.modules]

    assert in_fork(train_anew) == []
    assert not {"tensorboard", "wandb", "figures", "tracking.json"} & {
        path.name for path in (tmp_path / "run").iterdir()
    }
