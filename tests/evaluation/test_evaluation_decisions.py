"""Online decisions: every segment by what came up to it, as if each prefix were all there is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from any_length_kit import draw_maps, write_set
from cli_kit import called
from networks_kit import network_of
from rlld.data.dataset import load_split
from rlld.data.split import Split
from rlld.evaluation.decisions import decisions, prefixes
from rlld.metrics.gates import Gate
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import Run, load_run
from rlld.utils.registry import NETWORKS

LENGTHS = [6, 3, 5, 1]
GATES = (
    Gate(),
    Gate("video", "modality", 0.4, 0.45, 0.55),
    Gate(segment_threshold=0.5, smoothing=0.3),
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Split:
    maps = draw_maps({"train": [2], "validation": [2], "test": LENGTHS})
    folder = write_set(tmp_path_factory.mktemp("online") / "D", maps)
    return load_split(folder, "test")


def run_of(name: str, videos: Split, gate: Gate = GATES[0], **options: object) -> Run:
    network = network_of(name, options, videos.spec).float().eval()
    recipe = replace(load_recipe("han"), gate=gate)
    return Run(Path("run"), "run", recipe, videos.spec, network)


def slow(run: Run, videos: Split, past: int, tags: bool = False) -> tuple[torch.Tensor, ...]:
    """Feeds each prefix of each video alone."""
    shape = len(videos), videos.spec.segments, 2, len(videos.spec.classes)
    probabilities, active = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    for video, length in enumerate(videos.lengths.tolist()):
        own = videos.batch(torch.tensor([video])).streams
        for last in range(length):
            prefix = {n: v[:, max(0, last + 1 - past) : last + 1] for n, v in own.items()}
            found = run.predict(prefix)
            known = videos.labels[video : video + 1] if tags else None
            probabilities[video, last] = found.segment[0, -1]
            active[video, last] = run.gate.apply(found, known)[0, -1]
    return probabilities, active


@pytest.mark.parametrize("name", NETWORKS.names())
def test_any_network_decides_by_every_prefix_alone(name, videos):
    run = run_of(name, videos)
    found, wanted = decisions(run, videos, online=True), slow(run, videos, 600)
    torch.testing.assert_close(found.probabilities, wanted[0], rtol=0, atol=2e-5)
    near = (wanted[0] - 0.5).abs() < 1e-4
    assert (found.active == wanted[1])[~near].all()


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("gate", GATES, ids=["plain", "mixed", "smooth"])
def test_gates_tags_and_neighbours_know_of_nothing_later(gate, tags, videos):
    run = run_of("han", videos, gate)
    found, wanted = decisions(run, videos, by_tags=tags, online=True), slow(run, videos, 600, tags)
    assert found.active.equal(wanted[1]) and bool(found.active.any())


def test_what_lies_far_back_is_forgotten(videos):
    run = run_of("han", videos)
    run = replace(run, spec=replace(run.spec, segments=2))
    found = decisions(run, videos, online=True)
    torch.testing.assert_close(found.probabilities, slow(run, videos, 2)[0], rtol=0, atol=1e-6)
    whole = decisions(run_of("han", videos), videos, online=True)
    assert not torch.allclose(found.probabilities, whole.probabilities)


def test_the_last_segment_of_a_video_is_decided_as_offline(videos):
    """A gate that opens late reaches back only offline."""
    run = run_of("han", videos)
    online, offline = decisions(run, videos, online=True), decisions(run, videos)
    ends = torch.arange(len(videos)), videos.lengths - 1
    torch.testing.assert_close(online.probabilities[ends], offline.probabilities[ends])
    assert online.active[ends].equal(offline.active[ends])
    assert not torch.allclose(online.probabilities, offline.probabilities)


def test_a_causal_network_says_the_same_of_segments_either_way(videos):
    run = run_of("han", videos, causal=True)
    online, offline = decisions(run, videos, online=True), decisions(run, videos)
    torch.testing.assert_close(online.probabilities, offline.probabilities, rtol=0, atol=1e-6)


@pytest.mark.parametrize("past", [2, 600])
def test_prefixes_are_every_one_once_and_nothing_else(past, videos):
    batch = videos.all()
    seen = [
        (place, int(row), streams["audio"].shape[1])
        for place, rows, streams in prefixes(batch, past)
        for row in rows
    ]
    assert sorted(seen) == sorted(
        (place, row, min(place + 1, past))
        for row, length in enumerate(LENGTHS)
        for place in range(length)
    )


def test_a_causal_run_is_trained_and_scored_online_by_command(tiny_data, tmp_path):
    run, short = tmp_path / "run", ("--schedule.updates", "4", "--network.causal", "true")
    assert called("train", "han", "--data", tiny_data, "--out", run, *short).returncode == 0
    assert load_run(run).network.causal
    done = called("evaluate", run, "--online", "--json", tmp_path / "scores.json")
    assert done.returncode == 0, done.stderr
    assert ", online" in done.stdout and "event F, mean" in done.stdout
    told = json.loads((tmp_path / "scores.json").read_text())
    assert told["online"] is True and set(told["further"]) == {"event F, mean"}
    assert called("evaluate", run, "--json", tmp_path / "plain.json").returncode == 0
    assert "online" not in json.loads((tmp_path / "plain.json").read_text())
