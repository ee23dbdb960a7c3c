"""How far people agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from rlld.studio.routes.routing import asked
from rlld.studio.session import Studio


@dataclass(frozen=True)
class People:
    """What several people say of the same."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [
            asked("/api/agreement", self.agreement),
            asked("/api/disagreements", self.disagreements),
        ]

    def agreement(self, request: Request) -> Any:
        """Returns how far each two agree."""
        return self.studio.agreement()

    def disagreements(self, request: Request) -> Any:
        """Returns where they do not."""
        return self.studio.disagreements()
