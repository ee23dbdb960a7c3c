"""The page, its files, and the state that it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

import rlld.report
import rlld.studio
from rlld.report.templates import symbols
from rlld.studio.clips import NotFoundError
from rlld.studio.routes.routing import KEPT, asked
from rlld.studio.session import Studio
from rlld.studio.zipped import formats

ASSETS = Path(rlld.studio.__file__).parent / "assets"
SHARED = Path(rlld.report.__file__).parent / "assets"
"""Files of the report page, some of which the studio's page uses too."""
TYPES = {".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class Page:
    """What the page of a studio is made of."""

    studio: Studio

    def routes(self) -> list[Route]:
        """Returns its routes."""
        return [
            asked("/", _page),
            asked("/assets/{name}", _asset),
            asked("/api/state", self.state),
        ]

    def state(self, request: Request) -> Any:
        """Returns the data set, the run, and what can be exported."""
        return {**self.studio.state(), "formats": formats()}


def _page(request: Request) -> Response:
    page = (ASSETS / "index.html").read_text(encoding="utf-8")
    return HTMLResponse(page.replace("<!--icons-->", symbols()), headers=KEPT)


def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    folders = (SHARED, ASSETS)  # of two of one name, the page's own
    files = {file.name: file for folder in folders for file in folder.iterdir()}
    if name not in files or files[name].suffix not in TYPES:
        raise NotFoundError(f"{name}: is no part of the page")
    return FileResponse(files[name], media_type=TYPES[files[name].suffix], headers=KEPT)
