"""Verified features: every fault is made on purpose and must be named; halves must agree."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.clips_kit import beep, flashes, write_test_clip
from rlld.cli import _main
from rlld.data.checks.comparison import Compared
from rlld.data.checks.faults import faults
from rlld.data.checks.statistics import GROUPS, Gatherer, StreamStatistics, chosen
from rlld.data.checks.verify import read_reference, verify
from rlld.data.store import read_store, store_path
from rlld.errors import RlldError
from rlld.synthetic.features.writing import simulate

Array = NDArray[np.float32]
Videos = dict[str, Array]
SEGMENTS, DIM = 10, 24


def latent(count: int, seed: int, dim: int = DIM) -> Videos:
    """Correlated in time and within a video, dimensions of unlike mean and spread."""
    kind, random = np.random.default_rng(5), np.random.default_rng(seed)
    mean, spread = kind.normal(0.2, 0.5, dim), kind.uniform(0.3, 1.5, dim)
    mixing = kind.normal(0, 1, (dim, dim)) / np.sqrt(dim)
    videos = {}
    for number in range(count):
        rows = np.zeros((SEGMENTS, dim))
        state = random.normal(0, 1, dim)
        for row in rows:
            row[:] = state
            state = 0.7 * state + np.sqrt(1 - 0.49) * random.normal(0, 1, dim)
        rows += 0.3 * random.normal(0, 1, dim)
        values = (rows + 0.5 * rows @ mixing) * spread + mean
        videos[f"{seed}-{number}"] = values.astype(np.float32)
    return videos


def relu(videos: Videos) -> Videos:
    return {video: np.maximum(rows, 0) for video, rows in videos.items()}


def described(videos: Videos, frames: int | None = None) -> StreamStatistics:
    dim = next(iter(videos.values())).shape[1]
    gatherer = Gatherer(dim, frames, chosen(videos))
    for video, rows in videos.items():
        gatherer.add(video, rows)
    found = gatherer.finish()
    assert found is not None
    return found


def named(ours: Videos, reference: Videos) -> list[str]:
    return [name for name, _ in faults(Compared(described(ours), described(reference)))]


def every(change: Callable[[Array], Array]) -> Callable[[Videos], Videos]:
    return lambda videos: {v: change(rows).astype(np.float32) for v, rows in videos.items()}


def rotated(rows: Array) -> Array:
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(rows.shape[1],) * 2))[0]
    return (rows - 0.5) @ turn


def other_layer(rows: Array) -> Array:
    weights = np.random.default_rng(3).normal(size=(rows.shape[1],) * 2)
    return np.maximum(rows @ weights - 1.0, 0)


def with_gaps(videos: Videos) -> Videos:
    random = np.random.default_rng(4)
    return {v: rows * (random.random((len(rows), 1)) > 0.15) for v, rows in videos.items()}


def shuffled(videos: Videos) -> Videos:
    random = np.random.default_rng(6)
    return {video: random.permutation(rows) for video, rows in videos.items()}


ORDER = np.random.default_rng(1).permutation(DIM)
FAULTY: dict[str, Callable[[Videos], Videos]] = {
    "dimensions": every(lambda rows: rows[:, :20]),
    "rows per video": every(lambda rows: rows[:8]),
    "8 bits": every(lambda rows: np.floor(np.clip(rows, 0, 4) * 63.75)),
    "normalised": every(lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)),
    "transformed": every(rotated),
    "scale": every(lambda rows: rows * 2.5),
    "order of dimensions": every(lambda rows: rows[:, ORDER]),
    "values": every(other_layer),
    "zero rows": with_gaps,
    "repeated rows": every(lambda rows: rows[np.arange(len(rows)) // 2 * 2]),
    "neighbours": shuffled,
}


@pytest.fixture(scope="module")
def halves() -> tuple[Videos, Videos]:
    return relu(latent(300, 1)), relu(latent(300, 2))


@pytest.mark.parametrize("seed", range(10, 22))
def test_halves_agree(seed, halves):
    for count in (8, 40, 300):
        assert named(relu(latent(count, seed)), halves[0]) == []


def test_signed_halves_agree():
    assert named(latent(300, 1), latent(300, 2)) == []


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_is_named_from_statistics_alone(fault, halves):
    assert fault in named(FAULTY[fault](halves[0]), halves[1])


@pytest.mark.parametrize("fault", [name for name in FAULTY if name != "rows per video"])
def test_a_fault_brings_no_wrong_names(fault, halves):
    also = {"repeated rows": {"neighbours"}}
    assert set(named(FAULTY[fault](halves[0]), halves[1])) - also.get(fault, set()) == {fault}


def test_the_other_way_round(halves):
    for fault, name in (
        ("8 bits", "not 8 bits"),
        ("normalised", "not normalised"),
        ("transformed", "not transformed"),
    ):
        assert named(halves[0], FAULTY[fault](halves[1])) == [name]


def test_a_missing_activation_is_not_taken_for_a_transformation(halves):
    assert named(latent(300, 1), halves[1]) == ["activation missing"]
    assert named(halves[1], latent(300, 1)) == ["activation"]


@pytest.mark.parametrize("factor", [1 / 255, 0.5, 1.3, 255.0])
def test_the_factor_is_told(factor, halves):
    scaled = every(lambda rows: rows * factor)(halves[0])
    ((name, text),) = faults(Compared(described(scaled), described(halves[1])))
    assert name == "scale"
    assert float(text.split("are ")[1].split(" times")[0]) == pytest.approx(factor, rel=0.05)


# Videos in common tell more, and need no others.


@pytest.fixture(scope="module")
def few() -> Videos:
    return relu(latent(6, 3))


def test_the_same_videos_agree(few):
    assert named(few, few) == []
    assert named(every(lambda rows: rows * 1.0001)(few), few) == []


def test_a_shift_is_named(few):
    longer = {video: np.concatenate([rows, rows[:2]]) for video, rows in few.items()}
    for shift in (1, 2):
        later = {video: rows[shift : shift + SEGMENTS] for video, rows in longer.items()}
        ((name, text),) = faults(Compared(described(later), described(few)))
        assert name == "shift" and f"{shift:+d} segments" in text
        ((name, text),) = faults(Compared(described(few), described(later)))
        assert name == "shift" and f"{-shift:+d} segments" in text


def test_slightly_other_preparation_is_named(few):
    random = np.random.default_rng(0)
    noisy = {v: np.abs(r + random.normal(0, 0.15, r.shape)).astype("f4") for v, r in few.items()}
    assert named(noisy, few) == ["preparation"]


def test_other_pictures_are_named(few):
    strangers = dict(zip(few, relu(latent(6, 9)).values(), strict=True))
    assert named(strangers, few) == ["pictures or sounds"]


def test_one_other_clip_is_named(few):
    first = next(iter(few))
    assert named({**few, first: relu(latent(1, 9))["9-0"]}, few) == ["some videos"]


def test_order_and_scale_are_certain_with_the_same_videos(few):
    permuted = FAULTY["order of dimensions"](few)
    ((name, text),) = faults(Compared(described(permuted), described(few)))
    assert name == "order of dimensions" and "of every row" in text
    ((name, text),) = faults(Compared(described(every(lambda r: r * 1.02)(few)), described(few)))
    assert name == "scale" and "1.02 times" in text


def test_nothing_is_claimed_of_too_few_videos(few):
    assert named(relu(latent(6, 4)), few) == ["unknown"]


# The statistics.


def test_statistics_against_numpy():
    videos = relu(latent(4 * GROUPS, 7))
    gone = next(iter(videos))
    videos[gone][3:5] = 0
    found = described(videos)
    rows = np.concatenate(list(videos.values())).astype(np.float64)
    seen = rows[rows.any(1)]
    assert len(rows) - len(seen) == 2
    norms = np.sqrt((seen**2).sum(1))
    expected = {
        "mean": seen.mean(),
        "std": seen.std(),
        "zeros": np.mean(seen == 0),
        "negatives": 0.0,
        "norm_mean": norms.mean(),
        "norm_std": norms.std(),
        "zero_rows": 2 / len(rows),
        "dimension_means": seen.mean(0),
        "dimension_stds": seen.std(0),
        "positive_means": seen.mean(0),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found.values[name], value, rtol=1e-9, err_msg=name)
    assert found.longest == pytest.approx(norms.max())
    assert (found.least, found.largest) == (0.0, rows.max())
    whole = described({video: value for video, value in videos.items() if video != gone})
    first = np.concatenate([v[:-1] for n, v in videos.items() if n != gone]).astype(np.float64)
    second = np.concatenate([v[1:] for n, v in videos.items() if n != gone]).astype(np.float64)
    every_row = np.concatenate([v for n, v in videos.items() if n != gone]).astype(np.float64)
    covariance = ((first - first.mean(0)) * (second - second.mean(0))).mean(0).sum()
    correlation = covariance / every_row.var(0).sum()
    np.testing.assert_allclose(whole.value("neighbours"), correlation, rtol=1e-9)


def test_the_error_of_a_mean_is_that_of_the_groups():
    videos = latent(4 * GROUPS, 8)
    means = np.array([rows.mean() for rows in videos.values()], np.float64)
    groups = means.reshape(4, GROUPS).mean(0)
    expected = groups.std(ddof=1) / np.sqrt(GROUPS)
    assert described(videos).error("mean") == pytest.approx(expected, rel=1e-6)


def test_whole_numbers_and_repetitions_are_counted():
    rows = np.array([[1, 0.5], [1, 0.5], [2, 3], [0, 0], [0, 0]], np.float32)
    found = described({"a": rows})
    assert found.value("integers") == 4 / 6
    assert found.value("duplicates") == 1 / 2
    assert found.value("zero_rows") == 2 / 5


def test_frames_are_averaged():
    rows = np.arange(48, dtype=np.float32).reshape(8, 6)
    found = described({"a": rows}, frames=4)
    np.testing.assert_array_equal(found.samples["a"], rows.reshape(2, 4, 6).mean(1))
    assert found.segments == (2, 2)


def test_memory_is_flat():
    def peak(count: int) -> int:
        rows = np.random.default_rng(0).random((10, 256), np.float32)
        tracemalloc.start()
        gatherer = Gatherer(256, None, ())
        for number in range(count):
            gatherer.add(str(number), rows)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(600) < 1.1 * peak(60)


# Files.


def save(folder: Path, videos: Videos, name: str = "vggish") -> Path:
    (folder / name).mkdir(parents=True)
    for video, rows in videos.items():
        np.save(folder / name / f"{video}.npy", rows)
    return folder


def test_folders_by_the_command(halves, tmp_path, capsys):
    right, wrong = save(tmp_path / "right", halves[0]), tmp_path / "wrong"
    save(wrong, FAULTY["8 bits"](halves[1]))
    reference = tmp_path / "reference.json"
    assert _main(["data", "verify", str(right), "--write", str(reference)]) == 0
    assert _main(["data", "verify", str(right), "--reference", str(reference)]) == 0
    shown = capsys.readouterr().out
    assert "audio: agrees with" in shown and "8 videos in common agree by 1.0000" in shown
    assert _main(["data", "verify", str(wrong), "--reference", str(reference)]) == 2
    shown = capsys.readouterr()
    assert "audio: 8 bits: whole numbers from 0 to 255" in shown.out
    assert shown.err.startswith("rlld: ") and shown.err.count("\n") == 1
    again = tmp_path / "again.json"
    assert _main(["data", "verify", str(right), "--write", str(again)]) == 0
    assert again.read_bytes() == reference.read_bytes()


def test_a_reference_with_lists_for_numbers_is_refused(halves, tmp_path):
    path = tmp_path / "r.json"
    verify(save(tmp_path / "F", halves[0]), write=path)
    content = json.loads(path.read_text())
    content["streams"]["audio"]["values"]["negatives"] = [0.5, 0.5]
    path.write_text(json.dumps(content))
    with pytest.raises(RlldError, match=r"r\.json.*audio.*no statistics of features"):
        read_reference(path)


def test_a_reference_survives_its_file(halves, tmp_path):
    folder = save(tmp_path / "F", halves[0])
    found = verify(folder, write=tmp_path / "r.json").found.streams["audio"]
    back = read_reference(tmp_path / "r.json").streams["audio"]
    assert list(back.samples) == list(found.samples) and len(back.samples) == 8
    for video, rows in found.samples.items():
        np.testing.assert_array_equal(back.samples[video], rows)
    for name, value in found.values.items():
        np.testing.assert_allclose(back.values[name], value, rtol=1e-6)


def test_simulated_stores_agree_and_a_file_meets_a_store(tmp_path):
    simulate(tmp_path / "S", "compact", videos=(300, 60, 60))
    stores = [store_path(tmp_path / "S", split) for split in ("train", "test")]
    verify(stores[0], write=tmp_path / "r.json")
    result = verify(stores[1], tmp_path / "r.json")
    assert result.agrees and set(result.verdicts) == {"audio", "visual_2d"}
    assert verify(tmp_path / "S", tmp_path / "r.json").agrees  # the whole data set
    store = read_store(stores[0])
    rows = {name: value.float().numpy() for name, value in store.streams.items()}
    for name, value in rows.items():
        save(tmp_path / "F", dict(zip(store.ids, value, strict=True)), name)
    result = verify(tmp_path / "F", tmp_path / "r.json")
    assert result.agrees
    like = result.verdicts["audio"].likeness
    assert like is not None and (like.videos, like.shift) == (8, 0)
    assert like.least == pytest.approx(1.0)


def test_light_features_of_other_clips_agree(tmp_path):
    from rlld.features.job import Where
    from rlld.features.to_files import extract_files

    random = np.random.default_rng(0)
    for half in ("one", "two"):
        clips = {}
        for number in range(8):
            start, end = sorted(random.uniform(0, 2, 2))
            path = tmp_path / f"{half}-{number}.mp4"
            sound = beep(2, start, end) + random.normal(0, 0.01, 32000).astype(np.float32)
            clips[path.stem] = write_test_clip(path, sound=sound, pictures=flashes(2, start, end))
        extract_files(clips, tmp_path / half, where=Where(1))
    verify(tmp_path / "one", write=tmp_path / "r.json")
    result = verify(tmp_path / "two", tmp_path / "r.json")
    assert result.agrees, result.verdicts
    assert read_reference(tmp_path / "r.json").made_by["extractor"] == "light"


def manifest(folder: Path, stream: dict[str, object], name: str, parameters: object) -> None:
    from rlld.utils.files import sha256

    files = sorted((folder / name).glob("*.npy"))
    clips = {file.stem: {"sha256": {"visual_2d": sha256(file)}} for file in files}
    content = {"extractor": "e", "version": "1", "parameters": parameters}
    content |= {"streams": {"visual_2d": {"folder": name, **stream}}, "clips": clips}
    (folder / "manifest.json").write_text(json.dumps(content))


def test_frames_per_segment_and_recorded_settings(halves, tmp_path):
    for frames in (4, 8):
        videos = every(lambda rows, n=frames: np.repeat(rows, n, axis=0))(halves[0])
        folder = save(tmp_path / str(frames), videos, "res152")
        settings = {"resnet152": {"fps": frames, "weights": "V1"}}
        manifest(folder, {"dim": DIM, "frames": frames}, "res152", settings)
    verify(tmp_path / "8", write=tmp_path / "r.json")
    result = verify(tmp_path / "4", tmp_path / "r.json")
    ((name, text),) = result.verdicts["visual_2d"].faults
    assert name == "frames per segment" and "4 rows per segment, the reference has 8" in text
    assert result.settings == ("resnet152.fps: 4 here, 8 in the reference",)


def test_damage_is_found(halves, tmp_path, capsys):
    folder = save(tmp_path / "F", halves[0], "visual_2d")
    manifest(folder, {"dim": DIM, "frames": 1}, "visual_2d", {})
    assert not verify(folder).problems
    first, second, third, *_ = sorted((folder / "visual_2d").glob("*.npy"))
    content = bytearray(first.read_bytes())
    content[-3] ^= 1
    first.write_bytes(content)
    second.unlink()
    problems = verify(folder).problems
    assert len(problems) == 2
    assert "differs from its checksum" in problems[0] and "is missing" in problems[1]
    assert _main(["data", "verify", str(folder)]) == 2
    assert "2 problems" in capsys.readouterr().err
    with pytest.raises(RlldError, match="is damaged"):
        verify(folder, write=tmp_path / "r.json")
    assert not (tmp_path / "r.json").exists()
    (folder / "manifest.json").unlink()
    third.write_bytes(third.read_bytes()[:-5])
    np.save(first, np.full((10, DIM), np.nan, np.float32))
    problems = verify(folder).problems
    assert len(problems) == 2
    assert "NaN or infinity" in problems[0] and "not a whole .npy file" in problems[1]


def test_a_damaged_store_is_found(tmp_path):
    simulate(tmp_path / "S", "compact", videos=(20, 10, 10))
    path = store_path(tmp_path / "S", "train")
    content = bytearray(path.read_bytes())
    content[-2] ^= 64
    path.write_bytes(content)
    (problem,) = verify(path).problems
    assert "differs from its checksum" in problem


def test_refusals(halves, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RlldError, match="no features in it"):
        verify(tmp_path / "empty")
    with pytest.raises(RlldError, match="no such file or folder"):
        verify(tmp_path / "nothing")
    folder = save(tmp_path / "F", halves[0])
    reference = tmp_path / "r.json"
    wrong = '{"rlld_statistics": 1, "source": "", "made_by": 3, "streams": {}}'
    for text in ("", "[]", "{}", wrong):
        reference.write_text(text)
        with pytest.raises(RlldError, match="no reference of features"):
            verify(folder, reference)
    verify(folder, write=reference)
    content = json.loads(reference.read_text())
    content["streams"]["audio"]["values"]["dimension_means"].pop()
    reference.write_text(json.dumps(content))
    with pytest.raises(RlldError, match="stream 'audio': no statistics"):
        verify(folder, reference)
    (folder / "manifest.json").write_text('{"clips": {"a": 3}, "streams": {"audio": {"dim": 1}}}')
    with pytest.raises(RlldError, match="'streams' or 'clips' are wrong"):
        verify(folder)


def test_missing_and_unknown_streams(halves, tmp_path):
    save(tmp_path / "A", halves[0])
    save(tmp_path / "B", halves[0], "audio_of_others")
    save(tmp_path / "B", halves[0], "visual_3d")
    verify(tmp_path / "A", write=tmp_path / "r.json")
    verdicts = verify(tmp_path / "B", tmp_path / "r.json").verdicts
    assert {name: v.faults[0][0] for name, v in verdicts.items()} == {
        "audio": "missing",
        "visual_3d": "unknown",
    }
