"""Servers of the campaign's own: a hub to which runs are pushed, and a place of weights."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from hub_kit import WRITER, Hub, serving
from rlld.features.extractors import vggish
from rlld.features.weights import VARIABLE, PublishedWeights

WEIGHTS = bytes(range(256)) * 40_000


class Pushed:
    """The hub; it outlives what is killed, as the real one does."""

    def __init__(self) -> None:
        self._open = ExitStack()

    @cached_property
    def hub(self) -> Hub:
        """Starts it, for processes that are forked from here."""
        hub = self._open.enter_context(serving())
        os.environ |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"}
        return hub

    def empty(self, folder: Path) -> None:
        """Forgets what was pushed; the cache is a folder of the output."""
        self.hub.repos.clear()
        self.hub.large.clear()
        os.environ["HF_HOME"] = str(folder / "cache")

    def fetch(self, folder: Path) -> None:
        """Lays what is held now into a folder."""
        for name, repo in self.hub.repos.items():
            for file, content in repo.files.items():
                path = folder / "hub" / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


class Published(BaseHTTPRequestHandler):
    """Gives ten megabytes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(WEIGHTS)))
        self.end_headers()
        self.wfile.write(WEIGHTS)

    def log_message(self, *_: object) -> None: ...


class Server(ThreadingHTTPServer):
    """Says nothing of readers that are killed."""

    def handle_error(self, *_: object) -> None: ...


def publish(folder: Path) -> None:
    """Lets commands that begin here fetch vggish's weights from this process, into a folder."""
    if urlsplit(vggish.WEIGHTS.url).hostname != "127.0.0.1":
        server = Server(("127.0.0.1", 0), Published)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/net.pth"
        vggish.WEIGHTS = PublishedWeights("net/net.pth", url)
    os.environ[VARIABLE] = str(folder / "weights")
