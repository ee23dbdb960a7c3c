"""Runs whose policy judges new videos: what they load, predict, score and parse."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import rlld
from rlld.data.dataset import load_split
from rlld.evaluation.decisions import decisions
from rlld.evaluation.scoring import keep_probabilities
from rlld.parsing.parse import parse
from rlld.training.run_folder import Run, load_run
from rlld.utils.compute import Compute

QUICK = {
    "fit": False,
    "schedule.rounds": 25,
    "schedule.learning_rate": 5e-3,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.steps": 12,
}


@pytest.fixture(scope="module")
def run(tiny_data, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp("judged") / "run"
    rlld.train("rlld-best", tiny_data, out, compute=Compute(device="cpu"), overrides=QUICK)
    return load_run(out)


@pytest.fixture(scope="module")
def videos(tiny_data):
    return load_split(tiny_data, "test")


def features(videos, index: int) -> dict[str, np.ndarray]:
    return {name: value[index].numpy() for name, value in videos.streams.items()}


def test_with_known_tags_the_policy_says_what_it_says_of_labels(run, videos):
    found = run.predict(videos.all().streams, tags=videos.labels)
    known = videos.labels.bool()[:, None].expand_as(found.held)
    wanted = keep_probabilities(run, videos)
    torch.testing.assert_close(found.held[known], wanted[known], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("by_tags", [False, True])
def test_a_video_is_parsed_as_it_is_scored(by_tags, run, videos):
    scored = decisions(run, videos, by_tags=by_tags)
    changed = decisions(replace(run, judge=None), videos, by_tags=by_tags)
    assert not scored.active.equal(changed.active)
    for index in range(len(videos)):
        tags = [videos.spec.classes[i] for i in videos.labels[index].nonzero()[:, 0].tolist()]
        parsed = parse(run, features(videos, index), tags if by_tags else None)
        probabilities = torch.tensor(parsed.probabilities)
        torch.testing.assert_close(probabilities, scored.probabilities[index], rtol=1e-4, atol=1e-5)
        marked = torch.zeros_like(scored.active[index])
        for event in parsed.events:
            for m, name in enumerate(("audio", "visual")):
                if event.modality == name:
                    start, end = (
                        round(t / parsed.segment_seconds) for t in (event.start, event.end)
                    )
                    marked[start:end, m, videos.spec.classes.index(event.label)] = True
        assert marked.equal(scored.active[index])


@pytest.mark.parametrize("by_tags", [False, True])
def test_a_video_that_repeats_itself_is_judged_the_same_at_any_length(by_tags, run, videos):
    index = int(videos.labels.sum(1).argmax())
    segments = videos.spec.segments
    even = {n: np.repeat(v[:1], segments, 0) for n, v in features(videos, index).items()}
    long = {n: np.repeat(v[:1], 25, 0) for n, v in features(videos, index).items()}
    tags = [videos.spec.classes[int(videos.labels[index].argmax())]] if by_tags else None
    short, lasting = parse(run, even, tags), parse(run, long, tags)
    assert {(e.label, e.modality) for e in short.events} == {
        (e.label, e.modality) for e in lasting.events
    }
    np.testing.assert_allclose(
        np.array(lasting.probabilities)[:segments], np.array(short.probabilities), atol=1e-5
    )


def test_only_a_gate_that_asks_has_a_judge(run, tmp_path):
    """Runs of before say nothing of it, and decide as they did."""
    older = tmp_path / "older"
    shutil.copytree(run.path, older)
    config = json.loads((older / "config.json").read_text())
    assert config["recipe"]["gate"].pop("judged") is True
    (older / "config.json").write_text(json.dumps(config))
    assert run.judge is not None
    assert load_run(older).judge is None


def test_a_source_of_labels_that_learns_nothing_judges_nothing(tiny_data, tmp_path):
    quick = {**QUICK, "denoiser": "weak", "schedule.rounds": 1}
    quick = {name: value for name, value in quick.items() if "labelwise" not in name}
    out = tmp_path / "run"
    rlld.train("rlld-best", tiny_data, out, compute=Compute(device="cpu"), overrides=quick)
    found = load_run(out)
    assert found.judge is None
    assert any("denoiser weak learns none" in note for note in found.facts["notes"])
