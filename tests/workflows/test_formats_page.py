"""docs/formats.md: its commands, run one after the other, and its table of formats."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from cli_kit import called
from parse_kit import make_clip, make_run
from rlld.data.dataset import load_data
from rlld.export import format_names, load_format

PAGE = Path(__file__).parents[2] / "docs/formats.md"
TEXT = PAGE.read_text(encoding="utf-8")
NEW = ("data", "new", "woods", "--videos", "phone", "--tags", "tags.csv", "--features", "light")


@pytest.fixture
def home(tmp_path) -> Path:
    """Three clips, their data set, and a run on it."""
    (tmp_path / "phone").mkdir()
    for number in (1, 2, 3):
        make_clip(tmp_path / f"phone/IMG_000{number}.mp4", 2.0)
    (tmp_path / "tags.csv").write_text(
        "file,tags\nIMG_0001,Bell\nIMG_0002,Bell;Dog_bark\nIMG_0003,Dog_bark\n"
    )
    assert called(*NEW, "--workers", 1, cwd=tmp_path).returncode == 0
    make_run(tmp_path / "run", segments=2)
    config = json.loads((tmp_path / "run/config.json").read_text())
    config["facts"]["data"] = str(tmp_path / "woods")
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    return tmp_path


def test_the_commands_of_the_page_work_one_after_the_other(home):
    blocks = re.findall(r"^```\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("rlld ")]
    assert len(lines) == 7
    for line in lines:
        result = called(*shlex.split(re.split(" {3,}", line)[0])[1:], cwd=home)
        assert result.returncode == 0, (line, result.stderr)
    assert len(json.loads((home / "all.json").read_text())["results"]) == 3
    data = load_data(home / "woods")
    assert data.train.ids == ("IMG_0003",)
    assert data.validation.ids == ("IMG_0001", "IMG_0002")
    assert data.validation.require_dense().any()


def test_the_table_has_every_format_and_its_suffix():
    rows = re.findall(r"^\| `(\w+)` \| `\.(\w+)`(.*)$", TEXT, re.MULTILINE)
    assert {name: suffix for name, suffix, _ in rows} == {
        name: load_format(name).SUFFIX for name in format_names()
    }
    for name, _, rest in rows:
        assert ("many clips" in rest) == load_format(name).MANY, name
        assert getattr(load_format(name), "FRAMES", False) == ("| frame |" in rest), name
