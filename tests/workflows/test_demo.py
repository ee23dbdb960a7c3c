"""The demo, by parts; the whole of it is run by .ci/run."""

from __future__ import annotations

import sys

import torch

from rlld.data.dataset import load_data
from rlld.evaluation.baselines import bare_tags
from rlld.metrics.reference import ten_scores
from rlld.workflows.demo import _program, _telling


def test_the_shown_clip_has_events_of_one_track_alone(tiny_data):
    test = load_data(tiny_data).test
    shown = test.ids.index(_telling(test))
    present = test.require_dense().any(1)
    alone = (present[:, 0] ^ present[:, 1]).sum(1)
    assert alone[shown] == alone.max() > 0


def test_bare_tags_are_scored_in_every_segment_of_both_tracks(tiny_data):
    test = load_data(tiny_data).test
    everywhere = torch.zeros_like(test.require_dense())
    for video, label in test.labels.nonzero().tolist():
        everywhere[video, :, :, label] = True
    expected = ten_scores(everywhere.numpy(), test.require_dense().numpy())
    found = list(bare_tags(test).as_dict().values())
    assert all(abs(a - b) < 1e-9 for a, b in zip(found, expected, strict=True))


def test_the_next_command_is_one_that_the_shell_finds(monkeypatch, tmp_path):
    script = tmp_path / "rlld"
    script.write_text("")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _program() == "rlld"
    monkeypatch.setenv("PATH", "")
    assert _program() == str(script)
