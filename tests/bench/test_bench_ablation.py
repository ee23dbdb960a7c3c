"""Ablations: each row differs from the whole by what its title says, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from rlld.bench.studies import ablation as module
from rlld.bench.studies.ablation import ABLATIONS, Ablation, ablation
from rlld.bench.studies.denoisers import Settings
from rlld.recipes.recipe import load_recipe


def flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        nested = isinstance(value, dict)
        found |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return found


def changed(row: tuple[str, Any], whole: tuple[str, Any]) -> set[str]:
    one, other = (flat(load_recipe(name, own).as_dict()) for name, own in (row, whole))
    assert one.keys() == other.keys()
    return {key for key in one if one[key] != other[key]} - {"name"}


@pytest.mark.parametrize(
    ("learner", "row", "options"),
    [
        ("paper", "rlld-without-initialized-labels", {"initial_labels"}),
        ("paper", "rlld-without-inter-reward", {"inter.alpha1", "inter.alpha2"}),
        ("labelwise", "without features", {"labelwise.judge"}),
        ("labelwise", "without features, unshrunken", {"labelwise.judge", "labelwise.ridge"}),
        ("labelwise", "without tags in the state", {"initial_labels"}),
        ("labelwise", "states in sample", {"labelwise.folds"}),
        ("labelwise", "supervised", {"labelwise.learning"}),
        ("labelwise", "empty rule", {"empty_rule"}),
    ],
)
def test_a_row_lacks_one_part(learner, row, options):
    parts = ABLATIONS[learner]
    found = changed(parts.rows[row], parts.rows[parts.whole])
    assert found == {f"denoiser.{option}" for option in options}


def test_the_table_refers_to_the_whole(tiny_data, tmp_path, monkeypatch):
    parts = ABLATIONS["paper"]
    names = ("rlld-without-inter-reward", "rlld+cl")
    rows = {name: parts.rows[name] for name in names}
    monkeypatch.setitem(module.ABLATIONS, "paper", Ablation(parts.title, parts.whole, rows))
    settings = Settings((tiny_data,), tmp_path, seeds=2, updates=4, workers=1, device="cpu")
    table = ablation(settings, "paper")
    assert [row.method for row in table.rows] == list(names)
    assert table.failures == []
    less, whole = table.rows
    assert table.difference(whole, "segment_type") is None
    gap = less.estimate("segment_type").mean - whole.estimate("segment_type").mean
    assert table.difference(less, "segment_type").mean == pytest.approx(gap)
    assert table.published[names[0]].scores["segment_type"] == 61.1
    assert table.command.startswith("rlld bench ablation paper --data")
