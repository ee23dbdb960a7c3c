"""The learning curve with a learner that takes a moment."""

from __future__ import annotations

import pytest
import yaml

from rlld.bench.studies import annotations
from rlld.bench.studies.annotations import Point, learning_curves
from rlld.bench.studies.denoisers import Settings
from rlld.data.spec import Priors
from rlld.recipes.recipe import RECIPES


@pytest.fixture
def quick(tmp_path, monkeypatch) -> str:
    """Puts a small form of the learner in its place and returns its name."""
    recipe = yaml.safe_load((RECIPES / "rlld-labelwise.yaml").read_text())
    recipe["denoiser"]["labelwise"] = {
        "folds": 2,
        "steps": 2,
        "judges": 1,
        "judge": "evidence",
    }
    path = tmp_path / "quick.yaml"
    path.write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(annotations, "LEARNER", str(path))
    lines = ("han", "weak", "priors", str(path), "suggested", *annotations.BASELINES)
    monkeypatch.setattr(annotations, "LINES", lines)
    return str(path)


def test_every_line_has_its_points(tiny_data, tmp_path, quick):
    settings = Settings((tiny_data,), tmp_path / "out", seeds=1, updates=3, workers=1, device="cpu")
    priors = Priors(visual={"Bell": 0.5})
    table, figures = learning_curves(settings, counts=(0, 4, 8, 400), priors=priors)
    assert table.failures == []
    rows = {row.method: row for row in table.rows}
    points = {(quick, n) for n in (0, 4, 8, 20)} | {("suggested", n) for n in (4, 8, 20)}
    points |= {(line, n) for line in ("supervised", "constant") for n in (4, 8, 20)}
    assert set(rows) == {Point(*p).title for p in points | {("han", 0), ("weak", 0), ("priors", 0)}}
    for n in (4, 20):
        assert rows[f"suggested {n}"].values == rows[f"{quick} {n}"].values
    assert table.terms.selection == "last"
    assert table.command.endswith("--counts 0,4,8,400 --priors Bell=0.5")
    assert sorted(path.suffix for path in figures) == [".png", ".png", ".svg", ".svg"]
    assert all(path.stat().st_size for path in figures)
    (command,) = rows["priors 0"].commands
    assert command.endswith('# dataset.yaml with priors: {"audio": {}, "visual": {"Bell": 0.5}}')
    (command,) = rows["suggested 8"].commands
    known = command.split("--selection.annotated ")[1]
    assert known.count("validation_") == 8
    curve = annotations._curve("constant", table.rows, "event_type")
    assert curve.x == [0, 4, 8, 20]
    assert curve.mean[0] == rows["weak 0"].estimate("event_type").mean
