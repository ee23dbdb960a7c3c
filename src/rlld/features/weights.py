"""Published weights: files in a folder of this machine, fetched only when somebody asks for it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from rlld.console import progress
from rlld.errors import RlldError
from rlld.files import written_aside

VARIABLE = "RLLD_WEIGHTS"
BLOCK = 1 << 20
SECONDS = 60


@dataclass(frozen=True)
class Published:
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


def weights_folder() -> Path:
    """Returns where weights are looked for: ``RLLD_WEIGHTS``, else ``~/.cache/rlld/weights``."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "rlld" / "weights"


def find(published: Published, extractor: str) -> Path:
    """Returns a file of weights of this machine; nothing is fetched.

    Args:
        published: The file.
        extractor: Who needs it, for the message: its name, or what ``rlld.features.spelled``
            returns.

    Raises:
        RlldError: If it is not there.
    """
    path = weights_folder() / published.file
    if not path.is_file():
        wanted = f'"{extractor}"' if "(" in extractor else extractor
        raise RlldError(
            f"extractor {extractor!r} needs {path}, which is not there; fetch it with 'rlld "
            f"weights {wanted}', or put the file there by hand (published at {published.url}; "
            f"{VARIABLE} names another folder)"
        )
    return path


def fetch(published: Published) -> Path:
    """Downloads a file of weights unless it is there, and checks it.

    Raises:
        RlldError: If it cannot be fetched, or is not the published one.
    """
    path = weights_folder() / published.file
    if path.is_file():
        return path
    request = Request(published.url, headers={"User-Agent": "rlld"})  # noqa: S310  a table of ours
    try:
        with (
            urlopen(request, timeout=SECONDS) as answer,  # noqa: S310
            written_aside(path) as aside,
            aside.open("wb") as file,
            progress(published.file, int(answer.headers.get("Content-Length") or 0)) as tick,
        ):
            digest, wanted, came = hashlib.sha256(), answer.headers.get("Content-Length"), 0
            while block := answer.read(BLOCK):
                file.write(block)
                digest.update(block)
                came += len(block)
                tick(len(block))
            if wanted is not None and came != int(wanted):
                raise RlldError(
                    f"{published.url}: cut off after {came} of {wanted} bytes; try again"
                )
            _check(published, digest.hexdigest())
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = str(error).strip("<>")
        raise RlldError(
            f"{published.url}: cannot be fetched ({reason}); get it elsewhere and put it at {path}"
        ) from None
    return path


def is_published(published: Published, digest: str) -> bool:
    """Says whether a file with this SHA-256 is the published one, as far as that is known."""
    return digest.startswith(published.digest)


def _check(published: Published, found: str) -> None:
    if not is_published(published, found):
        raise RlldError(
            f"{published.url}: the SHA-256 of what came begins with {found[:8]}, that of the "
            f"published file with {published.digest}; try again later"
        )
