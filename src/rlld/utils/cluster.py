"""Independent tasks on a Ray cluster, proof against dying workers and lost nodes."""

from __future__ import annotations

import os
import platform
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from rlld.errors import RlldError
from rlld.utils.console import ERR
from rlld.utils.extras import optional
from rlld.utils.files import write_text

Task = TypeVar("Task")
Result = TypeVar("Result")

DEATHS = 3
"""Workers that may be lost over one task; a task that fells more is at fault itself."""
PATIENCE = 5.0
"""Seconds that a cancelled task gets to tidy up, and that a task waits before it runs again.

A worker outlives its node's control process by a second or so, and must not meet its successor.
"""
AHEAD = 2
"""Tasks handed out per CPU: one runs, the next is there when it ends."""
MARK = ".seen-by-all-nodes"


class NodeError(RlldError):
    """A node of the cluster cannot do any of the tasks; raised by a task, it ends them all."""


def each_on_ray(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    shared: Path | None = None,
    gpus: int = 0,
) -> Iterator[tuple[Task, Result | RlldError]]:
    """Runs a function on every task on a Ray cluster and yields results as they come.

    The cluster is the one that ``RAY_ADDRESS`` names or that runs on this machine; without any, one
    is started here and stopped at the end. Each task takes a CPU. A task whose worker or node is
    lost runs again elsewhere. When the consumer stops (Ctrl-C included), running tasks are
    interrupted and given time to tidy up.

    Args:
        function: What to run; a module-level function of a package that every node has.
        tasks: Its arguments; their paths are absolute, for a node works in a folder of its own.
        shared: A folder that the tasks write to; each node must show that it is the same there.
        gpus: GPUs of each task.

    Yields:
        (task, result); the result is an ``RlldError`` when the function raised one or when
        ``DEATHS`` workers were lost over the task. Any other exception is raised here.

    Raises:
        RlldError: If Ray is missing, the cluster cannot be reached, or a node lacks a package or
            does not see the shared folder.
    """
    if not tasks:
        return
    ray = _ray()
    waiting = deque((task, 0) for task in tasks)
    running: dict[Any, tuple[Task, int]] = {}
    with ExitStack() as stack:
        mark = stack.enter_context(_marked(shared)) if shared is not None else None
        stack.enter_context(_connected(ray))
        call = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(_on_node)
        stack.callback(_cancel, ray, running)
        while waiting or running:
            room = max(1, AHEAD * int(ray.cluster_resources().get("CPU", 1)))
            while waiting and len(running) < room:
                task, deaths = waiting.popleft()
                running[call.remote(function, task, mark, PATIENCE * bool(deaths))] = task, deaths
            (done,), _ = ray.wait(list(running), num_returns=1)
            task, deaths = running.pop(done)
            try:
                result = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                missing = _missing_package(str(error))
                if missing is None:  # what the function raised, as it is
                    raise
                raise missing from None
            except ray.exceptions.RayError as error:
                told = f"{task}: a worker was lost over it ({type(error).__name__})"
                if deaths + 1 < DEATHS:
                    ERR.print(f"{told}; it runs again")
                    waiting.appendleft((task, deaths + 1))
                    continue
                result = RlldError(f"{told}, the last of {DEATHS}")
            if isinstance(result, NodeError):
                raise result
            yield task, result


def await_file(path: Path, seconds: float = 60.0) -> None:
    """Waits until this machine sees a file that another one wrote; network storage may lag.

    Raises:
        RlldError: If it does not come.
    """
    end = time.monotonic() + seconds
    while not path.is_file():
        if time.monotonic() > end:
            raise RlldError(
                f"{path}: a node of the cluster wrote it, but it is not here; put the folder on "
                "storage that all nodes share"
            )
        time.sleep(0.2)


def _ray() -> Any:
    """Returns the module, told to report nothing to anybody."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Asks for what will be Ray's default, and so silences its announcement of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # It would print what it knows of lost workers among the results.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    return optional("ray", "--on ray")


@contextmanager
def _connected(ray: Any) -> Iterator[None]:
    """Joins a cluster, or starts one; a connection that the caller made is used and left."""
    ours = not ray.is_initialized()
    if ours:
        address = os.environ.get("RAY_ADDRESS", "")
        try:
            _reach(address)
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            where = f"at RAY_ADDRESS {address}" if address else "on this machine"
            raise RlldError(f"--on ray: no connection to a cluster {where} ({reason})") from None
    try:
        nodes = sum(node["Alive"] for node in ray.nodes())
        cpus = int(ray.cluster_resources().get("CPU", 0))
        ERR.print(f"Ray: nodes {nodes}, CPUs {cpus}")
        yield
    finally:
        if ours:
            ray.shutdown()


def _reach(address: str) -> None:
    """Knocks at HOST:PORT, where Ray itself would wait for ever; raises OSError."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=10).close()


@contextmanager
def _marked(shared: Path) -> Iterator[tuple[Path, str]]:
    """Leaves a word in a folder, by which every node knows it again."""
    path, word = shared.absolute() / MARK, uuid4().hex
    write_text(path, word)
    try:
        yield path, word
    finally:
        path.unlink(missing_ok=True)


def _on_node(
    function: Callable[[Task], Result], task: Task, mark: tuple[Path, str] | None, pause: float
) -> Result | RlldError:
    """Runs a task in a worker of some node."""
    time.sleep(pause)
    try:
        if mark is not None:
            _require(*mark)
        return function(task)
    except RlldError as error:
        return error


def _require(path: Path, word: str) -> None:
    try:
        found = path.read_text(encoding="utf-8")
    except OSError:
        found = ""
    if found != word:
        raise NodeError(
            f"{path.parent}: is another folder on node {platform.node()}; put it on storage that "
            "all nodes share, at the same place"
        )


def _missing_package(told: str) -> NodeError | None:
    """Returns what to say of a node that cannot import what a task needs; None of other errors.

    Such a task never starts, so that nothing of rlld is there to tell it on the node itself.
    """
    package = re.search(r"No module named '([^']+)'", told)
    if package is None:
        return None
    address = re.search(r"\bip=([^\s,)]+)", told)
    return NodeError(
        f"node {address[1] if address else 'of unknown address'} of the cluster cannot import "
        f"{package[1]}; install the same rlld there as here, in the Python that runs Ray"
    )


def _cancel(ray: Any, running: dict[Any, Any]) -> None:
    """Interrupts what is still running, first kindly."""
    for call in running:
        ray.cancel(call, force=False)
    if running:
        _, rest = ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)
        for call in rest:
            ray.cancel(call, force=True)
