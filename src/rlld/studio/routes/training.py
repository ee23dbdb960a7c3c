"""Training again: started, watched, ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from rlld.studio.routes.routing import asked, sent
from rlld.studio.session import Studio


@dataclass(frozen=True)
class Training:
    """The training of a studio."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [
            sent("/api/train", self.start),
            asked("/api/train", self.state),
            asked("/api/train", self.cancel, "DELETE"),
        ]

    def start(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Starts a training."""
        return self.studio.train()

    def state(self, request: Request) -> Any:
        """Returns how far the training is."""
        return self.studio.jobs.state()

    def cancel(self, request: Request) -> Any:
        """Ends the training."""
        return self.studio.jobs.cancel()
