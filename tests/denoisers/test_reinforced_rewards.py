"""Rewards against hand-computed values, the golden case and their own definition."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.denoisers.reinforced import Config, rewards
from rlld.denoisers.reinforced.options import InterRewardOptions, TerminalRewardOptions
from rlld.errors import RlldError

GOLDEN = Path(__file__).parents[1] / "golden"


def removal(labels: int, removed: int, classes: int = 25) -> tuple[torch.Tensor, torch.Tensor]:
    before = torch.zeros(classes, dtype=torch.float64)
    before[:labels] = 1
    after = before.clone()
    after[:removed] = 0
    return before, after


@pytest.mark.parametrize(
    ("options", "table"),
    [
        (InterRewardOptions(), {(2, 1): 0.694, (3, 1): 0.768, (3, 2): 0.575, (1, 0): 1, (3, 0): 1}),
        (
            InterRewardOptions(spread="classes"),
            {(2, 1): 0.451, (3, 1): 0.579, (3, 2): 0.340, (2, 0): 1},
        ),
        (
            InterRewardOptions(revised="clipped"),
            {(1, 0): 0.403, (2, 0): 0.444, (3, 0): 0.492, (2, 1): 0.283, (3, 1): 0.337},
        ),
    ],
)
def test_inter_reward_by_labels_and_removals(
    options: InterRewardOptions, table: dict[tuple[int, int], float]
) -> None:
    # Values of the study's table: 25 classes, k labels, r removed, 0.6 R1 + 0.4 R2.
    for (labels, removed), value in table.items():
        found = rewards.inter_reward(*removal(labels, removed), options).item()
        assert found == pytest.approx(value, abs=5e-4)


def test_inter_reward_worked_out_by_hand() -> None:
    # One of two classes removed, both present: l = (.5, .5), t = (.05, .95) after normalising.
    jeffreys = (0.5 - 0.05) * math.log(0.5 / 0.05) + (0.5 - 0.95) * math.log(0.5 / 0.95)
    cosine = 0.5 / (math.sqrt(0.5) * math.hypot(0.05, 0.95))
    original, revised = torch.ones(2).double(), torch.tensor([0.0, 1.0]).double()
    found = rewards.inter_reward(original, revised, InterRewardOptions())
    assert found.item() == pytest.approx(0.6 * math.exp(-jeffreys / 2) + 0.4 * cosine, abs=1e-12)


@given(
    st.lists(st.booleans(), min_size=2, max_size=12),
    st.data(),
    st.sampled_from(["half", "classes"]),
    st.booleans(),
    st.floats(0.01, 0.9),
)
def test_inter_reward_is_largest_when_nothing_is_removed(
    present: list[bool], data: st.DataObject, spread: str, normalised: bool, smoothing: float
) -> None:
    labels = torch.tensor(present, dtype=torch.float64)
    kept = data.draw(st.lists(st.booleans(), min_size=len(present), max_size=len(present)))
    revised = labels * torch.tensor(kept, dtype=torch.float64)
    options = InterRewardOptions(smoothing=smoothing, spread=spread, normalised=normalised)  # type: ignore[arg-type]
    untouched = rewards.inter_reward(labels, labels, options).item()
    assert untouched == pytest.approx(1, abs=1e-12)
    found = rewards.inter_reward(labels, revised, options).item()
    changed = not torch.equal(labels, revised)
    # Removing every label of a video that has them all leaves a uniform distribution again.
    uniform = normalised and labels.all() and not revised.any()
    assert found < untouched - 1e-9 if changed and not uniform else found == pytest.approx(1)


def test_inter_reward_does_not_depend_on_which_label_goes() -> None:
    labels = torch.tensor([1.0, 1, 1, 0, 0]).double()
    values = []
    for gone in range(3):
        revised = labels.clone()
        revised[gone] = 0
        values.append(rewards.inter_reward(labels, revised, InterRewardOptions()).item())
    assert values == pytest.approx([values[0]] * 3, abs=1e-14)


def test_terminal_reward_takes_its_score_in_its_unit() -> None:
    scores = {"segment_audio": 60.0, "event_visual": torch.tensor(55.0), "segment_type": 1.0}
    like = torch.zeros(1)
    percent = rewards.terminal_reward(scores, TerminalRewardOptions(), like)
    fraction = rewards.terminal_reward(scores, TerminalRewardOptions(unit="fraction"), like)
    other = rewards.terminal_reward(
        scores, TerminalRewardOptions(audio="segment_type", scale=2), like
    )
    assert percent.tolist() == pytest.approx([6.0, 5.5])
    assert fraction.tolist() == pytest.approx([0.06, 0.055])
    assert other.tolist() == pytest.approx([2.0, 110.0])


def test_undone_removals_get_their_own_reward() -> None:
    inter, terminal = torch.tensor([[0.5, 1.0]]), torch.tensor([6.0, 5.0])
    undone = torch.tensor([[False, True]])
    replaced = rewards.reward(inter, terminal, undone, Config())
    added = rewards.reward(inter, terminal, undone, Config(empty_replaces=False, empty_reward=-2))
    assert replaced.tolist() == [[6.5, -1.0]]
    assert added.tolist() == [[6.5, 4.0]]


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(RlldError, match=r"inter\.smoothing must lie in \(0, 1\), found 0"):
        InterRewardOptions(smoothing=0)


def test_golden_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(GOLDEN))
    runners = importlib.import_module("cases_rlld").RUNNERS
    files = sorted((GOLDEN / "cases").glob("rlld_*.json"))
    assert files
    for file in files:
        run = next(run for prefix, run in runners.items() if file.stem.startswith(prefix))
        with np.load(file.with_suffix(".npz")) as outputs:
            run(json.loads(file.read_text()), dict(outputs), file.parent)
