"""What the studio answers over HTTP; every answer is JSON but pages, clips and pictures."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from anyio import from_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import rlld.report
from rlld.errors import RlldError
from rlld.export.fields import KINDS, mapping
from rlld.report.templates import symbols
from rlld.studio import corrections
from rlld.studio.clips import NotFoundError, Video
from rlld.studio.events import OtherClassesError
from rlld.studio.people import person_of
from rlld.studio.rows import COLUMNS, rows_of
from rlld.studio.session import Studio
from rlld.studio.store import Answered, SavedMeanwhileError
from rlld.studio.zipped import formats, zipped
from rlld.utils.plain import json_value, kind_of

ASSETS = Path(__file__).parent / "assets"
SHARED = Path(rlld.report.__file__).parent / "assets"
"""Files of the report page, some of which the studio's page uses too."""
TYPES = {".css": "text/css", ".js": "text/javascript"}
MOST_BYTES = 8 << 20
"""Of what a page sends."""
MOST_QUESTIONS = 50
DRAWN = 800
"""Columns of a waveform or spectrogram when nobody says how many."""
LACKING = "Rlld-Lacking"
"""Header that says what a file lacks, encoded as in addresses; empty where it lacks nothing."""
KEPT = {"Cache-Control": "no-cache"}

Handler = Callable[[Request], Awaitable[Response]]


def made(studio: Studio) -> Starlette:
    """Returns the application of a studio."""

    def get(answer: Callable[[Request], Any]) -> Handler:
        async def handle(request: Request) -> Response:
            return _response(await run_in_threadpool(answer, request))

        return handle

    def change(answer: Callable[[Request, Mapping[str, Any]], Any]) -> Handler:
        async def handle(request: Request) -> Response:
            data = await _sent(request)
            return _response(await run_in_threadpool(answer, request, data))

        return handle

    # --- answers ------------------------------------------------------------------------------

    def state(request: Request) -> Any:
        return {**studio.state(), "formats": formats()}

    def questions(request: Request) -> Any:
        count = _number(request, "count", 8)
        return studio.questions(_person(request.query_params), int(min(count, MOST_QUESTIONS)))

    def answer(request: Request, data: Mapping[str, Any]) -> Any:
        given = Answered(
            _person(data),
            _field(data, "video", str),
            _field(data, "class", str),
            _field(data, "audio", bool, None),
            _field(data, "visual", bool, None),
            _field(data, "probability", float, None),
        )
        number, answered = studio.answer(given, unsure=_field(data, "unsure", bool, False))
        return {"id": number, "answered": answered}

    def undo(request: Request, data: Mapping[str, Any]) -> Any:
        return studio.undo(_person(data), _field(data, "answer", int, None))

    # --- clips --------------------------------------------------------------------------------

    def clips(request: Request) -> Any:
        person = _asker(request)
        apart = {lane["video"] for lane in studio.events_apart()}
        rows = rows_of(studio.catalogue, studio.store, studio.beliefs, person, apart)
        return {"columns": COLUMNS, "rows": rows}

    def clip(request: Request) -> Any:
        return corrections.shown(studio, _id(request), _asker(request))

    def save(request: Request, data: Mapping[str, Any]) -> Any:
        base, sent = _field(data, "base", int), (data.get("classes"), data.get("events"))
        version = corrections.save(studio, _id(request), _person(data), base, *sent)
        return {"revision": version.revision}

    def revert(request: Request, data: Mapping[str, Any]) -> Any:
        base, to = (_field(data, name, int) for name in ("base", "to"))
        counted = data.get("classes")
        version = corrections.revert(studio, _id(request), _person(data), base, counted, to)
        return corrections.told(studio, version)

    def history(request: Request) -> Any:
        return corrections.history(studio, _id(request))

    # --- sound and pictures -------------------------------------------------------------------

    def video(request: Request) -> Video:
        return studio.catalogue[_id(request)]

    def span(request: Request) -> tuple[float, float]:
        end = studio.media.seconds(video(request))
        return _number(request, "from", 0), min(_number(request, "to", end), end)

    def played(request: Request) -> Any:
        path, mime = studio.media.playable(video(request))
        return FileResponse(path, media_type=mime, headers=KEPT)

    def thumb(request: Request) -> Any:
        return FileResponse(studio.media.thumb(video(request), _watch(request)), headers=KEPT)

    def strip(request: Request) -> Any:
        count = int(_number(request, "n", 10))
        path = studio.media.strip(video(request), *span(request), count, _watch(request))
        return FileResponse(path, headers=KEPT)

    def spectrogram(request: Request) -> Any:
        width = int(_number(request, "n", DRAWN))
        path = studio.media.spectrogram(video(request), *span(request), width, _watch(request))
        return FileResponse(path, headers=KEPT)

    def peaks(request: Request) -> Any:
        (start, end), count = span(request), int(_number(request, "n", DRAWN))
        found = studio.media.peaks(video(request), start, end, count, _watch(request))
        return {"from": start, "to": end, "peaks": found}

    # --- people, files ------------------------------------------------------------------------

    def agreed(request: Request) -> Any:
        return studio.agreement()

    def disagreed(request: Request) -> Any:
        return studio.disagreements()

    def export(request: Request, data: Mapping[str, Any]) -> Any:
        name = _field(data, "format", str)
        content, lacking = zipped(studio, name, _field(data, "what", str, "corrected"))
        headers = {
            "Content-Disposition": f'attachment; filename="events-{name}.zip"',
            LACKING: quote(lacking),
        }
        return Response(content, media_type="application/zip", headers=headers)

    def write(request: Request, data: Mapping[str, Any]) -> Any:
        return asdict(studio.write())

    def train(request: Request, data: Mapping[str, Any]) -> Any:
        return studio.train()

    def training(request: Request) -> Any:
        return studio.jobs.state()

    def cancel(request: Request) -> Any:
        return studio.jobs.cancel()

    return Starlette(
        routes=[
            Route("/", get(_page)),
            Route("/assets/{name}", get(_asset)),
            Route("/api/state", get(state)),
            Route("/api/questions", get(questions)),
            Route("/api/answers", change(answer), methods=["POST"]),
            Route("/api/answers/undo", change(undo), methods=["POST"]),
            Route("/api/clips", get(clips)),
            Route("/api/clips/{id}", get(clip)),
            Route("/api/clips/{id}/events", change(save), methods=["PUT"]),
            Route("/api/clips/{id}/history", get(history)),
            Route("/api/clips/{id}/revert", change(revert), methods=["POST"]),
            Route("/media/{id}", get(played)),
            Route("/thumb/{id}.jpg", get(thumb)),
            Route("/strip/{id}.jpg", get(strip)),
            Route("/spectrogram/{id}.png", get(spectrogram)),
            Route("/api/peaks/{id}", get(peaks)),
            Route("/api/agreement", get(agreed)),
            Route("/api/disagreements", get(disagreed)),
            Route("/api/export", change(export), methods=["POST"]),
            Route("/api/train", change(train), methods=["POST"]),
            Route("/api/train", get(training)),
            Route("/api/train", get(cancel), methods=["DELETE"]),
            Route("/api/write", change(write), methods=["POST"]),
        ],
        exception_handlers={
            RlldError: _told,
            SavedMeanwhileError: lambda _, error: _meanwhile(studio, error),
            HTTPException: _told,
            OSError: _told,
            Exception: _unexpected,
        },
    )


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


def _watch(request: Request) -> Callable[[], None]:
    """Returns what ends work on a request that its browser has given up; for a thread."""

    def watch() -> None:
        if from_thread.run(request.is_disconnected):
            raise RlldError("nobody waits for the answer any more")

    return watch


def _response(found: Any) -> Response:
    return found if isinstance(found, Response) else JSONResponse(found)


# --- what is sent -----------------------------------------------------------------------------


async def _sent(request: Request) -> Mapping[str, Any]:
    """Returns the mapping that a page sends as JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "expected JSON, with the content type application/json")
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"more than {MOST_BYTES >> 20} MB were sent; send less")
    return mapping(json_value(bytes(content), "what was sent"), "what was sent")


REQUIRED = object()
WORDS = {**KINDS, bool: "true or false", int: "a whole number"}


def _field(data: Mapping[str, Any], name: str, kind: type, otherwise: Any = REQUIRED) -> Any:
    """Returns a field of a kind; where it may be left out, null leaves it out too."""
    value = data.get(name)
    if value is None and otherwise is not REQUIRED:
        return otherwise
    fits = isinstance(value, int | float if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise RlldError(f"{name}: expected {WORDS[kind]}, found {kind_of(value)}")
    return float(value) if kind is float else value  # type: ignore[arg-type]


def _person(data: Mapping[str, Any]) -> str:
    return person_of(_field(data, "person", str))


def _asker(request: Request) -> str:
    """Returns who asks, empty where nobody says it."""
    return person_of(name) if (name := request.query_params.get("person", "")) else ""


def _number(request: Request, name: str, otherwise: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    value = json_value(text, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise RlldError(f"{name}: expected a number of 0 or more, found {text!r}")
    return float(value)


def _id(request: Request) -> str:
    try:
        return unquote(request.path_params["id"], errors="strict")
    except UnicodeDecodeError:
        raise NotFoundError("the id in the address is no text in UTF-8") from None


# --- what goes wrong --------------------------------------------------------------------------


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
