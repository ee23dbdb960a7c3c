"""How long the studio takes from a key to the next question: headless Chromium.

A copy of a data set is opened and questions are answered by keys, with a pause to think before
each. Measured is the time from the key event to the first frame that shows the next question and
the clip that belongs to it, by the clock of the page.

    python benchmarks/studio.py demo/data

Needs Playwright and Chromium, as the tests do; ``CHROMIUM`` names another binary.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

KEYS = "hsbn"
SHOWN = """() => {
    const clip = document.querySelector(".screen:not([hidden]) video");
    return document.querySelector(".question b")?.textContent && clip?.readyState >= 2;
}"""
# What a frame's callback finds is on the screen when the timer that it sets is called.
WATCH = """() => {
    window.taken = [];
    const where = () => document.querySelector(".where").textContent
        + document.querySelector(".question b").textContent;
    addEventListener("keydown", (event) => {
        const before = where();
        const begun = event.timeStamp;
        const look = () => {
            const clip = document.querySelector(".screen:not([hidden]) video");
            if (where() === before || !clip || clip.readyState < 2) requestAnimationFrame(look);
            else setTimeout(() => window.taken.push(performance.now() - begun));
        };
        requestAnimationFrame(look);
    }, { capture: true });
}"""


@contextmanager
def studio(data: Path, run: str | None) -> Iterator[str]:
    """Opens the studio of a data set in another process; gives its address."""
    call = [sys.executable, "-m", "rlld", "studio", str(data), *(["--run", run] if run else [])]
    process = subprocess.Popen(
        [*call, "--port", "0", "--no-browser", "--person", "Ada"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "1000", "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        found = None
        for line in process.stdout:
            if found := re.search(r"is open at (\S+);", line):
                break
        if found is None:
            raise SystemExit("the studio did not open")
        yield found[1]
    finally:
        process.terminate()
        process.wait()


def answered(page: Page, count: int, pause: int) -> list[float]:
    """Answers questions; returns the milliseconds of each."""
    page.wait_for_function(SHOWN, timeout=60_000)
    page.evaluate(WATCH)
    for number in range(count):
        page.wait_for_timeout(pause)
        page.keyboard.press(KEYS[number % len(KEYS)])
        page.wait_for_function("n => window.taken.length === n", arg=number + 1, timeout=60_000)
    taken: list[float] = page.evaluate("() => window.taken")
    return taken


def main() -> None:
    """Prints median and 95th percentile."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="data set with clips, such as that of a demo")
    parser.add_argument("--run", help="run whose doubts are asked")
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--pause", type=int, default=1000, help="ms to think before each key")
    args = parser.parse_args()
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        copy = Path(folder) / "data"
        shutil.copytree(args.data, copy, ignore=shutil.ignore_patterns("studio"))
        with studio(copy, args.run) as address:
            browser = playwright.chromium.launch(executable_path=binary, args=flags)
            page = browser.new_page()
            page.goto(address)
            taken = answered(page, args.questions, args.pause)
            browser.close()
    late = quantiles(taken, n=20, method="inclusive")[-1]
    print(f"{len(taken)} questions, key to next question: median {median(taken):.0f} ms, "
          f"95th percentile {late:.0f} ms, largest {max(taken):.0f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
