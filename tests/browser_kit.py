"""Headless Chromium, pages in it, and a server that answers range requests."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

FILM_DRAWN = """() => {
    const canvas = document.querySelector(".film canvas");
    // To read the page's own canvas again and again is something that Chromium complains of.
    const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, -canvas.width / 2, -10);
    return copy.getImageData(0, 0, 1, 1).data[3] === 255;
}"""
"""Whether a picture stands in the middle of the film strip."""

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser; its absence is a failure, not a skipped test."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert path, (
        "no Chromium found: install it (apt-get install chromium), or leave these "
        "tests out (pytest -m 'not browser and not slow')"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address; fails at the end when the page complained or loaded anything foreign.

    What it says with the words ``expected`` is no complaint.
    """
    pages, problems, allowed = [], [], []

    def open_it(
        address: str,
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        expected: str | None = None,
    ) -> Any:
        def complained(text: str) -> None:
            if expected is None or expected not in text:
                problems.append(text)

        page = chromium.new_page(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        # Chromium holds requests from the load on: those of a page that is there already may slip
        # through for a moment after a test begins to hold them.
        page.route("**/held-by-nobody", lambda route: route.abort())
        page.on("console", lambda message: complained(message.text))
        page.on("pageerror", lambda error: complained(str(error)))
        page.on("request", lambda request: allowed.append(request.url))
        page.goto(address)
        pages.append((page, re.split("[?#]", address)[0].rsplit("/", 1)[0]))
        return page

    yield open_it
    for page, _ in pages:
        # What a route still fetches would fail in the middle of the next test.
        page.unroute_all(behavior="ignoreErrors")
        page.close()
    assert not problems, problems
    homes = [home for _, home in pages]
    foreign = [
        url for url in allowed if not url.startswith("data:") and not url.startswith(tuple(homes))
    ]
    assert not foreign, foreign


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves a folder and answers single byte ranges, as real servers do."""

    protocol_version = "HTTP/1.1"
    ranges: list[str]

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        wanted = self.headers.get("Range")
        first, last = 0, len(data) - 1
        if wanted:
            self.ranges.append(wanted)
            low, _, high = wanted.removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high), last) if high else last
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        try:
            self.wfile.write(data[first : last + 1])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the browser has seen enough

    def log_message(self, *args: object) -> None:
        """Keeps quiet."""


@pytest.fixture
def serve() -> Callable[[Path], Any]:
    """Serves a folder; gives the address and the list of ranges that were asked for."""

    @contextmanager
    def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
        ranges: list[str] = []
        handler = type("Handler", (RangeHandler,), {"ranges": ranges})
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", ranges
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    return serving
