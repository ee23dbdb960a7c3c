"""The server of a studio, from its socket to the page in the browser."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import uvicorn

from rlld.errors import RlldError
from rlld.studio.app import made
from rlld.studio.security import Guard, Place, is_loopback
from rlld.studio.session import Studio

HIGHEST = 65_535
GRACE = 2
"""Seconds that open requests are given when the server ends; a clip may be playing."""


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, Place]]:
    """Gives a socket that listens, and the place that it is.

    Raises:
        RlldError: If the port is in use, or the address is none of this machine.
    """
    if not 0 <= port <= HIGHEST:
        raise RlldError(f"--port: expected 0 to {HIGHEST}, found {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise RlldError(f"--host {host}: {error}; give an address of this machine") from None
    with opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind(address)
            opened.listen(128)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise RlldError(
                    f"port {port} is in use, perhaps by another studio; close that one or give "
                    "another port with --port"
                ) from None
            raise RlldError(f"{host}, port {port}: {error}; give others") from None
        token = "" if is_loopback(host) else secrets.token_urlsafe(24)
        yield opened, Place(host, int(opened.getsockname()[1]), token)


def served(studio: Studio, listener: socket.socket, place: Place, *, browser: bool) -> None:
    """Serves a studio until Ctrl-C.

    Args:
        studio: The studio.
        listener: Where to listen.
        place: The place that it is.
        browser: Whether to open the page.
    """
    config = uvicorn.Config(
        Guard(made(studio), place),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    if browser:
        opener = threading.Timer(0.3, webbrowser.open, (_opened(place, studio.person),))
        opener.daemon = True
        opener.start()
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


def _opened(place: Place, person: str | None) -> str:
    """Returns the address to open, which tells the page who sits there."""
    if person is None:
        return place.url
    return f"{place.url}{'&' if place.token else '?'}person={quote(person)}"
