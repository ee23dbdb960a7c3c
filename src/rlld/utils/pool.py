"""Independent tasks on worker processes, interrupted cleanly and proof against dying workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import Any, Literal, TypeVar

from rlld.errors import RlldError
from rlld.utils.cluster import each_on_ray

Task = TypeVar("Task")
Result = TypeVar("Result")

Workers = int | Literal["ray"]
"""How many processes of this machine, or a Ray cluster (``rlld.utils.cluster``)."""

Watch = Callable[[Sequence[Task]], None]
"""Told now and then which tasks are in work, the oldest first."""

LOOK = 1.0
"""Seconds between two tellings while no task ends."""
PATIENCE = 5.0
"""Seconds that a worker gets to tidy up before it is killed."""


def each(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: Workers,
    *,
    shared: Path | None = None,
    gpus: int = 0,
    apart: bool = False,
    watch: Watch[Task] | None = None,
) -> Iterator[tuple[Task, Result | RlldError]]:
    """Runs a function on every task and yields results as they come.

    One worker runs in this process. More are fresh processes, so that ``function`` and the tasks
    must be picklable and a calling script needs its ``if __name__ == "__main__"``. A process that
    dies takes its task with it, and another goes on with the rest. When the consumer stops (Ctrl-C
    included), the workers are asked to end and given time to tidy up.

    Args:
        function: What to run; a module-level function.
        tasks: Its arguments.
        workers: How many processes, or ``"ray"``.
        shared: A folder that the tasks write to, which the nodes of a cluster have to share.
        gpus: GPUs of each task on a cluster.
        apart: Whether one worker is a fresh process too, because tasks may crash it.
        watch: Is told which tasks are in work; not on a cluster, which alone knows it.

    Yields:
        (task, result); the result is an ``RlldError`` when the function raised one or when the
        process died over the task. Any other exception is raised here.
    """
    if workers == "ray":
        yield from each_on_ray(function, tasks, shared=shared, gpus=gpus)
        return
    if not apart and (workers == 1 or len(tasks) < 2):
        for task in tasks:
            if watch is not None:
                watch([task])
            yield task, _attempt(function, task)
        return
    waiting = list(reversed(tasks))
    crew: dict[Connection, tuple[Any, Task]] = {}
    try:
        for _ in range(min(workers, len(tasks))):
            _hire(crew, function, waiting)
        while crew:
            if watch is not None:
                watch([task for _, task in crew.values()])
            for pipe in wait(list(crew), None if watch is None else LOOK):
                assert isinstance(pipe, Connection)  # noqa: S101
                process, task = crew.pop(pipe)
                try:
                    result = pipe.recv()
                except (EOFError, ConnectionResetError):
                    process.join()
                    yield task, RlldError(f"{task}: {_death(process.exitcode)}")
                    _hire(crew, function, waiting)
                    continue
                if waiting:
                    crew[pipe] = (process, waiting.pop())
                    with suppress(BrokenPipeError):  # it has died meanwhile, which recv will tell
                        pipe.send(crew[pipe][1])
                else:
                    pipe.close()
                    process.join()
                if isinstance(result, BaseException) and not isinstance(result, RlldError):
                    raise result
                yield task, result
    finally:
        for process, _ in crew.values():
            process.terminate()
        for process, _ in crew.values():
            process.join(PATIENCE)
            process.kill()


def _hire(
    crew: dict[Connection, tuple[Any, Task]],
    function: Callable[[Task], Any],
    waiting: list[Task],
) -> None:
    if not waiting:
        return
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(function, theirs), daemon=True)
    with _interrupts_kept():
        process.start()
    theirs.close()
    crew[ours] = (process, waiting.pop())
    with suppress(BrokenPipeError):
        ours.send(crew[ours][1])


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Keeps Ctrl-C from a worker that starts, which would die over it; this process hears it after.

    A process inherits what is blocked, so that the worker never hears it: its parent ends it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Ends this process as soon as its parent lives no more, however that died."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _death(status: int) -> str:
    told = "the worker process died over it"
    if status >= 0:
        return f"{told} (exit status {status})"
    name = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
    if name == "SIGKILL":
        return f"{told} ({name}), probably for want of memory; run again, with fewer workers"
    return f"{told} ({name}), in a library that it crashes; go on without it"


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, ConnectionResetError):
            return
        try:
            result = _attempt(function, task)
        except KeyboardInterrupt:  # how a training tells that it was asked to stop, and did
            return
        except Exception as error:  # handed to the parent, which raises it
            result = error
        try:
            pipe.send(result)
        except (BrokenPipeError, ConnectionResetError):  # nobody is there to tell
            return


def _attempt(function: Callable[[Task], Result], task: Task) -> Result | RlldError:
    try:
        return function(task)
    except RlldError as error:
        return error
