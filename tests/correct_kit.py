"""A clip that is corrected in a browser, as the server holds it and as its page shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from studio_page_kit import CLASSES, Served, make_data, studio

CLIPS = 30
"""Clips of the data set of a module; a test uses one."""

FIRST = [(0, "audio", 0, 2, 0.75), (0, "visual", 1, 5, 0.5), (0, "audio", 6, 8, 0.75)]
"""Events that every clip has before a test: class, modality, start, end, probability."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = make_data(tmp_path_factory.mktemp("correct") / "data", clips=CLIPS)
    with studio(data) as opened:
        yield opened


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Clips that no test used yet."""
    return iter(range(CLIPS))


class Clip:
    """A clip of the studio as the server holds it."""

    def __init__(self, address: str, video: str) -> None:
        self.address, self.video = address, video
        self.path = f"/api/clips/{quote(video, safe='')}"

    def ask(self, path: str = "", body: object = None, method: str = "GET") -> Any:
        headers = {"Content-Type": "application/json", "Origin": self.address}
        content = None if body is None else json.dumps(body).encode()
        address = self.address + self.path + path
        request = Request(address, content, headers, method=method)  # noqa: S310  (our server)
        with urlopen(request) as answer:  # noqa: S310
            return json.load(answer)

    def save(self, events: list[tuple[Any, ...]], person: str = "Moe", base: int = 0) -> int:
        rows = [dict(zip("cmsep", event, strict=True)) for event in events]
        body = {"person": person, "base": base, "classes": CLASSES, "events": rows}
        return int(self.ask("/events", body, "PUT")["revision"])

    @property
    def now(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("?person=Ada")
        return found

    @property
    def events(self) -> list[tuple[Any, ...]]:
        """Audible and visible events without probabilities, sorted by class, modality and start."""
        rows = [each for each in self.now["events"] if each["m"] != "audio_visual"]
        return sorted((each["c"], each["m"], each["s"], each["e"]) for each in rows)


@pytest.fixture
def clip(served: Served, numbers: Iterator[int]) -> Clip:
    """A clip that no other test uses, whose first version holds ``FIRST``."""
    fresh = Clip(served.address, f"a #{next(numbers)} & b")
    assert fresh.save(FIRST) == 1
    return fresh


@pytest.fixture
def visit(open_page: Callable[..., Any]) -> Callable[..., Any]:
    def visiting(clip: Clip, person: str = "Ada", **options: Any) -> Any:
        address = f"{clip.address}/?person={person}#/correct/{quote(clip.video, safe='')}"
        page = open_page(address, **options)
        page.locator(".event").first.wait_for()
        return page

    return visiting


def event(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def stored(page: Any) -> None:
    """Waits until all that was done is stored; how many versions that makes is up to the clock."""
    page.wait_for_function(
        "() => document.querySelector('.clip-top .stored').textContent.startsWith('Stored, ')"
    )


def at(page: Any, lane: str, seconds: float, label: str = "Dog bark") -> tuple[float, float]:
    """Where a time of a lane is on the screen; clips have ten seconds."""
    box = page.locator(f"[aria-label='{label}'] .track.{lane}").bounding_box()
    return box["x"] + box["width"] * seconds / 10, box["y"] + box["height"] / 2


def drag(page: Any, lane: str, start: float, end: float, label: str = "Dog bark") -> None:
    (x, y), (to, _) = at(page, lane, start, label), at(page, lane, end, label)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to) / 2, y, steps=3)
    page.mouse.move(to, y, steps=3)
    page.mouse.up()
