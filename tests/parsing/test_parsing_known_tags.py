"""Tags of clips that are parsed, from a table of more clips than these."""

from __future__ import annotations

import pytest

from rlld.parsing.known_tags import tags_of_file

ROOT = "/m/phone"
CLIPS = {"x.mp4": f"{ROOT}/x.mp4", "day_x.mp4": f"{ROOT}/day/x.mp4"}


@pytest.mark.parametrize("suffix", [".mp4", ""])
@pytest.mark.parametrize("parsed", [["x.mp4"], ["day_x.mp4"], ["x.mp4", "day_x.mp4"]])
def test_a_clip_gets_the_tags_of_its_own_row(tmp_path, suffix, parsed):
    table = tmp_path / "tags.csv"
    table.write_text(f"file,tags\nx{suffix},cat\nday/x{suffix},dog\n")
    # However a clip is called here: alone, it is x.
    clips = {("x" if len(parsed) == 1 else name): CLIPS[name] for name in parsed}
    found = tags_of_file(table, clips, ("cat", "dog"))
    own = {"x.mp4": ("cat",), "day_x.mp4": ("dog",)}
    assert [known.tags for known in found.values()] == [own[name] for name in parsed]
