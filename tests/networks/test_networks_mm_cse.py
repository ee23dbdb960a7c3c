"""MM-CSE's network against loops over classes on the published keys, and its properties."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.metrics import published_gate
from rlld.networks import mm_cse
from rlld.networks.mm_cse import published_state
from rlld.recipes.recipe import load_recipe
from rlld.types import Prediction
from rlld.workflows.convert import convert_state

STREAMS = {"audio": StreamSpec(5), "visual_2d": StreamSpec(7), "visual_3d": StreamSpec(3)}
SPEC = DataSpec("small", ("a", "b", "c"), 6, 0.5, STREAMS)
CLAP = {"audio": StreamSpec(768), "visual_2d": StreamSpec(768), "visual_3d": StreamSpec(512)}
CLASSES, HIDDEN, WIDTH, HEADS, INNER, LAYERS = 3, 16, 8, 4, 12, 2


def inputs(videos=2, frames=1):
    generator = torch.Generator().manual_seed(0)
    rows = {"audio": 6, "visual_2d": 6 * frames, "visual_3d": 6}
    return {
        name: torch.randn(videos, rows[name], stream.dim, generator=generator)
        for name, stream in STREAMS.items()
    }


def published():
    """A state dict of the published layout, dead keys too; what is in it is drawn."""
    linear = {"fc_a": (HIDDEN, 5), "fc_v": (HIDDEN, 7), "fc_st": (HIDDEN, 3)}
    linear |= {"fc_fusion": (HIDDEN, 2 * HIDDEN)}
    everything = (CLASSES + 1) * WIDTH
    linear |= {"a_recon.0": (HIDDEN, everything), "a_recon.2": (HIDDEN, HIDDEN)}
    linear |= {"v_recon.model.1": (HIDDEN, everything), "v_recon.model.3": (HIDDEN, HIDDEN)}
    for letter in "av":
        linear |= {f"{letter}_unmix.{n}.1": (WIDTH, HIDDEN) for n in range(CLASSES + 1)}
        linear |= {f"alpha_{letter}.model.1": (WIDTH, HIDDEN)}
        linear |= {f"alpha_{letter}.model.4": (1, WIDTH), f"reduce_{letter}.0": (WIDTH, 2 * WIDTH)}
    linear |= {f"v_unmix.{n}.4": (WIDTH, WIDTH) for n in range(CLASSES + 1)}
    for head in ("fc_prob", "fc_frame_att", "fc_av_att"):
        linear |= {f"{head}.fc.{n}": (1, WIDTH) for n in range(CLASSES)}
    norms, shapes = ["final_norm_a", "final_norm_v"], {}
    for number in range(LAYERS):
        layer = f"av_enhance.layers.{number}"
        linear |= {f"{layer}.linear1": (INNER, WIDTH), f"{layer}.linear2": (WIDTH, INNER)}
        square = ("LGSF_1.glob1", "LGSF_1.glob2", "LGSF_2.glob", "fc1", "fc2")
        linear |= {f"{layer}.{name}": (WIDTH, WIDTH) for name in square}
        norms.append(f"layers.{number}.norm1")
        for attention in (f"{layer}.SECM_1.attn", f"{layer}.SECM_2.attn"):
            linear[f"{attention}.out_proj"] = (WIDTH, WIDTH)
            shapes[f"{attention}.in_proj_weight"] = (3 * WIDTH, WIDTH)
            shapes[f"{attention}.in_proj_bias"] = (3 * WIDTH,)
    for norm in norms:
        shapes |= {f"av_enhance.{norm}.{name}": (WIDTH,) for name in ("weight", "bias")}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(shape, generator=generator) / 2 for name, shape in shapes.items()}


def linear(state, name, value):
    return functional.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])


def attended(state, name, asking, other):
    """The classes (C, width) of one segment, and their map."""
    module = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    module.load_state_dict(
        {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
    )
    found, shares = module(asking[None], other[None], other[None])
    return asking + found[0], shares[0]


def alike(local, whole):
    cosine = local @ whole / (local.norm() * whole.norm()).clamp(min=1e-12)
    return 1 / (1 + (-cosine).exp()) * whole


def enhanced(state, name, own, other, cross):
    """One layer on the classes (T, C, width) of a modality of one video."""
    maps = torch.zeros(len(own), 2, CLASSES, CLASSES)
    first, second = own.clone(), own.clone()
    for segment, rows in enumerate(own):
        first[segment], maps[segment, 0] = attended(state, f"{name}.SECM_1.attn", rows, rows)
        if cross:
            pair = rows, other[segment]
            second[segment], maps[segment, 1] = attended(state, f"{name}.SECM_2.attn", *pair)
    new = torch.zeros_like(own)
    for number in range(CLASSES):
        local = linear(state, f"{name}.LGSF_1.glob1", first[:, number]).relu()
        whole = linear(state, f"{name}.LGSF_1.glob2", first[:, number]).relu().mean(0)
        near = linear(state, f"{name}.LGSF_2.glob", second[:, number]).relu()
        far = linear(state, f"{name}.LGSF_2.glob", other[:, number]).relu().mean(0)
        for segment in range(len(own)):
            row = own[segment, number]
            one = linear(state, f"{name}.fc1", row + alike(local[segment], whole))
            added = alike(near[segment], far) if cross else 0
            mixed = one + linear(state, f"{name}.fc2", row + added)
            scale, shift = state[f"{name}.norm1.weight"], state[f"{name}.norm1.bias"]
            normed = functional.layer_norm(mixed, (WIDTH,), scale, shift)
            inner = linear(state, f"{name}.linear1", normed).relu()
            new[segment, number] = linear(state, f"{name}.linear2", inner)
    return new, maps


def taken_apart(state, letter, rows):
    """The classes (T, C, width) of rows (T, hidden), and all parts (T, C + 1, width)."""
    parts = []
    for number in range(CLASSES + 1):
        part = linear(state, f"{letter}_unmix.{number}.1", rows.relu()).relu()
        if letter == "v":
            part = linear(state, f"v_unmix.{number}.4", part).relu()
        parts.append(part)
    share = linear(state, f"alpha_{letter}.model.1", rows.relu()).relu()
    share = linear(state, f"alpha_{letter}.model.4", share).sigmoid()
    both = [torch.cat([share * part, (1 - share) * parts[-1]], -1) for part in parts[:-1]]
    classes = [linear(state, f"reduce_{letter}.0", row).relu() for row in both]
    return torch.stack(classes, 1), torch.stack(parts, 1)


def plain_video(state, audio, pictures, motion, cross):
    """One video: probabilities (T, 2, C), three sums (C,), and the extras."""
    seen = linear(state, "fc_v", pictures).view(len(audio), -1, HIDDEN).mean(1)
    seen = linear(state, "fc_fusion", torch.cat([seen, linear(state, "fc_st", motion)], -1))
    embedded = linear(state, "fc_a", audio), seen
    pairs = [taken_apart(state, letter, rows) for letter, rows in zip("av", embedded, strict=True)]
    first, second = (classes for classes, _ in pairs)
    for number in range(LAYERS):
        name = f"av_enhance.layers.{number}"
        heard = enhanced(state, name, first, second, cross)
        shown = enhanced(state, name, second, first, cross)
        first, second, maps = heard[0], shown[0], torch.stack([heard[1], shown[1]], 1)
    names = [("a_recon.0", "a_recon.2"), ("v_recon.model.1", "v_recon.model.3")]
    again = [
        linear(state, outer, linear(state, inner, parts.flatten(1)).relu()).relu()
        for (inner, outer), (_, parts) in zip(names, pairs, strict=True)
    ]
    both = torch.stack([first, second], 1)
    logits, time, modality = (
        torch.cat([linear(state, f"{head}.fc.{n}", both[:, :, n]) for n in range(CLASSES)], -1)
        for head in ("fc_prob", "fc_frame_att", "fc_av_att")
    )
    probability, sums = logits.sigmoid(), torch.zeros(3, CLASSES)
    for number in range(CLASSES):
        for place in range(2):
            shares = time[:, place, number].exp() / time[:, place, number].exp().sum()
            for segment in range(len(audio)):
                found = shares[segment] * probability[segment, place, number]
                weights = modality[segment, :, number].exp()
                sums[place, number] += found
                sums[2, number] += found * weights[place] / weights.sum()
    extras = {"segment_logits": logits, "embedded": torch.stack(embedded, 1), "maps": maps}
    extras |= {"parts": torch.stack([parts for _, parts in pairs], 1)}
    return probability, *sums, extras | {"reconstructed": torch.stack(again, 1)}


def plain(state, streams, cross=True) -> Prediction:
    rows = zip(*(streams[name] for name in STREAMS), strict=True)
    *parts, extras = zip(*(plain_video(state, *each, cross) for each in rows), strict=True)
    joined = {name: torch.stack([each[name] for each in extras]) for name in extras[0]}
    return Prediction(*map(torch.stack, parts), joined)


def converted(state=None):
    return convert_state(state or published(), "mm_cse", SPEC, {"network.heads": HEADS})


def assert_alike(found, wanted):
    for part in ("segment", "audio", "visual", "video"):
        torch.testing.assert_close(
            getattr(found, part), getattr(wanted, part), atol=1e-5, rtol=1e-5
        )
    assert found.extras.keys() == wanted.extras.keys() == mm_cse.MmCse.gives
    for name, value in wanted.extras.items():
        torch.testing.assert_close(found.extras[name], value, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 4])
@torch.no_grad()
def test_a_published_checkpoint_predicts_what_the_plain_form_does(frames):
    network, streams = converted().network, inputs(frames=frames)
    assert_alike(network(streams), plain(published(), streams))
    if frames == 1:
        alone = plain(published(), streams, cross=False)
        assert_alike(network.unimodal(streams), alone)
        assert not alone.extras["maps"][:, :, :, 1].any()


@torch.no_grad()
def test_maps_are_shares():
    maps = converted().network(inputs()).extras["maps"]
    torch.testing.assert_close(maps.sum(-1), torch.ones(maps.shape[:-1]))
    assert maps.min() > 0
    assert (maps[:, :, 0, 1] - maps[:, :, 1, 1]).abs().max() > 1e-3


@torch.no_grad()
def test_a_segment_of_events_alone_does_not_see_its_background():
    streams, before = inputs(), published()
    found = []
    for bias in (0.0, 200.0):
        state = {**before, "alpha_a.model.4.bias": torch.tensor([bias])}
        state["alpha_v.model.4.bias"] = torch.tensor([bias])
        usual = converted(state).network(streams)
        for letter in "av":
            state[f"{letter}_unmix.{CLASSES}.1.bias"] = torch.full((WIDTH,), 3.0)
        other = converted(state).network(streams)
        found.append(torch.equal(usual.segment, other.segment))
        assert not torch.equal(usual.extras["reconstructed"], other.extras["reconstructed"])
    assert found == [False, True]


@torch.no_grad()
def test_what_classes_find_in_each_other_acts_through_the_whole_video_alone():
    streams, state = inputs(), published()
    usual = converted(state).network(streams)
    changed = {
        key: value * (-2 if "SECM_1.attn.out_proj" in key else 1) for key, value in state.items()
    }
    assert not torch.equal(converted(changed).network(streams).segment, usual.segment)
    constant = {
        key: torch.zeros_like(value)
        for key, value in state.items()
        if "LGSF_1" in key and key.endswith("weight")
    }
    found = [converted({**each, **constant}).network(streams) for each in (state, changed)]
    assert torch.equal(found[0].segment, found[1].segment)


def test_sizes_are_read_off_the_checkpoint_whose_keys_come_back():
    state = published()
    network = converted(state).network
    config = network.config
    assert (config.hidden, config.layers, config.heads) == (HIDDEN, LAYERS, HEADS)
    assert config.expansion == INNER / WIDTH
    back = published_state(network.state_dict())
    assert back.keys() == state.keys()
    for key, value in back.items():
        assert value.shape == state[key].shape, key
        assert torch.equal(value, state[key]) or "final_norm" in key, key
    again = converted(back).network.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in network.state_dict().items())


def test_classes_that_do_not_fit_each_other_are_left_and_refused():
    (layout,) = mm_cse.PUBLISHED
    usual, state = published(), published()
    state["fc_prob.fc.2.weight"] = state["fc_prob.fc.2.weight"][:, 1:]
    left = layout.live(state).keys() - layout.live(usual).keys()
    assert left == {f"fc_prob.fc.{number}.weight" for number in range(CLASSES)}
    del usual["a_unmix.1.1.weight"]
    with pytest.raises(RlldError, match=r"unexpected tensor 'a_unmix.0.1.weight' and 2 more"):
        converted(usual)


def test_the_published_size_is_the_published_size():
    spec = DataSpec("llp", tuple(map(str, range(25))), 10, 1.0, CLAP)
    with torch.device("meta"):
        network = mm_cse.Config().build(spec)
    state = published_state(network.state_dict())
    assert (len(state), sum(each.numel() for each in state.values())) == (434, 6_160_845)
    assert sum(each.numel() for each in network.parameters()) == 6_160_845 - 512
    assert network.av_enhance.layers[0].SECM_2.attn.heads == 8


@pytest.mark.parametrize("motion", [True, False])
def test_the_gradient_reaches_every_parameter(motion):
    streams = {k: v for k, v in STREAMS.items() if motion or k != "visual_3d"}
    torch.manual_seed(0)
    network = mm_cse.Config(hidden=32, layers=2).build(DataSpec("s", ("a", "b"), 6, 0.5, streams))
    found = network(inputs())
    values = found.segment, found.video, found.extras["reconstructed"]
    sum((each * torch.randn_like(each)).sum() for each in values).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        # A softmax cancels the key bias and the biases of the pooling weights.
        if not name.endswith(("in_proj_bias", "_att.fc.bias")):
            assert parameter.grad.abs().sum() > 0, name


def test_the_recipe_is_the_published_one():
    recipe = load_recipe("mm_cse")
    assert recipe.gate == published_gate("mm_cse", 25)
    assert (recipe.gate.audio, recipe.gate.visual) == ("video", "modality")
    rates = [recipe.schedule.rate(epoch, 10_000) for epoch in range(60)]
    assert rates == pytest.approx([1e-4 * 0.1 ** (epoch // 10) for epoch in range(60)])
    with pytest.raises(RlldError, match="network mm_cse: layers"):
        mm_cse.Config(layers=0)
