"""Table 3: what is counted as trained, and what stands beside it."""

from __future__ import annotations

import json

import pytest

from rlld.bench.page import write_page
from rlld.bench.studies import costs as studied
from rlld.bench.studies.costs import RECIPES, costs, page
from rlld.bench.studies.denoisers import Settings
from rlld.data.dataset import load_data
from rlld.recipes.recipe import load_recipe


def test_networks_that_are_trained_before_count(tiny_data, tmp_path, monkeypatch):
    settings = Settings((tiny_data,), tmp_path, seeds=1, updates=2)
    found, terms = costs(settings)
    monkeypatch.setattr("rlld.bench.studies.costs._warm_up", lambda job: pytest.fail("again"))
    assert costs(settings)[0] == found
    spec = load_data(tiny_data).spec
    network = load_recipe("han", {}, spec.overrides).build_network(spec)
    size = sum(parameter.numel() for parameter in network.parameters())
    counted = {cost.recipe: cost.parameters for cost in found}
    assert list(counted) == list(RECIPES)
    assert counted["han"] == size
    assert counted["jomold"] == 2 * size
    assert counted["rlld"] > size
    assert counted["rlld-labelwise"] > 5 * size
    # Networks that others could find would take no time.
    assert not (tmp_path / "timed" / "networks").exists()
    shown = page(found, terms, settings, "equal")
    paths = write_page(shown, tmp_path, "table3")
    assert {path.suffix for path in paths} == {".md", ".tex", ".csv", ".json"}
    rows = json.loads((tmp_path / "table3.json").read_text())["rows"]
    assert [row["recipe"] for row in rows] == list(RECIPES)
    assert (
        {row["seconds"]["sd"] for row in rows} == {row["seconds"]["low"] for row in rows} == {None}
    )
    (table,) = shown.blocks
    cells = {row[0]: row for row in table.rows}
    assert cells["han"][2] == "1.00"
    assert cells["jomold"][2:4] == ("2.00", "2")


def test_what_a_process_loads_is_no_cost_of_the_first_row(tiny_data, tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(studied, "_warm_up", lambda job: order.append(f"warm {job.method}"))
    monkeypatch.setattr(studied, "run_all", lambda jobs, *_, **__: order.append("runs") or [])
    costs(Settings((tiny_data,), tmp_path, seeds=1, updates=2))
    assert order == ["warm han", "runs"]
