"""Runs and predictions side by side: against a plain bootstrap, by hand, and refusals."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import rlld
from cli_kit import called
from rlld.comparing.compared import WAYS, judge
from rlld.comparing.sides import Side, named_sources
from rlld.data.dataset import load_split
from rlld.data.split import Split
from rlld.export import load_format
from rlld.media.listing import Listed, write_listing
from rlld.metrics import reference
from rlld.metrics.classwise import ROWS, classwise_f
from rlld.metrics.paired import Difference, resampled_videos
from rlld.metrics.scores import NAMES
from rlld.parsing.parse import parse
from rlld.utils.compute import Compute
from tiny import COUNTS, make_tiny

CPU = Compute(device="cpu", threads=1)
HEADER = "filename\tonset\toffset\tevent_label\tmodality\n"
SLOW = (
    reference.ten_scores,
    reference.exclusive_scores,
    reference.class_macro_scores,
    reference.micro_scores,
)


def side(name: str, maps: Tensor) -> Side:
    return Side(name, name, maps, {})


@pytest.fixture
def videos(tiny_data) -> Split:
    return load_split(tiny_data, "test")


@pytest.fixture
def guesses(videos) -> list[Tensor]:
    """The true maps with more or less of them wrong."""
    truth, generator = videos.require_dense(), torch.Generator().manual_seed(4)
    return [truth ^ (torch.rand(truth.shape, generator=generator) < share) for share in (0.1, 0.3)]


@pytest.fixture(scope="module")
def runs(tiny_data, tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("comparing")
    for name in ("han", "weak"):
        settings = {"schedule.rounds": 4}
        rlld.train(name, tiny_data, folder / name, compute=CPU, overrides=settings)
    return [folder / "han", folder / "weak"]


def test_scores_and_intervals_equal_those_of_a_plain_loop(videos, guesses, monkeypatch):
    """Every resample of the videos is scored anew by the slow reference."""
    few = np.concatenate(list(resampled_videos(len(videos), 25)))
    monkeypatch.setattr("rlld.comparing.compared.resampled_videos", lambda _: iter([few]))
    found = judge(videos, [side("a", guesses[0]), side("b", guesses[1])], "")
    truth = videos.require_dense().numpy()
    places = [np.repeat(np.arange(len(videos)), row.astype(int)) for row in few]
    for way, slow in zip(WAYS, SLOW, strict=True):
        own = [slow(maps.numpy(), truth) for maps in guesses]
        apart = [
            np.subtract(*(slow(maps.numpy()[rows], truth[rows]) for maps in reversed(guesses)))
            for rows in places
        ]
        low, high = np.quantile(apart, (0.025, 0.975), axis=0)
        for place, name in enumerate(NAMES):
            first, second = (each.scores[way][name] for each in found.judged)
            assert (first.value, first.difference) == (pytest.approx(own[0][place]), None)
            assert second.value == pytest.approx(own[1][place])
            ends = second.difference.value, second.difference.low, second.difference.high
            expected = own[1][place] - own[0][place], low[place], high[place]
            assert ends == pytest.approx(expected, abs=1e-9)


def test_classes_are_those_of_evaluate_and_unknown_where_nothing_is(videos, guesses):
    truth = videos.require_dense().clone()
    guess = [maps.clone() for maps in guesses]
    for maps in (truth, *guess):
        maps[..., 2] = False  # a class that nobody hears, sees or finds
    found = judge(replace(videos, dense=truth), [side("a", guess[0]), side("b", guess[1])], "")
    for maps, judged in zip(guess, found.judged, strict=True):
        for place, label in enumerate(videos.spec.classes):
            for row, name in enumerate(ROWS):
                value = judged.classes[label][name].value
                wanted = float(classwise_f(maps, truth)[row, place])
                assert value is None if place == 2 else value == pytest.approx(wanted)
    assert found.others[0].classes["Horse"]["audio"].difference is None


@pytest.mark.parametrize(("count", "told"), [(4, False), (5, True)])
def test_a_class_of_few_videos_has_no_difference(videos, guesses, count: int, told: bool):
    truth, guess = torch.zeros_like(videos.require_dense()), torch.zeros_like(guesses[0])
    truth[:count, :, 0, 0] = True
    guess[: count - 1, :, 0, 0] = True
    found = judge(
        replace(videos, dense=truth), [side("a", guess), side("b", torch.zeros_like(guess))], ""
    )
    figure = found.others[0].classes[videos.spec.classes[0]]["audio"]
    assert (figure.value, figure.difference is not None) == (0, told)


def test_a_side_beside_itself_differs_nowhere(videos, guesses):
    found = judge(videos, [side("a", guesses[0]), side("b", guesses[0].clone())], "")
    assert found.apart() == []
    for row in found.others[0].scores.values():
        for figure in row.values():
            assert figure.difference == Difference(0, 0, 0) and not figure.difference.clear


def test_where_sides_disagree_one_of_them_is_right_by_hand(videos):
    """Of video 3, one segment more is right and two are wrong; of video 5 one is right."""
    truth = torch.zeros_like(videos.require_dense())
    truth[3, 0, 0, 1] = truth[5, 0, 1, 0] = True
    nothing, other = torch.zeros_like(truth), truth.clone()
    other[3, 1:3, 0, 1] = True
    found = judge(replace(videos, dense=truth), [side("a", nothing), side("b", other)], "")
    apart = found.others[0].apart
    assert found.apart() == [3, 5]
    assert (apart.cells[3, 0, 1], apart.right[3, 0, 1]) == (3, 1)
    assert (apart.cells[5, 1, 0], apart.right[5, 1, 0]) == (1, 1)
    assert (int(apart.cells.sum()), int(apart.right.sum())) == (4, 2)


def test_resamples_hold_as_many_videos_and_always_the_same(monkeypatch):
    rows = np.concatenate(list(resampled_videos(7, 100)))
    assert rows.shape == (100, 7) and set(rows.sum(1)) == {7.0}
    assert 0.5 < rows.std() < 1.5  # a binomial of 7 draws at 1/7 has 0.93
    monkeypatch.setattr("rlld.metrics.paired.CELLS", 7 * 30)  # four pieces, the last a short one
    assert np.array_equal(rows, np.concatenate(list(resampled_videos(7, 100))))


def test_the_verb_prints_what_the_face_does_and_writes_all(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    verb = called("compare", *runs, "--out", tmp_path / "out", "--device", "cpu")
    assert verb.returncode == 0, verb.stderr
    found = rlld.compare(*map(str, runs))
    printed = [line.rstrip() for line in verb.stdout.splitlines()]
    assert printed[:-1] == [line.rstrip() for line in str(found).splitlines()]
    assert repr(found) == "<han, weak on 12 test videos>"
    report = json.loads((tmp_path / "out" / "compare.json").read_text())
    for run, shown in zip(runs, report["sides"], strict=True):
        scores = rlld.evaluate(run)
        for name, value in scores.scores.as_dict().items():
            assert shown["scores"]["published"][name]["value"] == pytest.approx(value)
            assert found.scores[run.name][name] == pytest.approx(value)
        for way, variant in scores.variants.items():
            for name, value in variant.as_dict().items():
                assert shown["scores"][way][name]["value"] == pytest.approx(value)
    endings = {path.name for path in (tmp_path / "out").iterdir()}
    assert endings == {f"compare.{ending}" for ending in ("md", "csv", "json", "tex", "html")}
    text = (tmp_path / "out" / "compare.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 2 * (len(WAYS) * len(NAMES) + 4 * len(ROWS))
    assert f"{found.scores['weak']['event_type']:.4f}" in {row["value"] for row in rows}


@pytest.mark.parametrize("form", ["json", "dcase", "activitynet", "csv", "audacity"])
def test_exported_parses_score_as_their_run(runs, tmp_path, form, tiny_data):
    files = tmp_path / "files"
    run = rlld.load_run(runs[0])
    split = load_split(tiny_data, "test")
    files.mkdir()
    parses = {}
    for row, video in enumerate(split.ids):
        features = {name: value[row].numpy() for name, value in split.streams.items()}
        parses[video] = parse(run, features, name=video)
    module = load_format(form)
    if module.MANY:
        (files / f"all.{module.SUFFIX}").write_text(module.dumps(*parses.values()))
    else:
        for video, each in parses.items():
            (files / f"{video}.{module.SUFFIX}").write_text(module.dumps(each))
    found = rlld.compare(runs[0], f"paper={files}", form=form)
    own, theirs = found.compared.judged
    assert torch.equal(own.side.maps, theirs.side.maps)
    assert own.side.maps.any()
    assert theirs.side.facts == {"predictions": str(files)}
    assert f"--format {form}" in found.compared.command
    assert found.scores["paper"] == found.scores["han"]
    assert theirs.side.notes == ()


def test_predictions_that_may_have_known_the_tags_are_told(runs, tmp_path, videos):
    file, classes = tmp_path / "p.tsv", videos.spec.classes
    rows = [
        f"{videos.ids[video]}\t0\t1\t{classes[label]}\taudio\n"
        for video, label in videos.labels.nonzero().tolist()
    ]
    more = classes[int(videos.labels[0].argmin())]
    for last, count in ("", 1), (f"{videos.ids[0]}\t0\t1\t{more}\taudio\n", 0):
        file.write_text(HEADER + "".join(rows) + last)
        found = rlld.compare(runs[0], f"a={file}")
        assert str(found).count("if it was told the tags") == count


def test_events_are_read_as_the_truth_is(tiny_data, tmp_path, videos):
    """Segments last half a second: an event counts where it covers half of one, and by union."""
    (first, second, *_), file = videos.ids, tmp_path / "p.tsv"
    file.write_text(
        f"{HEADER}{first}.mp4\t0.2\t0.8\tbell\taudio\n"  # 0.3 s of the first two each
        f"{first}.mp4\t0.5\t1.7\tBell\taudio\n"  # 2 and 0.2 s of the fourth
        f"{second}\t2.6\t3.0\tRain\tboth\n"  # most of the last one
        f"{second}\t2.9\t3.0\tBell\tboth\n"  # little of it
        "train_000\t0\t1\tRain\tvisual\n"
        "no_such_clip\t0\t1\tRain\tvisual\n"
    )
    found = rlld.compare(f"a={file}", f"b={file}", data=tiny_data)
    wanted = torch.zeros_like(videos.require_dense())
    wanted[0, :3, 0, 0] = True
    wanted[1, 5, :, 3] = True
    told = found.compared.first.side
    assert torch.equal(told.maps, wanted)
    assert told.notes[0].startswith(f"{file} names 2 of the 12 test videos; in the others nothing")
    assert told.notes[1] == f"{file} names 1 clips that are none of the data set: no_such_clip"
    assert all(note in str(found) for note in told.notes)


def test_words_of_their_own_mean_classes_by_a_table(tiny_data, tmp_path, videos):
    """As a language model answers: several words for a class, and some for none."""
    first, file, names = videos.ids[0], tmp_path / "p.tsv", tmp_path / "names.csv"
    file.write_text(
        f"{HEADER}{first}\t0\t1\ta church bell\taudio\n"
        f"{first}\t1\t2\tTolling\taudio\n"
        f"{first}\t0\t3\tapplause\tboth\n"
        f"{first}\t2\t3\tRain\tvisual\n"
    )
    names.write_text("theirs,ours\na church bell,Bell\ntolling,bell\napplause,-\n")
    found = rlld.compare(f"a={file}", f"b={file}", data=tiny_data, classes=names)
    wanted = torch.zeros_like(videos.require_dense())
    wanted[0, :4, 0, 0] = True
    wanted[0, 4:, 1, 3] = True
    assert torch.equal(found.compared.first.side.maps, wanted)
    done = called("compare", f"a={file}", f"b={file}", "--data", tiny_data, "--classes", names)
    assert done.returncode == 0, done.stderr
    plain = called("compare", f"a={file}", f"b={file}", "--data", tiny_data)
    assert plain.returncode == 2 and "(rlld compare --classes)" in plain.stderr


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "expected the columns theirs, ours; found 'nothing'"),
        ("word,class\na,Bell\n", "expected the columns theirs, ours; found 'word, class'"),
        ("theirs,ours\na church bell\n", "names.csv:2: expected their name and ours"),
        ("theirs,ours\na,\n", "write - for ours where a name is to be left out"),
        ("theirs,ours\na,Bel\n", "names.csv:2: 'Bel' is no class of the data set; did you mean"),
        ("theirs,ours\na,Bell\na,Rain\n", "names.csv:3: 'a' means 'Bell' above and 'Rain' here"),
        ('theirs,ours\n"a,Bell\n', "names.csv:2: a quote"),
    ],
)
def test_a_bad_table_of_names_is_one_sentence(tiny_data, tmp_path, table, words, videos):
    file, names = tmp_path / "p.tsv", tmp_path / "names.csv"
    file.write_text(f"{HEADER}{videos.ids[0]}\t0\t1\ta\taudio\n")
    names.write_text(table)
    done = called("compare", f"a={file}", f"b={file}", "--data", tiny_data, "--classes", names)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr


def test_an_event_to_the_end_of_a_clip_has_its_last_segment(tiny_data, tmp_path):
    """Clips of 2.6 seconds: of the last segment a tenth of a second is there, and counts."""
    data, file = tmp_path / "data", tmp_path / "p.tsv"
    shutil.copytree(tiny_data, data)
    clips = {
        f"{split}_{number:03}": Listed(f"/clips/{split}/{number}.mp4", split, 2.6, "")
        for split, count in COUNTS.items()
        for number in range(count)
    }
    write_listing(data, clips)
    file.write_text(HEADER + "test/4.MP4\t2.5\t2.6\tRain\taudio\ntest_005\t2.4\t2.5\tRain\taudio\n")
    found = rlld.compare(f"a={file}", f"b={file}", data=data).compared.first.side.maps
    assert found.nonzero().tolist() == [[4, 5, 0, 3]]


def test_names_tell_sources_apart(tmp_path):
    (tmp_path / "odd=name").mkdir()
    words = ["runs/a", "deep/b", "paper=files/b", str(tmp_path / "odd=name"), "x/same", "y/same"]
    names = [each.name for each in named_sources(words)]
    assert names == ["a", "deep/b", "paper", "odd=name", "x/same", "y/same"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("test_000\t0\t1\tTrumpet\taudio\n", "'Trumpet' is no class of the data set; rename it"),
        ("elsewhere\t0\t1\tBell\taudio\n", "names none of the 12 test videos"),
        ("train_001\t0\t1\tBell\taudio\n", "but clips of other splits"),
        ("test_000\t0\tx\tBell\taudio\n", "'x' is no number"),
    ],
)
def test_bad_predictions_are_one_sentence(tiny_data, tmp_path, text, words):
    file = tmp_path / "p.tsv"
    file.write_text(HEADER + text)
    done = called("compare", f"a={file}", f"b={file}", "--data", tiny_data)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert words in done.stderr and str(file) in done.stderr


def test_wrong_sources_are_one_sentence(runs, tiny_data, tmp_path):
    other = make_tiny(tmp_path / "other", seed=5)
    rlld.train("han", other, tmp_path / "run", compute=CPU, overrides={"schedule.rounds": 1})
    file = tmp_path / "p.tsv"
    file.write_text(HEADER)
    for words, told in {
        (runs[0],): "found 1 run or file of predictions",
        (runs[0], runs[0]): "are called",
        (runs[0], "nowhere"): "nowhere: no such file or folder",
        (f"a={file}", f"b={file}"): "give --data DATA",
        (runs[0], tmp_path / "run"): "its true events are others",
        (runs[0], runs[1], "--split", "train"): "no dense annotation",
    }.items():
        done = called("compare", *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), words
        assert told in done.stderr
    both = called("compare", runs[0], tmp_path / "run", "--data", tiny_data)
    assert both.returncode == 0, both.stderr
