"""The Python face: what it returns is what the verbs print and write."""

from __future__ import annotations

import subprocess
import sys
from html import unescape

import pytest

import rlld
from cli_kit import called
from rlld.utils.compute import Compute
from tiny import quick_labelwise

CPU = Compute(device="cpu", threads=1)


@pytest.fixture(scope="module")
def run(tiny_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("face") / "run"
    return quick_labelwise(tiny_data, out)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_audit_prints_and_writes_what_the_verb_does(run, tmp_path, monkeypatch, split):
    monkeypatch.setenv("COLUMNS", "200")
    sheet, report = tmp_path / "verb.csv", tmp_path / "verb"
    verb = called("denoise", run.path, "--split", split, "--out", sheet, "--report", report)
    audit = rlld.denoise(str(run.path), split, compute=CPU)
    audit.to_csv(tmp_path / "face.csv")
    written = audit.report(str(tmp_path / "face"))
    said = [f"written: {sheet}", *(f"written: {report / path.name}" for path in written)]
    assert verb.stdout == "\n".join([str(audit), *said]) + "\n"
    assert (tmp_path / "face.csv").read_bytes() == sheet.read_bytes()
    assert {path.name for path in written} == {path.name for path in report.iterdir()}
    for name in ("report.json", "report.md", "report.html"):
        assert (tmp_path / "face" / name).read_bytes() == (report / name).read_bytes()


def test_an_audit_knows_every_label(run):
    audit = rlld.denoise(run)
    assert len(audit.verdicts) == audit.measured.audio.removal.labels * 2
    assert [each.verdict.keep for each in audit.suspects(5)] == sorted(
        row.keep for row in audit.verdicts
    )[:5]
    assert audit.facts["run"] == str(run.path)
    assert repr(audit) == f"<LabelAudit of {run.path}: {str(audit).splitlines()[0]}>"
    shown = audit._repr_html_()
    assert unescape(shown.removeprefix("<pre>").removesuffix("</pre>")) == str(audit)


def test_a_report_of_one_page_is_that_of_the_folder(run, tmp_path):
    audit = rlld.denoise(run)
    assert audit.report(tmp_path / "page.html") == [tmp_path / "page.html"]
    audit.report(tmp_path / "all")
    page = (tmp_path / "all" / "report.html").read_bytes()
    assert (tmp_path / "page.html").read_bytes() == page


def test_suggestions_print_and_write_what_the_verb_does(run, tmp_path):
    listed, asked = tmp_path / "verb.csv", tmp_path / "verb-sheet.csv"
    verb = called("suggest", run.path, "--count", 5, "--out", listed, "--answers", asked)
    found = rlld.suggest(run, 5)
    found.to_csv(tmp_path / "face.csv")
    found.to_sheet(str(tmp_path / "face-sheet.csv"))
    end = [f"to fill in: {asked}", f"5 questions; written: {listed}"]
    assert verb.stdout.splitlines() == [*str(found).splitlines(), *end]
    assert (tmp_path / "face.csv").read_bytes() == listed.read_bytes()
    assert (tmp_path / "face-sheet.csv").read_bytes() == asked.read_bytes()
    assert len(found) == 5 and [each.video for each in found] == [
        line.split("\t")[0] for line in listed.read_text().splitlines()[1:]
    ]
    assert repr(found) == "<5 questions>"


def test_what_cannot_be_judged_is_refused_as_the_verb_does(run, tiny_data, tmp_path):
    han = rlld.train(
        "han", tiny_data, tmp_path / "han", compute=CPU, overrides={"schedule.rounds": 1}
    )
    with pytest.raises(rlld.RlldError, match="no keep probabilities"):
        rlld.denoise(han)
    with pytest.raises(rlld.RlldError, match="count must be 1 or more"):
        rlld.suggest(run, 0)
    with pytest.raises(rlld.RlldError, match="expected train or validation, found 'test'"):
        rlld.suggest(run, 5, "test")


def test_what_is_no_name_is_refused_beside_the_names_that_are(run, tiny_data):
    """A loaded data set in the place of the split was 'not subscriptable'."""
    with pytest.raises(rlld.RlldError, match=r"unknown split <.*DataSet.*>; known: test, train"):
        rlld.evaluate(run, rlld.load_data(tiny_data))
    with pytest.raises(rlld.RlldError, match="unknown class 3; known: "):
        run.spec.taxonomy.index(3)


def test_every_name_of_the_face_is_there_and_costs_nothing_before():
    program = (
        "import sys, rlld; assert 'torch' not in sys.modules and 'numpy' not in sys.modules; "
        "print(sorted(name for name in rlld.__all__ if callable(getattr(rlld, name))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(sorted(rlld.__all__)), done.stderr
    assert {"denoise", "suggest", "load_data", "load_run", "train", "evaluate", "parse"} < set(
        rlld.__all__
    )
