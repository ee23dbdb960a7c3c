"""PreFM's network against PyTorch's own attention, segment by segment, and what its windows see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from models_kit import shaken
from rlld.data.dataset import load_split
from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.evaluation.decisions import decisions
from rlld.metrics.gates import Gate
from rlld.networks.prefm import NOTE, Config
from rlld.parsing.trailing import Trailing
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import Run
from rlld.workflows.convert import convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(6), "visual_3d": StreamSpec(4)}
SPEC = DataSpec("small", ("a", "b", "c"), 7, 0.5, STREAMS)
CONFIG = Config(hidden=8, layers=2, heads=2, expansion=1.5, past=4, future=2, text_dim=5)
PUBLISHED = 3_272_473
"""Parameters of the released model for LLP: the 3.3 M of the paper."""


def streams(videos=2, segments=7):
    generator = torch.Generator().manual_seed(0)
    shapes = {name: (videos, segments, stream.dim) for name, stream in STREAMS.items()}
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def built(config=CONFIG, spec=SPEC):
    torch.manual_seed(0)
    return shaken(config.build(spec), 1).double()


def attends(block, asking, other):
    """What PyTorch's attention with these weights adds to rows (n, hidden)."""
    width = asking.shape[-1]
    module = nn.MultiheadAttention(width, CONFIG.heads, batch_first=True).double()
    module.load_state_dict(block.state_dict())
    return module(asking[None], other[None], other[None], need_weights=False)[0][0]


def fed(block, rows):
    rows = functional.layer_norm(rows, rows.shape[-1:], block.norm1.weight, block.norm1.bias)
    rows = rows + block.linear2(block.linear1(rows).relu())
    return functional.layer_norm(rows, rows.shape[-1:], block.norm2.weight, block.norm2.bias)


def plain(network, values, video, end):
    """Logits of the window that ends with a segment, and of what follows: two (n, 2, C)."""
    rows = {}
    for name, value in values.items():
        seen = value[video, max(0, end + 1 - CONFIG.past) : end + 1]
        silence = torch.zeros(CONFIG.past - len(seen), seen.shape[1], dtype=seen.dtype)
        rows[name] = torch.cat([silence, seen])
    audio = network.fc_a(rows["audio"])
    both = [network.fc_v(rows["visual_2d"]), network.fc_st(rows["visual_3d"])]
    visual = network.fc_fusion(torch.cat(both, -1))
    for layer in network.hat_encoder.layers:
        own, other = attends(layer.self_attn, audio, audio), attends(layer.cm_attn, audio, visual)
        audio = fed(layer, audio + own + other)
        own, other = attends(layer.self_attn, visual, visual), attends(layer.cm_attn, visual, audio)
        visual = fed(layer, visual + own + other)
    tracks, guesses = {"a": audio, "v": visual}, {}
    for letter, window in tracks.items():
        block = getattr(network, f"query_future_{letter}")
        query = block.learnable_query[0]
        guesses[letter] = fed(block, query + attends(block.attn, query, window))
    now, later = [], []
    for letter, other in (("a", "v"), ("v", "a")):
        block, guess = getattr(network, f"time_modality_{letter}_f"), guesses[letter]
        found = attends(block.self_attn, guess, guess)
        found = found + attends(block.cm_t_attn, guess, guesses[other])
        found = found + attends(block.cm_m_attn, guess, tracks[letter])
        future = fed(block, guess + found)
        block, window = getattr(network, f"time_modality_{letter}"), tracks[letter]
        found = attends(block.self_attn, window, window)
        found = found + attends(block.cm_t_attn, window, future)
        found = found + attends(block.cm_m_attn, window, tracks[other])
        now.append(network.fc_all(fed(block, window + found)))
        later.append(network.fc_all(future))
    return torch.stack(now, 1), torch.stack(later, 1)


@torch.no_grad()
def test_every_segment_is_decided_by_its_own_window():
    network, values = built(), streams()
    found = network(values)
    for video in range(2):
        for end in (0, 2, 6):
            now, later = plain(network, values, video, end)
            torch.testing.assert_close(found.extras["current_logits"][video, end], now)
            torch.testing.assert_close(found.extras["future_logits"][video, end], later)
            torch.testing.assert_close(found.segment[video, end], now[-1].sigmoid())


def test_a_segment_reads_its_window_and_nothing_else():
    network, values = built(), streams(1, 9)
    values = {name: value.requires_grad_() for name, value in values.items()}
    network(values).segment[0, 5].sum().backward()
    for value in values.values():
        read = value.grad[0].any(-1).tolist()
        assert read == [False, False, True, True, True, True, False, False, False]


def test_alone_a_modality_reads_nothing_of_the_other():
    network = built()
    for place, others in enumerate((("visual_2d", "visual_3d"), ("audio",))):
        values = {name: value.requires_grad_() for name, value in streams().items()}
        network.unimodal(values).segment[:, :, place].sum().backward()
        assert all(values[name].grad is None or not values[name].grad.any() for name in others)
        assert any(value.grad is not None and value.grad.any() for value in values.values())


@torch.no_grad()
def test_the_video_level_lets_every_decision_pass():
    """Published decisions have no gate: a segment counts from one half on."""
    network = built()
    found = network(streams(8))
    active = Gate().apply(found)
    assert active.equal(found.segment >= 0.5)
    assert active.any()
    assert not active.all()


@pytest.mark.parametrize("future", [2, 5])
def test_every_parameter_learns(future, tmp_path):
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(3, 5)))
    network = built(replace(CONFIG, future=future, vectors=tmp_path / "vectors.npy")).train()
    network.prepare(None)
    found = network(streams())
    assert network.config.gives == found.extras.keys()
    sum(value.square().mean() for value in found.extras.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@torch.no_grad()
def test_words_are_what_the_table_says_of_each_class_and_of_none(tmp_path):
    table = np.random.default_rng(0).normal(size=(3, 5))
    np.save(tmp_path / "vectors.npy", table)
    network = built(replace(CONFIG, vectors=tmp_path / "vectors.npy")).float()
    network.prepare(None)
    said = network({name: value.float() for name, value in streams().items()}).extras["words"]
    rows = torch.tensor(table).float()
    wanted = torch.stack([*map(network.fc_feature, rows), network.fc_feature.bias])
    torch.testing.assert_close(said, wanted)
    assert network.notes() == []
    assert built().notes() == [NOTE]


def published():
    """A state dict with the keys and shapes of the released model, which never uses its last."""
    dims = {"audio": 768, "visual_2d": 768, "visual_3d": 512}
    spec = replace(LLP_SPEC, streams={name: StreamSpec(dim) for name, dim in dims.items()})
    state = Config().build(spec).state_dict()
    state |= {"fc_feature.weight": torch.zeros(128, 1536), "fc_feature.bias": torch.zeros(128)}
    norms = [f"final_norm_{letter}.{part}" for letter in "av" for part in ("weight", "bias")]
    return state | {f"hat_encoder.{name}": torch.zeros(128) for name in norms}, spec


def test_the_published_checkpoint_converts_whole(tmp_path):
    state, spec = published()
    assert sum(value.numel() for value in state.values()) == PUBLISHED
    assert len(state) == 186
    plain = convert_state(state, "prefm", spec)
    assert plain.layout.name == "PreFM"
    assert plain.recipe.gate == Gate()
    assert (plain.recipe.network.config.hidden, plain.recipe.network.config.future) == (128, 5)
    table = tmp_path / "vectors.npy"
    np.save(table, np.ones((25, 1536), np.float32))
    taught = convert_state(state, "prefm", spec, {"network.vectors": str(table)})
    assert taught.layout.name == "PreFM, to be taught"
    assert taught.network.vectors.eq(1).all()
    for key, value in plain.network.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_online_decisions_are_those_of_one_pass(tiny_data):
    videos = load_split(tiny_data, "test")
    network = built(replace(CONFIG, past=10), videos.spec).float()
    run = Run(Path("run"), "run", load_recipe("prefm"), videos.spec, network)
    offline, online = decisions(run, videos), decisions(run, videos, online=True)
    torch.testing.assert_close(offline.probabilities, online.probabilities, rtol=0, atol=1e-6)
    assert offline.active.equal(online.active) and offline.active.any()


def test_no_more_is_looked_at_than_decides(tiny_data, monkeypatch):
    videos, asked = load_split(tiny_data, "test"), []
    network = built(replace(CONFIG, past=2), videos.spec).float()
    run = Run(Path("run"), "run", load_recipe("prefm"), videos.spec, network)
    alone = decisions(run, videos)
    predict = Run.predict

    def seen(run, streams, **others):
        asked.append(streams["audio"].shape[1])
        return predict(run, streams, **others)

    monkeypatch.setattr(Run, "predict", seen)
    online = decisions(run, videos, online=True)
    assert asked == [1, 2, 2, 2, 2, 2]
    torch.testing.assert_close(alone.probabilities, online.probabilities, rtol=0, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("chunk", [1, 3])
def test_a_source_that_goes_on_is_told_what_the_whole_recording_is(chunk):
    network, values = built(), streams(1, 9)
    reader = Trailing(network, CONFIG.past, 2)
    pieces = range(0, 9, chunk)
    found = [
        reader.push({name: value[0, first : first + chunk] for name, value in values.items()})
        for first in pieces
    ]
    told = torch.cat([each.segment for each in found])
    torch.testing.assert_close(told, network(values).segment[0].float())
    assert [len(each.segment) for each in found] == [min(chunk, 9 - first) for first in pieces]
