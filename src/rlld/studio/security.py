"""Who may talk to the studio: pages that it served itself, on this machine or with its token."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What a page of the studio may do: load and ask this server, run no script of its text."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
CHANGING = frozenset(("POST", "PUT", "DELETE", "PATCH"))
OWN = ("same-origin", "none")
"""What browsers say of a request of the page itself, or of an address that a person typed."""
TOKEN = "token"  # noqa: S105  (the name of the parameter)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Place:
    """Where the studio listens, and what it asks of who comes.

    Attributes:
        host: The address that it was told to listen on.
        port: The port.
        token: What must be known; empty where only this machine is served.
    """

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        """The address to open, with the token where one is needed."""
        host = socket.gethostname() if _is_any(self.host) else self.host
        query = f"?{TOKEN}={self.token}" if self.token else ""
        return f"http://{_bracketed(host)}:{self.port}/{query}"

    def is_ours(self, host: str) -> bool:
        """Says whether a Host header names this server.

        A name that a stranger's server sent for its own address is none of ours, so that no page
        of theirs can pass for the studio's (DNS rebinding); an address cannot be sent so.
        """
        try:
            parts = urlsplit(f"//{host}")
            name, port = (parts.hostname or "").lower(), parts.port or 80
        except ValueError:
            return False
        if port != self.port or host != host.strip() or "@" in host or "/" in host:
            return False
        if is_loopback(self.host):
            return _bracketed(name) in LOOPBACK
        known = {self.host.lower(), socket.gethostname().lower(), "localhost"}
        return name in known or (_is_any(self.host) and _is_address(name))


class Guard:
    """Passes on what may be asked, and refuses the rest in one sentence.

    Ids are a part of a path and may hold a slash: paths are passed on as they were sent, encoded.

    Args:
        app: The studio.
        place: Where it listens.
    """

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self.app, self.place = app, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["type"] != "http":
            return
        answer = self._refusal(scope, Headers(scope=scope))
        if answer is not None:
            await answer(scope, receive, protected)
            return
        path = scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "replace")
        await self.app({**scope, "path": path or scope["path"]}, receive, protected)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self.place.is_ours(host):
            return _refused(f"host is {host!r}, which is not this studio; open {self._shown}", 403)
        origin, changing = headers.get("origin"), scope["method"] in CHANGING
        if (changing and origin is None) or origin not in (None, f"http://{host}"):
            told = f"origin is {origin!r}" if origin else "no origin is told"
            return _refused(f"{told}, expected the studio's own page: open {self._shown}", 403)
        if headers.get("sec-fetch-site", "none") not in OWN and not _is_visit(scope, headers):
            return _refused(f"asked by another site; open {self._shown}", 403)
        return self._stranger(scope, headers) if self.place.token else None

    def _stranger(self, scope: Scope, headers: Headers) -> Response | None:
        """Lets in who has the token as a cookie, and gives that to who has it in the address."""
        name = f"rlld-studio-{self.place.port}"
        if _same(_cookie(headers, name), self.place.token):
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["method"] == "GET" and _same(query.get(TOKEN, [""])[0], self.place.token):
            rest = {key: values for key, values in query.items() if key != TOKEN}
            known = f"?{urlencode(rest, doseq=True)}" if rest else ""
            answer = RedirectResponse(f"/{known}", status_code=303)
            answer.set_cookie(name, self.place.token, httponly=True, samesite="strict", path="/")
            return answer
        return _refused("the token is missing; open the address that 'rlld studio' printed", 401)

    @property
    def _shown(self) -> str:
        return self.place.url.partition("?")[0]


def is_loopback(host: str) -> bool:
    """Says whether nobody but this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Says whether a person came by a link: to look at the page, which shows nothing by itself."""
    return (
        scope["method"] == "GET"
        and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _is_any(host: str) -> bool:
    return host in ("0.0.0.0", "::")  # noqa: S104  (compared, not listened on)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _cookie(headers: Headers, name: str) -> str:
    found: Iterable[str] = headers.getlist("cookie")
    for text in found:
        cookie: SimpleCookie = SimpleCookie()
        try:
            cookie.load(text)
        except CookieError:
            continue
        if name in cookie:
            return cookie[name].value
    return ""


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _refused(sentence: str, status: int) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)
