"""Parts of a network that are kept by scores of their own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rlld.data.dataset import load_data
from rlld.errors import RlldError
from rlld.metrics.scores import NAMES
from rlld.recipes.recipe import load_recipe
from rlld.recipes.selection import Selection
from rlld.training.trainer import Trainer
from rlld.training.validation import KeptParts
from rlld.utils.compute import Compute

PARTS = {"audio_net": "segment_audio+event_audio", "video_net": "segment_visual"}
COMPUTE = Compute(device="cpu", threads=1)


def network_of(value: float) -> nn.Module:
    network = nn.Module()
    for name in ("audio_net", "video_net", "rest"):
        part = nn.Linear(1, 1)
        nn.init.constant_(part.weight, value)
        nn.init.constant_(part.bias, -value)
        network.add_module(name, part)
    return network


@pytest.mark.parametrize(("ties", "rounds"), [("earlier", (1, 0)), ("later", (3, 0))])
def test_each_part_is_kept_from_the_best_round_by_its_score(ties, rounds) -> None:
    parts = KeptParts(Selection(ties=ties, parts=PARTS), network_of(0), "test")
    # Segment and event score of audio, segment score of visual, by round.
    seen = [(10, 20, 9), (30, 5, 8), (20, 11, 7), (5, 30, 8)]
    for number, (segment, event, visual) in enumerate(seen):
        scores = dict.fromkeys(NAMES, 0.0)
        scores |= {"segment_audio": segment, "event_audio": event, "segment_visual": visual}
        network = network_of(number)
        parts.see(network, number, scores)
        nn.init.zeros_(network.audio_net.weight)  # what was kept must not follow the network
    assert parts.rounds() == {"audio_net": rounds[0], "video_net": rounds[1]}
    assert {name: float(value) for name, value in parts.weights().items()} == {
        "audio_net.weight": rounds[0],
        "audio_net.bias": -rounds[0],
        "video_net.weight": rounds[1],
        "video_net.bias": -rounds[1],
    }


def test_nothing_is_kept_without_scores() -> None:
    parts = KeptParts(Selection(parts=PARTS), network_of(0), "test")
    parts.see(network_of(1), 0, {})
    assert parts.weights() == {}


def test_unknown_parts_and_scores_are_named() -> None:
    with pytest.raises(RlldError, match="network han has no part 'video_net'"):
        KeptParts(Selection(parts={"video_net": "segment_type"}), nn.Linear(1, 1), "han")
    with pytest.raises(RlldError, match="segment_odour"):
        KeptParts(Selection(parts={"audio_net": "segment_odour"}), network_of(0), "test")


def test_a_run_ends_with_the_kept_parts_and_their_scores(tiny_data) -> None:
    data = load_data(tiny_data)
    settings = {"schedule.updates": 18, "schedule.learning_rate": 0.02}
    recipe = load_recipe("dhhn", settings, data.spec.overrides)
    trainer = Trainer(recipe, data.train, data.validation, 3, COMPUTE)
    seen: list[dict[str, torch.Tensor]] = []
    scores = []
    for report in trainer.steps():
        if report is not None:
            state = trainer.network.state_dict()
            seen.append({name: value.clone() for name, value in state.items()})
            scores.append(report["validation"])
    audio = [each["segment_audio"] + each["event_audio"] for each in scores]
    visual = [each["segment_visual"] + each["event_visual"] for each in scores]
    wanted = {"audio_net": audio.index(max(audio)), "video_net": visual.index(max(visual))}
    assert trainer.parts.rounds() == wanted
    trainer.restore_best()
    for name, value in trainer.network.state_dict().items():
        part = name.split(".")[0]
        if part in wanted:
            assert torch.equal(value, seen[wanted[part]][name]), name
    # Each modality alone is scored as in its own round.
    kept = trainer.best["scores"]
    for name, part in (("audio", "audio_net"), ("visual", "video_net")):
        for level in ("segment", "event"):
            key = f"{level}_{name}"
            assert kept[key] == pytest.approx(scores[wanted[part]][key], abs=1e-4)
    assert wanted["audio_net"] != wanted["video_net"], "the seed shows nothing; take another one"


def test_another_network_needs_another_selection(tiny_data) -> None:
    data = load_data(tiny_data)
    recipe = load_recipe("dhhn", {"network": "han"}, data.spec.overrides)
    with pytest.raises(RlldError, match=r"selection.parts.*\{\}"):
        Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    settings = {"network": "han", "selection.parts": "{}", "schedule.updates": 1}
    recipe = load_recipe("dhhn", settings, data.spec.overrides)
    assert len(list(Trainer(recipe, data.train, data.validation, 0, COMPUTE).steps())) == 1
