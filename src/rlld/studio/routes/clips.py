"""The clips, and the events of each: looked at, corrected, taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from rlld.studio import corrections
from rlld.studio.routes.fields import asker, clip_id, field, person
from rlld.studio.routes.routing import asked, sent
from rlld.studio.rows import COLUMNS, rows_of
from rlld.studio.session import Studio


@dataclass(frozen=True)
class Clips:
    """What is known of clips, and corrected."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [
            asked("/api/clips", self.clips),
            asked("/api/clips/{id}", self.clip),
            sent("/api/clips/{id}/events", self.save, "PUT"),
            asked("/api/clips/{id}/history", self.history),
            sent("/api/clips/{id}/revert", self.revert),
        ]

    def clips(self, request: Request) -> Any:
        """Returns a row for each clip."""
        studio, who = self.studio, asker(request)
        apart = {lane["video"] for lane in studio.events_apart()}
        rows = rows_of(studio.catalogue, studio.store, studio.beliefs, who, apart)
        return {"columns": COLUMNS, "rows": rows}

    def clip(self, request: Request) -> Any:
        """Returns what a person sees of a clip."""
        return corrections.shown(self.studio, clip_id(request), asker(request))

    def save(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Keeps the events of a clip as a version of their own."""
        base, events = field(data, "base", int), (data.get("classes"), data.get("events"))
        version = corrections.save(self.studio, clip_id(request), person(data), base, *events)
        return {"revision": version.revision}

    def history(self, request: Request) -> Any:
        """Returns the versions of a clip."""
        return corrections.history(self.studio, clip_id(request))

    def revert(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Makes an earlier version of a clip its newest."""
        base, to = (field(data, name, int) for name in ("base", "to"))
        counted = data.get("classes")
        version = corrections.revert(self.studio, clip_id(request), person(data), base, counted, to)
        return corrections.told(self.studio, version)
