"""Fixtures that all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

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
