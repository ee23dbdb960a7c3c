"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny import make_tiny

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared_llp() -> Path:
    """The real LLP annotation files, which lie beside the checkout."""
    folder = SHARED / "llp"
    assert folder.is_dir(), f"{folder} is missing: put the LLP annotation files there"
    return folder


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """The folder of real clips beside the checkout."""
    folder = SHARED / "media"
    assert folder.is_dir(), f"{folder} is missing: put an LLP clip there"
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny data-set folder; tests only read it."""
    return make_tiny(tmp_path_factory.mktemp("tiny") / "data")
