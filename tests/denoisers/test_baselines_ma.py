"""MA: the exchange against its published loops, its targets, its files and its runs."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rlld
from resume_kit import require_resumable
from rlld.data.dataset import load_data
from rlld.denoisers import ma
from rlld.denoisers._exchange_file import read_exchange, write_exchange
from rlld.errors import RlldError
from rlld.evaluation.scoring import keep_probabilities
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import load_denoiser, load_run
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)


def slow_removals(labels, error, foreign_sound, foreign_picture):
    """The rule of the publication, label by label."""
    removed = np.zeros((2, *labels.shape), dtype=bool)
    for own, foreign in ((0, foreign_picture), (1, foreign_sound)):
        largest = max(error[own])
        for video, label in np.argwhere(labels > 0):
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = error[own, label] / largest
                heard, seen = foreign[0, video, label] / scale, foreign[1, video, label] / scale
            removed[own, video, label] = heard < 0.5 and seen < 0.5
    return removed


@given(st.integers(0, 10**6), st.booleans())
def test_removals_follow_the_published_rule(seed, with_zeros):
    rng = np.random.default_rng(seed)
    labels = (rng.random((11, 4)) < 0.4).astype(np.float32)
    foreign = rng.random((2, 2, 11, 4)).astype(np.float32)
    error = rng.random((2, 4)).astype(np.float32)
    if with_zeros:
        error[rng.random((2, 4)) < 0.4] = 0
        foreign[rng.random(foreign.shape) < 0.2] = 0
    found = ma.removals(*map(torch.from_numpy, (labels, error, *foreign)))
    assert np.array_equal(found.numpy(), slow_removals(labels, error, *foreign))


def test_the_error_of_a_class_by_hand():
    """Exactly 0.5 is no detection."""
    probability = torch.tensor([[[0.9], [0.5], [0.2]], [[0.6], [0.7], [0.1]]])
    labels = torch.tensor([[1.0], [1.0], [0.0]])
    assert ma.class_error(probability, labels).tolist() == [[pytest.approx(1 / 3)], [0.0]]


def test_partners_share_no_label_and_are_drawn_uniformly():
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]).float()
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(5, 5)
    for _ in range(1500):
        partner, alone = ma.partners(labels, generator)
        assert not alone.any()
        counts[torch.arange(5), partner] += 1
    shared = labels @ labels.T > 0
    assert not counts[shared].any()
    expected = (~shared) / (~shared).sum(1, keepdim=True)
    # Five standard deviations of a share over 1500 draws are below 0.065.
    assert (counts / 1500 - expected).abs().max() < 0.065


def test_a_video_without_any_partner_is_left_alone():
    labels = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    partner, alone = ma.partners(labels[:3], torch.Generator().manual_seed(0))
    assert alone.tolist() == [True, False, False]
    assert partner.tolist() == [0, 2, 1]
    partner, alone = ma.partners(labels, torch.Generator().manual_seed(0))
    assert partner[0] == 3
    assert not alone.any()


def test_the_targets_by_hand():
    labels = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    removed = torch.tensor([[[1, 0, 0, 1]], [[0, 1, 0, 1]]]).bool()
    found = ma.targets(labels, removed, ma.Config())
    assert found.audio.tolist() == [[0, 1, 1, 0]]
    assert found.visual[0].tolist() == pytest.approx([0.95, 0, 0.95, 0.05])
    assert found.video.tolist() == [[0, 1, 1, 0]]
    kept = ma.targets(labels, removed, ma.Config(keep_global_label=True))
    assert kept.video.tolist() == [[1, 1, 1, 0]]
    assert torch.equal(kept.audio, found.audio)


def published_rows(removed, shared=False):
    """The layout of the publication, each row as a view of its batch if ``shared``."""
    everyone = torch.arange(removed.shape[1])
    row = (lambda i: everyone[i]) if shared else (lambda i: torch.tensor(i))
    return [
        [[row(i) for i in mask[:, c].nonzero()[:, 0].tolist()] for c in range(mask.shape[1])]
        for mask in (removed[1], removed[0])
    ]


@pytest.mark.parametrize("name", ["need_to_change.pkl", "exchange.npz"])
def test_files_come_back(tmp_path, name):
    removed = torch.rand(2, 20, 3, generator=torch.Generator().manual_seed(0)) < 0.3
    write_exchange(tmp_path / name, removed)
    assert torch.equal(read_exchange(tmp_path / name, 20, 3), removed)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_published_layout_is_read_and_written(tmp_path, shared, protocol):
    removed = torch.rand(2, 20, 3, generator=torch.Generator().manual_seed(1)) < 0.3
    path = tmp_path / "need_to_change.pkl"
    path.write_bytes(pickle.dumps(published_rows(removed, shared), protocol))
    assert torch.equal(read_exchange(path, 20, 3), removed)
    write_exchange(path, removed)
    # Our own file, which we trust, as the published loader reads it.
    assert pickle.loads(path.read_bytes()) == published_rows(removed)  # noqa: S301


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_runs_anything_is_refused_before_it_runs(tmp_path):
    path, witness = tmp_path / "need_to_change.pkl", tmp_path / "ran"
    good = published_rows(torch.zeros(2, 4, 1).bool())
    for data in ([*good, Command(f"touch {witness}")], Command(f"touch {witness}")):
        path.write_bytes(pickle.dumps(data))
        with pytest.raises(RlldError, match=r"refused, because reading it would run \w+\.system"):
            read_exchange(path, 4, 1)
        assert not witness.exists()


def test_a_storage_that_runs_anything_is_refused(tmp_path):
    """The allowed name for storages is itself an unpickler of what it is given."""
    path, witness = tmp_path / "need_to_change.pkl", tmp_path / "ran"
    inner = pickle.dumps(Command(f"touch {witness}"))

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner,)

    class Row:
        def __reduce__(self):
            arguments = (Storage(), 0, (), (), False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments

    path.write_bytes(pickle.dumps([[[Row()]], [[]]]))
    with pytest.raises(RlldError, match=r"refused, because reading it would run \w+\.system"):
        read_exchange(path, 4, 1)
    assert not witness.exists()


def test_the_real_names_are_never_called(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("the published pickle was run")

    removed = torch.ones(2, 3, 2).bool()
    path = tmp_path / "need_to_change.pkl"
    path.write_bytes(pickle.dumps(published_rows(removed)))
    monkeypatch.setattr(torch.storage, "_load_from_bytes", never)
    assert torch.equal(read_exchange(path, 3, 2), removed)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([[[], []]], "this is no need_to_change.pkl"),
        ({"visual": []}, "this is no need_to_change.pkl"),
        ([[[], []], [[]]], "lists of rows, found 1 for audio; it belongs to other classes"),
        ([[[], []], [[], 3]], "class 1 of audio is no list"),
        ([[[], [4]], [[], []]], "row 4 for visual, but there are 4 training videos"),
        ([[[], []], [[torch.tensor(-1)], []]], "row -1 for audio, but there are 4"),
        ([[["a"], []], [[], []]], "a row is str, expected a whole number"),
        ([[[torch.tensor(1.0)], []], [[], []]], "a row is no whole number"),
        ([[[torch.tensor([1])], []], [[], []]], "a row is no whole number"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "need_to_change.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(RlldError, match=message) as caught:
        read_exchange(path, 4, 2)
    assert str(path) in str(caught.value)


# Pickled once: how long a pickle of tensors is depends on which strings Python has made one.
PUBLISHED = pickle.dumps(published_rows(torch.ones(2, 4, 2).bool()))


@given(st.data())
def test_damaged_files_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "need_to_change.pkl"
    removed = torch.ones(2, 4, 2).bool()
    content = bytearray(PUBLISHED)
    content = content[: data.draw(st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 3)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    try:
        found = read_exchange(path, 4, 2)
    except RlldError as error:
        assert str(path) in str(error)
    else:
        assert found.shape == removed.shape


def test_masks_of_another_data_set_are_refused(tmp_path):
    path = tmp_path / "exchange.npz"
    write_exchange(path, torch.zeros(2, 5, 3).bool())
    with pytest.raises(RlldError, match=r"shape \(5, 3\), expected bool of shape \(4, 3\)"):
        read_exchange(path, 4, 3)
    np.savez(path, audio=np.zeros((4, 3), bool))
    with pytest.raises(RlldError, match="no exchange in it"):
        read_exchange(path, 4, 3)
    with pytest.raises(RlldError, match="cannot be read"):
        read_exchange(tmp_path / "missing.pkl", 4, 3)


def test_rows_of_another_order_are_refused(tiny_data, tmp_path):
    path = tmp_path / "need_to_change.pkl"
    data = load_data(tiny_data)
    absent = data.train.labels == 0
    write_exchange(path, torch.stack([absent, absent]))
    recipe = load_recipe("ma", {"denoiser.exchange": str(path)}, data.spec.overrides)
    with pytest.raises(RlldError, match="which is not labelled with it"):
        Trainer(recipe, data.train, data.validation, 0, COMPUTE)


def test_options_out_of_range():
    with pytest.raises(RlldError, match="visual_smoothing"):
        ma.Config(visual_smoothing=1.5)


OVERRIDES = {"schedule.rounds": 8}


def test_a_run_keeps_what_it_removed(tiny_data, tmp_path):
    out = tmp_path / "run"
    run = rlld.train("ma+cl", tiny_data, out, compute=COMPUTE, overrides=OVERRIDES)
    denoiser = load_denoiser(load_run(out))
    removed = denoiser.exchange.removed
    train = load_data(tiny_data).train
    assert 0 < removed.sum() < 2 * train.labels.sum()
    assert not (removed & (train.labels == 0)).any()
    keep = keep_probabilities(run, train)
    assert torch.equal(keep == 0, removed.transpose(0, 1))
    again = tmp_path / "again"
    path = tmp_path / "need_to_change.pkl"
    write_exchange(path, removed)
    overrides = {**OVERRIDES, "denoiser.exchange": str(path)}
    rlld.train("ma+cl", tiny_data, again, compute=COMPUTE, overrides=overrides)
    weights = [load_run(folder).network.state_dict() for folder in (out, again)]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_swapped_tracks_are_those_of_the_partner(tiny_data):
    """The judge is asked about the right sound with the right picture."""
    train = load_data(tiny_data).train

    class Echo(torch.nn.Module):
        def forward(self, streams, mask):
            sound, picture = (streams[name].mean((1, 2)) for name in ("audio", "visual_3d"))
            assert torch.equal(streams["visual_2d"].mean((1, 2)), self.pictures[self.order])
            empty = torch.zeros(len(sound), 1, 2, 1)
            return rlld.types.Prediction(empty, sound[:, None], picture[:, None], sound[:, None])

    echo = Echo()
    echo.pictures = train.streams["visual_2d"].mean((1, 2))
    own = torch.arange(len(train))
    partner = own.flip(0)
    means = {name: train.streams[name].mean((1, 2)) for name in ("audio", "visual_3d")}
    for sound, picture in ((None, None), (partner, None), (None, partner)):
        echo.order = own if picture is None else picture
        found = ma._probabilities(echo, train, sound, picture)[..., 0]
        assert torch.equal(found[0], means["audio"][own if sound is None else sound])
        assert torch.equal(found[1], means["visual_3d"][own if picture is None else picture])


def test_resuming_after_any_step_changes_nothing(tiny_data, tmp_path):
    data = load_data(tiny_data)
    loaded = load_recipe("ma", {"schedule.rounds": 3}, data.spec.overrides)

    def fresh() -> Trainer:
        return Trainer(loaded, data.train, data.validation, 7, COMPUTE)

    require_resumable(fresh, tmp_path, (1, 4, 7))
