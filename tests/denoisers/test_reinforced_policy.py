"""The policy network against a plain implementation, and what may not depend on what."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rlld.data.spec import LLP_SPEC, DataSpec, StreamSpec
from rlld.denoisers.reinforced import Config
from rlld.denoisers.reinforced.policy import Policy, initialised


def spec(segments: int, classes: int, dims: dict[str, int]) -> DataSpec:
    names = tuple(f"class {number}" for number in range(classes))
    streams = {name: StreamSpec(dim) for name, dim in dims.items()}
    return DataSpec("toy", names, segments, 1.0, streams)


DIMS = {"audio": 3, "visual_2d": 5, "visual_3d": 4}
SPEC = spec(4, 6, DIMS)


def inputs(
    of: DataSpec, videos: int, seed: int = 0
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    streams = {
        name: torch.randn(videos, of.segments, dim, generator=generator)
        for name, dim in of.dims.items()
    }
    labels = (torch.rand(videos, len(of.classes), generator=generator) < 0.5).float()
    return streams, labels


def plain_logits(
    policy: Policy, streams: dict[str, torch.Tensor], labels: torch.Tensor
) -> torch.Tensor:
    """The policy written out per video, with PyTorch's own attention."""
    layer, rows = policy.attention, []
    within, across = (nn.MultiheadAttention(len(layer.norm1.weight), 1).double() for _ in range(2))
    within.load_state_dict(layer.self_attn.state_dict())
    across.load_state_dict(layer.cm_attn.state_dict())
    for i, weak in enumerate(labels):
        tiled = weak.expand(streams["audio"].shape[1], -1)
        picture = policy.fc_v(streams["visual_2d"][i])
        motion = policy.fc_st(streams["visual_3d"][i])
        visual = policy.fc_fusion(torch.cat([picture, motion], 1))
        audio = policy.audio_state(torch.cat([streams["audio"][i], tiled], 1))
        visual = policy.visual_state(torch.cat([visual, tiled], 1))
        for own, other in ((audio, visual), (visual, audio)):
            hidden = own + within(own, own, own)[0] + across(own, other, other)[0]
            hidden = layer.norm1(hidden)
            hidden = layer.norm2(hidden + layer.linear2(layer.linear1(hidden).relu()))
            logits = policy.head(hidden)
            if policy.pooling is None:
                rows.append(logits.mean(0))
            else:
                rows.append((policy.pooling(hidden).softmax(0) * logits).sum(0))
    return torch.stack(rows).view(len(labels), 2, -1)


@pytest.mark.parametrize("pooling", ["attentive", "mean"])
def test_policy_equals_a_plain_implementation(pooling: str) -> None:
    policy = Policy(Config(hidden=8, pooling=pooling), SPEC).double()  # type: ignore[arg-type]
    streams, labels = inputs(SPEC, 3)
    streams = {name: value.double() for name, value in streams.items()}
    with torch.no_grad():
        found = policy(streams, labels)
        expected = plain_logits(policy, streams, labels.double())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@given(
    st.integers(1, 7),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 6),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["attentive", "mean"]),
)
def test_any_data_set_fits(
    segments: int, classes: int, dim: int, hidden: int, motion: bool, told: bool, pooling: str
) -> None:
    dims = {"audio": dim, "visual_2d": dim + 1} | ({"visual_3d": dim + 2} if motion else {})
    of = spec(segments, classes, dims)
    config = Config(hidden=hidden, pooling=pooling, initial_labels=told)  # type: ignore[arg-type]
    logits = Policy(config, of)(*inputs(of, 2))
    assert logits.shape == (2, 2, classes)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("pooling", ["attentive", "mean"])
@pytest.mark.parametrize("told", [True, False])
def test_gradient_reaches_every_parameter(pooling: str, told: bool) -> None:
    config = Config(hidden=8, pooling=pooling, initial_labels=told)  # type: ignore[arg-type]
    policy = initialised(config, SPEC, 1)
    streams, labels = inputs(SPEC, 6)
    (policy(streams, labels) ** 2).sum().backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 1e-6, name


def test_labels_are_part_of_the_state_unless_ablated() -> None:
    streams, labels = inputs(SPEC, 3)
    told = initialised(Config(hidden=8), SPEC, 0)
    blind = initialised(Config(hidden=8, initial_labels=False), SPEC, 0)
    assert not torch.allclose(told(streams, labels), told(streams, 1 - labels))
    assert torch.equal(blind(streams, labels), blind(streams, 1 - labels))
    extra = sum(p.numel() for p in told.parameters()) - sum(p.numel() for p in blind.parameters())
    assert extra == 2 * 8 * len(SPEC.classes)


def test_each_modality_reads_every_stream() -> None:
    policy = initialised(Config(hidden=8), SPEC, 0)
    streams, labels = inputs(SPEC, 2)
    before = policy(streams, labels)
    for name in streams:
        after = policy({**streams, name: streams[name] + 1}, labels)
        assert ((after - before).abs().amax((0, 2)) > 1e-4).all(), name


def test_policy_starts_by_keeping() -> None:
    streams, labels = inputs(SPEC, 200)
    probability = initialised(Config(hidden=32), SPEC, 0)(streams, labels).sigmoid()
    assert 0.8 < probability.mean().item() < 0.95


def test_a_kept_audio_branch_is_certain_and_has_no_gradient() -> None:
    policy = initialised(Config(hidden=8, audio="keep"), SPEC, 0)
    streams, labels = inputs(SPEC, 3)
    logits = policy(streams, labels)
    assert (logits[:, 0].sigmoid() == 1).all()
    assert (logits[:, 1].sigmoid() < 1).all()
    (gradient,) = torch.autograd.grad(logits[:, 0].sum() + 0 * logits[:, 1].sum(), policy.head.bias)
    assert not gradient.any()


def test_features_stored_in_16_bits_are_read() -> None:
    policy = initialised(Config(hidden=8), SPEC, 0)
    streams, labels = inputs(SPEC, 2)
    stored = {name: value.bfloat16() for name, value in streams.items()}
    widened = {name: value.float() for name, value in stored.items()}
    assert torch.equal(policy(stored, labels), policy(widened, labels))
    with torch.autocast("cpu", torch.bfloat16):
        found = policy(stored, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, policy(widened, labels), rtol=0.05, atol=0.1)


def test_first_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = initialised(Config(hidden=8), SPEC, 7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    again = initialised(Config(hidden=8), SPEC, 7).state_dict()
    other = initialised(Config(hidden=8), SPEC, 8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_size_is_about_one_task_network() -> None:
    # Table 3: RLLD has twice the parameters of MMIL, one network for each part.
    with torch.device("meta"):
        policy = nn.Module.parameters(Policy(Config(), LLP_SPEC))
        size = sum(parameter.numel() for parameter in policy)
    assert size / 4_569_675 == pytest.approx(1, abs=0.15)
