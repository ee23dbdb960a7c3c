"""Several extractors at once, on processes or batched for a device: the same features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from clips_kit import beep, flashes, write_test_clip

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import extractor_configs, load_extractor
from rlld.features.base import Extractor, flat, per_segment
from rlld.features.batched import each_batched
from rlld.features.job import Task
from rlld.features.joint import Joint
from rlld.media.decode import Clip
from rlld.media.views import CHUNK, Pictures, Sound


class Loudness(Extractor):
    """Loudness of each segment, and how many segments its chunk has."""

    name = "loudness"
    views = (Sound(8000),)

    def parameters(self):
        return {}

    def streams(self, segment_seconds):
        return {"audio": StreamSpec(2, "loudness")}

    def describe(self, chunks, segment_seconds):
        rows = [
            [0.0 if sound is None else np.abs(sound).mean(), len(chunk)]
            for chunk in chunks
            for sound in (segment.views[self.views[0]] for segment in chunk)
        ]
        return {"audio": np.array(rows, np.float32)}


class Brightness(Extractor):
    """Brightness of every picture, four to a segment."""

    name = "brightness"
    views = (Pictures(4, 20, 16),)

    def parameters(self):
        return {}

    def streams(self, segment_seconds):
        return {"visual_2d": StreamSpec(1, "brightness", 4)}

    def describe(self, chunks, segment_seconds):
        pictures = [segment.views[self.views[0]] for segment in flat(chunks)]
        rows = [np.zeros(4) if p is None else p.mean((1, 2, 3)) for p in pictures]
        return {"visual_2d": np.concatenate(rows)[:, None].astype(np.float32)}


@dataclass(frozen=True)
class Spoiled:
    """A clip that is none."""

    path: object
    segment_seconds: float = 1.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    lengths = {"a": 3, "b": 23, "c": 11, "d": 1}
    for number, (name, seconds) in enumerate(lengths.items()):
        sound = beep(seconds, 0.1 * number, 0.7) if name != "c" else None
        pictures = flashes(seconds, 0.5, 1.5 + number) if name != "d" else None
        write_test_clip(folder / f"{name}.mp4", sound=sound, pictures=pictures)
    return [folder / f"{name}.mp4" for name in lengths]


def test_a_joint_extractor_gives_what_its_members_give(clips):
    joint = Joint("both", [Loudness(), Brightness()])
    assert set(joint.streams(1.0)) == {"audio", "visual_2d"}
    for path in clips[:3]:
        together = joint.extract(path).streams
        alone = Brightness().extract(path).streams["visual_2d"]
        np.testing.assert_array_equal(together["visual_2d"], alone)
        sound = Loudness().extract(path).streams["audio"]
        np.testing.assert_array_equal(together["audio"], sound)
        assert len(together["visual_2d"]) == 4 * len(together["audio"])


def test_chunks_begin_at_multiples_of_ten(clips):
    rows = Joint("both", [Loudness(), Brightness()]).extract(clips[1]).streams["audio"]
    assert CHUNK == 10
    assert rows[:, 1].tolist() == [10.0] * 20 + [3.0] * 3


def test_a_clip_is_decoded_once_for_all(clips, monkeypatch):
    opened = []
    from rlld.media import decode, reading

    real = decode.open_media
    for module in (decode, reading):
        monkeypatch.setattr(module, "open_media", lambda path: opened.append(path) or real(path))
    views = (Sound(8000), Sound(48000), Pictures(4, 20, 16), Pictures(8, 0, 0), Pictures(1, 8, 8))
    segments = list(Clip(clips[0]).segments(1.0, views))
    # Once to learn its clock, then once for each track.
    assert len(opened) == 3 and len(segments) == 3
    assert segments[1].views[views[1]].shape == (48000,)
    assert segments[1].views[views[3]].shape == (8, 48, 64, 3)


def test_batched_features_are_those_of_each_clip_alone(clips, tmp_path):
    joint = Joint("both", [Loudness(), Brightness()])
    bad = tmp_path / "bad.mp4"
    bad.write_text("no clip")
    tasks = [Task(path.stem, path, "", 1.0) for path in [*clips, bad, *clips]]
    told: list[Sequence[Task]] = []
    found = list(each_batched(tasks, joint, 3, told.append))
    assert len(found) == 9
    assert {task.path for working in told for task in working} == set(clips)
    for task, result in found:
        if task.path == bad:
            assert isinstance(result, RlldError) and "bad.mp4" in str(result)
            continue
        whole = joint.extract(task.path)
        assert result.info == whole.info
        for name, value in whole.streams.items():
            np.testing.assert_array_equal(result.streams[name], value)


def test_batched_work_can_be_left_in_the_middle(clips):
    joint = Joint("both", [Loudness(), Brightness()])
    tasks = [Task(path.stem, path, "", 1.0) for path in clips * 20]
    results = each_batched(tasks, joint, 2)
    next(results)
    results.close()  # would wait for ever if a decoder could not be stopped


def test_frames_are_averaged_per_segment():
    rows = {"visual_2d": np.arange(24, dtype=np.float32).reshape(8, 3)}
    averaged = per_segment(rows, {"visual_2d": StreamSpec(3, "", 4)})
    np.testing.assert_array_equal(averaged["visual_2d"], [[4.5, 5.5, 6.5], [16.5, 17.5, 18.5]])


def test_features_are_named_with_their_settings():
    configs = extractor_configs("light(fps=4, width=32)")
    assert (configs["light"].fps, configs["light"].width, configs["light"].height) == (4, 32, 48)
    assert load_extractor("light(fps=4)").version != load_extractor("light").version


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("lite", "'lite', which no installed package brings either; did you mean 'light'"),
        ("light(fsp=4)", "fsp"),
        ("light(fps=4", "expected extractors joined by commas"),
        ("light,light", "'light' is given 2 times; give it once"),
        ("light(fps=4,fps=5)", "'fps' is given 2 times; give it once"),
        ("light(fps=[)", "fps: cannot be read; write settings as name=value"),
        ("light,,light", "expected extractors joined by commas"),
        ("", "expected extractors joined by commas"),
    ],
)
def test_wrong_names_are_refused(features, message):
    with pytest.raises(RlldError) as refused:
        load_extractor(features)
    assert message in str(refused.value)


def test_two_extractors_of_one_stream_are_refused():
    with pytest.raises(RlldError, match="both describe stream 'audio'"):
        Joint("twice", [Loudness(), load_extractor("light")])
