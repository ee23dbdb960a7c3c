"""Tasks on processes; nothing heavy is imported here, because every worker imports it too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlld.errors import RlldError
from rlld.utils.pool import each

pytestmark = pytest.mark.usefixtures("fresh_workers")


def square_or_fail(task: int) -> int:
    if task == 3:
        raise RlldError("three is refused")
    if task == 5:
        os._exit(9)
    if task == 7:
        raise ValueError("a bug")
    if task in (8, 9):
        os.kill(os.getpid(), signal.SIGSEGV if task == 8 else signal.SIGKILL)
    return task * task


def test_pool_outlives_refusals_and_dying_workers():
    results = dict(each(square_or_fail, [1, 2, 3, 4, 5, 6], 2))
    assert {task: results[task] for task in (1, 2, 4, 6)} == {1: 1, 2: 4, 4: 16, 6: 36}
    assert str(results[3]) == "three is refused"
    assert str(results[5]) == "5: the worker process died over it (exit status 9)"


def test_what_is_in_work_is_told_while_nothing_ends(monkeypatch):
    monkeypatch.setattr("rlld.utils.pool.LOOK", 0.05)
    told: list[list[float]] = []
    tasks = [1.0, 1.5, 0.0]
    assert dict(each(time.sleep, tasks, 2, watch=told.append)).keys() == set(tasks)
    assert told.count([1.0, 1.5]) > 5
    assert told[-1] == [1.5]


def test_one_worker_apart_dies_alone():
    results = dict(each(square_or_fail, [1, 8, 9, 4], 1, apart=True))
    assert (results[1], results[4]) == (1, 16)
    assert "8: the worker process died over it (SIGSEGV)" in str(results[8])
    assert "9: the worker process died over it (SIGKILL), probably for want" in str(results[9])
    ((_, alone),) = each(square_or_fail, [8], 1, apart=True)
    assert "SIGSEGV" in str(alone)


@pytest.mark.parametrize("workers", [1, 2])
def test_pool_raises_bugs(workers):
    with pytest.raises(ValueError, match="a bug"):
        list(each(square_or_fail, [1, 7, 2], workers))


def say_and_sleep(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)


def test_workers_die_with_their_parent(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from rlld.utils.pool import each; from test_pool import say_and_sleep\n"
        "if __name__ == '__main__': list(each(say_and_sleep, [sys.argv[2]] * 2, 2))"
    )
    script = tmp_path / "script.py"
    script.write_text(program)
    said = tmp_path / "said"
    said.mkdir()
    with (tmp_path / "errors").open("w") as errors:
        parent = subprocess.Popen(
            [sys.executable, script, Path(__file__).parent, said], stderr=errors
        )
        _wait(lambda: len(list(said.iterdir())) == 2)
        parent.kill()
        parent.wait()
    _wait(lambda: not any(map(_lives, said.iterdir())))
    assert (tmp_path / "errors").read_text() == ""


def _wait(done) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def _lives(process: Path) -> bool:
    try:
        os.kill(int(process.name), 0)
    except ProcessLookupError:
        return False
    stat = Path("/proc", process.name, "stat")  # one that nobody has waited for is dead too
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
