"""A hub of the campaign's own, to which runs are pushed, and what it holds in the end."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

from hub_kit import WRITER, Hub, serving


class Pushed:
    """The hub; it outlives what is killed, as the real one does."""

    def __init__(self) -> None:
        self._open = ExitStack()

    @cached_property
    def hub(self) -> Hub:
        """Starts it, for processes that are forked from here."""
        hub = self._open.enter_context(serving())
        os.environ |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"}
        return hub

    def empty(self, folder: Path) -> None:
        """Forgets what was pushed; the cache is a folder of the output."""
        self.hub.repos.clear()
        self.hub.large.clear()
        os.environ["HF_HOME"] = str(folder / "cache")

    def fetch(self, folder: Path) -> None:
        """Lays what is held now into a folder."""
        for name, repo in self.hub.repos.items():
            for file, content in repo.files.items():
                path = folder / "hub" / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
