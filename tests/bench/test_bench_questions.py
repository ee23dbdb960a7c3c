"""Which questions to ask, on the labels of a small data set."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from rlld.bench.page import write_page
from rlld.bench.studies import open_classes, questions
from rlld.bench.studies.questions import BEFORE, GREEDY, KEEP, NOW, TRUTH, measure, page, tables
from rlld.errors import RlldError
from scipy_free import slow_auc
from tiny import make_tiny


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    (found,) = tables(None, None, [make_tiny(tmp_path_factory.mktemp("asked") / "D")])
    return found


def files(shown, out):
    """Writes a page and returns its files by format."""
    return {path.suffix[1:]: path for path in write_page(shown, out, "questions")}


def test_every_way_is_measured_and_written(table, tmp_path):
    points = measure([table], draws=2, counts=(4, 12, 400))
    kept = {(p.way, p.learner, p.answers): p for p in points}
    assert {(way, learner) for way, learner, count in kept if count} == set(questions.WAYS)
    share = 100 * float((~table.present)[table.tagged].float().mean())
    assert kept[KEEP, "", 0].wrong == pytest.approx(share)
    assert kept[TRUTH, "", 0].wrong < share
    # Who has asked about everything decides nothing wrongly, and knows every rate.
    for way in ("random videos", "question", "doubt"):
        for learner in (BEFORE, NOW):
            if (way, learner, 400) in kept:
                assert kept[way, learner, 400].wrong == 0
    assert kept["question", NOW, 400].covered == 100
    paths = files(page(points, "rlld bench questions", 2), tmp_path)
    assert "| doubtful videos, greedily | before |" in paths["md"].read_text()
    told = json.loads(paths["json"].read_text())["points"]
    rows = list(csv.DictReader(paths["csv"].read_text().splitlines()))
    assert len(told) == len(points) == len(rows)
    assert {row["covered"] for row in rows if row["way"] == KEEP} == {""}
    with pytest.raises(RlldError, match="nothing to measure on"):
        tables(None, None, [])


def test_data_sets_of_one_name_have_tables_of_their_own(tmp_path):
    folders = [make_tiny(tmp_path / place / "D", seed) for seed, place in enumerate("xy")]
    folders.append(make_tiny(tmp_path / "E"))
    found = tables(None, None, folders)
    assert [table.title for table in found] == [*map(str, folders[:2]), "E"]
    # One draw has no standard error, which is not one of 0.
    points = measure(found, draws=1, counts=(4,))
    paths = files(page(points, "rlld bench questions", 1), tmp_path / "out")
    text = paths["md"].read_text()
    assert all(f"## {folder}" in text for folder in folders[:2]) and "## E" in text
    assert "±" not in text and "in one draw; answered labels" in text
    kept = json.loads(paths["json"].read_text())["points"]
    assert {point["error"] for point in kept} == {None}
    assert len({point["wrong"] for point in kept if point["way"] == KEEP}) == 2
    rows = open_classes.measure(folders, "classes")
    assert {row.data for row in rows} == {*map(str, folders[:2]), "E"}


def test_drawn_evidence_ranks_as_it_should(table):
    found = torch.stack([questions._evidence(table, seed) for seed in range(40)])
    present = table.present.expand_as(found)[:, :, 0].flatten()
    logits = found[:, :, 0].flatten()
    assert slow_auc(logits[:3000].numpy(), present[:3000].numpy()) == pytest.approx(0.86, abs=0.03)


def test_the_rule_before_is_greedy_by_what_a_video_adds(table):
    """Against a slow form of it."""
    pool = questions._pool(table, questions._evidence(table, 0))
    found = questions._greedy_doubt(pool, 20, np.random.default_rng(0))
    order = list(dict.fromkeys(video for video, _ in found))
    before = np.zeros(4)
    for number, video in enumerate(order):
        worth = {
            other: sum(
                -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) / (1 + before[c])
                for c in np.flatnonzero(pool.tags[other])
                for p in pool.wrong[other, :, c]
            )
            for other in range(len(pool))
            if other not in order[:number]
        }
        assert worth[video] == pytest.approx(max(worth.values()))
        before += pool.tags[video]
    assert GREEDY in questions.BELIEVING
