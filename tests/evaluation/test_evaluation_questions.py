"""Questions on a small data set: without a run and with one, by each design."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlld.data.add_answers import add_answers
from rlld.data.answers import Answer, read_answers
from rlld.data.dataset import load_split
from rlld.data.spec import FILE_NAME, read_spec, spec_text
from rlld.data.tracks import tracks_of
from rlld.errors import RlldError
from rlld.evaluation.pool import Pool
from rlld.evaluation.questions import HEADER, ask, pool_of
from rlld.evaluation.wrong import PRIOR
from rlld.types import MODALITIES
from tiny import CLASSES, SPEC, make_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("asked") / "D")


@pytest.fixture
def pool(folder) -> Pool:
    return pool_of(folder)


def believing(pool: Pool) -> Pool:
    wrong = np.random.default_rng(0).random(pool.known.shape)
    return replace(pool, wrong=wrong, believed=True)


def answers_to(asked, folder: Path) -> list[Answer]:
    """Answers questions by the truth."""
    train = load_split(folder, "train", with_truth=True)
    truth = train.truth.any(1)
    place = {name: number for number, name in enumerate(train.ids)}
    return [
        Answer(
            q.video,
            q.label,
            track,
            bool(truth[place[q.video], m, CLASSES.index(q.label)]),
            0,
            q.probability,
        )
        for q in asked
        for m, track in enumerate(("audio", "visual"))
        if track in q.tracks
    ]


def test_what_is_known_is_not_asked(folder, pool):
    train = load_split(folder, "train")
    assert pool.ids == train.ids
    assert (pool.tags == train.labels.bool().numpy()).all()
    assert (pool.known == -1).all()
    with pytest.raises(RlldError, match="count must be 1 or more"):
        ask(pool, 0)


@pytest.mark.parametrize("modalities", ["separate", "joint", "audio"])
def test_what_dense_annotation_says_is_known(tmp_path, modalities):
    folder = make_tiny(tmp_path / "D")
    spec = replace(read_spec(folder), modalities=modalities)
    (folder / FILE_NAME).write_text(spec_text(spec))
    train = load_split(folder, "train")
    both = pool_of(folder, splits=("train", "validation"))
    validation = load_split(folder, "validation")
    assert (both.known[len(train) :] == validation.presence.numpy()).all()
    open_ = {q.split for q in ask(both, 10_000)}
    assert open_ == ({"train"} if modalities == "separate" else {"train", "validation"})


@pytest.mark.parametrize("by", ["question", "sample", "doubt"])
def test_all_are_asked_once_and_chances_of_a_class_sum_to_one(pool, by):
    asked = ask(believing(pool), 10_000, by=by)
    assert len(asked) == int(pool.tags.sum())
    assert len({(q.video, q.label) for q in asked}) == len(asked)
    assert {q.tracks for q in asked} == {MODALITIES}
    sums: dict[str, float] = {}
    for q in asked:
        sums[q.label] = sums.get(q.label, 0) + q.probability
        assert 0 <= q.at < q.end <= SPEC.duration
        assert 0 <= q.audio <= 1
    assert sums == pytest.approx(dict.fromkeys(sums, 1.0))


@pytest.mark.parametrize("by", ["question", "sample", "doubt"])
def test_a_seed_is_a_list(pool, by):
    pool = believing(pool)
    first, again, other = (ask(pool, 9, by=by, seed=seed).questions for seed in (1, 1, 2))
    assert first == again != other


def test_a_short_list_begins_a_long_one_and_goes_on_after_answers(folder, pool):
    """So that questions that are asked one after the other are one draw."""
    short, long = ask(pool, 5).questions, ask(pool, 12).questions
    assert [q[:3] for q in long[:5]] == [q[:3] for q in short]
    told = answers_to(short, folder)
    after = ask(pool, 5, told).questions
    assert not {q[:3] for q in after} & {q[:3] for q in short}
    skip = {(q.video, q.label) for q in long[:4]}
    assert not {(q.video, q.label) for q in ask(pool, 40, skip=skip)} & skip


def test_each_video_of_a_class_is_as_likely_to_be_asked_about(pool):
    """The share of seeds that ask about a video is that of its class."""
    times = dict.fromkeys(zip(*map(np.ndarray.tolist, pool.tags.nonzero()), strict=True), 0)
    place = {name: number for number, name in enumerate(pool.ids)}
    for seed in range(80):
        for q in ask(pool, 60, seed=seed):
            times[place[q.video], CLASSES.index(q.label)] += 1
    for label in range(len(CLASSES)):
        counts = np.array([n for (_, c), n in times.items() if c == label])
        mean = counts.mean()
        assert 0 < mean < 80
        assert np.abs(counts - mean).max() < 4.5 * np.sqrt(mean)


def test_a_track_that_was_answered_is_not_asked_again(pool):
    first = next(iter(ask(pool, 1)))
    told = [Answer(first.video, first.label, "audio", True)]
    again = [q for q in ask(pool, 1000, told) if (q.video, q.label) == first[0:3:2]]
    assert [q.tracks for q in again] == [("visual",)]


def test_sheets_come_back_with_their_probabilities(folder, pool, tmp_path):
    asked = ask(pool, 6)
    sheet = tmp_path / "sheet.csv"
    asked.to_sheet(sheet)
    lines = sheet.read_text().splitlines()
    assert lines[0].split("\t") == ["video", "class", "modality", "present", "probability"]
    assert len(lines) == 13
    filled = [line.replace("\t\t", "\tyes\t") for line in lines]
    sheet.write_text("\n".join(filled) + "\n")
    data = make_tiny(tmp_path / "D")
    assert add_answers(data, sheet).used == 12
    rows = read_answers(data / "annotations" / "answers.csv", SPEC.taxonomy)
    wanted = {(q.video, q.label): q.probability for q in asked}
    assert {(r.video, r.label): r.probability for r in rows} == pytest.approx(wanted, rel=1e-5)
    train = load_split(data, "train")
    assert int((train.chances > 0).sum()) == 12
    assert (pool_of(data).chances == train.chances.numpy()).all()
    assert not {q[:3] for q in ask(pool_of(data), 1000)} & {q[:3] for q in asked}
    asked.to_csv(tmp_path / "list.csv")
    assert tuple((tmp_path / "list.csv").read_text().splitlines()[0].split("\t")) == HEADER


def test_answers_bring_the_rates_near_the_truth_and_the_end_near(folder, pool):
    everything = answers_to(ask(pool, 1000), folder)
    done = ask(pool, 5, everything)
    assert len(done) == 0
    assert done.gain == 0
    assert done.stop.startswith("Stop: ")
    start = ask(pool, 20)
    assert start.stop.startswith("Open: ")
    later = ask(pool, 20, answers_to(start, folder))
    assert 0 < later.gain < start.gain
    # What 20 questions gain is what the first ten gain and the ten after them.
    assert ask(pool, 10).gain < start.gain < 2 * ask(pool, 10).gain


def test_doubt_needs_a_belief_and_says_what_it_is_for(pool):
    with pytest.raises(RlldError, match="--by doubt needs a run whose denoiser learns"):
        ask(pool, 3, by="doubt")
    with pytest.raises(RlldError, match="by: unknown way 'doubts'; did you mean 'doubt'"):
        ask(pool, 3, by="doubts")
    believed = believing(pool)
    asked = ask(believed, 8, by="doubt")
    assert "finds wrong tags" in str(asked)
    doubts = [q.audio * (1 - q.audio) + q.visual * (1 - q.visual) for q in asked]
    assert doubts == sorted(doubts, reverse=True)
    assert ask(believed, 8).note == ""


def test_rates_that_are_told_beforehand_say_where_to_ask(folder, tmp_path):
    data = make_tiny(tmp_path / "D")
    spec = read_spec(data)
    sure = {name: 0.0 for name in CLASSES}
    priors = replace(spec.priors, audio=sure, visual={**sure, "Drum": 0.5})
    (data / FILE_NAME).write_text(spec_text(replace(spec, priors=priors)))
    asked = ask(pool_of(data), 6).questions
    assert [q.label for q in asked].count("Drum") >= 5
    low, high = (0.5 - 1.96 * (0.25 / PRIOR) ** 0.5, 0.5 + 1.96 * (0.25 / PRIOR) ** 0.5)
    assert f"{low:.0%} to {high:.0%} not visible" in asked[0].why


@pytest.mark.parametrize("ragged", [False, True])
def test_a_video_without_a_track_is_known_to_lack_it(folder, ragged):
    split = load_split(folder, "train")
    split = replace(split, streams={k: v.clone() for k, v in split.streams.items()})
    if ragged:
        split = replace(
            split,
            streams={name: value.flatten(0, 1) for name, value in split.streams.items()},
            lengths=torch.full((len(split),), split.spec.segments),
        )
    assert tracks_of(split.streams, split.lengths).all()
    step = split.spec.segments if ragged else 1
    split.streams["audio"][2 * step : 3 * step] = 0
    split.streams["visual_2d"][3 * step : 5 * step] = 0  # of the next one there is motion alone
    split.streams["visual_3d"][3 * step : 4 * step] = 0
    split.streams["audio"][0, 0] = 0  # silence is no lack
    assert np.argwhere(~tracks_of(split.streams, split.lengths).numpy()).tolist() == [
        [2, 0],
        [3, 1],
    ]


def test_without_a_run_nothing_waits_for_torch(folder):
    code = (
        "import sys; from pathlib import Path; from rlld.evaluation.questions import ask, pool_of;"
        "assert len(ask(pool_of(Path(sys.argv[1])), 3)) == 3; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
