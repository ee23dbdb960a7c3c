"""Scores of segments: packing them, loading them, and what is said when they are missing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from any_length_kit import draw_maps, write_set
from rlld.data.checks.check import check
from rlld.data.dataset import load_data, load_split
from rlld.data.similarities import combinations, load_scores, pack_scores, scores_files, scores_path
from rlld.data.spec import FILE_NAME, read_spec, spec_text
from rlld.errors import RlldError
from rlld.synthetic.features.writing import simulate


def test_combinations_stand_in_the_published_order():
    assert combinations([]) == [()]
    assert combinations([7]) == [(7,), ()]
    assert combinations([2, 5]) == [(2, 5), (2,), (5,), ()]
    three = [(1, 4, 6), (1,), (4,), (6,), (1, 4), (1, 6), (4, 6), ()]
    assert combinations([1, 4, 6]) == three
    assert len(set(combinations([0, 1, 2, 3, 4]))) == 2**5


@pytest.fixture
def scored(tiny_data: Path, tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A copy of the tiny data set without scores, and files of scores for its training videos."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder, ignore=shutil.ignore_patterns("scores"))
    rng = np.random.default_rng(0)
    values = {}
    for number, video in enumerate(load_split(folder, "train").ids):
        values[video] = rng.normal(size=(2, 6, 4)).astype(np.float32)
        for modality, value in zip(("audio", "visual"), values[video], strict=True):
            (tmp_path / modality).mkdir(exist_ok=True)
            short = video if number % 2 else video[:11]
            np.save(tmp_path / modality / f"{short}.npy", value)
    return folder, values


def sources(folder: Path) -> dict[str, Path]:
    return {modality: folder.parent / modality for modality in ("audio", "visual")}


def test_packed_scores_come_back_for_the_videos_of_a_split(scored):
    folder, values = scored
    packed = []
    pack_scores(folder, "classes", sources(folder), lambda *what: packed.append(what))
    assert packed == [("train", 48)]
    split = load_split(folder, "train").subset(torch.tensor([5, 3, 30]))
    found = load_scores(split, "classes", {"audio": 4, "visual": None})
    for modality, place in (("audio", 0), ("visual", 1)):
        wanted = np.stack([values[video][place] for video in split.ids])
        assert np.array_equal(found[modality].numpy(), wanted)


def test_what_is_missing_is_said_in_one_sentence(scored):
    folder, _ = scored
    split = load_split(folder, "train")
    with pytest.raises(RlldError, match=r"no scores 'classes'.*rlld data scores.*data simulate"):
        load_scores(split, "classes", {"audio": 4})
    with pytest.raises(RlldError, match="no scores 'classes'"):
        load_scores(replace(split, folder=None), "classes", {"audio": 4})
    pack_scores(folder, "classes", sources(folder), lambda *_: None)
    with pytest.raises(RlldError, match=r"tensor 'audio': found shape \(6, 4\), expected \(6, 9\)"):
        load_scores(split, "classes", {"audio": 9})
    with pytest.raises(RlldError, match="tensor 'visual_classes': found none"):
        load_scores(split, "classes", {"visual_classes": None})
    stranger = replace(split, ids=("nobody", *split.ids[1:]))
    with pytest.raises(RlldError, match="no scores of 1 of the 48 train videos, first 'nobody'"):
        load_scores(stranger, "classes", {"audio": 4})


def test_bad_files_are_refused_and_leave_nothing(scored):
    folder, values = scored
    video = list(values)[1]
    file = folder.parent / "audio" / f"{video}.npy"
    file.unlink()
    with pytest.raises(RlldError, match=f"1 of the 48 train videos cannot be packed: '{video}'"):
        pack_scores(folder, "classes", sources(folder), lambda *_: None)
    np.save(file, np.zeros((6, 5)))
    with pytest.raises(RlldError, match=r"shape \(6, 5\), expected \(6, 4\)"):
        pack_scores(folder, "classes", sources(folder), lambda *_: None)
    assert not scores_path(folder, "classes", "train").exists()
    np.save(file, np.zeros((6, 4)))
    pack_scores(folder, "classes", sources(folder), lambda *_: None)
    with pytest.raises(RlldError, match="no such folder"):
        pack_scores(folder, "classes", {"audio": folder / "nowhere"}, lambda *_: None)
    with pytest.raises(RlldError, match=r"holds no \.npy file"):
        pack_scores(folder, "classes", {"audio": folder}, lambda *_: None)


def test_simulated_scores_follow_the_true_events(tmp_path: Path):
    simulate(tmp_path / "a", "compact", seed=3, videos=(400, 20, 20))
    simulate(tmp_path / "b", "compact", seed=3, videos=(400, 20, 20))
    for name in ("classes", "combinations"):
        first, again = (scores_path(tmp_path / k, name, "train").read_bytes() for k in "ab")
        assert first == again
    split = load_split(tmp_path / "a", "train", with_truth=True)
    scores = load_scores(split, "classes", {"audio": 25, "visual": 25})
    own = split.labels.bool()[:, None]
    for place, modality in enumerate(("audio", "visual")):
        labelled, true = (scores[modality] > 0) & own, split.truth[:, :, place] & own
        hits = (labelled & true).sum()
        assert 0.75 < hits / true.sum() < 0.9
        assert hits / labelled.sum() > true.sum() / own.expand_as(true).sum() + 0.1
    for name in ("validation", "test"):
        other = load_split(tmp_path / "a", name)
        found = load_scores(other, "combinations", {"audio": None, "visual_classes": 25})
        assert found["audio"].shape[2] == 2 ** int(other.labels.sum(1).max())


def checked(folder: Path) -> list[str]:
    """What the check says of files of scores."""
    return [
        f"{problem.path.parent.name}/{problem.path.name}: {problem.text}"
        for problem in check(folder).problems
        if "scores" in problem.path.parts
    ]


@pytest.fixture
def whole(tiny_data: Path, tmp_path: Path) -> Path:
    """A copy of the tiny data set with its scores."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_data, folder)
    return folder


def test_check_reads_scores_whole(whole):
    files = scores_files(whole)
    assert files and checked(whole) == [] and check(whole).scores == len(files)
    path = scores_path(whole, "classes", "train")
    content = bytearray(path.read_bytes())
    content[-40] ^= 0xFF
    path.write_bytes(bytes(content))
    assert any("differs from its checksum" in text for text in checked(whole))
    path.write_bytes(bytes(content)[:-8])
    assert any("not a whole safetensors file" in text for text in checked(whole))
    path.rename(path.with_name("holdout.safetensors"))
    assert checked(whole) == ["classes/holdout.safetensors: 'holdout' is no split of this data set"]


def test_check_names_missing_videos_and_wrong_shapes(scored):
    folder, _ = scored
    for name in ("classes", "combinations"):
        pack_scores(folder, name, sources(folder), lambda *_: None)
    texts = checked(folder)
    most = 2 ** int(load_split(folder, "train").labels.sum(1).max())
    assert "combinations/train.safetensors: tensor 'visual_classes' is missing" in texts[-1]
    assert len(texts) == (3 if most > 4 else 1)
    spec = read_spec(folder)
    (folder / FILE_NAME).write_text(spec_text(replace(spec, segments=5)))
    assert any("found shape (6, 4), expected (5, 4)" in text for text in checked(folder))
    (folder / FILE_NAME).write_text(spec_text(spec))
    weak = folder / "annotations" / spec.annotations.train
    first = weak.read_text().splitlines()[1]
    weak.write_text(weak.read_text() + first.replace(first[:5], "other", 1) + "\n")
    assert any("no scores of 1 of the 49 videos, first 'other" in text for text in checked(folder))


def test_scores_of_videos_of_any_length(tmp_path: Path) -> None:
    lengths = {"train": [3, 8, 5], "validation": [4], "test": [6, 2]}
    data = write_set(tmp_path / "data", draw_maps(lengths))
    files: dict[str, dict[str, np.ndarray]] = {}
    for modality in ("audio", "visual"):
        (tmp_path / modality).mkdir()
        for split, own in lengths.items():
            for number, segments in enumerate(own):
                name, rows = f"{split}_{number:03d}", np.random.default_rng(number)
                value = rows.standard_normal((segments, 4)).astype(np.float32)
                np.save(tmp_path / modality / f"{name}.npy", value)
                files.setdefault(name, {})[modality] = value
    sources = {name: tmp_path / name for name in ("audio", "visual")}
    pack_scores(data, "classes", sources, lambda *_: None)
    assert check(data).count("error") == 0
    train = load_data(data).train
    found = load_scores(train, "classes", {"audio": 4, "visual": None})
    for modality, value in found.items():
        assert value.shape == (3, 8, 4)
        for row, segments in enumerate(lengths["train"]):
            own = files[train.ids[row]][modality]
            assert np.array_equal(value[row, :segments].numpy(), own)
            assert not value[row, segments:].any()
    assert train.lengths is not None
    longer = replace(train, lengths=train.lengths.flip(0))
    with pytest.raises(RlldError, match="'train_000' has 3 segments, expected 5"):
        load_scores(longer, "classes", {"audio": 4})
