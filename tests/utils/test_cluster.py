"""Tasks on Ray: the same results as here, whatever dies, and nothing done twice."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rlld.bench import jobs, runs
from rlld.bench.jobs import Terms, plan
from rlld.bench.runs import SCORES
from rlld.errors import RlldError
from rlld.features.to_files import extract_files
from rlld.media.files import find_clips
from rlld.utils import cluster
from rlld.utils.cluster import NodeError, await_file, each_on_ray

BENCH = ("--seeds", "3", "--updates", "400", "--recipes", "han,weak", "--device", "cpu")
"""Runs that last longer than a worker outlives its node, a second or two."""

STORE = 80 * 2**20
"""Bytes, about the least that Ray takes."""


def test_missing_ray_is_told_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RlldError, match=r"pip install 'rlld\[ray\]'"):
        list(each_on_ray(abs, [1]))


def test_nothing_to_do_starts_no_cluster(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert list(each_on_ray(abs, [])) == []


def test_a_file_that_never_comes_is_told(tmp_path):
    with pytest.raises(RlldError, match="storage that all nodes share"):
        await_file(tmp_path / "scores.json", seconds=0.1)
    (tmp_path / "scores.json").touch()
    await_file(tmp_path / "scores.json", seconds=0)


def test_a_node_that_differs_is_told(tiny_data, tmp_path, monkeypatch):
    (job,) = plan({"han": ("han", {})}, [tiny_data], [0], Terms(4, "last"), "cpu")
    key = job.key
    runs._require_same(job, key)
    for module, name in ((jobs, "source_fingerprint"), (runs, "dataset_fingerprint")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda *_: "another")
            with pytest.raises(NodeError, match="another rlld, torch or device, or other data"):
                runs._require_same(job, key)


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    """A Ray cluster of one node with one CPU, which every connection of this module finds."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    options = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
    found.shutdown()


@pytest.fixture
def second(head) -> Iterator[Any]:
    """Its second node, also of one CPU."""
    node = head.add_node(num_cpus=1, object_store_memory=STORE)
    yield node
    if node in head.list_all_nodes():
        head.remove_node(node)


def difficult(task: tuple[str, Path]) -> tuple[str, str]:
    kind, folder = task
    if kind == "refuses":
        raise RlldError("cannot be read")
    fresh = not (folder / kind).exists()
    (folder / kind).touch()
    if kind == "dies" or (kind == "dies once" and fresh):
        os._exit(1)
    return kind, os.environ.get("OMP_NUM_THREADS", "")


@pytest.mark.slow
def test_whatever_becomes_of_a_task_is_told(second, tmp_path):
    kinds = ["works", "refuses", "dies", "dies once"]
    outcomes = list(each_on_ray(difficult, [(kind, tmp_path) for kind in kinds]))
    assert sorted(task[0] for task, _ in outcomes) == sorted(kinds)
    found = {task[0]: outcome for task, outcome in outcomes}
    assert found["works"] == ("works", "1")
    assert found["dies once"] == ("dies once", "1")
    assert isinstance(found["refuses"], RlldError) and str(found["refuses"]) == "cannot be read"
    assert isinstance(found["dies"], RlldError) and "the last of 3" in str(found["dies"])


@pytest.mark.slow
def test_other_exceptions_end_it(head, tmp_path):
    with pytest.raises(ZeroDivisionError):
        list(each_on_ray(lambda number: 1 // number, [0, 1]))
    with pytest.raises(NodeError, match="of this node"):
        list(each_on_ray(unfit, [0, 1]))


def unfit(task: int) -> None:
    raise NodeError("no task can run because of this node")


@pytest.mark.slow
def test_a_folder_that_nodes_do_not_share_is_told(head, tmp_path, monkeypatch):
    assert [found for _, found in each_on_ray(abs, [-1, -2], shared=tmp_path)] == [1, 2]
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(cluster, "write_text", lambda path, text: path.write_text("elsewhere"))
    with pytest.raises(RlldError, match="is another folder on node"):
        list(each_on_ray(abs, [-1, -2], shared=tmp_path))


@pytest.mark.slow
def test_a_node_without_rlld_is_told(head, tmp_path):
    import ray

    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'rlld':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    bare = {"env_vars": {"PYTHONPATH": str(tmp_path)}}
    with (
        ray.init(head.address, runtime_env=bare, log_to_driver=False, logging_level="ERROR"),
        pytest.raises(NodeError) as told,
    ):
        list(each_on_ray(abs, [-1]))
    assert "cannot import rlld; install the same rlld there" in str(told.value)
    assert f"node {head.head_node.node_ip_address} of" in str(told.value)


@pytest.mark.slow
def test_an_address_without_cluster_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(RlldError, match=r"no connection.*127\.0\.0\.1:9.*refused"):
        list(each_on_ray(abs, [1]))


def bench(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    script = Path(sys.executable).with_name("rlld")
    return subprocess.Popen(
        [script, "bench", "denoising", "--data", data, "--out", out.name, *BENCH, *more],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=out.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def table_in(out: Path) -> list[Any]:
    table = json.loads((out / "denoising.json").read_text())
    return [row["measures"] for row in table["rows"]]


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors  # it is 2 when a run failed
    return output, errors


def until(process: subprocess.Popen[str], condition: Callable[[], object]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def table_here(tiny_data, tmp_path_factory) -> list[Any]:
    """The table that one process of this machine fills."""
    out = tmp_path_factory.mktemp("here") / "out"
    finish(bench(tiny_data, out, "--workers", "1"))
    return table_in(out)


@pytest.mark.slow
def test_a_cluster_fills_the_same_table(tiny_data, table_here, second, tmp_path):
    out = tmp_path / "out"
    finish(bench(tiny_data, out, "--on", "ray"))
    assert table_in(out) == table_here


@pytest.mark.slow
def test_a_lost_node_costs_no_run(tiny_data, table_here, head, second, tmp_path):
    out = tmp_path / "out"
    process = bench(tiny_data, out, "--on", "ray")

    def finished() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in out.glob(f"runs/*/{SCORES}")}

    until(process, lambda: finished() and len(list(out.glob("runs/*/resume"))) == 2)
    before = finished()
    assert 1 <= len(before) <= 4
    head.remove_node(second, allow_graceful=False)
    assert "a worker was lost over it" in finish(process)[1]
    assert table_in(out) == table_here
    assert before.items() <= finished().items()
    assert len(finished()) == 6


@pytest.mark.slow
def test_an_interrupted_benchmark_stops_and_goes_on(tiny_data, table_here, second, tmp_path):
    out = tmp_path / "out"
    process = bench(tiny_data, out, "--on", "ray")
    until(process, lambda: list(out.glob("runs/*/resume")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    stopped = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    time.sleep(2)
    assert stopped == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    finish(bench(tiny_data, out, "--on", "ray"))
    assert table_in(out) == table_here


def write_tones(folder: Path, count: int) -> None:
    """Clips of 30 seconds: a node is then at work on one at any moment."""
    for number in range(20):
        samples = [int(9000 * math.sin(0.02 * (number + 5) * step)) for step in range(48000)]
        with wave.open(str(folder / f"clip{number:02d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(struct.pack(f"<{len(samples)}h", *samples) * 10)
    for number in range(20, count):
        os.link(folder / f"clip{number % 20:02d}.wav", folder / f"clip{number:02d}.wav")


def content(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.slow
def test_a_lost_node_costs_no_clip(head, second, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clips = Path("clips")
    clips.mkdir()
    write_tones(clips, 240)
    extract_files(find_clips([clips]), tmp_path / "here")
    script = Path(sys.executable).with_name("rlld")
    command = [script, "extract", "clips", "--out", "out", "--on", "ray"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(process, lambda: len(list(tmp_path.glob("out/*/*.npy"))) > 5)
    head.remove_node(second, allow_graceful=False)
    output, errors = finish(process)
    assert "features of 240 clips" in output and "raylet" not in output
    assert "a worker was lost over it" in errors
    assert content(tmp_path / "out") == content(tmp_path / "here")
