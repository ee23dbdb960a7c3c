"""Every registered network on videos of different lengths: padding changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from models_kit import shaken
from networks_kit import (
    ANY,
    LENGTHS,
    PARTS,
    SPEC,
    alone,
    network_of,
    padded,
)
from rlld.networks import _sight
from rlld.networks._attention import Attention, HybridAttentionLayer
from rlld.networks._sight import EVERYTHING, sight_of
from rlld.types import Prediction
from rlld.utils.registry import NETWORKS

CHOICES = [
    *((name, {}) for name in NETWORKS.names()),
    ("han", {"layers": 2, "chained": True}),
    ("ave", {"form": "localisation", "pooling": "mean"}),
    ("ave", {"fusion": "dmrn"}),
    ("avsdn", {"form": "localisation"}),
    ("avsdn", {"pooling": "mean"}),
    ("valor", {"norm": "pre", "layers": 2}),
    ("mgn", {"unimodal_assign": "hard", "crossmodal_assign": "hard"}),
    ("cmpae", {"fuse_ratio": 1.0}),
    ("peers", {"base": "avsdn", "predicts": "average"}),
]


def assert_same(together: Prediction, one: Prediction, video: int, length: int) -> None:
    for name in PARTS:
        found, wanted = getattr(together, name)[video], getattr(one, name)[0]
        found = found[:length] if name == "segment" else found
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8)
    assert not together.segment[video, length:].any()


@pytest.fixture(params=[_sight.WINDOW, 4], ids=["whole", "windows of 4"])
def window(request, monkeypatch) -> Iterator[int]:
    """Long videos are looked at through windows; a short window makes these ones long."""
    monkeypatch.setattr(_sight, "WINDOW", request.param)
    yield request.param


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_a_padded_batch_says_of_each_video_what_is_said_of_it_alone(name, options, window):
    network = network_of(name, options)
    streams, mask = padded()
    usual, unimodal = network(streams, mask), network.unimodal(streams, mask)
    both = network.with_unimodal(streams, mask)
    for found in (usual, unimodal, *both):
        assert found.mask is not None
        assert found.mask.equal(mask)
    for video, length in enumerate(LENGTHS):
        own = alone(streams, video, length)
        assert_same(usual, network(own), video, length)
        assert_same(both[1], network(own), video, length)
        assert_same(unimodal, network.unimodal(own), video, length)
        assert_same(both[0], network.unimodal(own), video, length)


@torch.no_grad()
@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_a_mask_of_equal_lengths_changes_nothing(name, options):
    network = network_of(name, options)
    streams, _ = padded((6, 6, 6))
    usual = network(streams)
    assert usual.mask is None
    masked = network(streams, torch.ones(3, 6, dtype=torch.bool))
    for part in PARTS:
        torch.testing.assert_close(getattr(masked, part), getattr(usual, part), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "options"), CHOICES, ids=str)
def test_nothing_behind_the_end_of_a_video_teaches(name, options, window):
    network = network_of(name, options).train()
    streams, mask = padded()
    streams = {key: value.requires_grad_() for key, value in streams.items()}
    found = network(streams, mask)
    sum(getattr(found, part).square().sum() for part in PARTS).backward()
    for parameter in network.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    for key, value in streams.items():
        if value.grad is None:  # LSLD reads no motion
            continue
        assert not value.grad[~mask].any(), key
        assert value.grad.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("window", [4, 6], indirect=True)
@pytest.mark.parametrize("length", [5, 8, 9, 30, 31])
@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("hidden", [8, 200])
def test_windows_are_plain_attention_to_what_is_near(window, length, cross, hidden):
    # 200 wide: fewer rows than that, so that both orders of multiplication run.
    attention = shaken(Attention(hidden, 0.0), 2)
    both = torch.randn(2, 3, length, hidden)
    sight = sight_of(both, None)
    assert (sight.segments is None) == (length <= window)
    place = torch.arange(length)
    near = (place[:, None] - place).abs() <= (window // 2 if length > window else length)
    plain = torch.nn.MultiheadAttention(hidden, 1, batch_first=True)
    plain.load_state_dict(attention.state_dict())
    for modality in (0, 1):
        other = both[1 - modality if cross else modality]
        wanted, _ = plain(both[modality], other, other, attn_mask=~near)
        found = attention(both, cross, sight)[modality]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_what_long_videos_take_grows_with_their_length_only():
    layer = shaken(HybridAttentionLayer(4, 0.0), 0)
    largest = []
    for length in (1024, 4096):
        both = torch.randn(2, 1, length, 4)
        seen: list[int] = []

        class Watched(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, function, types, args=(), kwargs=None):
                out = function(*args, **(kwargs or {}))
                if isinstance(out, torch.Tensor):
                    seen.append(out.numel())  # noqa: B023
                return out

        with Watched():
            layer(both, True, sight_of(both, None))
        largest.append(max(seen))
    assert largest[1] <= 4.2 * largest[0]
    assert largest[1] < 4096 * 4096


def test_short_videos_without_a_mask_are_seen_whole():
    assert sight_of(torch.zeros(2, 3, _sight.WINDOW, 4), None) is EVERYTHING


@torch.no_grad()
def test_the_threshold_of_cpsp_is_that_of_ten_segments():
    network = network_of("cpsp", {}, ANY)
    fixed = network_of("cpsp", {"threshold": 0.09 * 10 / 12}, SPEC)
    usual = network_of("cpsp", {}, SPEC)
    streams, _ = padded((12, 12))
    assert network(streams).segment.equal(fixed(streams).segment)
    assert not network(streams).segment.equal(usual(streams).segment)
