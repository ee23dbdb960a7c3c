"""What leaves the studio: archives of events, and the data set's own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rlld.studio.routes.fields import field
from rlld.studio.routes.routing import sent
from rlld.studio.session import Studio
from rlld.studio.zipped import zipped

LACKING = "Rlld-Lacking"
"""Header that says what a file lacks, encoded as in addresses; empty where it lacks nothing."""


@dataclass(frozen=True)
class Files:
    """What is exported, and written into the data set."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [sent("/api/export", self.export), sent("/api/write", self.write)]

    def export(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Returns an archive of events in a format."""
        name = field(data, "format", str)
        content, lacking = zipped(self.studio, name, field(data, "what", str, "corrected"))
        headers = {
            "Content-Disposition": f'attachment; filename="events-{name}.zip"',
            LACKING: quote(lacking),
        }
        return Response(content, media_type="application/zip", headers=headers)

    def write(self, request: Request, data: Mapping[str, Any]) -> Any:
        """Writes answers and corrected events into the data set."""
        return asdict(self.studio.write())
