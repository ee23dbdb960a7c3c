"""Routes of plain functions, which answer in threads; JSON but where a response is returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rlld.export.fields import mapping
from rlld.utils.plain import json_value

MOST_BYTES = 8 << 20
"""Of what a page sends."""
KEPT = {"Cache-Control": "no-cache"}
"""Of files that a browser may keep, but asks about before it shows them again."""


def asked(path: str, answer: Callable[[Request], Any], method: str = "GET") -> Route:
    """Returns a route of which nothing is read but the address."""

    async def handle(request: Request) -> Response:
        return _response(await run_in_threadpool(answer, request))

    return Route(path, handle, methods=[method])


def sent(
    path: str, answer: Callable[[Request, Mapping[str, Any]], Any], method: str = "POST"
) -> Route:
    """Returns a route that is sent a mapping as JSON."""

    async def handle(request: Request) -> Response:
        data = await _mapping(request)
        return _response(await run_in_threadpool(answer, request, data))

    return Route(path, handle, methods=[method])


def _response(found: Any) -> Response:
    return found if isinstance(found, Response) else JSONResponse(found)


async def _mapping(request: Request) -> Mapping[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "expected JSON, with the content type application/json")
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise HTTPException(413, f"more than {MOST_BYTES >> 20} MB were sent; send less")
    return mapping(json_value(bytes(content), "what was sent"), "what was sent")
