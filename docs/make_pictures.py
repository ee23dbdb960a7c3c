"""Photographs a demo for README and gallery: ``python docs/make_pictures.py demo``.

Takes the page of its parsed clip, and the studio of its data set, of which a copy is answered.
Needs Playwright and Chromium, as the tests do; ``CHROMIUM`` names another binary.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page, sync_playwright

from rlld.recipes import RECOMMENDED

PICTURES = Path(__file__).parent / "assets"
SIZE = {"width": 1200, "height": 830}
STUDIO_SIZE = {"width": 1200, "height": 750}
THOUGHT = 3000
"""Milliseconds that a person thinks about a question."""
SEEN = "() => document.getElementById('clip').readyState >= 2"
PLAYED = "() => document.querySelector('.screen:not([hidden]) video')?.currentTime > 0"


def main(demo: Path) -> None:
    """Writes the pictures of a demo, whose folder is given."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    autoplay = "--autoplay-policy=no-user-gesture-required"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary, args=["--no-sandbox", autoplay]
        )
        _page(browser, demo)
        with TemporaryDirectory() as copy:
            shutil.copytree(demo / "data", Path(copy) / "aviary")
            with _studio(Path(copy) / "aviary", demo / RECOMMENDED) as address:
                _answers(browser, address)
        browser.close()


def _page(browser: Browser, demo: Path) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
    page.goto((demo / "page.html").resolve().as_uri())
    page.wait_for_function(SEEN)
    _choose_an_event(page)
    page.screenshot(path=PICTURES / "page.png")


def _choose_an_event(page: Page) -> None:
    """Shows the clip at its first event, where there is more to see than at its start."""
    page.get_by_role("button", name=", visible, ").first.click()
    page.wait_for_function("() => !document.getElementById('clip').seeking")


@contextmanager
def _studio(data: Path, run: Path) -> Iterator[str]:
    call = [sys.executable, "-m", "rlld", "studio", str(data), "--run", str(run)]
    served = subprocess.Popen(  # noqa: S603  (this program)
        [*call, "--port", "0", "--no-browser", "--person", "Ada"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "1000", "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert served.stdout is not None  # noqa: S101
        found = None
        while found is None:
            found = re.search(r"is open at (\S+);", served.stdout.readline())
        yield found[1]
    finally:
        served.terminate()
        served.wait()


def _answers(browser: Browser, address: str) -> None:
    """Answers a few questions, and leaves the next one on the screen."""
    page = browser.new_page(viewport=STUDIO_SIZE, color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    for key in "bhbs":
        page.wait_for_function(PLAYED)
        page.wait_for_timeout(THOUGHT)
        page.keyboard.press(key)
    page.wait_for_function("() => document.querySelectorAll('.sign').length === 4")
    page.wait_for_function(PLAYED)
    page.wait_for_timeout(300)
    page.screenshot(path=PICTURES / "studio.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
