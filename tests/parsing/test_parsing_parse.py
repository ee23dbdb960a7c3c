from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rlld
from parse_kit import CLASSES, make_clip, make_run
from rlld.data.store import StoreWriter
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.parsing.parse import parse, parse_source
from rlld.parsing.result import Source
from rlld.parsing.sources import stored_features
from rlld.training.run_folder import Run, load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(make_run(tmp_path_factory.mktemp("parse") / "run"))


def random_features(run: Run, segments: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=(segments, dim)).astype(np.float32)
        for name, dim in run.spec.dims.items()
    }


def labels(parsed: object, modality: str) -> set[str]:
    return {event.label for event in parsed.events if event.modality == modality}


def test_a_clip_gives_what_its_features_give(run, tmp_path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 4.0)
    features = load_extractor("light").extract(clip, 1.0)
    from_clip, from_features = parse(run, clip), parse(run, features.streams)
    assert from_clip.probabilities == from_features.probabilities
    assert from_clip.name == "clip.mp4"
    assert from_clip.duration == features.info.duration
    assert from_features.duration == 4.0
    assert labels(from_clip, "audio") == labels(from_clip, "audio_visual") == set(CLASSES[:2])


def test_features_may_be_of_a_network_or_of_a_file_that_is_only_read(run, recwarn) -> None:
    features = random_features(run, 5)
    expected = parse(run, features)
    learnt = {name: torch.tensor(value, requires_grad=True) for name, value in features.items()}
    assert parse(run, learnt) == expected
    for value in features.values():
        value.flags.writeable = False
    assert parse(run, features) == expected
    assert not [each for each in recwarn if "not writable" in str(each.message)]


def test_names_are_strings_or_paths(run, tmp_path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 1.0)
    expected = rlld.parse(run, clip)
    assert rlld.parse(str(run.path), str(clip)) == expected
    assert rlld.parse(run.path, clip, ["Rain"]).tags == ("Rain",)
    assert rlld.load_run(str(run.path)).facts == run.facts


def test_a_clip_needs_the_extractor_of_the_training(run, tmp_path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 1.0)
    plain = parse(run, clip)
    same = replace(run.spec, features_version=load_extractor("light").version)
    assert parse(replace(run, spec=same), clip) == plain
    other = replace(run.spec, features_version="0123456789abcdef")
    with pytest.raises(
        RlldError, match=r"'light' features of version 0123456789abcdef, .*train again"
    ):
        parse(replace(run, spec=other), clip)


def test_the_real_clip_has_ten_segments_and_events_within_it(run, shared_media) -> None:
    parsed = parse(run, shared_media / "BjCEufrlXm4.mp4")
    assert len(parsed.probabilities) == 10
    assert 10.0 <= parsed.duration < 10.1
    assert all(0 <= e.start < e.end <= parsed.duration for e in parsed.events)


def test_probabilities_are_those_of_the_network(run) -> None:
    features = random_features(run, 10)
    parsed = parse(run, features)
    streams = {name: np.asarray(value)[None] for name, value in features.items()}
    import torch

    prediction = run.predict({name: torch.from_numpy(value) for name, value in streams.items()})
    assert np.array_equal(np.float32(parsed.probabilities), prediction.segment[0].numpy())
    fused = np.stack([prediction.video[0].numpy()] * 2)  # this run gates both tracks by it
    assert np.array_equal(np.float32(parsed.gates), fused.clip(max=1))


@pytest.mark.parametrize(
    ("silent", "kept", "lost"), [("sound", "visual", "audio"), ("picture", "audio", "visual")]
)
def test_a_clip_without_a_track_has_no_events_in_it(run, tmp_path, silent, kept, lost) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 3.0, **{silent: None})
    parsed = parse(run, clip)
    assert labels(parsed, kept) == set(CLASSES[:2])
    assert labels(parsed, lost) == labels(parsed, "audio_visual") == set()
    modality = ("audio", "visual").index(lost)
    assert not np.array(parsed.probabilities)[:, modality].any()
    assert not np.array(parsed.gates)[modality].any()
    assert any(f"no usable {silent}" in note for note in parsed.notes)


def test_tags_shut_off_other_classes_and_stand_in_for_the_gate(tmp_path) -> None:
    folder = make_run(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["recipe"]["gate"] = {"audio_threshold": 0.99, "visual_threshold": 0.99}
    (folder / "config.json").write_text(json.dumps(config))
    run = load_run(folder)
    features = random_features(run, 10)
    assert parse(run, features).events == ()
    tagged = parse(run, features, ["Dog_bark", "Rain"])
    assert tagged.tags == ("Dog_bark", "Rain")
    # No segment is above for rain, which is somewhere all the same.
    assert {event.label for event in tagged.events} == {"Dog_bark", "Rain"}
    long = parse(run, random_features(run, 40), ["Rain"])
    values = np.array(long.probabilities)[..., CLASSES.index("Rain")]
    told = np.argwhere(values == values.max())[0]
    events = [e for e in long.events if e.modality == ("audio", "visual")[told[1]]]
    assert any(e.start <= told[0] < e.end for e in events)
    assert len({e.start for e in long.events}) < 40


def test_chunks_make_no_difference(run) -> None:
    features = random_features(run, 47)
    whole = parse(run, features)
    pieces = [
        {name: value[start : start + 3] for name, value in features.items()}
        for start in range(0, 47, 3)
    ]
    in_pieces = parse_source(run, Source("features", pieces))
    assert np.allclose(np.array(in_pieces.probabilities), whole.probabilities, rtol=0, atol=1e-6)
    assert [e.label for e in in_pieces.events] == [e.label for e in whole.events]


def test_unknown_and_empty_tags_are_refused(run) -> None:
    features = random_features(run, 2)
    with pytest.raises(RlldError, match="did you mean 'Dog_bark'"):
        parse(run, features, ["Dog_barks"])
    with pytest.raises(RlldError, match="at least one class"):
        parse(run, features, [])
    with pytest.raises(RlldError, match=r"found 'Dog_bark'; give \['Dog_bark'\]"):
        parse(run, features, "Dog_bark")


def test_features_that_do_not_fit_are_refused(run) -> None:
    good = random_features(run, 4)
    with pytest.raises(RlldError, match="'audio' are missing"):
        parse(run, {name: good[name] for name in good if name != "audio"}, name="v")
    with pytest.raises(RlldError, match=r"v: stream 'audio' has shape \(4, 3\)"):
        parse(run, {**good, "audio": good["audio"][:, :3]}, name="v")
    with pytest.raises(RlldError, match="NaN"):
        parse(run, {**good, "audio": good["audio"] * np.nan})
    with pytest.raises(RlldError, match="audio 3"):
        parse(run, {**good, "audio": good["audio"][:3]})
    with pytest.raises(RlldError, match="no segment"):
        parse(run, {name: value[:0] for name, value in good.items()})


def test_a_run_on_features_made_elsewhere_asks_for_features(tmp_path) -> None:
    run = load_run(make_run(tmp_path / "run", features="published"))
    clip = make_clip(tmp_path / "clip.mp4", 1.0)
    with pytest.raises(RlldError, match=r"published features.*rlld parse RUN --features"):
        parse(run, clip)


def test_a_run_on_another_version_of_the_extractor_is_refused(tmp_path) -> None:
    folder = make_run(tmp_path / "run")
    run = load_run(folder)
    run.spec.streams["audio"] = type(run.spec.streams["audio"])(3)
    with pytest.raises(RlldError, match=r"for stream 'audio'.*3 dimensions"):
        parse(run, make_clip(tmp_path / "clip.mp4", 1.0))


def test_stored_features_come_from_a_store_or_npy_files(run, tmp_path) -> None:
    features = random_features(run, run.spec.segments)
    store = tmp_path / "store.safetensors"
    with StoreWriter(store, "test", run.spec, provenance="tests") as writer:
        writer.add("first", random_features(run, run.spec.segments, 1))
        writer.add("-11characters_0_10", features)
        writer.finish(["first", "-11characters_0_10"])
    read = stored_features(store, "-11characters_0_10", run.spec)
    for name, stream in run.spec.streams.items():
        folder = tmp_path / "npy" / (stream.folder or name)
        folder.mkdir(parents=True)
        np.save(folder / "-11characte.npy", features[name])
    loaded = stored_features(tmp_path / "npy", "-11characters_0_10", run.spec)
    for name, value in features.items():
        assert np.array_equal(read[name], value)
        assert np.array_equal(loaded[name], value)
    with pytest.raises(RlldError, match=r"no video 'furst'.*did you mean 'first'"):
        stored_features(store, "furst", run.spec)
    with pytest.raises(RlldError, match=r"other\.npy: no such feature file"):
        stored_features(tmp_path / "npy", "other", run.spec)


def test_frames_of_npy_files_are_averaged(run, tmp_path) -> None:
    from dataclasses import replace

    wide = {name: replace(s, frames=2) for name, s in run.spec.streams.items()}
    spec = replace(run.spec, streams=wide)
    for name, stream in wide.items():
        folder = tmp_path / (stream.folder or name)
        folder.mkdir()
        rows = np.arange(6, dtype=np.float32)[:, None].repeat(stream.dim, 1)
        np.save(folder / "v.npy", rows)
    for value in stored_features(tmp_path, "v", spec).values():
        assert value[:, 0].tolist() == [0.5, 2.5, 4.5]


def test_a_pickle_named_npy_is_refused(run, tmp_path) -> None:
    folder = tmp_path / (run.spec.streams["audio"].folder or "audio")
    folder.mkdir()
    np.save(folder / "v.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RlldError, match="not a readable"):
        stored_features(tmp_path, "v", run.spec)


def test_the_result_shows_itself_in_a_notebook(run) -> None:
    html = parse(run, random_features(run, 10), name="<b>x</b>")._repr_html_()
    assert "<svg" in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html and "<b>x</b>" not in html


def test_a_thousand_windows_need_no_more_memory_than_a_batch(run) -> None:
    """Features are made on the way; nothing but probabilities may pile up."""
    alive = []

    def chunks():
        import gc
        import weakref

        for number in range(300):
            part = random_features(run, 10, number)
            alive.append(weakref.ref(part["audio"]))
            yield part
            del part
            if number % 100 == 99:
                gc.collect()
                assert sum(ref() is not None for ref in alive) < 40

    parsed = parse_source(run, Source("long", chunks()))
    assert len(parsed.probabilities) == 3000
    assert {e.end for e in parsed.events if e.label == CLASSES[0]} == {3000.0}


def test_the_source_tells_its_length_after_reading(run) -> None:
    read: list[str] = []

    def chunks():
        yield random_features(run, 3)
        read.append("all")

    def outcome():
        assert read == ["all"]
        return 2.5, ("cut off",)

    parsed = parse_source(run, Source("v", chunks(), outcome))
    assert parsed.duration == 2.5
    assert parsed.notes == ("cut off",)
    assert max(e.end for e in parsed.events) == 2.5


def test_paths_may_be_text(run, tmp_path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 1.0)
    assert parse(run, str(clip)).name == parse(run, Path(clip)).name == "clip.mp4"
