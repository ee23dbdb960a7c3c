"""Grids of comparisons: figures and marks by hand, and the two studies on little data."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from rlld.bench.comparison import Comparison, MethodRow
from rlld.bench.grid import Grid, draw_grid, page_of_grid
from rlld.bench.jobs import Terms
from rlld.bench.page import (
    Block,
    Page,
    block_latex,
    block_markdown,
    print_page,
    terminal,
    write_page,
)
from rlld.bench.statistics import Estimate
from rlld.bench.studies import enhance as enhancing
from rlld.bench.studies import regimes as regimes_module
from rlld.bench.studies.denoisers import Settings
from rlld.bench.studies.enhance import LEARNERS, OWN, RECIPES, enhance
from rlld.bench.studies.regimes import AXES, BASE, Cell, Choice, regimes
from rlld.bench.tables import VARIANTS
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.synthetic.features.conditions import Conditions
from rlld.utils.console import OUT, as_text


def comparison(title: str, **rows: tuple[float, ...]) -> Comparison:
    """Scores of two seeds of one data set, by method."""

    def row(method: str, values: tuple[float, ...]) -> MethodRow:
        pairs = {("data", seed): value for seed, value in enumerate(values)}
        return MethodRow(method, {"segment_type": pairs, "event_type": pairs}, ("rlld train",))

    return Comparison(
        title=title,
        rows=tuple(row(method, values) for method, values in rows.items()),
        baseline="own",
        terms=Terms(9, "last"),
        data={"D": "data"},
        seeds=(0, 1),
        command="rlld bench",
    )


def grid_of(flags=lambda difference: difference.low <= 0) -> Grid:
    comparisons = {
        "han": comparison("han", own=(50.0, 52.0), clean=(60.0, 66.0)),
        "ma": comparison("ma", own=(50.0, 54.0), clean=(51.0, 53.0), other=(49.0, 50.0)),
    }
    return Grid("grid", "Title", "recipe", comparisons, "rlld bench", ("note",), flags, "no gain")


def test_differences_are_paired_and_marked_within_their_row(tmp_path):
    grid = grid_of()
    assert grid.methods == ["own", "clean", "other"]
    assert grid.difference("han", "clean", "segment_type") == Estimate(12, 10, 14, 8**0.5, 2)
    assert grid.difference("han", "own", "segment_type") is None
    assert grid.difference("han", "other", "segment_type") is None
    page = page_of_grid(grid)
    means, differences, *_ = page.blocks
    assert means.heads == ("recipe", "own", "clean", "other")
    assert means.rows == (("han", "51.0", "63.0", "-"), ("ma", "52.0", "52.0", "49.5"))
    assert differences.heads == ("recipe", "clean", "other")
    assert differences.rows == (
        ("han", "+12.0 [10.0, 14.0]", "-"),
        ("ma", "+0.0 [-1.0, 1.0] !", "-2.5 [-4.0, -1.0] !"),
    )
    (told,) = [remark for remark in page.remarks if remark.startswith("!")]
    assert told.startswith("! no gain: ma, clean, segment Type +0.0 [-1.0, 1.0]; ma, other")
    assert "han" not in told
    assert page.means["han/clean/event_type"] == 63


def test_nothing_marked_is_said():
    page = page_of_grid(grid_of(lambda difference: difference.low > 20))
    assert "! no gain: nowhere." in page.remarks


def test_one_run_claims_no_interval(tmp_path):
    """Neither below nor above: what has no interval is unproven, and its files hold none."""
    single = {"han": comparison("han", own=(50.0,), clean=(60.0,))}
    grid = replace(grid_of(enhancing._unproven), comparisons=single)
    single["han"] = replace(single["han"], seeds=(0,))
    page = page_of_grid(grid)
    assert page.blocks[1].rows == (("han", "+10.0 !"),)
    assert "No intervals: one run on each data set tells nothing of chance." in page.remarks
    assert not any("Intervals: 95 %" in remark for remark in page.remarks)
    for line in csv.DictReader(io.StringIO(page.sheet)):
        assert line["low"] == line["high"] == line["sd"] == ""
        assert line["difference_low"] == line["difference_high"] == ""
        assert line["method"] == "own" or line["difference_mean"] == "10.0000"
    found = page.report["rows"]["han"]["rows"][1]["measures"]["event_type"]
    apart = {"mean": 10.0, "low": None, "high": None, "sd": None, "runs": 1}
    assert found["difference"] == apart
    assert {name: found[name] for name in apart} == {**apart, "mean": 60.0}


@pytest.mark.parametrize("seeds", [1, 2])
def test_what_is_better_than_the_recommended_recipe_is_listed(tmp_path, few, seeds):
    settings = quick(tmp_path, tmp_path / "sims", seeds=seeds)
    grid = regimes(settings, Choice(recipe="han", simulations=(3,), axes=()))
    page = page_of_grid(grid)
    (told,) = [remark for remark in page.remarks if remark.startswith("!")]
    assert ("by more than the interval" in told) == (seeds == 2)
    differences = [
        grid.difference("base", method, measure)
        for measure in ("segment_type", "event_type")
        for method in grid.methods
    ]
    above = [d for d in differences if d and d.mean > 0 and (seeds == 1 or d.low > 0)]
    assert len(grid.marked()) == len(above)
    assert above or seeds == 2  # or there was nothing to list


def test_a_grid_is_written_in_every_form(tmp_path):
    page = page_of_grid(grid_of())
    files = [*write_page(page, tmp_path, "grid"), *draw_grid(grid_of(), tmp_path / "grid")]
    assert {path.suffix for path in files} == {".md", ".csv", ".json", ".tex", ".png", ".svg"}
    lines = list(csv.DictReader(io.StringIO((tmp_path / "grid.csv").read_text())))
    (line,) = [
        x
        for x in lines
        if (x["recipe"], x["method"], x["measure"]) == ("ma", "other", "event_type")
    ]
    assert (line["mean"], line["difference_mean"]) == ("49.5000", "-2.5000")
    report = json.loads((tmp_path / "grid.json").read_text())
    assert report["rows"]["han"]["rows"][1]["measures"]["event_type"]["difference"]["mean"] == 12
    assert len(report["flagged"]["where"]) == 4
    assert "| ma | +0.0 [-1.0, 1.0] ! | -2.5 [-4.0, -1.0] ! |" in (tmp_path / "grid.md").read_text()
    assert r"\toprule recipe & clean & other" in (tmp_path / "grid.tex").read_text()


def test_names_are_what_they_are_in_every_form():
    block = Block("t", ("method",), ((r"a_b#1 & {c} | 5 % of $x^2~\d",), ("50 ± 1",)))
    row, mean = block_latex(block).splitlines()[4:6]
    assert row == (
        r"a\_b\#1 \& \{c\} | 5 \% of \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}d \\"
    )
    assert mean == r"50 $\pm$ 1 \\"
    assert r"| a_b#1 & {c} \| 5 % of $x^2~\d |" in block_markdown(block)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_keep_their_names_and_figures_whatever_the_terminal(monkeypatch, width):
    heads = ("", *VARIANTS.values())
    rows = tuple(
        (name, *("37.5",) * len(VARIANTS)) for name in ("han", "rlld-labelwise+supervised")
    )
    wide = Block("differences", ("", "one", "other"), (("han", *("+12.4 [1.4, 26.2]",) * 2),))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(OUT, "_width", width, raising=False)
    text = as_text(terminal([Block("ways", heads, rows), wide]))
    assert text.count("37.5") == 2 * len(VARIANTS)
    assert text.count("+12.4") == text.count("[1.4, 26.2]") == 2
    flat = "".join(text.split())
    assert "han" in flat and "labelwise" in flat


def test_intervals_stand_under_their_figures_before_a_table_is_cut(monkeypatch):
    heads = ("class", "videos", "han", "rlld", "difference", "rlld-best", "difference")
    row = ("Telephone_bell_ringing", "5", "57.8", "56.7", "-1.2 [-25.9, 20.8]", "69.5")
    block = Block("classes", heads, ((*row, "+11.7 [-2.0, 28.1]"),))
    monkeypatch.setattr(OUT, "_width", 80, raising=False)
    lines = as_text(terminal([block])).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if "-1.2" in line and "+11.7" in line]
    assert [line for line in lines if "[-25.9, 20.8]" in line and "[-2.0, 28.1]" in line]


def test_deviations_stand_under_their_figures_before_a_table_is_cut(monkeypatch):
    heads = ("labels", *("a -BCE",) * 5)
    block = Block("signal", heads, (("a tenth (10 %)", *("-105.537 (0.431)",) * 5),))
    monkeypatch.setattr(OUT, "_width", 80, raising=False)
    lines = as_text(terminal([block])).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.count("-105.537") for line in lines if "-105" in line] == [5]
    assert [line.count("(0.431)") for line in lines if "(0.4" in line] == [5]
    assert "a tenth (10" in "\n".join(lines)  # a name stays as it is


def test_printed_tables_lose_nothing_where_they_are_wider_than_the_terminal(monkeypatch, capsys):
    rows = (("Speech", *(f"{number}.5 [-28.1, 2.0]" for number in range(10, 20))),)
    block = Block("classes, heard", ("class", *("difference",) * 10), rows)
    monkeypatch.setattr(OUT, "_width", 80, raising=False)
    print_page(Page("", "", (block,), (), "", {}))
    shown = capsys.readouterr().out
    assert all(f"{number}.5" in shown for number in range(10, 20))
    assert shown == as_text(terminal([block])) + "\n"


def quick(tmp_path: Path, data: Path, **more: object) -> Settings:
    settings = Settings((data,), tmp_path / "out", seeds=1, updates=3, workers=1, device="cpu")
    return replace(settings, **more)


def test_every_recipe_of_the_grid_is_one():
    assert set(RECIPES) <= set(recipe_names())
    named = {load_recipe(name).network.name for name in recipe_names()}
    # peers are two networks of HAN's kind.
    assert {load_recipe(name).network.name for name in RECIPES} == named
    sources = {load_recipe(name).denoiser.name for name in RECIPES}
    every = {load_recipe(name).denoiser.name for name in recipe_names()}
    assert every - sources == {"reinforced", "constant", "truth"}


@pytest.mark.slow  # Seventy seconds: 72 trainings, some of large networks.
@pytest.mark.parametrize("name", RECIPES)
def test_every_row_of_the_grid_trains(name, tmp_path, tiny_data):
    grid = enhance(quick(tmp_path, tiny_data, updates=2), [name])
    assert grid.comparisons[name].failures == []
    assert grid.methods == [OWN, *LEARNERS]


def test_learners_go_on_top_of_recipes(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(enhancing, "LEARNERS", ("rlld",))
    settings = quick(tmp_path, tiny_data, seeds=2)
    grid = enhance(settings, ["han", "valor"])
    assert list(grid.comparisons) == ["han", "valor"]
    assert grid.methods == [OWN, "rlld"]
    for name, each in grid.comparisons.items():
        assert each.failures == []
        own, taught = each.rows
        gap = taught.estimate("event_type").mean - own.estimate("event_type").mean
        assert grid.difference(name, "rlld", "event_type").mean == pytest.approx(gap)
        assert own.runs == taught.runs == 2
        assert f"rlld train {name} " in taught.commands[0]
        assert "--denoiser reinforced" in taught.commands[0]
        assert "--denoiser" not in own.commands[0]
    assert "--denoiser.source valor" in grid.comparisons["valor"].rows[1].commands[0]
    assert grid.command.endswith("--selection segment_type+event_type --recipes han,valor")
    runs = set((tmp_path / "out" / "runs").glob("*/scores.json"))
    assert enhance(settings, ["han", "valor"]).comparisons == grid.comparisons
    assert set((tmp_path / "out" / "runs").glob("*/scores.json")) == runs


def test_the_page_says_who_teaches(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(enhancing, "LEARNERS", ("rlld",))
    for selection, share in (("last", "all"), ("segment_type", "two thirds of the")):
        grid = enhance(quick(tmp_path, tiny_data), ["han"], selection=selection)
        assert f"Policies are taught by {share} annotated videos" in grid.notes[-1]


@pytest.fixture
def few(monkeypatch):
    """Puts cells of few videos in the place of the grid's."""
    base = Cell(24, 6)
    cells = {
        "annotated": {"0 annotated": replace(base, annotated=0)},
        "classes": {"3 classes": replace(base, conditions=Conditions(classes=3))},
    }
    monkeypatch.setattr(regimes_module, "BASE", base)
    monkeypatch.setattr(regimes_module, "AXES", cells)
    monkeypatch.setattr(regimes_module, "TEST_VIDEOS", 10)


def test_regimes_differ_in_their_data_alone(tmp_path, few):
    settings = quick(tmp_path, tmp_path / "sims")
    choice = Choice(recipe="weak", simulations=(3, 4), axes=("annotated", "classes"))
    grid = regimes(settings, choice)
    assert list(grid.comparisons) == ["base", "0 annotated", "3 classes"]
    assert grid.methods == ["bare tags", "han", "weak", "constant", "weak, tags known"]
    assert grid.row("0 annotated", "constant") is None
    for name, each in grid.comparisons.items():
        assert each.failures == [], name
        assert len(each.data) == 2
        assert grid.row(name, "weak").runs == 2
        assert each.terms.updates == 3 and each.terms.selection is None
        assert grid.difference(name, "han", "segment_type").runs == 2
        # Like with like: who knows the tags is compared with who knows them.
        bare, known, unknown = (
            grid.row(name, method).estimate("segment_type").mean
            for method in ("bare tags", "weak, tags known", "weak")
        )
        found = grid.difference(name, "bare tags", "segment_type").mean
        assert found == pytest.approx(bare - known, rel=1e-12, abs=1e-12)
        assert grid.difference(name, "weak, tags known", "segment_type") is None
        assert known != unknown
    datas = [load_data(Path(folder)) for each in grid.comparisons.values() for folder in each.data]
    assert [len(data.train) for data in datas] == [24] * 6
    assert [len(data.steering) for data in datas] == [6, 6, 0, 0, 6, 6]
    assert [len(data.spec.classes) for data in datas] == [25] * 4 + [3] * 2
    assert "--fit true" in grid.row("base", "han").commands[0]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert regimes(settings, choice).comparisons == grid.comparisons
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}


def test_all_methods_of_a_cell_are_trained_alike(tmp_path, monkeypatch, few):
    jobs = []
    monkeypatch.setattr(regimes_module, "run_all", lambda found, *_: jobs.extend(found) or [])
    choice = Choice(simulations=(3,), axes=())
    with monkeypatch.context() as patch:
        patch.setattr(regimes_module, "rows_of", lambda _: [])
        regimes(quick(tmp_path, tmp_path / "sims", updates=None), choice)
    assert [job.method for job in jobs] == ["han", "weak", "constant", "rlld-best"]
    # What dataset.yaml asks for, and what six annotated videos can do: teach, not choose.
    assert {job.recipe.schedule.updates for job in jobs} == {300}
    assert {job.recipe.selection.score for job in jobs} == {"last"}
    assert {job.recipe.selection.reward_share for job in jobs} == {1.0}


def test_the_grid_is_what_its_page_promises():
    cells = Choice().cells
    assert len(cells) == 1 + sum(map(len, AXES.values())) == 15
    assert {cell.videos for cell in cells.values()} == {100, 300, 1000, 10_000}
    assert {cell.annotated for cell in cells.values()} == {0, 10, 50, 649}
    assert {cell.conditions.classes for cell in cells.values()} == {3, 25, 100}
    assert len({cell.conditions.noise for cell in cells.values()}) == 5
    assert len({cell.folder("compact", 0) for cell in cells.values()}) == 15
    for title, cell in cells.items():
        differing = [
            cell.videos != BASE.videos,
            cell.annotated != BASE.annotated,
            cell.conditions != BASE.conditions,
        ]
        assert sum(differing) == (title != "base")


def test_a_wrong_choice_is_refused(tmp_path):
    with pytest.raises(RlldError, match="unknown axis 'nois'; did you mean 'noise'"):
        Choice(axes=("nois",))
    with pytest.raises(RlldError, match="--simulations names no seed"):
        Choice(simulations=())
    settings = quick(tmp_path, tmp_path / "sims")
    with pytest.raises(RlldError, match="--data: expected one folder"):
        regimes(replace(settings, data=(tmp_path, tmp_path)))
    with pytest.raises(RlldError, match="unknown recipe"):
        regimes(settings, Choice(recipe="rlld-bst"))
    assert not (tmp_path / "sims").exists()
