"""LEAP's decoder against loops over classes, heads and segments, and what its classes can do."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.networks.leap import NOTE, Config
from rlld.workflows.convert import convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(6), "visual_3d": StreamSpec(4)}
SPEC = DataSpec("small", ("a", "b", "c"), 7, 0.5, STREAMS)
CONFIG = Config(hidden=8, heads=2, levels=2, feed_forward=6, text_dim=5)
PARTS = ("segment", "audio", "visual", "video")


def streams(videos=2, segments=7):
    generator = torch.Generator().manual_seed(0)
    shapes = {name: (videos, segments, stream.dim) for name, stream in STREAMS.items()}
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def built(config=CONFIG, spec=SPEC):
    torch.manual_seed(0)
    network = config.build(spec).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    return network


def plain_heads(block, query, key):
    """Products of each head, before any softmax: (heads, C, T)."""
    width = query.shape[1] // block.heads
    out = torch.zeros(block.heads, len(query), len(key), dtype=query.dtype)
    for head in range(block.heads):
        part = slice(head * width, (head + 1) * width)
        for number in range(len(query)):
            for t in range(len(key)):
                out[head, number, t] = query[number, part] @ key[t, part] / math.sqrt(width)
    return out


def plain_decoder(layers, asking, rows):
    """One track of one video: classes behind the last layer, and its map (C, T)."""
    for layer in layers:
        block = layer.self_attn
        of_query, of_key, of_value, out = block.linears
        first, second = layer.sublayer
        weights = plain_heads(block, of_query(first.norm(asking)), of_key(rows)).softmax(-1)
        parts = [w @ v for w, v in zip(weights, of_value(rows).chunk(block.heads, -1), strict=True)]
        asking = asking + out(torch.cat(parts, -1))
        logits = plain_heads(block, of_query(asking), of_key(rows)).mean(0)
        inner = layer.feed_forward.w_1(second.norm(asking)).relu()
        asking = asking + layer.feed_forward.w_2(inner)
    return asking, logits


@pytest.mark.parametrize("heads", [1, 2])
@torch.no_grad()
def test_the_decoder_equals_loops(heads):
    network, values = built(replace(CONFIG, heads=heads)), streams()
    found = network(values)
    heads = {"audio": network.fc_la, "visual": network.fc_lv}
    layers = {"audio": network.AVL.la_cma_network, "visual": network.AVL.lv_cma_network}
    for video in range(2):
        present = torch.zeros(3, dtype=torch.bool)
        for place, name in enumerate(("audio", "visual")):
            rows = found.extras[f"{name}_after"][video]
            asking, logits = plain_decoder(layers[name], network.fc_l(network.vectors), rows)
            said = heads[name](asking).squeeze(-1).sigmoid()
            torch.testing.assert_close(found.segment[video, :, place], logits.sigmoid().T)
            torch.testing.assert_close(getattr(found, name)[video], said)
            present |= said >= 0.5
        assert found.video[video].tolist() == present.double().tolist()


def test_the_video_is_on_where_either_track_is_and_has_no_gradient():
    network = built()
    with torch.no_grad():
        for layer in (network.fc_la, network.fc_lv):
            layer.weight.zero_()
    cases = [(-1, -1, 0), (0, -1, 1), (-1, 0, 1), (2, 2, 1)]
    for heard, seen, wanted in cases:
        network.fc_la.bias.data.fill_(heard)
        network.fc_lv.bias.data.fill_(seen)
        found = network(streams()).video
        assert found.unique().tolist() == [wanted]
        assert not found.requires_grad


@torch.no_grad()
def test_permuting_the_vectors_permutes_all_that_is_said():
    network, values = built(), streams()
    usual, order = network(values), torch.tensor([2, 0, 1])
    network.vectors.data = network.vectors[order]
    moved = network(values)
    for part in PARTS:
        torch.testing.assert_close(getattr(moved, part), getattr(usual, part)[..., order])
    assert (moved.segment - usual.segment).abs().max() > 1e-3


@torch.no_grad()
def test_a_further_class_leaves_the_others_as_they_are():
    network, values = built(), streams()
    more = built(spec=replace(SPEC, classes=("a", "b", "c", "d")))
    vectors = torch.cat([network.vectors, torch.ones(1, 5, dtype=torch.float64)])
    more.load_state_dict({**network.state_dict(), "vectors": vectors})
    usual, found = network(values), more(values)
    for part in PARTS:
        torch.testing.assert_close(getattr(found, part)[..., :3], getattr(usual, part))


def test_no_parameter_but_the_learned_vectors_knows_how_many_classes_there_are():
    few, many = (CONFIG.build(replace(SPEC, classes=tuple(names))) for names in ("ab", "abcdef"))
    shapes = [{k: v.shape for k, v in each.state_dict().items()} for each in (few, many)]
    assert {k for k in shapes[0] if shapes[0][k] != shapes[1][k]} == {"vectors"}


def test_the_gradient_reaches_every_parameter():
    network = built()
    found = network(streams())
    names = ("segment", "audio", "visual")
    sum((getattr(found, n) * torch.randn_like(getattr(found, n))).sum() for n in names).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A softmax cancels a bias of the keys, and the map of the last layer does not.
        if not (name.endswith("linears.1.bias") and "AVL.l" not in name):
            assert parameter.grad.abs().sum() > 0, name


def test_decoder_layers_start_alike():
    network = CONFIG.build(SPEC)
    tracks = [*network.AVL.la_cma_network, *network.AVL.lv_cma_network]
    for name, first in tracks[0].state_dict().items():
        assert all(torch.equal(first, each.state_dict()[name]) for each in tracks[1:]), name
    matrices = [each.weight for each in tracks[0].self_attn.linears]
    assert all(torch.equal(matrices[0], each) for each in matrices[1:])


def test_without_a_table_classes_learn_and_the_run_says_so():
    learned = CONFIG.build(SPEC)
    learned.prepare(None)
    assert learned.notes() == [NOTE]
    assert isinstance(learned.vectors, nn.Parameter)
    assert 0.5 < learned.vectors.norm(dim=1).mean() / 6 < 1.5


def test_a_table_is_read_once_and_kept_with_the_weights(tmp_path):
    rows = np.arange(15, dtype=np.float32).reshape(3, 5)
    np.save(tmp_path / "rows.npy", rows)
    config = replace(CONFIG, vectors=Path("rows.npy"))
    network = config.build(SPEC)
    network.prepare(tmp_path)
    assert torch.equal(network.vectors, torch.from_numpy(rows))
    assert "vectors" not in dict(network.named_parameters())
    assert network.notes() == []
    (tmp_path / "rows.npy").unlink()
    again = config.build(SPEC)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.vectors, network.vectors)
    with pytest.raises(RlldError, match=r"rows.npy: no table of text vectors \(not there\)"):
        again.prepare(tmp_path)
    with pytest.raises(RlldError, match=r"^\.\./rows.npy: no table of text vectors"):
        replace(CONFIG, vectors=Path("../rows.npy")).build(SPEC).prepare(tmp_path)


def test_the_published_size_is_the_published_size():
    with torch.device("meta"):
        network = Config().build(LLP_SPEC)
    unused = 4 * 512 * 513 + 2 * 512 * 513  # the template of the decoder: attention, feed-forward
    unused += 2 * (4 + 2) * 512 * 513  # and both of the encoder
    layers = 4 * 3 + 2 + 4 + 3  # norms of attentions that nothing uses, templates' too
    assert sum(p.numel() for n, p in network.named_parameters() if n != "vectors") == (
        52_005_380 - unused - layers * 1024
    )


def checkpoint():
    """A published state dict of small size: convolutions twice, and parameters without use."""
    state = {k: v for k, v in built().float().state_dict().items() if k != "vectors"}
    for name, value in list(state.items()):
        for place, alias in ((".net.0.", ".conv1."), (".net.2.", ".conv2.")):
            if place in name:
                state[name.replace(place, alias)] = value
    state["AVL.multiheadattn.linears.0.weight"] = torch.zeros(8, 8)
    state["AVL.feedforward.w_1.bias"] = torch.zeros(6)
    state["MMP.capture.multiheadattn.layer_norm.bias"] = torch.zeros(8)
    state["AVL.la_cma_network.0.self_attn.layer_norm.weight"] = torch.zeros(8)
    return state


@torch.no_grad()
def test_a_published_checkpoint_gets_its_vectors_from_their_own_file(tmp_path):
    table = {name: torch.randn(5) for name in ("Fry food", "Basketball bounce", "c")}
    torch.save(table, tmp_path / "words.pt")
    settings = {"network.heads": 2, "network.vectors": str(tmp_path / "words.pt")}
    found = convert_state(checkpoint(), "leap", SPEC, settings)
    assert torch.equal(found.network.vectors, torch.stack(list(table.values())))
    assert (found.recipe.network.config.text_dim, found.recipe.network.config.levels) == (5, 2)
    wanted = built()
    wanted.vectors.data = found.network.vectors.double()
    values = streams()
    plain = {name: value.float() for name, value in values.items()}
    torch.testing.assert_close(found.network(plain).segment, wanted(values).segment.float())
    with pytest.raises(RlldError, match="do not hold their vectors; give the file that does by --"):
        convert_state(checkpoint(), "leap", SPEC)


@pytest.mark.parametrize("option", ["hidden", "decoder_layers", "text_dim", "levels"])
def test_sizes_are_positive(option):
    with pytest.raises(RlldError, match=option):
        Config(**{option: 0})
