"""The learning curve with a learner that takes a moment."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rlld.bench.comparison import MethodRow
from rlld.bench.jobs import common_terms
from rlld.bench.runs import run_all
from rlld.bench.studies import annotations, answers
from rlld.bench.studies.annotations import Point, learning_curves
from rlld.bench.studies.denoisers import Settings
from rlld.data.answers import Answer, write_answers
from rlld.data.spec import Priors
from rlld.errors import RlldError
from rlld.evaluation.questions import pool_of
from rlld.recipes.recipe import RECIPES
from tiny import make_tiny


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
    lines = ("han", "weak", "priors", str(path), *annotations.BASELINES)
    monkeypatch.setattr(annotations, "LINES", lines)
    monkeypatch.setattr(answers, "LEARNER", str(path))
    return str(path)


def test_every_line_has_its_points(tiny_data, tmp_path, quick):
    settings = Settings((tiny_data,), tmp_path / "out", seeds=1, updates=3, workers=1, device="cpu")
    priors = Priors(visual={"Bell": 0.5})
    table, figures = learning_curves(settings, counts=(0, 4, 8, 400), priors=priors)
    assert table.failures == []
    rows = {row.method: row for row in table.rows}
    points = {(quick, n) for n in (0, 4, 8, 20)}
    points |= {(line, n) for line in ("supervised", "constant") for n in (4, 8, 20)}
    assert set(rows) == {Point(*p).title for p in points | {("han", 0), ("weak", 0), ("priors", 0)}}
    assert table.terms.selection == "last"
    assert table.notes[-1].startswith("priors: ")
    assert table.command.endswith("--counts 0,4,8,400 --priors Bell=0.5")
    assert sorted(path.suffix for path in figures) == [".png", ".png", ".svg", ".svg"]
    assert all(path.stat().st_size for path in figures)
    (command,) = rows["priors 0"].commands
    assert command.endswith('# dataset.yaml with priors: {"audio": {}, "visual": {"Bell": 0.5}}')
    curve = annotations.curve_of("constant", table.rows, "event_type")
    assert curve.x == [0, 4, 8, 20]
    assert curve.mean[0] == rows["weak 0"].estimate("event_type").mean


@pytest.fixture
def answered(tmp_path) -> Path:
    """A data set of which every tag is answered, and of its validation videos as well."""
    folder = make_tiny(tmp_path / "answered")
    pool = pool_of(folder)
    rows = answers._random(pool, answers._truth(folder), [10**6], 0)[10**6]
    rows.append(Answer("validation_000", "Bell", "audio", True))
    write_answers(folder / "annotations" / "answers.csv", rows)
    spec = folder / "dataset.yaml"
    spec.write_text(spec.read_text().replace("answers: ''", "answers: answers.csv"))
    assert (pool_of(folder).known[pool.tags[:, None].repeat(2, 1)] >= 0).all()
    return folder


def test_points_know_none_of_the_answers_of_the_data_set(tiny_data, answered, tmp_path, quick):
    def curves(data: Path, out: str) -> dict[str, MethodRow]:
        settings = Settings((data,), tmp_path / out, seeds=1, updates=3, workers=1, device="cpu")
        table, _ = learning_curves(settings, counts=(0, 4))
        assert table.failures == []
        assert not any("priors" in note for note in table.notes)  # of which there is no row
        return {row.method: row for row in table.rows}

    bare, own = curves(tiny_data, "bare"), curves(answered, "own")
    scores = [[[*v.values()] for v in row.values.values()] for row in bare.values()]
    assert scores == [[[*v.values()] for v in row.values.values()] for row in own.values()]
    for title, row in own.items():
        assert "# without the answers of the data set" in row.commands[0], title
        assert "#" not in bare[title].commands[0] or title == f"{quick} 0"


def test_questions_are_drawn_as_if_nobody_had_answered(tiny_data, answered, tmp_path, quick):
    def planned(data: Path, out: str) -> dict[str, int]:
        settings = Settings((data,), tmp_path / out, seeds=1, updates=3, workers=1, device="cpu")
        terms = common_terms((data,), 3, "last")
        zero = answers._planned(settings, [Point(quick, 0)], terms)
        run_all(zero, settings.runs)
        before = {(job.data, job.seed): settings.runs / job.key for job in zero}
        ways = ("random", "sample", "question", "doubt")
        jobs = answers._with_answers(settings, ways, (4, 9, 400, 500), terms, before)
        return {job.method: job.answers for job in jobs}

    bare, own = planned(tiny_data, "bare"), planned(answered, "own")
    assert own == bare
    assert all(
        Point.of(title).videos == len(rows) or "sample" in title for title, rows in own.items()
    )
    # Every tag in both tracks: no row promises more answers than there are.
    most = 2 * int(pool_of(tiny_data).tags.sum())
    assert {Point.of(title).videos for title in own} == {4, 9, most}


@pytest.mark.slow
def test_every_way_of_asking_has_its_points(tiny_data, tmp_path, quick):
    out = tmp_path / "out"
    settings = Settings((tiny_data,), out, seeds=1, updates=3, workers=1, device="cpu")
    ways = ("random", "sample", "question", "doubt")
    table, figures = answers.worth_of_answers(settings, ways, (4, 9))
    assert table.failures == []
    rows = {row.method: row for row in table.rows}
    points = {(way, n) for way in ways for n in (4, 9)} | {("han", 0), ("weak", 0), (quick, 0)}
    assert set(rows) == {Point(*p).title for p in points}
    assert table.command.endswith("--select random,sample,question,doubt --counts 4,9")
    assert all(path.stat().st_size for path in figures)
    (command,) = rows["question 9"].commands
    assert command.endswith("# with 9 answers on training videos")
    # Nothing is trained again, and the same questions are drawn.
    before = sorted(path.name for path in (out / "runs").iterdir())
    again, _ = answers.worth_of_answers(settings, ways, (4, 9))
    assert {row.method: row.values for row in again.rows} == {m: r.values for m, r in rows.items()}
    assert sorted(path.name for path in (out / "runs").iterdir()) == before


def test_the_truth_answers_what_is_drawn(tiny_data):
    pool, truth = pool_of(tiny_data), answers._truth(tiny_data)
    for way in ("random", "sample", "question"):
        found = answers.WAYS[way](pool, truth, (4, 9, 40), 0)
        assert list(found) == [4, 9, 40]
        for count, rows in found.items():
            assert way == "sample" or len(rows) == count
            assert len({row.question for row in rows}) == len(rows) > 0
            for row in rows:
                place = pool.ids.index(row.video), ("audio", "visual").index(row.modality)
                assert row.present == truth[place][pool.spec.classes.index(row.label)]
                assert (row.probability is None) == (way == "random")
        if way != "sample":
            assert found[9][:4] == found[4]
    with pytest.raises(RlldError, match="did you mean 'question'"):
        answers.worth_of_answers(Settings((tiny_data,), Path("x")), ("questions",))
