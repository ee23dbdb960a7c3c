"""A small data set with clips, its studio, and a client that speaks as its page does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from correct_kit import clip, numbers, served, visit  # noqa: F401  (what two modules correct)
from marked_kit import write_marked
from rlld.studio.app import made
from rlld.studio.security import Guard, Place
from rlld.studio.session import Studio
from studio_page_kit import aviary, aviary_studio  # noqa: F401  (what two modules open)
from tiny import CLASSES, COUNTS, make_tiny, quick_labelwise

PORT = 8765
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set as it is before anybody touches it; every video has the same clip."""
    folder = make_tiny(tmp_path_factory.mktemp("studio") / "tiny")
    marked = write_marked(folder / "clip.mp4", seconds=3.0)
    (folder / "videos").mkdir()
    for split, count in COUNTS.items():
        for number in range(count):
            os.link(marked, folder / "videos" / f"{split}_{number:03d}.mp4")
    marked.unlink()
    return folder


@pytest.fixture
def data(template: Path, tmp_path: Path) -> Path:
    """A data set of 48 training, 20 validation and 12 test videos of 3 s in 4 classes."""
    return shutil.copytree(template, tmp_path / "data", copy_function=os.link)


class Page:
    """What the studio's page does: JSON, and its own origin with all that changes something."""

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def get(self, path: str) -> Any:
        return self._read(self.client.get(path))

    def post(self, path: str, **body: object) -> Any:
        return self._read(self.client.post(path, json=body))

    def put(self, path: str, **body: object) -> Any:
        return self._read(self.client.put(path, json={"classes": CLASSES, **body}))

    def remove(self, path: str) -> Any:
        return self._read(self.client.delete(path))

    def _read(self, answer: Any) -> Any:
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def refused(self, status: int, method: str, path: str, body: object = None) -> dict[str, Any]:
        """What is answered where something is refused: one sentence."""
        answer = self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        assert "\n" not in found["error"]
        assert "Traceback" not in found["error"]
        return found


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[Studio, Page]]]:
    """Opens the studio of a data set; all are closed when the test ends."""
    studios: list[Studio] = []

    def opening(folder: Path, run: str | None = None) -> tuple[Studio, Page]:
        studio = Studio(folder, run)
        studios.append(studio)
        return studio, page_of(studio)

    yield opening
    for studio in studios:
        studio.close()


def page_of(studio: Studio) -> Page:
    """Returns the page of a studio."""
    client = TestClient(
        Guard(made(studio), Place("127.0.0.1", PORT)),
        base_url=HOME,
        headers={"Origin": HOME},
        raise_server_exceptions=False,
    )
    return Page(client)


@pytest.fixture
def studio(data: Path, opened: Callable[..., tuple[Studio, Page]]) -> Studio:
    """The studio of ``data``, without a run."""
    return opened(data)[0]


@pytest.fixture
def page(studio: Studio) -> Page:
    """The page of ``studio``."""
    return page_of(studio)


@pytest.fixture(scope="session")
def trained(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the data set whose training takes seconds."""
    out = tmp_path_factory.mktemp("studio-run") / "quick"
    quick_labelwise(template, out)
    return out
