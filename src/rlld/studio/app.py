"""The studio over HTTP: its routes, and what is told of what goes wrong in them."""

from __future__ import annotations

import sys
import traceback

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from rlld.errors import RlldError
from rlld.studio import corrections
from rlld.studio.clips import NotFoundError
from rlld.studio.events import OtherClassesError
from rlld.studio.routes.answers import Answers
from rlld.studio.routes.clips import Clips
from rlld.studio.routes.files import Files
from rlld.studio.routes.media import Media
from rlld.studio.routes.page import Page
from rlld.studio.routes.people import People
from rlld.studio.routes.training import Training
from rlld.studio.session import Studio
from rlld.studio.store import SavedMeanwhileError

GROUPS = (Page, Answers, Clips, Media, People, Training, Files)


def made(studio: Studio) -> Starlette:
    """Returns the application of a studio."""
    return Starlette(
        routes=[route for group in GROUPS for route in group(studio).routes()],
        exception_handlers={
            RlldError: _told,
            SavedMeanwhileError: lambda _, error: _meanwhile(studio, error),
            HTTPException: _told,
            OSError: _told,
            Exception: _unexpected,
        },
    )


def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    if isinstance(error, NotFoundError):
        return JSONResponse({"error": str(error)}, 404)
    if isinstance(error, OtherClassesError):
        return JSONResponse({"error": str(error)}, 409)
    if isinstance(error, RlldError):
        return JSONResponse({"error": str(error)}, 400)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        sentence = f"{place}{error.strerror}; make it possible and try again"
        return JSONResponse({"error": sentence}, 500)
    return _unexpected(request, error)


def _meanwhile(studio: Studio, error: Exception) -> Response:
    assert isinstance(error, SavedMeanwhileError)  # noqa: S101  (what it is called for)
    version = error.version
    sentence = f"{version.person} saved this clip meanwhile; look at both and save again"
    return JSONResponse({"error": sentence, **corrections.told(studio, version)}, 409)


def _unexpected(request: Request, error: Exception) -> Response:
    if not isinstance(error, ClientDisconnect):
        traceback.print_exception(error, file=sys.stderr)
    told = (
        f"unexpected {type(error).__name__}; what happened stands where 'rlld studio' was started"
    )
    return JSONResponse({"error": told}, 500)
