"""Predictions of others as rows of a table: scored as the runs are, and refused before these."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli_kit import called
from rlld.bench.foreign import foreign_rows
from rlld.bench.keys import dataset_fingerprint
from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.evaluation.baselines import NOTHING, baseline_maps
from rlld.metrics.averages import VARIANT_NAMES, every_score
from rlld.metrics.scores import NAMES

HEADER = "filename\tonset\toffset\tevent_label\tmodality\n"


@pytest.fixture
def perfect(tiny_data, tmp_path) -> Path:
    """The dense annotation of the data set, as somebody else would predict it."""
    lines = []
    for modality in ("audio", "visual"):
        rows = (tiny_data / "annotations" / f"{modality}.csv").read_text().splitlines()[1:]
        for row in rows:
            video, onset, offset, label = row.split("\t")
            lines.append("\t".join((video, onset, offset, label, modality)))
    file = tmp_path / "perfect.tsv"
    file.write_text(HEADER + "\n".join(lines) + "\n")
    return file


def test_a_row_has_its_scores_for_every_seed(tiny_data, tmp_path, perfect):
    silent = tmp_path / "silent.tsv"
    silent.write_text(f"{HEADER}test_003\t\t\t\t\n")
    given = (f"paper={perfect}", f"silent={silent}")
    rows, notes = foreign_rows(given, (tiny_data,), range(3), ["han"])
    assert [(row.method, row.runs) for row in rows] == [("paper", 0), ("silent", 0)]
    pairs = [(dataset_fingerprint(tiny_data), seed) for seed in range(3)]
    assert rows[0].values.keys() == {*NAMES, *VARIANT_NAMES}
    assert all(values == dict.fromkeys(pairs, 100.0) for values in rows[0].values.values())
    test = load_data(tiny_data).test
    wanted = every_score(baseline_maps(test)[NOTHING], test.require_dense())
    assert {name: values[pairs[0]] for name, values in rows[1].values.items()} == wanted
    assert notes[0] == f"paper: predictions in {perfect}, not trained here."
    assert "if it was told the tags" in notes[1]  # as who has the true events is
    assert "names 1 of the 12 test videos" in notes[3]


def test_a_table_takes_them(tiny_data, tmp_path, perfect):
    out, options = tmp_path / "out", ("--seeds", 1, "--updates", 2, "--workers", 1)
    words = ("--data", tiny_data, "--out", out, *options, "--foreign", f"their paper={perfect}")
    more = ("--recipes", "weak", "--device", "cpu")
    done = called("bench", "denoising", *words, *more)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "denoising.json").read_text())
    assert [row["method"] for row in report["rows"]] == ["bare tags", "their paper", "weak"]
    row = report["rows"][1]["measures"]["event_type"]
    assert row["mean"] == 100 and row["difference"]["mean"] > 0
    assert f"--foreign 'their paper={perfect}'" in report["command"]
    done = called("bench", "table", 1, *words, *more)
    assert done.returncode == 0, done.stderr
    assert "their paper" in (out / "table1.md").read_text()
    for name, stem in ((["denoising"], "denoising"), (["table", 1], "table1")):
        done = called("bench", *name, *words, *more, "--baseline", "their paper")
        assert done.returncode == 0, done.stderr
        assert "difference to their paper" in (out / f"{stem}.md").read_text()
        done = called("bench", *name, *words, *more, "--baseline", "their papr")
        assert "did you mean 'their paper'" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["perfect.tsv"], "expected NAME=PATH, found 'perfect.tsv'"),
        (["=p"], "expected NAME=PATH"),
        (["weak=p.tsv"], "a row is called 'weak' already"),
        (["paper=nowhere.tsv"], "nowhere.tsv: no such file or folder"),
    ],
)
def test_wrong_ones_are_refused_before_anything_runs(tiny_data, tmp_path, words, told):
    out = tmp_path / "out"
    common = ("--seeds", 1, "--updates", 2, "--recipes", "weak")
    for name in (["denoising"], ["table", 1]):
        arguments = (*name, "--data", tiny_data, "--out", out, *common, "--foreign", *words)
        done = called("bench", *arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert told in done.stderr and not out.exists()


def test_they_are_of_one_data_set(tiny_data, tmp_path, perfect):
    other = shutil.copytree(tiny_data, tmp_path / "other")
    with pytest.raises(RlldError, match="--data names 2"):
        foreign_rows([f"paper={perfect}"], (tiny_data, other), range(1), [])
