"""The folder of a simulated data set."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from rlld.data.checks.stores import verify_store
from rlld.data.dataset import Split, load_data, load_split
from rlld.data.spec import LLP_FILES, LLP_SPEC, SPLITS
from rlld.data.store import read_store, store_path
from rlld.errors import RlldError
from rlld.synthetic.features import writing
from rlld.synthetic.features.copied import copy_events, read_annotations
from rlld.synthetic.features.writing import simulate
from rlld.taxonomy import LLP

SMALL = (300, 20, 30)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def compact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "compact"
    simulate(out, "compact", videos=SMALL)
    return out


def test_folder_loads_as_a_data_set(compact: Path) -> None:
    data = load_data(compact, with_truth=True)
    assert data.spec.features == "simulated"
    assert data.spec.classes == LLP.classes
    assert data.spec.overrides["network.hidden"] == 128
    assert data.spec.overrides["schedule.batch_size"] == 16
    assert writing.PRESETS["compact"].settings(10_000)["network.hidden"] == 40
    splits = [data.split(name) for name in SPLITS]
    assert tuple(map(len, splits)) == SMALL
    assert data.train.dense is None
    for split in splits:
        assert {name: tuple(v.shape) for name, v in split.streams.items()} == {
            "audio": (len(split), 10, 40),
            "visual_2d": (len(split), 10, 40),
        }
        events = data.train.truth if split.name == "train" else split.dense
        assert events is not None
        assert events.any(1).any(1).any(1).all() or split.name != "train"
        assert not verify_store(read_store(store_path(compact, split.name)))
    # Nobody sees the truth of training videos without asking for it.
    assert load_split(compact, "train").truth is None


def test_features_show_the_events(compact: Path) -> None:
    """Audible and visible Singing move the features of their own modality, on average."""
    split = load_data(compact, with_truth=True).train
    truth = split.truth
    assert truth is not None
    look = writing.appearances()
    for modality, name in enumerate(("audio", "visual_2d")):
        score = split.streams[name] @ torch.from_numpy(look[modality].prototypes).T
        for label in LLP.indices(("Singing", "Violin_fiddle", "Speech")):
            active = truth[:, :, modality, label]
            gap = score[..., label][active].mean() - score[..., label][~active].mean()
            assert gap > 1.0


def test_same_seed_gives_the_same_bytes(compact: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        simulate(tmp_path / "again", "compact", videos=SMALL)
    finally:
        torch.set_num_threads(threads)
    assert digests(tmp_path / "again") == digests(compact)


def test_another_seed_gives_other_bytes(compact: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "other", "compact", videos=SMALL, seed=1)
    one, two = digests(compact), digests(tmp_path / "other")
    assert {name for name in one if one[name] == two[name]} == {"dataset.yaml"}


def test_first_chunks_do_not_depend_on_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = writing._labels(LLP_SPEC, None, (600, 1, 1), 0)["train"]

    class Recorder(dict[str, np.ndarray]):
        def add(self, video: str, streams: dict[str, np.ndarray]) -> None:
            self[video] = streams["audio"]

    preset = writing.PRESETS["compact"]
    whole, part = Recorder(), Recorder()
    writing._write_split(whole, labels, preset, 0, 0, lambda *_: None)
    writing._write_split(part, labels.subset(np.arange(256)), preset, 0, 0, lambda *_: None)
    assert len(whole) == 600
    assert all((part[video] == whole[video]).all() for video in labels.ids[:256])


def test_llp_preset_is_the_compact_one_lifted(compact: Path, tmp_path: Path) -> None:
    spec = simulate(tmp_path / "llp", "llp", videos=(20, 2, 3), dtype="float16")
    assert spec.dims == {"audio": 128, "visual_2d": 2048, "visual_3d": 512}
    store = read_store(store_path(tmp_path / "llp", "test"))
    assert {name: (*v.shape, v.dtype) for name, v in store.streams.items()} == {
        name: (3, 10, dim, torch.float16) for name, dim in spec.dims.items()
    }
    flat = store.streams["audio"].float().reshape(30, 128)
    # Forty dimensions carry everything, up to half precision.
    strength = torch.linalg.svdvals(flat)
    assert int((strength > 0.01 * strength[0]).sum()) <= 30


def test_real_annotations_are_kept(shared_llp: Path, tmp_path: Path) -> None:
    train = annotations_are_kept(shared_llp, tmp_path, (50, 649, 40))
    assert train.truth.any(1).any(1).any(1).all()


def test_invented_annotations_are_kept(invented_llp: Path, tmp_path: Path) -> None:
    train = annotations_are_kept(invented_llp, tmp_path, (4, 6, 5))
    # Copied class by class, so that nothing comes with a class.
    assert not (train.truth.any(1).any(1) & ~train.labels.bool()).any()


def annotations_are_kept(folder: Path, tmp_path: Path, videos: tuple[int, int, int]) -> Split:
    """Of all validation videos, and of some of the others in their order."""
    simulate(tmp_path / "real", "compact", annotations=folder, videos=videos)
    real = read_annotations(folder, LLP_FILES, LLP_SPEC)
    data = load_data(tmp_path / "real", with_truth=True)
    assert data.validation.ids == real["validation"].ids
    assert data.validation.dense is not None
    assert (data.validation.dense.numpy() == real["validation"].events).all()
    for split in (data.train, data.test):
        assert set(split.ids) < set(real[split.name].ids)
        rows = [real[split.name].ids.index(video) for video in split.ids]
        assert rows == sorted(rows)
        assert (split.labels.numpy() == real[split.name].weak[rows]).all()
    return data.train


def test_noise_of_copied_events(shared_llp: Path) -> None:
    """Visual 34.4 % and audio 3.2 % of the present labels are absent (simulator study)."""
    train = writing._labels(LLP_SPEC, shared_llp, (10_000, 649, 1200), 0)["train"]
    present = train.weak > 0
    perceived = train.events.any(1)
    noise = [1 - perceived[:, modality][present].mean() for modality in (0, 1)]
    assert noise == pytest.approx([0.032, 0.344], abs=0.006)


def test_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "note.txt").write_text("mine")
    with pytest.raises(RlldError, match="no empty folder"):
        simulate(tmp_path / "used", "compact", videos=(2, 1, 1))
    assert [path.name for path in tmp_path.rglob("*")] == ["used", "note.txt"]
    with pytest.raises(RlldError, match="no empty folder"):
        simulate(tmp_path / "used" / "note.txt", "compact", videos=(2, 1, 1))


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    simulate(tmp_path, "compact", videos=(2, 1, 1))
    assert len(load_split(tmp_path, "train")) == 2


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "draw_segments", interrupt)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "out", "compact", videos=(2, 1, 1))
    assert not list(tmp_path.iterdir())


def test_leftovers_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    (tmp_path / ".out.part" / "features").mkdir(parents=True)
    (tmp_path / ".out.part" / "features" / "junk").write_text("half")
    simulate(tmp_path / "out", "compact", videos=(2, 1, 1))
    assert not list((tmp_path / "out").rglob("junk"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": -1}, "seed: expected a whole number from 0, found -1"),
        ({"videos": (5, 1, 0)}, "every split needs at least one"),
        ({"dtype": "float8"}, "float8"),
    ],
)
def test_bad_arguments(options: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(RlldError, match=words):
        simulate(tmp_path / "out", "compact", **{"videos": (2, 1, 1), **options})
    assert not list(tmp_path.iterdir())


def test_noise_of_copied_events_by_hand(invented_llp: Path) -> None:
    """Of seven annotated videos with Speech six let it be heard, one shows it; Dog: two and three.

    No five videos have the same labels, so that every class is copied by itself.
    """
    real = read_annotations(invented_llp, LLP_FILES, LLP_SPEC)
    annotated = [real[split] for split in ("validation", "test")]
    weak = np.zeros((4000, 25), np.uint8)
    labels = LLP.indices(("Speech", "Dog"))
    weak[:, labels] = 1
    copied = copy_events(
        weak,
        np.concatenate([split.weak for split in annotated]),
        np.concatenate([split.events for split in annotated]),
        np.random.default_rng(0),
    )
    perceived = copied.any(1)[..., labels].mean(0)
    expected = np.array([[6 / 7, 2 / 4], [1 / 7, 3 / 4]])
    np.testing.assert_allclose(perceived, expected, atol=0.03)


def test_more_videos_than_annotated_are_refused(invented_llp: Path, tmp_path: Path) -> None:
    with pytest.raises(RlldError, match="7 validation videos were asked for"):
        simulate(tmp_path / "out", "compact", annotations=invented_llp, videos=(5, 7, 5))


def test_missing_annotation_folder(tmp_path: Path) -> None:
    with pytest.raises(RlldError, match="no such annotation file"):
        simulate(tmp_path / "out", "compact", annotations=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()
