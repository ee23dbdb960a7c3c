"""Photographs the page of a demo for README and gallery: ``python docs/make_pictures.py demo``.

Needs Playwright and Chromium, as the tests do; ``CHROMIUM`` names another binary.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PICTURE = Path(__file__).parent / "assets" / "page.png"
SIZE = {"width": 1200, "height": 830}
SEEN = "() => document.getElementById('clip').readyState >= 2"


def main(demo: Path) -> None:
    """Writes the picture of ``page.html`` in the folder of a demo."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="reduce")
        page.goto((demo / "page.html").resolve().as_uri())
        page.wait_for_function(SEEN)
        _choose_an_event(page)
        page.screenshot(path=PICTURE)
        browser.close()


def _choose_an_event(page: Page) -> None:
    """Shows the clip at its first event, where there is more to see than at its start."""
    page.get_by_role("button", name=", visible, ").first.click()
    page.wait_for_function("() => !document.getElementById('clip').seeking")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
