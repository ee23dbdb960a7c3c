"""Segments of sound and pictures lie where they belong, whatever the file is like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from clips_kit import PEAK, beep, flashes, seen

from rlld.errors import RlldError
from rlld.media.decode import Clip, probe, segment_count

SMALL = (16, 12)


def read(path, seconds=1.0, **options):
    clip = Clip(path)
    segments = seen(clip, seconds, size=SMALL, **options)
    assert [segment.index for segment in segments] == list(range(len(segments)))
    return segments, clip.outcome()


def levels(segment):
    return segment.frames.reshape(len(segment.frames), -1).mean(1)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov"])
def test_flash_and_beep_land_in_their_second(make_clip, name):
    path = make_clip(name, sound=beep(6, 3.25, 3.5), pictures=flashes(6, 4.0, 5.0))
    segments, info = read(path)
    assert len(segments) == 6
    assert info.has_audio and info.has_video and info.notes == ()
    for segment in segments:
        assert segment.audio.shape == (16000,) and segment.audio.dtype == np.float32
        assert segment.frames.shape == (8, *SMALL[::-1], 3) and segment.frames.dtype == np.uint8
        bright = levels(segment) > 120
        assert bright.all() if segment.index == 4 else not bright.any()
        if segment.index != 3:
            assert np.abs(segment.audio).max() < 0.05
    loud = np.flatnonzero(np.abs(segments[3].audio) > 0.25)
    assert abs(loud[0] - 4000) < 40
    assert abs(loud[-1] - 8000) < 40


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2)])
def test_sound_is_the_mean_of_its_channels(tmp_path, layout, channels):
    rng = np.random.default_rng(1)
    loud = rng.integers(-32000, 32001, (16000, channels)).astype(np.int16)
    path = tmp_path / "clip.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout=layout)
        frame = av.AudioFrame.from_ndarray(loud.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    segments, _ = read(path)
    np.testing.assert_allclose(segments[0].audio, loud.mean(1) / 32768, atol=1e-4)


def test_uncompressed_sound_comes_back_sample_by_sample(make_clip):
    sound = np.random.default_rng(0).uniform(-0.9, 0.9, 40000).astype(np.float32)
    path = make_clip("pcm.mkv", sound=sound, codecs=("libx264", "pcm_s16le"))
    segments, info = read(path)
    heard = np.concatenate([segment.audio for segment in segments])
    assert len(heard) == 48000
    np.testing.assert_allclose(heard[:40000], sound, atol=1e-4)
    assert not heard[40000:].any()
    assert not info.has_video and "no video track" in info.notes
    assert all(segment.frames is None for segment in segments)


@pytest.mark.parametrize(("stored", "wanted"), [(44100, 16000), (44100, 48000), (8000, 16000)])
def test_resampled_sound_is_that_of_another_resampler(make_clip, stored, wanted):
    time = np.arange(2 * stored) / stored
    # From 50 Hz to 3 kHz, which every one of these rates can carry.
    sweep = (0.5 * np.sin(2 * np.pi * (50 * time + 737.5 * time**2))).astype(np.float32)
    path = make_clip("a.mkv", sound=sweep, rate=stored, codecs=("libx264", "pcm_s16le"))
    found = np.concatenate([segment.audio for segment in read(path, rate=wanted)[0]])
    divisor = np.gcd(stored, wanted)
    from scipy.signal import resample_poly

    expected = resample_poly(sweep.astype(float), wanted // divisor, stored // divisor)
    assert len(found) == len(expected) == 2 * wanted
    inside = slice(wanted // 20, -wanted // 20)
    error = np.sqrt(np.mean((found - expected)[inside] ** 2))
    # Where they pass, the filters of both differ by a thousandth; a shift by a sample is a tenth.
    assert error < 2e-3 * np.sqrt(np.mean(expected**2))


def test_segment_lengths_other_than_a_second(make_clip):
    path = make_clip(
        "clip.mkv",
        sound=beep(5, 0, 5),
        codecs=("libx264", "pcm_s16le"),
        pictures=flashes(5, 1.92, 2.88, fps=25),
    )
    segments, _ = read(path, 0.96)
    assert len(segments) == 6
    assert all(segment.audio.shape == (15360,) for segment in segments)
    bright = [bool((levels(segment) > 120).all()) for segment in segments]
    assert bright == [False, False, True, False, False, False]


def test_sound_that_starts_late_stays_late(make_clip):
    path = make_clip(
        "late.mkv",
        sound=beep(3, 0, 3),
        sound_start=2.5,
        pictures=flashes(6, 9, 9),
        codecs=("libx264", "pcm_s16le"),
    )
    segments, _ = read(path)
    assert [segment.audio is None for segment in segments] == [True, True] + 4 * [False]
    loud = np.flatnonzero(np.abs(segments[2].audio) > 0.1)
    assert abs(loud[0] - 8000) < 40


def test_pictures_that_start_late_stay_late(make_clip):
    late = [(time + 2.5, level) for time, level in flashes(3, 1.5, 2.5)]
    segments, _ = read(make_clip("late.mkv", sound=beep(6, 0, 6), pictures=late))
    assert [segment.frames is None for segment in segments] == [True, True] + 4 * [False]
    assert (levels(segments[4]) > 120).all()
    assert (levels(segments[3]) < 120).all()


def test_variable_frame_rate_shows_what_is_on_screen(make_clip):
    pictures = [(0.0, 40), (0.9, 80), (1.0, 120), (3.6, 200), (3.7, 30), (5.9, 90)]
    segments, _ = read(make_clip("vfr.mkv", sound=beep(6, 0, 0), pictures=pictures))
    times = (np.arange(48) + 0.5) / 8
    expected = [[level for start, level in pictures if start <= time][-1] for time in times]
    shown = np.concatenate([levels(segment) for segment in segments])
    np.testing.assert_allclose(shown, expected, atol=6)


def test_the_shorter_track_ends_and_the_longer_goes_on(make_clip):
    short_sound, _ = read(make_clip("a.mp4", sound=beep(2, 0, 2), pictures=flashes(4, 9, 9)))
    assert [segment.audio is None for segment in short_sound] == [False, False, True, True]
    short_video, _ = read(make_clip("b.mp4", sound=beep(4, 0, 4), pictures=flashes(2, 9, 9)))
    assert [segment.frames is None for segment in short_video] == [False, False, True, True]


def test_a_gap_in_the_sound_keeps_what_follows_in_place(tmp_path):
    import av

    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for start in (0, 4):
            part = np.full((1, 16000), 8000, np.int16)
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, start * 16000
            container.mux(stream.encode(frame))
    segments, _ = read(path)
    assert [segment.audio is not None for segment in segments] == [True, False, False, False, True]


def test_no_sound_and_no_pictures(make_clip):
    segments, info = read(make_clip("mute.mp4", pictures=flashes(2, 0, 1)))
    assert len(segments) == 2
    assert all(segment.audio is None for segment in segments)
    assert not info.has_audio and info.notes == ("no audio track",)


def test_a_clip_shorter_than_a_segment_is_padded(make_clip):
    segments, info = read(
        make_clip("short.mkv", sound=beep(0.3, 0, 0.3), pictures=flashes(0.3, 0, 1))
    )
    assert len(segments) == 1
    assert segments[0].audio.shape == (16000,)
    assert not segments[0].audio[6000:].any()
    assert segments[0].frames.shape[0] == 8
    assert info.duration == pytest.approx(0.3, abs=0.1)


def test_real_clip_has_ten_segments(shared_media):
    path = shared_media / "BjCEufrlXm4.mp4"
    info = probe(path)
    assert (info.width, info.height, info.has_audio, info.has_video) == (320, 240, True, True)
    assert info.duration == pytest.approx(10.028, abs=0.001)
    segments, outcome = read(path)
    assert len(segments) == 10 and outcome.notes == ()
    assert all(s.audio is not None and s.frames is not None for s in segments)


@pytest.mark.parametrize(
    ("duration", "seconds", "count"),
    [(10.0, 1.0, 10), (10.05, 1.0, 10), (10.2, 1.0, 11), (9.6, 0.96, 10), (0.05, 1.0, 1)],
)
def test_segment_count(duration, seconds, count):
    assert segment_count(duration, seconds) == count


# Bad input.


@pytest.fixture
def good(make_clip):
    return make_clip("good.mp4", sound=beep(6, 0, 6), pictures=flashes(6, 2, 3))


def test_unreadable_files_get_one_sentence_that_names_them(tmp_path, good, capfd):
    content = good.read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.mp4").write_text("this is no film\n" * 50)
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    expected = {
        "half.mp4": "index",
        "text.mp4": "no audio or video file",
        "empty.mp4": "0 bytes",
        "folder.mp4": "folder",
        "missing.mp4": "no such file",
        "words.srt": "neither a sound nor a picture track",
    }
    for name, words in expected.items():
        with pytest.raises(RlldError, match=words) as caught:
            seen(Clip(tmp_path / name))
        assert name in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_cut_file_with_its_index_in_front_is_read_up_to_the_damage(make_clip, tmp_path, capfd):
    rng = np.random.default_rng(0)
    path = make_clip(
        "front.mp4",
        sound=rng.uniform(-0.5, 0.5, 16000 * 8).astype(np.float32),
        pictures=flashes(8, 3, 5),
        options={"movflags": "faststart"},
    )
    content = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) * 6 // 10])
    segments, info = read(cut)
    assert 3 <= len(segments) <= 6
    assert any("damaged or cut off" in note for note in info.notes)
    assert info.duration < 6.5
    assert capfd.readouterr().err == ""


def test_corrupt_packets_are_skipped_and_noted(good, tmp_path, capfd):
    content = bytearray(good.read_bytes())
    rng = np.random.default_rng(0)
    start, end = content.find(b"mdat") + 2000, content.find(b"moov") - 100
    for place in rng.integers(start, end, 400):
        content[place] ^= 0x5A
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)
    segments, info = read(bad)
    assert len(segments) == 6
    assert any("damaged packets" in note for note in info.notes)
    assert all(np.isfinite(s.audio).all() for s in segments if s.audio is not None)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["-x.mp4", "pipe:0", "http:clip.mp4", "sp ace%03d.mp4", "ü.mp4"])
def test_odd_names_are_plain_names(good, tmp_path, monkeypatch, name):
    target = tmp_path / name
    good.rename(target)
    monkeypatch.chdir(tmp_path)
    assert probe(name).has_video
    segments, _ = read(Path(name))
    assert len(segments) == 6


def test_a_playlist_cannot_reach_the_network(tmp_path):
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(RlldError, match=r"list\.m3u8"):
        seen(Clip(playlist))


MEASURE = f"""{PEAK}
from rlld.media.decode import Clip
from rlld.media.views import Pictures, Sound
views = Sound(16000), Sound(48000), Pictures(8, 64, 48), Pictures(8, 32, 32, short_side=40)
count = sum(1 for _ in Clip(sys.argv[1]).segments(1.0, views))
print(count, peak())
"""


def test_memory_does_not_grow_with_the_length(make_clip):
    peaks = []
    for seconds in (10, 600):
        path = make_clip(
            f"{seconds}.mkv",
            sound=np.zeros(8000 * seconds, np.float32),
            rate=8000,
            pictures=[(float(t), 40 + t % 100) for t in range(seconds)],
            codecs=("libx264", "pcm_s16le"),
        )
        result = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        count, peak = map(int, result.stdout.split())
        assert count == seconds
        peaks.append(peak)
    # Kept in memory, the sound alone would take 38 MB more and the pictures 44 MB.
    assert peaks[1] - peaks[0] < 12 * 1024
