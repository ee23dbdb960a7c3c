"""Score files, in the package that draws curves from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from parse_kit import make_parse
from rlld.errors import RlldError
from rlld.export import event_formats, sed_scores_events


def test_the_package_reads_them(tmp_path: Path) -> None:
    pytest.importorskip("sed_scores_eval")
    from sed_scores_eval.base_modules.io import read_sed_scores

    parse = make_parse(duration=9.5)
    (tmp_path / "clip.tsv").write_text(sed_scores_events.dumps(parse))
    (tmp_path / "odd.tsv").write_text(sed_scores_events.dumps(make_parse('ä "q".mp4')))
    found = read_sed_scores(tmp_path)
    scores = found["clip"]
    columns = [f"{track}: {name}" for track in ("audio", "visual") for name in parse.classes]
    assert list(scores.columns) == ["onset", "offset", *columns]
    assert scores["onset"].tolist() == [float(n) for n in range(10)]
    assert scores["offset"].tolist() == [float(n) for n in range(1, 11)]
    for name, column in enumerate(parse.classes):
        for m, track in enumerate(("audio", "visual")):
            expected = [segment[m][name] for segment in parse.probabilities]
            assert scores[f"{track}: {column}"].tolist() == expected


def test_curves_of_a_perfect_parse_are_perfect(tmp_path: Path) -> None:
    pytest.importorskip("sed_scores_eval")
    from sed_scores_eval import segment_based

    parse = make_parse()
    (tmp_path / "clip.tsv").write_text(sed_scores_events.dumps(parse))
    dog = f"audio: {parse.classes[1]}"
    columns = [f"{track}: {name}" for track in ("audio", "visual") for name in parse.classes]
    others = [(0.0, 1.0, column) for column in columns if column != dog]
    truth = {"clip": [(2.0, 5.0, dog), *others]}
    best = segment_based.best_fscore(tmp_path, truth, {"clip": 10.0}, segment_length=1.0)
    assert best[0][dog] == 1.0
    assert best[0][f"audio: {parse.classes[0]}"] < 1.0


def test_without_probabilities_there_is_nothing_to_write() -> None:
    with pytest.raises(RlldError, match=r"clip\.mp4: has no probabilities"):
        sed_scores_events.dumps(replace(make_parse(), probabilities=()))


def test_they_bring_no_events_back() -> None:
    assert "sed_scores" not in event_formats()
    with pytest.raises(RlldError, match=r"x\.tsv: sed_scores writes probabilities"):
        sed_scores_events.loads(sed_scores_events.dumps(make_parse()), "x.tsv")
