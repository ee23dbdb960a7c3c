"""Causal networks: what is said of a segment is what is said of it when it has just passed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from networks_kit import PARTS, alone, network_of, padded
from rlld.networks import _sight
from rlld.networks._sight import sight_of
from rlld.recipes.recipe import load_recipe
from rlld.utils.config import to_dict
from rlld.utils.registry import NETWORKS

CAUSAL = [
    name
    for name in NETWORKS.names()
    if "causal" in {field.name for field in fields(NETWORKS.config_type(name))}
]
ALWAYS = ["prefm"]
"""Networks that never look ahead."""
CHOICES = [
    *((name, {"causal": True}) for name in CAUSAL),
    *((name, {"past": 3, "future": 2}) for name in ALWAYS),
    ("han", {"causal": True, "layers": 3, "chained": True}),
    ("valor", {"causal": True, "norm": "pre", "layers": 2}),
    ("cmpae", {"causal": True, "fuse_ratio": 1.0, "layers": 2}),
    ("peers", {"options": {"causal": True}}),
]


@pytest.fixture(params=[_sight.WINDOW, 4], ids=["whole", "windows of 4"])
def window(request, monkeypatch) -> Iterator[int]:
    """A short window makes these videos long ones."""
    monkeypatch.setattr(_sight, "WINDOW", request.param)
    yield request.param


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_one_pass_says_of_every_segment_what_its_prefix_says(name, options, window):
    """Of the segments; the video level is that of the longest prefix, the whole video."""
    network = network_of(name, options)
    assert network.causal
    lengths = (7, 1, 4)
    streams, mask = padded(lengths)
    together = network(streams, mask)
    for video, length in enumerate(lengths):
        for end in range(1, length + 1):
            prefix = network(alone(streams, video, end))
            torch.testing.assert_close(
                together.segment[video, end - 1], prefix.segment[0, -1], rtol=0, atol=1e-8
            )
        for part in PARTS[1:]:
            found, wanted = getattr(together, part)[video], getattr(prefix, part)[0]
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", [*CAUSAL, *ALWAYS, "mgn", "cpsp"])
def test_only_a_causal_network_is_deaf_to_what_follows(name, window):
    for causal in (True, False) if name in CAUSAL else (name in ALWAYS,):
        network = network_of(name, {"causal": True} if causal and name in CAUSAL else {})
        assert network.causal == causal
        streams, _ = padded((9,))
        streams = {key: value.requires_grad_() for key, value in streams.items()}
        network(streams).segment[0, 4].sum().backward()
        read = [value.grad for value in streams.values() if value.grad is not None]
        assert any(bool(grad[0, 5:].any()) for grad in read) != causal
        assert any(bool(grad[0, 3:5].all()) for grad in read)


@pytest.mark.parametrize(("segments", "size"), [(5, 8), (6, 6), (9, 4), (23, 6)])
@pytest.mark.parametrize("masked", [False, True])
def test_a_causal_sight_is_half_a_window_back(segments, size, masked, monkeypatch):
    """Read off what an attention to unit vectors takes in, against the rule in words."""
    monkeypatch.setattr(_sight, "WINDOW", size)
    lengths = torch.tensor([segments, max(1, segments - 3)])
    mask = (torch.arange(segments) < lengths[:, None]) if masked else None
    rows = torch.eye(segments).expand(2, 2, segments, segments)
    sight = sight_of(rows, mask, causal=True)
    logits = sight.limited(torch.zeros_like(sight.asking(rows) @ sight.asked(rows).mT))
    seen = sight.joined(logits.softmax(-1) @ sight.asked(rows)) > 0
    for video, length in enumerate(lengths.tolist() if masked else [segments] * 2):
        for place in range(length):
            wanted = torch.zeros(segments, dtype=torch.bool)
            wanted[max(0, place - size // 2) : place + 1] = True
            assert seen[0, video, place].equal(wanted)


def test_the_option_is_written_where_it_is_chosen_and_any_such_recipe_takes_it():
    plain, causal = load_recipe("rlld-best"), load_recipe("rlld-best", {"network.causal": True})
    assert "causal" not in to_dict(plain.network.config)
    assert to_dict(causal.network.config)["causal"] is True


def test_the_page_names_the_networks_that_can():
    page = (Path(__file__).parents[2] / "docs" / "online.md").read_text(encoding="utf-8")
    told = re.search(r"is an option of (.*?), so of every recipe", page)
    assert told is not None
    assert sorted(re.findall(r"`(\w+)`", told[1])) == sorted(CAUSAL)
    assert all(f"`{name}`" in page for name in ALWAYS)
    assert not {"cpsp", "dhhn", "mgn", "mm_pyramid", "ave", "avsdn"} & set(CAUSAL)
