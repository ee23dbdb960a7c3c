"""Workers of jobs that are forked from a process which has loaded PyTorch, once for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from campaign.processes import PRELOADED
from rlld.utils import pool

FRESH = pool.get_context
"""What the pool calls by itself: its workers are fresh interpreters."""


class QuickContext(ForkServerContext):
    """Makes processes that are sent all they know, as fresh ones are, and die alone as they do."""

    def Process(  # noqa: N802  (the name that it has)
        self, *, target: Callable[..., object], args: tuple[Any, ...], daemon: bool
    ) -> ForkServerProcess:
        self.set_forkserver_preload(list(PRELOADED))
        here = (dict(os.environ), target, *args)
        return ForkServerProcess(target=_as_here, args=here, daemon=daemon)


def quick(method: str) -> QuickContext:
    """Stands for ``get_context`` in the pool."""
    return QuickContext()


def _as_here(environment: dict[str, str], target: Callable[..., object], *args: object) -> None:
    # What forks the workers has the environment of when it was started.
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


def _fresh() -> None:
    """A fork of this process has no such server, and may not ask that of its parent."""
    pool.get_context = FRESH


os.register_at_fork(after_in_child=_fresh)
