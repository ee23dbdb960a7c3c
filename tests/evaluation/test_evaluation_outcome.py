"""What a run came to: chance in the selection, wrong tags, and what more annotations are worth."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rlld.data.dataset import load_data
from rlld.evaluation.baselines import NOTHING, bare_tags
from rlld.evaluation.outcome import WORTH, chance_note, interval, outcome, worth_notes
from rlld.evaluation.scoring import Evaluation
from rlld.metrics.scores import named_score, per_video, scores, ten_scores
from rlld.training.run_folder import Run
from tiny import quick_labelwise

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def learner(tiny_data, tmp_path_factory) -> Run:
    return quick_labelwise(tiny_data, tmp_path_factory.mktemp("outcome") / "run")


def judged(tiny_data: Path, count: int) -> Evaluation:
    split = load_data(tiny_data).validation.subset(torch.arange(count))
    truth = split.require_dense()
    predicted = truth & (torch.rand(truth.shape, generator=torch.Generator().manual_seed(1)) < 0.7)
    found = scores(predicted, truth)
    columns, alone = (per_video(predicted, truth, exclusive=only) for only in (False, True))
    return Evaluation(found, {}, {}, {}, columns=columns, alone=alone)


def test_the_interval_holds_the_score_and_shrinks_with_the_videos(tiny_data):
    widths = []
    for count in (5, 20):
        found = judged(tiny_data, count)
        low, high = interval(found, "segment_type+event_type")
        assert low < named_score(found.scores.as_dict(), "segment_type+event_type") < high
        widths.append(high - low)
    assert widths[1] < widths[0]


def test_the_interval_of_one_video_is_its_score(tiny_data):
    found = judged(tiny_data, 1)
    assert interval(found, "segment_audio") == (found.scores.segment_audio,) * 2
    alone = float(ten_scores(found.alone[0]).mean())
    assert interval(found, "exclusive_mean") == pytest.approx((alone, alone))
    assert alone != found.scores.mean


def test_selection_by_few_videos_is_said(tiny_data, learner):
    note = chance_note(learner, judged(tiny_data, 8))
    assert note.startswith("8 annotated videos chose the weights by segment_type+event_type")
    many = judged(tiny_data, 8)
    many = replace(many, columns=many.columns.repeat(4, 1))
    assert chance_note(learner, many) is None
    assert chance_note(learner, None) is None


def test_a_run_ends_with_its_wrong_tags(tiny_data, learner):
    data = load_data(tiny_data)
    found = outcome(learner, data)
    assert found.tags == 2 * int(data.train.labels.sum())
    keep = [suspect.verdict.keep for suspect in found.suspects]
    assert keep == sorted(keep) and all(value < 0.5 for value in keep)
    assert len(keep) == min(found.wrong, 8)
    assert found.evaluation.baselines[NOTHING].segment_type >= 0
    rows = found.evaluation.rows("run")
    assert list(rows) == ["run", "bare tags", "nothing"]
    assert len(found.evaluation.columns) == 7  # a third of 20
    assert rows["bare tags"] != bare_tags(data.validation).as_dict()  # of those that select


def test_what_more_annotations_are_worth_is_what_was_measured(learner):
    with (ROOT / "docs" / "results" / "annotations.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["measure"] == "segment_type"]
    measured = {row["method"]: round(float(row["mean"]), 1) for row in rows}
    assert {f"rlld-labelwise {count}": value for count, value in WORTH.items()} == {
        name: value for name, value in measured.items() if name.startswith("rlld-labelwise ")
    }

    def note(videos: int) -> list[str]:
        return worth_notes(replace(learner, facts={**learner.facts, "teaching_videos": videos}))

    # Least squares on log(1 + videos) by hand: 0.530 points.
    assert "from 0 on, they brought about 1.3 points" in note(0)[0]
    assert "from 100 on, they brought about 0.1 points" in note(100)[0]
    assert note(649) == []
