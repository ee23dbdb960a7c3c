"""Fixtures that all tests share, and what becomes of tests whose needs are not met.

Nothing heavy is imported at the top: the process that deals tests out to others runs none.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from beside import LLP_FOLDER, MEDIA_FOLDER, NEEDS, SETS_FOLDER
from browser_kit import chromium, open_page, serve  # noqa: F401  (one browser for all tests)

# What one process compiled, no other compiles again, also where an image says otherwise.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

SLOW_SECONDS = 1800
"""After which a slow test hangs; the others' limit stands in pyproject.toml."""

EXAMPLES, THOROUGH_EXAMPLES = 25, 200
"""On how many a property is tried, and with ``--hypothesis-profile thorough``."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Says how many examples a property is tried on, before ``--hypothesis-profile`` is read.

    None fails because the machine is busy: its time is the machine's, not ours. What a change
    breaks shows in few examples, which every run draws anew; ``make slow`` draws many.
    """
    from hypothesis import HealthCheck, settings

    patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("rlld", patient, max_examples=EXAMPLES)
    settings.register_profile("thorough", patient, max_examples=THOROUGH_EXAMPLES)
    settings.load_profile("rlld")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that use real files, so that ``-m`` can choose; gives slow tests time."""
    for item in items:
        for mark in ("llp", "media", "sets"):
            if f"shared_{mark}" in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose needs are not met, before any fixture is made."""
    for mark, need in NEEDS.items():
        if item.get_closest_marker(mark) and not need.there():
            pytest.skip(need.without)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in one line per reason what was not checked."""
    skipped = terminalreporter.stats.get("skipped", ())
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section("not checked here")
    for reason, count in reasons.items():
        terminalreporter.line(f"{count} skipped: {reason}")


@pytest.fixture(scope="session", autouse=True)
def quick_workers() -> Iterator[None]:
    """Spares the workers of jobs the seconds that an interpreter takes to load PyTorch."""
    from workers_kit import quick

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rlld.utils.pool.get_context", quick)
        yield


@pytest.fixture
def fresh_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the workers of jobs fresh interpreters, as they are outside these tests."""
    from workers_kit import FRESH

    monkeypatch.setattr("rlld.utils.pool.get_context", FRESH)


@pytest.fixture(scope="session")
def shared_llp() -> Path:
    """The folder of the real LLP annotation files."""
    return LLP_FOLDER


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of the real clip."""
    return MEDIA_FOLDER


@pytest.fixture(scope="session")
def shared_sets() -> Path:
    """The folder of the real annotation files of other data sets."""
    return SETS_FOLDER


@pytest.fixture(scope="session")
def invented_llp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotation files of LLP's names and with LLP's traps, of invented videos."""
    from llp_kit import write_llp

    return write_llp(tmp_path_factory.mktemp("llp"))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data-set folder; tests only read it."""
    from tiny import make_tiny

    return make_tiny(tmp_path_factory.mktemp("tiny") / "data")
