"""RLLD as the training loop drives it: updates, baseline, figures, resuming, learning."""

from __future__ import annotations

import copy
import io
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from rlld.data.spec import DataSpec, StreamSpec
from rlld.data.split import Split
from rlld.denoisers.base import Context
from rlld.denoisers.reinforced import Config, actions
from rlld.denoisers.reinforced.options import InterRewardOptions, TerminalRewardOptions
from rlld.denoisers.reinforced.reinforce import Reinforce
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels
from rlld.utils.config import from_dict, to_dict
from rlld.utils.registry import DENOISERS

SPEC = DataSpec(
    "toy", ("a", "b", "c"), 3, 1.0, {"audio": StreamSpec(3), "visual_2d": StreamSpec(3)}
)
SCORES = {"segment_audio": 50.0, "event_visual": torch.tensor(40.0)}
NO_INTER = InterRewardOptions(alpha1=0, alpha2=0)


def split(videos: int = 16, seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    streams = {
        name: torch.randn(videos, 3, dim, generator=generator) for name, dim in SPEC.dims.items()
    }
    labels = (torch.rand(videos, 3, generator=generator) < 0.6).float()
    return Split("train", SPEC, tuple(map(str, range(videos))), streams, labels)


def prepared(seed: int = 0, **options: Any) -> Reinforce:
    denoiser = Config(**{"hidden": 4, **options}).build(SPEC)
    train = split()

    def fit(_: ModalityLabels) -> Any:
        raise AssertionError("the paper's learner trains no network of its own")

    denoiser.prepare(Context(train, train, seed, torch.device("cpu"), fit))
    return denoiser


def weights(denoiser: Reinforce) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in denoiser.policy.parameters()])


def run(denoiser: Reinforce, steps: range, episode: int = 4) -> list[torch.Tensor]:
    """Steps of a loop whose scores depend on the labels; returns all labels given."""
    given = []
    for number in steps:
        batch = split(8, seed=number).all()
        labels = denoiser.revise(batch, None)
        given.append(torch.stack([labels.audio, labels.visual, labels.video]))
        denoiser.feedback(
            {"segment_audio": 60 * labels.audio.mean(), "event_visual": 50 * labels.visual.mean()}
        )
        if (number + 1) % episode == 0:
            denoiser.end_of_round()
    return given


def test_the_registry_finds_it_and_its_options_are_strict() -> None:
    data = {"name": "reinforced", "lr": "1e-3", "inter": {"alpha1": 0}, "mode": "one_epoch"}
    config = DENOISERS.config(data, "recipe")
    assert config == Config(lr=1e-3, inter=InterRewardOptions(alpha1=0.0), mode="one_epoch")
    assert from_dict(Config, to_dict(config), "recipe") == config
    with pytest.raises(RlldError, match="expected one of segment_audio"):
        from_dict(Config, {"terminal": {"audio": "audio"}}, "recipe")
    with pytest.raises(RlldError, match="lr must be positive, found -1"):
        Config(lr=-1)


def test_the_loop_is_told_what_it_must_do() -> None:
    joint, fresh = prepared(), prepared(mode="one_epoch")
    assert joint.wants_feedback
    assert not joint.wants_prediction
    assert not joint.fresh_network_each_round
    assert fresh.fresh_network_each_round
    assert list(joint.networks()) == ["policy"]


@pytest.mark.parametrize("target", ["union", "original"])
def test_targets_are_the_revised_labels(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = prepared(video_target=target)
    batch = Batch(split(2).streams, torch.tensor([[1.0, 1, 1], [0, 1, 0]]), torch.arange(2))
    taken = torch.tensor([[[0, 1, 0], [0, 0, 1]], [[1, 1, 1], [1, 0, 1]]]).bool()
    monkeypatch.setattr(actions, "sample", lambda *_: taken)
    labels = denoiser.revise(batch, None)
    assert labels.audio.tolist() == [[0, 1, 0], [0, 1, 0]]
    assert labels.visual.tolist() == [[0, 0, 1], [0, 0, 0]]
    fused = {"union": [[0, 1, 1], [0, 1, 0]], "original": [[1, 1, 1], [0, 1, 0]]}
    assert labels.video.tolist() == fused[target]
    assert labels.segment is None
    assert labels.audio.dtype == torch.float32
    assert not any(x.requires_grad for x in (labels.audio, labels.visual, labels.video))


def test_updates_come_after_each_step_or_at_the_end_of_the_episode() -> None:
    stepwise, episodic = prepared(), prepared(update="episode")
    start = weights(stepwise)
    assert torch.equal(start, weights(episodic))
    for denoiser in (stepwise, episodic):
        run(denoiser, range(3))
    assert not torch.equal(start, weights(stepwise))
    assert torch.equal(start, weights(episodic))
    episodic.end_of_round()
    moved = weights(episodic)
    assert not torch.equal(start, moved)
    episodic.end_of_round()
    assert torch.equal(moved, weights(episodic))


def test_an_episode_moves_by_the_mean_of_its_gradients() -> None:
    def gradients(denoiser: Reinforce) -> torch.Tensor:
        return torch.cat([p.grad.flatten() for p in denoiser.policy.parameters()])  # type: ignore[union-attr]

    denoiser = prepared(update="episode")
    sums = [torch.zeros(())]
    for number in range(3):
        run(denoiser, range(number, number + 1), episode=99)
        sums.append(gradients(denoiser))
    steps = [after - before for before, after in itertools.pairwise(sums)]
    seen = []
    denoiser.optimizer.step = lambda *_: seen.append(gradients(denoiser))  # type: ignore[assignment,method-assign]
    denoiser.end_of_round()
    torch.testing.assert_close(seen[0], torch.stack(steps).mean(0), rtol=1e-4, atol=1e-7)


def test_figures_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = prepared(inter=InterRewardOptions(alpha1=0, alpha2=1), empty_rule="modality")
    batch = Batch(split(2).streams, torch.tensor([[1.0, 1, 0], [0, 1, 0]]), torch.arange(2))
    # Audio: video 0 loses a of a, b; video 1 loses its only label, which is undone. Visual: kept.
    taken = torch.ones(2, 2, 3, dtype=torch.bool)
    taken[0, 0, 0] = taken[1, 0, 1] = False
    monkeypatch.setattr(actions, "sample", lambda *_: taken)
    with torch.no_grad():
        logits = denoiser.policy(batch.streams, batch.labels)
    denoiser.revise(batch, None)
    figures = {name: value.item() for name, value in denoiser.feedback(SCORES).items()}
    soft, after = torch.tensor([0.95, 0.95, 0.05]), torch.tensor([0.05, 0.95, 0.05])
    cosine = (soft @ after / soft.norm() / after.norm()).item()
    rewards = [[5 + cosine, 4 + 1], [-1, 4 + 1]]
    p = logits.double().sigmoid()
    log_pi = [
        [((1 - p[0, 0, 0]).log() + p[0, 0, 1].log()), p[0, 1, 0].log() + p[0, 1, 1].log()],
        [(1 - p[1, 0, 1]).log(), p[1, 1, 1].log()],
    ]
    loss = -sum(rewards[i][m] * log_pi[i][m].item() for i in range(2) for m in range(2)) / 2
    expected = {
        "reward_audio": (5 + cosine - 1) / 2,
        "reward_visual": 5,
        "terminal_audio": 5,
        "terminal_visual": 4,
        "inter_audio": (cosine + 1) / 2,
        "inter_visual": 1,
        "keep_audio": (p[0, 0, 0] + p[0, 0, 1] + p[1, 0, 1]).item() / 3,
        "keep_visual": (p[0, 1, 0] + p[0, 1, 1] + p[1, 1, 1]).item() / 3,
        "removed_audio": 1 / 3,
        "removed_visual": 0,
        "undone_audio": 0.5,
        "undone_visual": 0,
        "policy_loss": loss,
    }
    present = batch.labels.bool().unsqueeze(1).expand_as(p)
    disorder = torch.where(present, -p * p.log() - (1 - p) * (1 - p).log(), 0).sum((0, 2)) / 3
    expected |= {"entropy_audio": disorder[0].item(), "entropy_visual": disorder[1].item()}
    assert figures == pytest.approx(expected, abs=1e-6)


def test_baseline_is_the_average_of_earlier_scores_and_the_batch_mean() -> None:
    denoiser = prepared(baseline="average", baseline_decay=0.75, inter=NO_INTER)
    seen = []
    plain = denoiser._baseline

    def spy(inter: torch.Tensor, terminal: torch.Tensor) -> torch.Tensor:
        seen.append(plain(inter, terminal))
        return seen[-1]

    denoiser._baseline = spy  # type: ignore[method-assign]
    for score in (40.0, 80.0, 20.0):
        denoiser.revise(split(4).all(), None)
        denoiser.feedback({"segment_audio": score, "event_visual": 0.0})
    # The first score is its own baseline; then 0.75 * 4 + 0.25 * 8 = 5.
    assert [value[0].item() for value in seen] == pytest.approx([4, 4, 5])
    mixed = plain(torch.tensor([[0.5, 1.0], [1.0, 1.0]]), torch.zeros(2))
    assert mixed.tolist() == pytest.approx([0.75 * 5 + 0.25 * 2 + 0.75, 1.0])


def test_entropy_bonus_draws_towards_a_half() -> None:
    silent = TerminalRewardOptions(scale=0)
    denoiser = prepared(inter=NO_INTER, terminal=silent, empty_rule="none", entropy=1.0, lr=1e-2)
    batch = split().all()
    before = denoiser.keep_probability(batch)[:, :, batch.labels[0].bool()]
    run(denoiser, range(150))
    after = denoiser.keep_probability(batch)[:, :, batch.labels[0].bool()]
    assert (before - 0.5).abs().mean() > 0.2
    assert (after - 0.5).abs().mean() < 0.1


@pytest.mark.parametrize("update", ["step", "episode"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_resumed_run_gives_the_same_bits(update: str, dropout: float) -> None:
    options = {"update": update, "baseline": "average", "dropout": dropout, "lr": 1e-2}
    torch.manual_seed(1)
    denoiser = prepared(**options)
    run(denoiser, range(6))  # stops in the middle of the second episode
    stored = io.BytesIO()
    torch.save(denoiser.state_dict(), stored)
    dropout_state = torch.get_rng_state()
    expected = run(denoiser, range(6, 14))

    stored.seek(0)
    resumed = prepared(seed=99, **options)
    resumed.load_state_dict(torch.load(stored, weights_only=True))
    torch.set_rng_state(dropout_state)
    found = run(resumed, range(6, 14))
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert torch.equal(weights(denoiser), weights(resumed))


def test_a_state_is_plain_and_stays_as_it_was() -> None:
    denoiser = prepared(update="episode", baseline="average")
    run(denoiser, range(5))
    state = denoiser.state_dict()
    kept = copy.deepcopy(state)

    def check(value: Any, other: Any) -> None:
        assert type(value) in (torch.Tensor, int, float, str, list, dict)
        if isinstance(value, dict):
            assert value.keys() == other.keys()
            for key in value:
                check(value[key], other[key])
        elif isinstance(value, torch.Tensor):
            assert torch.equal(value, other)

    run(denoiser, range(5, 9))
    check(kept, state)


def test_a_state_of_another_policy_is_refused() -> None:
    state = prepared().state_dict()
    with pytest.raises(RlldError, match="does not fit the policy"):
        prepared(pooling="mean").load_state_dict(state)
    with pytest.raises(RlldError, match="written with credit 'labelwise'"):
        prepared().load_state_dict({**state, "credit": "labelwise"})


def test_the_seed_decides() -> None:
    first, again, other = prepared(seed=3), prepared(seed=3), prepared(seed=4)
    torch.manual_seed(0)
    labels = run(first, range(4))
    torch.manual_seed(1)
    assert all(torch.equal(a, b) for a, b in zip(labels, run(again, range(4)), strict=True))
    assert not torch.equal(weights(first), weights(other))


def test_prepared_policy_is_the_one_that_networks_returned() -> None:
    denoiser = Config(hidden=4).build(SPEC)
    policy = denoiser.networks()["policy"]
    train = split()
    denoiser.prepare(Context(train, train, 5, torch.device("cpu"), lambda _: None))  # type: ignore[arg-type,return-value]
    run(denoiser, range(1))
    assert policy is denoiser.policy


def test_feedback_needs_actions() -> None:
    with pytest.raises(RuntimeError, match="without a revision"):
        prepared().feedback(SCORES)


def test_keep_probability_is_judged_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = prepared(dropout=0.5)
    batch = split().all()
    whole = denoiser.keep_probability(batch)
    monkeypatch.setattr("rlld.denoisers.reinforced.base.CHUNK", 5)
    torch.testing.assert_close(denoiser.keep_probability(batch), whole)
    assert whole.shape == (16, 2, 3)
    assert not whole.requires_grad


def test_decisions_follow_threshold_and_empty_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser = prepared()
    batch = Batch(split(2).streams, torch.tensor([[1.0, 1, 0], [1, 0, 1]]), torch.arange(2))
    keep = torch.tensor([[[0.9, 0.5, 0.9], [0.1, 0.2, 0.9]], [[0.1, 0.9, 0.4], [0.3, 0.9, 0.2]]])
    monkeypatch.setattr(denoiser, "keep_probability", lambda _: keep)
    labels = denoiser.decide(batch)
    assert labels.audio.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert labels.visual.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert labels.video.tolist() == [[1, 1, 0], [1, 0, 1]]
    assert denoiser.decide(batch, 0.35).audio.tolist() == [[1, 1, 0], [0, 0, 1]]


def test_a_kept_audio_branch_loses_no_label() -> None:
    denoiser = prepared(audio="keep", initial_bias=-1.0)
    for number in range(5):
        batch = split(8, seed=number).all()
        labels = denoiser.revise(batch, None)
        assert torch.equal(labels.audio, batch.labels)
        assert not torch.equal(labels.visual, batch.labels)
        assert denoiser.feedback(SCORES)["keep_audio"].item() == 1


@pytest.mark.slow
def test_the_policy_learns_where_the_reward_depends_on_the_removals() -> None:
    """A label is noisy where a feature says so; the score is the share of right decisions."""
    denoiser = prepared(
        hidden=16,
        lr=3e-3,
        baseline="average",
        inter=NO_INTER,
        empty_rule="none",
        initial_bias=0.0,
    )

    def clean(batch: Batch) -> torch.Tensor:
        # Feature c of a modality is positive, on the mean over the segments, where c is clean.
        both = [batch.streams["audio"].mean(1), batch.streams["visual_2d"].mean(1)]
        return (torch.stack(both, 1) > 0).float()

    def right(decided: torch.Tensor, batch: Batch) -> torch.Tensor:
        weak = batch.labels.unsqueeze(1)
        return ((decided == clean(batch) * weak) * weak).sum((0, 2)) / weak.sum((0, 2))

    held_out = split(200, seed=10_000).all()

    def accuracy() -> torch.Tensor:
        labels = denoiser.decide(held_out)
        return right(torch.stack([labels.audio, labels.visual], 1), held_out)

    before = accuracy()
    for number in range(900):
        batch = split(4, seed=number).all()
        labels = denoiser.revise(batch, None)
        share = 100 * right(torch.stack([labels.audio, labels.visual], 1), batch)
        denoiser.feedback({"segment_audio": share[0], "event_visual": share[1]})
    assert (before < 0.7).all()
    assert (accuracy() > 0.8).all()


def test_the_pages_explain_every_option_and_every_figure() -> None:
    methods = Path(__file__).parents[2] / "docs/methods"
    pages = "".join(page.read_text() for page in sorted(methods.glob("rlld*.md")))
    options = to_dict(Config())
    nested = {f"{k}.{key}" for k, v in options.items() if isinstance(v, dict) for key in v}
    denoiser = prepared()
    denoiser.revise(split().all(), None)
    figures = {name.rsplit("_", 1)[0] + "_*" for name in denoiser.feedback(SCORES)}
    figures = figures - {"policy_*"} | {"policy_loss"}
    for name in {k for k, v in options.items() if not isinstance(v, dict)} | nested | figures:
        assert f"`{name}`" in pages, name
