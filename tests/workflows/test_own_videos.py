"""docs/own-videos.md, run: the files that it shows, and the commands one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli_kit import called
from parse_kit import make_clip
from rlld.data.dataset import load_data
from rlld.workflows import new_data

PAGE = Path(__file__).parents[2] / "docs/own-videos.md"
TEXT = PAGE.read_text(encoding="utf-8").partition("\n## What to expect")[0]
BLOCKS = re.findall(r"^```\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
FETCHED = "vggish"
"""What the page fetches from the net, which a test does not."""
QUICK = ("--schedule.updates", "8", "--network.hidden", "16")


def tables() -> tuple[str, str]:
    """Returns the tags and the events that the page shows."""
    shown = [block for block in BLOCKS if not re.match("rlld |pip ", block)]
    assert len(shown) == 2
    return shown[0], shown[1]


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """As on a machine without the extra ``starter``."""
    monkeypatch.setattr(new_data, "default_features", lambda: "light")


@pytest.fixture
def phone(tmp_path) -> Path:
    """The clips of the page's table, of several lengths, and its two tables beside them."""
    tags, events = tables()
    (tmp_path / "tags.csv").write_text(tags)
    (tmp_path / "events.csv").write_text(events)
    for number, row in enumerate(tags.splitlines()[1:]):
        clip = tmp_path / "phone" / row.partition(",")[0]
        clip.parent.mkdir(parents=True, exist_ok=True)
        make_clip(clip, 2.0 + number % 2)
    return tmp_path


def commands() -> list[str]:
    lines = [line for block in BLOCKS for line in block.splitlines()]
    return [line for line in lines if line.startswith("rlld ") and FETCHED not in line]


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_the_other(phone):
    ran = commands()
    assert [line.split()[1] for line in ran[:5]] == ["data", "train", "denoise", "parse", "parse"]
    for line in ran:
        _, *words = shlex.split(line)
        words += QUICK if words[0] == "train" else []
        result = called(*words, cwd=phone)
        assert result.returncode == 0, (line, result.stderr)
    assert {page.name for page in (phone / "pages").glob("*.html")} == {
        "IMG_0001.html",
        "IMG_0005.html",
    }
    data = load_data(phone / "woods")
    assert data.spec.classes == ("dog", "rain", "speech") and data.spec.any_length
    assert data.validation.ids == ("IMG_0001", "day2_IMG_0001")
    assert data.train.ids == ("IMG_0002", "IMG_0003", "IMG_0004", "IMG_0005")
    assert not data.validation.require_dense()[1].any()
    assert (phone / "report/report.html").is_file()
    assert "validation" in called("evaluate", "run3", "--split", "validation", cwd=phone).stdout


@pytest.mark.parametrize("clips", [1, 4])
def test_the_next_line_of_a_data_set_names_a_command_that_works(phone, clips):
    lines = (phone / "tags.csv").read_text().splitlines()[: clips + 1]
    (phone / "tags.csv").write_text("\n".join(lines))
    result = called("data", "new", "woods", "--videos", "phone", "--tags", "tags.csv", cwd=phone)
    (following,) = re.findall("^next: .*?rlld (train .*)$", result.stdout, re.MULTILINE)
    result = called(*shlex.split(following), *QUICK, cwd=phone)
    assert result.returncode == 0, result.stderr
