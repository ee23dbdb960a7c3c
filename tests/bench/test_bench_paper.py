"""The tables and figures of the paper: rows, printed numbers, terms and files."""

from __future__ import annotations

import csv
import json
from itertools import chain

import pytest

from cli_kit import called
from rlld.bench.comparison import published_scores
from rlld.bench.page import write_page
from rlld.bench.studies.denoisers import Settings
from rlld.bench.studies.paper import (
    BESIDE,
    CLEANED,
    FIGURES,
    PRINTED,
    TABLES,
    draw_figure,
    draw_table,
    figure,
    table,
)
from rlld.bench.studies.published import printed
from rlld.bench.tables import page_of
from rlld.errors import RlldError
from rlld.metrics.scores import NAMES
from rlld.recipes.recipe import load_recipe, recipe_names


def test_every_row_is_a_recipe_and_every_printed_row_has_its_numbers():
    named = chain.from_iterable(sheet.recipes for sheet in TABLES.values())
    assert set(named) <= set(recipe_names())
    assert {name for pair in FIGURES.values() for name in (pair.alone, pair.cleaned)} <= set(
        PRINTED
    )
    assert {*PRINTED, *TABLES[2].recipes} <= published_scores().keys()


@pytest.mark.parametrize("level", ["segment", "event"])
def test_printed_types_are_means_or_marked(level):
    for row in printed():
        name, known = row.method, row.scores
        parts = [known.scores[f"{level}_{kind}"] for kind in ("audio", "visual", "audio_visual")]
        wrong = abs(sum(parts) / 3 - known.scores[f"{level}_type"]) > 0.105
        assert wrong == any(score.startswith(level) for score in known.errors), name


def test_what_is_published_stands_with_its_source_and_says_what_is_missing(tmp_path):
    done = called("bench", "published", "--out", tmp_path)
    # Twice whole on a terminal: with its scores, and with its source and what is here of it.
    assert done.stdout.count("PPL (2024) ") == 2 and "not implemented: no code" in done.stdout
    rows = list(csv.DictReader((tmp_path / "published.csv").open()))
    assert len(rows) == len({row["method"] for row in rows}) == len(printed())
    assert all(row["source"] and row["here"] for row in rows)
    by_name = {row["method"]: row for row in rows}
    assert by_name["uwav"]["segment_type"] == "65.9"
    assert by_name["PPL (2024)"]["event_type"] == "59.9*"
    recipes = {row["method"] for row in rows if row["here"] == "recipe"}
    assert recipes == published_scores().keys() <= set(recipe_names())
    text = (tmp_path / "published.md").read_text()
    assert text.index("| uwav") < text.index("| cmpae") < text.index("With other features")


def test_a_table_is_written_in_every_form(tiny_data, tmp_path):
    settings = Settings((tiny_data,), tmp_path, seeds=1, updates=2, workers=1)
    made = table(1, settings, ["han", "ma"], baseline="han")
    assert [row.method for row in made.rows] == ["han", "ma"]
    assert made.failures == []
    files = [*write_page(page_of(made), tmp_path, "table1"), *draw_table(made, tmp_path / "table1")]
    assert {path.suffix for path in files} == {".md", ".csv", ".json", ".tex", ".png", ".svg"}
    text = (tmp_path / "table1.md").read_text()
    assert "57.4*" in text
    assert "only 54.4 gives the Type of 50.8" in text
    assert "--recipes han,ma --data" in text
    report = json.loads((tmp_path / "table1.json").read_text())
    # What is heard or seen alone has columns in every form.
    for form in (text, (tmp_path / "table1.tex").read_text()):
        assert all(f"{level} {track} only" in form for level in ("seg", "ev") for track in "AV")
    alone = {f"exclusive_{name}" for name in NAMES}
    assert all(alone <= row["measures"].keys() for row in report["rows"])
    with (tmp_path / "table1.csv").open() as file:
        sheet = {(row["method"], row["measure"]) for row in csv.DictReader(file)}
    assert {(name, measure) for name in ("han", "ma") for measure in alone} <= sheet
    assert report["rows"][1]["published"]["errors"].keys() == {"event_visual"}
    again = table(1, settings, ["han", "ma"], baseline="han")
    assert again == made


def test_rows_under_the_learner_are_the_systems_with_its_policy_on_top(
    tiny_data, tmp_path, monkeypatch
):
    jobs = []
    monkeypatch.setattr(
        "rlld.bench.studies.denoisers.run_all", lambda found, *_: jobs.extend(found) or []
    )
    settings = Settings((tiny_data,), tmp_path, seeds=1, updates=2)
    table(1, settings)
    planned = {job.method: job.recipe for job in jobs}
    assert list(planned) == [
        *PRINTED,
        *BESIDE,
        *(f"{name} under rlld-labelwise" for name in CLEANED),
    ]
    for name in CLEANED:
        under = planned[f"{name} under rlld-labelwise"]
        assert under.network == planned[name].network
        assert under.schedule == planned[name].schedule
        assert under.denoiser.config.credit == "labelwise"
    sources = [planned[f"{name} under rlld-labelwise"].denoiser.config.source for name in CLEANED]
    assert [source and source["name"] for source in sources] == [None, "valor", "jomold"]
    # Rows that are named are all.
    jobs.clear()
    table(1, settings, ["cpsp"])
    assert {job.method for job in jobs} == {"cpsp"}


def test_own_terms_leave_every_recipe_its_length_and_selection(tiny_data, tmp_path, monkeypatch):
    jobs = []
    monkeypatch.setattr(
        "rlld.bench.studies.denoisers.run_all", lambda found, *_: jobs.extend(found) or []
    )
    made = table(1, Settings((tiny_data,), tmp_path), ["han", "jomold"], conditions="own")
    for job in jobs:
        published = load_recipe(job.method)
        assert job.recipe.selection == published.selection
        assert job.recipe.schedule.rounds == published.schedule.rounds
    assert "as published" in str(made.terms)
    with pytest.raises(RlldError, match="drop --updates"):
        table(1, Settings((tiny_data,), tmp_path, updates=3), ["han"], conditions="own")
    with pytest.raises(RlldError, match="--baseline 'weak' is no row"):
        table(1, Settings((tiny_data,), tmp_path), ["han"], conditions="own", baseline="weak")


def test_a_figure_compares_a_system_with_itself_under_rlld(tiny_data, tmp_path):
    settings = Settings((tiny_data,), tmp_path, seeds=1, updates=2, workers=1)
    made = figure(5, settings)
    assert [row.method for row in made.rows] == ["cpsp", "cpsp+rlld"]
    files = draw_figure(5, made, tmp_path / "figure5")
    assert [path.name for path in files] == ["figure5.png", "figure5.svg"]
