"""The verbs of the benchmarks: once right, once wrong."""

from __future__ import annotations

import csv
import json
import shutil

import pytest

from rlld.cli._bench import AnnotationsArgs
from rlld.cli.bench import worth_of_annotations
from rlld.errors import RlldError

QUICK = ("--updates", "4", "--device", "cpu", "--workers", "1")


@pytest.fixture(scope="module")
def table(tiny_data, fresh, tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    options = ("--seeds", "2", "--recipes", "weak,constant,rlld", *QUICK)
    result = fresh("bench", "denoising", "--data", tiny_data, "--out", out, *options)
    assert result.returncode == 0, result.stderr
    return out, result


def test_denoising_prints_and_writes_the_table(table):
    out, result = table
    assert "4 updates" in result.stdout
    assert "segment_type+event_type" in result.stdout
    assert "bare tags" in result.stdout
    report = json.loads((out / "denoising.json").read_text())
    rows = {row["method"]: row for row in report["rows"]}
    assert list(rows) == ["bare tags", "weak", "constant", "rlld"]
    assert rows["rlld"]["published"]["scores"]["segment_type"] == 61.5
    for row in rows.values():
        values = row["measures"]["event_type"]
        runs = [run["value"] for run in values["by_run"]]
        assert values["mean"] == pytest.approx(sum(runs) / 2)
    found = rows["constant"]["measures"]["segment_type"]
    base = rows["weak"]["measures"]["segment_type"]
    assert found["difference"]["mean"] == pytest.approx(found["mean"] - base["mean"])
    assert "visual_f1" in rows["constant"]["measures"]
    lines = list(csv.DictReader((out / "denoising.csv").open()))
    line = next(x for x in lines if (x["method"], x["measure"]) == ("constant", "segment_type"))
    assert float(line["mean"]) == pytest.approx(found["mean"], abs=1e-4)
    text = (out / "denoising.md").read_text()
    assert f"| {found['mean']:.1f} ± {found['sd']:.1f} |" in text
    assert "rlld train constant" in text
    assert r"\toprule" in (out / "denoising.tex").read_text()


def test_a_second_call_finds_every_run(table, tiny_data, run_cli):
    out, first = table
    options = ("--seeds", "2", "--recipes", "weak,constant,rlld", *QUICK)
    result = run_cli("bench", "denoising", "--data", tiny_data, "--out", out, *options)
    assert "6 of 6 runs are in the cache" in result.stderr
    assert result.stdout == first.stdout


def test_a_failed_row_is_told_after_the_table(tiny_data, run_cli, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(tiny_data, data)
    spec = data / "dataset.yaml"
    text = spec.read_text().replace("truth_audio.csv", "''").replace("truth_visual.csv", "''")
    spec.write_text(text)
    options = ("--seeds", "1", "--recipes", "weak,true-labels", *QUICK)
    result = run_cli("bench", "denoising", "--data", data, "--out", tmp_path / "out", *options)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "rlld: 1 runs failed" in result.stderr
    assert "not known" in result.stderr
    assert (tmp_path / "out" / "denoising.md").is_file()
    assert "weak" in result.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--recipes", "weak,rlldd", *QUICK), "did you mean 'rlld'"),
        (("--recipes", "weak"), "give --updates"),
    ],
)
def test_denoising_refuses(tiny_data, run_cli, fails_with, tmp_path, options, words):
    out = tmp_path / "out"
    fails_with(run_cli("bench", "denoising", "--data", tiny_data, "--out", out, *options), words)
    assert not out.exists()


def test_enhance_shows_its_table_and_figure(tiny_data, run_cli, tmp_path):
    options = ("--seeds", "1", "--recipes", "weak", *QUICK)
    result = run_cli("bench", "enhance", "--data", tiny_data, "--out", tmp_path, *options)
    assert result.returncode == 0, result.stderr
    assert "own labels" in result.stdout
    assert f"drawn: {tmp_path / 'enhance.png'}" in result.stdout
    report = json.loads((tmp_path / "enhance.json").read_text())
    assert [row["method"] for row in report["rows"]["weak"]["rows"]] == [
        "own labels",
        "rlld",
        "rlld-labelwise",
    ]


def test_regimes_refuse_what_they_cannot_make(tmp_path, run_cli, fails_with):
    folders, out = (tmp_path / "a", tmp_path / "b"), tmp_path / "out"
    result = run_cli("bench", "regimes", "--data", *folders, "--out", out)
    fails_with(result, "--data: expected one folder")
    result = run_cli("bench", "regimes", "--data", folders[0], "--out", out, "--axes", "x")
    fails_with(result, "unknown axis 'x'")
    assert not list(tmp_path.iterdir())


def test_suggest_names_questions_and_writes_them(table, fresh, run_cli, tmp_path):
    runs = (path.parent for path in table[0].glob("runs/*/config.json"))
    run = next(r for r in runs if '"name": "rlld"' in (r / "config.json").read_text())
    file = tmp_path / "next.csv"
    result = fresh("suggest", run, "--count", "3", "--out", file)
    assert result.returncode == 0, result.stderr
    lines = file.read_text().splitlines()
    assert len(lines) == 4
    assert all(line.split("\t")[0] in result.stdout for line in lines[1:])
    assert "3 questions; written" in result.stdout
    assert "Open: " in result.stdout
    doubted = run_cli("suggest", run, "--count", "3", "--out", file, "--by", "doubt")
    assert "finds wrong tags" in doubted.stdout


def test_suggest_refuses(table, tiny_data, run_cli, fails_with, tmp_path):
    runs = [path.parent for path in table[0].glob("runs/*/config.json")]
    weak = next(
        r
        for r in runs
        if '"name": "reinforced"' not in (r / "config.json").read_text()
        and '"name": "constant"' not in (r / "config.json").read_text()
    )
    doubted = run_cli("suggest", weak, "--by", "doubt")
    fails_with(doubted, "--by doubt needs a run whose denoiser learns")
    fails_with(run_cli("suggest", tmp_path), "no run folder")
    fails_with(run_cli("suggest"), "name a run or a data set")
    annotated = run_cli("suggest", weak, "--split", "validation")
    fails_with(annotated, "every tag of its validation videos is answered or annotated")


def test_tags_alone_say_what_to_ask(tiny_data, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sheet = tmp_path / "sheet.csv"
    options = ("--count", "4", "--answers", sheet)
    result = run_cli("suggest", "--data", tiny_data, *options)
    assert result.returncode == 0, result.stderr
    assert len(sheet.read_text().splitlines()) == 9
    assert (tmp_path / "suggest-train.csv").is_file()
    other = run_cli("suggest", "--data", tiny_data, *options, "--by", "sample", "--seed", "1")
    assert other.returncode == 0, other.stderr


def test_annotations_refuses(tiny_data, run_cli, fails_with, tmp_path):
    paths = ("--data", tiny_data, "--out", tmp_path / "out")
    fails_with(run_cli("bench", "annotations", *paths, "--priors", "Bel=0.5", *QUICK), "'Bell'")
    for wrong, words in (
        ({"counts": "5,x"}, "--counts"),
        ({"counts": "-5,10", "updates": 4}, "--counts"),
        ({"priors": "Bell=2"}, "--priors"),
        ({"priors": "Bell"}, "--priors"),
    ):
        with pytest.raises(RlldError, match=words):
            out = tmp_path / "out"
            worth_of_annotations(AnnotationsArgs(data=(tiny_data,), out=out, **wrong))
    assert not (tmp_path / "out").exists()


def test_the_verb_measures_what_it_is_given(run_cli, fails_with, tmp_path):
    file, out = tmp_path / "vggsounder.csv", tmp_path / "out"
    file.write_text("video_id,label,modality\na,dog barking,A\nb,dog barking,AV\nc,owl hooting,V\n")
    result = run_cli("bench", "rates", "--vggsounder", file, "--out", out)
    assert result.returncode == 0, result.stderr
    data = json.loads((out / "rates.json").read_text())
    rows = list(csv.DictReader((out / "rates.csv").open()))
    assert len(rows) == len(data["figures"]) == 2 * 9
    keep = next(row for row in rows if (row["modality"], row["way"]) == ("visual", "keep all"))
    assert float(keep["wrong"]) == pytest.approx(100 / 3, abs=1e-3)
    assert data["command"] in (out / "rates.md").read_text()
    assert r"\% wrong" in (out / "rates.tex").read_text()
    assert "one rate for all is the true mean" in result.stdout
    fails_with(run_cli("bench", "rates", "--out", out), "give --lfav, --llp or --vggsounder")
