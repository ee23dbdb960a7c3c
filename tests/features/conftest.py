"""Fixtures that make small clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clips_kit import write_test_clip


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """A function (name, **content) that writes a clip into the test's folder."""

    def make(name: str, **content: object) -> Path:
        return write_test_clip(tmp_path / name, **content)

    return make
