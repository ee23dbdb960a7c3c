"""Waveforms, spectrograms and film strips of sounds and pictures that are known."""

from __future__ import annotations

import io
import wave
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from marked_kit import write_marked
from parse_kit import make_clip
from rlld.errors import RlldError
from rlld.media.decode import Clip
from rlld.media.strips import RATE, _bands, peaks, spectrogram, strip, thinned

WAVE_RATE = 16_000


def write_wave(path: Path, sound: np.ndarray, rate: int = WAVE_RATE) -> Clip:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(32767 * sound).astype("<i2").tobytes())
    return Clip(path)


def write_pictures(path: Path, levels: list[int], keys: int = 10) -> Clip:
    """Writes ten grey pictures a second; every ``keys``-th one can be decoded alone."""
    with av.open(str(path), "w") as out:
        options = {"preset": "ultrafast", "crf": "10", "g": str(keys), "sc_threshold": "0"}
        video = out.add_stream("libx264", rate=10, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for number, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return Clip(path)


def tone(seconds: float, hertz: float, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * WAVE_RATE)) / WAVE_RATE)


def picture(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


def test_a_click_is_in_its_bin(tmp_path) -> None:
    sound = np.zeros(4 * WAVE_RATE)
    sound[2 * WAVE_RATE + 5] = 1.0
    clip = write_wave(tmp_path / "click.wav", sound)
    found = peaks(clip, 0.0, 4.0, 400)
    assert (found.shape, found.dtype) == ((400, 2), np.int8)
    assert np.flatnonzero(found[:, 1]).tolist() == [200]
    assert found[200].tolist() == [0, 127]
    # The same click by a jump, in a range that begins behind the start of the clip.
    assert np.flatnonzero(peaks(clip, 1.5, 2.5, 100)[:, 1]).tolist() == [50]


def test_peaks_are_the_extremes_of_every_bin(tmp_path) -> None:
    rng = np.random.default_rng(0)
    sound = rng.uniform(-1, 1, 10 * WAVE_RATE + 123)
    clip = write_wave(tmp_path / "noise.wav", sound)
    for start, end, count in ((0.0, 10.0, 7), (0.0, 10.0, 1), (0.25, 9.75, 1000), (5, 5.01, 160)):
        first, last = round(start * RATE), round(end * RATE)
        edges = [first + (last - first) * k // count for k in range(count + 1)]
        plain = [(sound[a:b].min(), sound[a:b].max()) for a, b in pairwise(edges)]
        assert np.abs(peaks(clip, start, end, count) - 127 * np.array(plain)).max() <= 0.51


@pytest.mark.parametrize(("first", "last", "count"), [(0, 500, 500), (3, 480, 7), (490, 600, 11)])
def test_a_thinned_waveform_has_the_extremes_of_the_finer_one(first, last, count) -> None:
    fine = np.random.default_rng(0).integers(-127, 128, (500, 2)).astype(np.int8)
    silent = np.zeros((100, 2), np.int8)  # beyond its end
    edges = [first + (last - first) * k // count for k in range(count + 1)]
    parts = [np.concatenate([fine, silent])[a:b] for a, b in pairwise(edges)]
    plain = [(part[:, 0].min(), part[:, 1].max()) for part in parts]
    assert thinned(fine, first, last, count).tolist() == np.array(plain).tolist()


def test_beyond_the_sound_there_is_silence(tmp_path) -> None:
    clip = write_wave(tmp_path / "tone.wav", tone(1.0, 440))
    found = peaks(clip, 0.0, 2.0, 20)
    assert (np.abs(found[:10]).max(1) > 60).all()
    assert not found[11:].any()


@pytest.mark.parametrize("sound", ["aac", "libopus", "libmp3lame", "flac"])
def test_a_range_is_the_same_whether_it_was_jumped_to_or_not(tmp_path, sound) -> None:
    """Parts of one file agree with the whole of it; the beep turns on and off within bins.

    WebM counts in milliseconds, by one of which a part may be off.
    """
    suffix = {"flac": ".flac", "libmp3lame": ".mp3", "aac": ".mp4"}.get(sound, ".webm")
    clip = Clip(make_clip(tmp_path / f"clip{suffix}", 10.0, sound=sound, picture=None))
    whole = peaks(clip, 0.025, 9.525, 190).astype(int)
    for start in (2.025, 3.525, 6.025):
        part = peaks(clip, start, start + 2, 40).astype(int)
        assert np.abs(part - whole[round(20 * (start - 0.025)) :][:40]).max() <= 3


@pytest.mark.parametrize("hertz", [200, 1000, 4000])
def test_a_tone_is_in_its_row(tmp_path, hertz) -> None:
    clip = write_wave(tmp_path / "tone.wav", np.concatenate([np.zeros(WAVE_RATE), tone(1, hertz)]))
    image = picture(spectrogram(clip, 0.0, 2.0, 100, 64))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (100, 64))
    grey = np.asarray(image)
    # Row k from the bottom is centred at the (k + 1)-th of 64 + 2 even steps in mel up to 8 kHz.
    mel = 2595 * np.log10(1 + np.array([hertz, 8000]) / 700)
    expected = 64 - round(mel[0] / mel[1] * 65)
    loudest = grey[:, 60:95].mean(1).argmax()
    assert abs(int(loudest) - expected) <= 1
    assert not grey[:, :45].any()
    assert grey[expected, 60:95].min() > 200


def test_a_full_tone_has_its_power(tmp_path) -> None:
    """A sine of amplitude 0.5 is 6 dB below full scale; -10 dB and more is white."""
    bands = _bands(40)
    assert bands.shape == (513, 40)
    assert (bands.max(0) > 0.4).all()
    clip = write_wave(tmp_path / "tone.wav", tone(1, 1000, 0.01))  # -40 dB
    grey = np.asarray(picture(spectrogram(clip, 0.2, 0.8, 10, 256)))
    assert grey.max() == pytest.approx(255 * (-40 + 90) / 80, abs=8)


def test_wide_columns_are_the_mean_of_their_part(tmp_path) -> None:
    clip = write_wave(
        tmp_path / "half.wav", np.concatenate([tone(4, 1000, 0.02), np.zeros(64_000)])
    )
    grey = np.asarray(picture(spectrogram(clip, 0.0, 8.0, 3, 64))).max(0).astype(int)
    assert grey[2] == 0
    assert grey[0] - grey[1] == pytest.approx(255 * 10 * np.log10(2) / 80, abs=3)


def test_pictures_stand_at_their_times(tmp_path) -> None:
    levels = [20 * (number // 10) + 20 for number in range(100)]  # another grey each second
    clip = write_pictures(tmp_path / "clip.mp4", levels)
    for start, end, count in ((0.0, 10.0, 10), (4.0, 8.0, 4), (4.5, 6.5, 4), (0.0, 10.0, 2)):
        image = picture(strip(clip, start, end, count, 24))
        assert (image.format, image.size) == ("JPEG", (32 * count, 24))
        seen = np.asarray(image.convert("L")).reshape(24, count, 32).mean((0, 2))
        part = (end - start) / count
        times = [start + number * part for number in range(count)]
        if part > 2.0:  # a whole picture up to the middle
            times = [float(int(time + part / 2)) for time in times]
        expected = [20 * int(time) + 20 for time in times]
        assert np.abs(seen - expected).max() < 4, (start, end, count)


def test_few_whole_pictures_still_stand_at_their_times(tmp_path) -> None:
    levels = [20 * (number // 10) + 20 for number in range(100)]
    clip = write_pictures(tmp_path / "clip.mp4", levels, keys=1000)
    seen = np.asarray(picture(strip(clip, 0.0, 9.0, 3, 24)).convert("L")).reshape(24, 3, 32)
    assert np.abs(seen.mean((0, 2)) - [20, 80, 140]).max() < 4


def test_what_a_clip_lacks_is_none(tmp_path) -> None:
    silent = Clip(make_clip(tmp_path / "silent.mp4", 1.0, sound=None))
    assert (peaks(silent, 0, 1, 10), spectrogram(silent, 0, 1, 10, 8)) == (None, None)
    assert strip(Clip(make_clip(tmp_path / "dark.mp4", 1.0, picture=None)), 0, 1, 2, 24) is None


def test_the_same_range_gives_the_same_bytes(tmp_path) -> None:
    path = make_clip(tmp_path / "clip.mp4", 3.0)
    for made in (
        lambda clip: peaks(clip, 1, 2, 50).tobytes(),
        lambda clip: spectrogram(clip, 1, 2, 50, 32),
        lambda clip: strip(clip, 1, 2, 5, 24),
    ):
        assert made(Clip(path)) == made(Clip(path))


@pytest.mark.parametrize(
    ("start", "end", "count", "told"),
    [
        (2.0, 2.0, 5, "range: found 2 to 2 s, expected a start of 0 or more"),
        (-1.0, 2.0, 5, "range: found -1 to 2 s"),
        (0.0, 1.0, 0, "in 0 parts, expected 1 to 16000"),
        (0.0, 1.0, 16_001, "in 16001 parts"),
    ],
)
def test_impossible_ranges_are_told(tmp_path, start, end, count, told) -> None:
    clip = Clip(make_clip(tmp_path / "clip.mp4", 1.0))
    with pytest.raises(RlldError, match=told):
        peaks(clip, start, end, count)


def test_a_strip_too_wide_is_told(tmp_path) -> None:
    clip = Clip(make_clip(tmp_path / "clip.mp4", 1.0))
    with pytest.raises(RlldError, match="film strip of 500 pictures of 267 x 200 pixels"):
        strip(clip, 0, 1, 500, 200)


def test_pictures_like_threads_are_squeezed(tmp_path) -> None:
    clip = Clip(write_marked(tmp_path / "a.mkv", codecs=("ffv1", None), size=(960, 4), seconds=1.0))
    assert picture(strip(clip, 0, 1, 60, 24)).size == (60 * 8 * 24, 24)


@pytest.mark.slow
def test_hours_are_never_held_at_once(tmp_path) -> None:
    """What is read of twenty minutes stays below what the sound of one of them takes."""
    import tracemalloc

    clip = write_wave(tmp_path / "long.wav", np.tile(tone(60, 300), 20))
    tracemalloc.start()
    peaks(clip, 0, 1200, 1000)
    spectrogram(clip, 0, 1200, 1000, 64)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 60 * RATE * 4
