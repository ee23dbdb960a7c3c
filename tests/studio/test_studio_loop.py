"""The whole loop in a browser, on rendered clips: answer, correct, train, export, write, check."""

from __future__ import annotations

import io
import os
import shutil
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_kit import called
from rlld.data.answers import read_answers
from rlld.data.dataset import load_data
from rlld.export import load_format
from studio_page_kit import studio

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUESTIONS, BEFORE_THE_KILL = 25, 11
CORRECTED = 3
SOON = 120_000
"""Milliseconds that a browser waits on a busy machine."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered clips with features, and beside them a run that learnt from their tags."""
    folder = tmp_path_factory.mktemp("loop") / "data"
    run = folder.with_name("run")
    for words in (
        ("data", "render", "--out", folder, "--videos", "20,4,6", "--workers", 2),
        ("extract", folder, "--features", "light", "--workers", 2),
        ("train", "rlld-labelwise", "--data", folder, *("--out", run, "--schedule.updates", 40)),
    ):
        result = called(*words)
        assert not result.returncode, result.stderr
    return folder


class Mouse:
    """Does everything by pointing."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def go(self, view: str) -> None:
        self.page.get_by_role("link", name=view, exact=True).click()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def answer(self, choice: str) -> None:
        self.page.locator(".choices").get_by_role("button", name=choice).click()

    def open_first(self) -> None:
        self.page.locator("[aria-posinset='1']").click()

    def correct(self, button: str, _: str) -> None:
        self.page.get_by_role("toolbar").get_by_role("button", name=button, exact=True).click()

    def choose(self, name: str, value: str) -> None:
        self.page.get_by_role("combobox", name=name).select_option(value)


class Keyboard(Mouse):
    """Does everything by keys alone: Tab to what is needed, and Enter."""

    def reach(self, role: str, name: str) -> None:
        target = self.page.get_by_role(role, name=name, exact=True).element_handle()
        for _ in range(80):
            if self.page.evaluate("node => node === document.activeElement", target):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no number of Tabs reaches the {role} {name!r}")

    def go(self, view: str) -> None:
        self.reach("link", view)
        self.page.keyboard.press("Enter")

    def press(self, button: str) -> None:
        self.reach("button", button)
        self.page.keyboard.press("Enter")

    def answer(self, choice: str) -> None:
        self.page.keyboard.press({"Unsure": "?"}.get(choice, choice[0].lower()))

    def open_first(self) -> None:
        self.reach("listbox", "Clips")
        self.page.keyboard.press("Home")
        self.page.keyboard.press("Enter")

    def correct(self, _: str, key: str) -> None:
        self.page.keyboard.press(key)

    def choose(self, name: str, value: str) -> None:
        self.reach("combobox", name)
        self.page.keyboard.type(value)


def wait(page: Any, said: str, **options: Any) -> None:
    page.get_by_text(said, **options).first.wait_for(timeout=SOON)


def answer(hand: Mouse, count: int, before: int = 0) -> None:
    page = hand.page
    for number in range(before + 1, before + count + 1):
        page.wait_for_selector(".question b:not(:empty)", timeout=SOON)
        hand.answer(("Heard", "Seen", "Both", "Neither", "Unsure")[number % 5])
        wait(page, f"{number} of {QUESTIONS}")


def correct(hand: Mouse) -> list[str]:
    """Corrects an event in each of some training clips; returns their ids."""
    page, ids = hand.page, []
    hand.go("Browse")
    page.get_by_role("searchbox").fill("train")
    hand.open_first()
    for button, key in (("Add", "n"), ("Split", "s"), ("Delete", "Delete")):
        page.get_by_role("toolbar").wait_for(timeout=SOON)
        if button != "Add":
            hand.correct("Add", "n")
            wait(page, "Stored, version 1")
        hand.correct(button, key)
        wait(page, f"Stored, version {1 if button == 'Add' else 2}")
        ids.append(page.locator("h1").inner_text())
        if len(ids) < CORRECTED:
            hand.press("Next")
            page.wait_for_function(
                "id => document.querySelector('h1')?.textContent !== id", arg=ids[-1]
            )
    return ids


def train(hand: Mouse) -> None:
    page = hand.page
    hand.go("Train")
    page.get_by_role("button", name="Train", exact=True).wait_for(timeout=SOON)
    hand.press("Train")
    page.get_by_role("heading", name="Trained again").wait_for(timeout=10 * SOON)
    rows = page.locator(".scores tbody tr")
    assert rows.count() == 10
    assert all(len(row.split("\t")) == 4 for row in rows.all_inner_texts())
    wait(page, "6 test clips, which taught nothing")


def exported(hand: Mouse, name: str) -> dict[str, bytes]:
    hand.choose("Format", name)
    with hand.page.expect_download(timeout=SOON) as download:
        hand.press("Export")
    content = Path(download.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {member: archive.read(member) for member in archive.namelist()}


@pytest.mark.parametrize("kind", [Mouse, Keyboard])
def test_the_whole_loop(
    rendered: Path, kind: type[Mouse], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    data = shutil.copytree(rendered, tmp_path / "data", copy_function=os.link)
    run = rendered.with_name("run")
    with studio(data, "--run", str(run)) as served:
        page = open_page(f"{served.address}/?person=Ada", expected="net::ERR_")
        page.set_default_timeout(SOON)
        hand = kind(page)
        answer(hand, BEFORE_THE_KILL)
        served.process.send_signal(signal.SIGKILL)
        served.process.wait()
        port = int(served.address.rpartition(":")[2])
        with studio(data, "--run", str(run), port=port):
            page.reload()
            answer(hand, QUESTIONS - BEFORE_THE_KILL, BEFORE_THE_KILL)
            corrected = correct(hand)
            train(hand)
            for name in ("elan", "audacity"):
                module = load_format(name)
                files = exported(hand, name)
                assert set(files) == {f"{video}.{module.SUFFIX}" for video in corrected}
            hand.press("Write")
            wait(page, "answers")
    checked = called("data", "check", data)
    assert not checked.returncode, checked.stdout + checked.stderr
    spec = load_data(data).spec
    rows = read_answers(data / "annotations" / spec.annotations.answers, spec.taxonomy)
    assert set(corrected) <= {row.video for row in rows}
    assert len({(row.video, row.label) for row in rows}) >= QUESTIONS - QUESTIONS // 5
