"""Clips as people have them: a tone in second 3 and a flash in second 5 are found there."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from clips_kit import PEAK

from marked_kit import write_marked
from rlld.cli import main
from rlld.errors import RlldError
from rlld.media.container import packets
from rlld.media.decode import Clip, probe
from rlld.media.tracks import TrackChoice
from rlld.media.views import Pictures, Sound


def found(path: Path, tracks: TrackChoice | None = None, seconds: float = 1.0) -> SimpleNamespace:
    """What is heard and seen of a clip: starts of the tones and flashes in seconds."""
    sound, pictures = Sound(16000), Pictures(8, 16, 12)
    clip = Clip(path) if tracks is None else Clip(path, tracks)
    heard, seen = [], []
    for segment in clip.segments(seconds, (sound, pictures)):
        audio, frames = segment.views[sound], segment.views[pictures]
        length = round(16000 * seconds), pictures.count(seconds)
        heard.append(np.zeros(length[0]) if audio is None else audio)
        seen.append(
            np.zeros(length[1]) if frames is None else frames.reshape(length[1], -1).mean(1)
        )
    loud = np.abs(np.concatenate(heard)) > 0.1
    bright = np.concatenate(seen) > 120
    outcome = clip.outcome()
    return SimpleNamespace(
        segments=len(heard),
        duration=outcome.duration,
        tones=starts(loud.reshape(-1, 800).any(1), 0.05),
        flashes=starts(bright, 1 / 8),
        notes=outcome.notes,
    )


def starts(on: np.ndarray, step: float) -> list[float]:
    """Seconds at which something begins that was not there before."""
    return [float(k * step) for k in np.flatnonzero(on & ~np.append(False, on[:-1]))]


def assert_marked(clip: SimpleNamespace, joined: int = 1, seconds: float = 8.0) -> None:
    """Asserts that tone and flash are where they were put, in each of several parts."""
    assert clip.segments == round(joined * seconds)
    assert clip.tones == pytest.approx([3 + k * seconds for k in range(joined)], abs=0.13)
    assert clip.flashes == pytest.approx([5 + k * seconds for k in range(joined)], abs=0.2)
    assert clip.duration == pytest.approx(joined * seconds, abs=0.3)
    assert not any("damaged" in note for note in clip.notes)


WHOLE = {
    "mp4": ("a.mp4", {}),
    "kept.mkv": ("a.mkv", {"offset": 20.0}),
    "kept.webm": ("a.webm", {"codecs": ("libvpx", "libopus"), "offset": 20.0}),
    "kept.flv": ("a.flv", {"codecs": ("flv1", "libmp3lame"), "rate": 44100, "offset": 20.0}),
    "kept.mp4": ("a.mp4", {"offset": 20.0}),
    "recorded.ts": ("a.ts", {"offset": 30000.0}),
    "mp3.avi": ("a.avi", {"codecs": ("mpeg4", "libmp3lame"), "rate": 44100}),
    "ac3.avi": ("a.avi", {"codecs": ("mpeg4", "ac3")}),
    "b-frames.avi": ("a.avi", {"codecs": ("libx264", "libmp3lame"), "rate": 44100}),
    "mpg": ("a.mpg", {"codecs": ("mpeg2video", "mp2")}),
    "vob": ("a.vob", {"codecs": ("mpeg2video", "ac3")}),
    "wmv": ("a.wmv", {"codecs": ("wmv2", "libmp3lame"), "rate": 44100}),
    "mov": ("a.mov", {"codecs": ("mpeg4", "pcm_s16le")}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_frame_has_its_second(tmp_path, name):
    file, options = WHOLE[name]
    path = write_marked(tmp_path / file, **options)
    clip = found(path)
    assert_marked(clip)
    assert clip.notes == ()
    assert probe(path).duration == pytest.approx(8, abs=0.3)
    only_sound = sum(1 for _ in Clip(path).segments(1.0, (Sound(8000),)))
    only_pictures = sum(1 for _ in Clip(path).segments(1.0, (Pictures(1, 8, 8),)))
    assert (only_sound, only_pictures) == (8, 8)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_slow_pictures_keep_their_times_whatever_order_they_are_stored_in(tmp_path, suffix):
    """Matroska says no decoding times; a picture of the next seconds is stored before this one."""
    clip = found(write_marked(tmp_path / f"a{suffix}", fps=1, seconds=16.0))
    assert clip.tones == pytest.approx([3.0], abs=0.13)
    assert clip.flashes == pytest.approx([5.0], abs=0.2)
    assert clip.segments == 16 and clip.notes == ()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_picture_every_ten_seconds_keeps_its_time(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=Fraction(1, 10))
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for number in range(8):
            grey = np.full((48, 64, 3), 235 if number == 4 else 32, np.uint8)
            picture = av.VideoFrame.from_ndarray(grey, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(10)
            out.mux(track.encode(picture))
        out.mux(track.encode(None))
    clip = found(path)
    assert clip.flashes == pytest.approx([40.0], abs=0.2)
    assert clip.duration == pytest.approx(80.0, abs=0.1)


@pytest.mark.parametrize("fps", [25, 30])
@pytest.mark.parametrize(("format", "codec"), [("h264", "libx264"), ("hevc", "libx265")])
def test_raw_pictures_have_the_times_of_their_rate(tmp_path, format, codec, fps):
    path = write_marked(tmp_path / f"a.{format}", codecs=(codec, None), format=format, fps=fps)
    clip = found(path)
    assert clip.segments == 8 and clip.duration == pytest.approx(8, abs=0.05)
    assert clip.flashes == pytest.approx([5.0], abs=0.2)
    assert probe(path).duration == pytest.approx(8, abs=0.05)


@pytest.mark.parametrize("name", ["a.aac", "a.mp3", "a.opus"])
def test_sound_alone_is_as_long_as_it_is_heard(tmp_path, name):
    codec = {"a.aac": "aac", "a.mp3": "libmp3lame", "a.opus": "libopus"}[name]
    clip = found(write_marked(tmp_path / name, codecs=(None, codec)))
    assert clip.segments == 8 and clip.tones == pytest.approx([3.0], abs=0.13)
    assert not any("damaged" in note for note in clip.notes)


def cut(path: Path, out: Path, at: float) -> Path:
    """Cuts the beginning off without encoding again, as ``ffmpeg -ss AT -c copy`` does."""
    with av.open(str(path)) as source, av.open(str(out), "w") as made:
        copies = {each.index: made.add_stream_from_template(each) for each in source.streams}
        source.seek(round(at * 1e6))
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio" and packet.pts * packet.time_base < at - 0.07:
                continue
            earlier = round(at / packet.time_base)
            packet.pts, packet.dts = packet.pts - earlier, packet.dts - earlier
            packet.stream = copies[packet.stream_index]
            made.mux(packet)
    return out


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_was_cut_off_without_encoding_again_takes_no_time(tmp_path, suffix):
    """The pictures since the last whole one stay in the file, and no player shows them."""
    whole = write_marked(tmp_path / "a.mp4")
    clip = found(cut(whole, tmp_path / f"cut{suffix}", 1.3))
    assert clip.tones == pytest.approx([1.7], abs=0.13)
    assert clip.flashes == pytest.approx([3.7], abs=0.2)
    assert clip.duration == pytest.approx(6.7, abs=0.1)


def test_sound_that_is_damaged_at_its_beginning_keeps_its_times(tmp_path):
    path = write_marked(tmp_path / "a.m4a", codecs=(None, "aac"), format="mp4")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as media:
        for packet in media.demux():
            if packet.size and packet.pts * packet.time_base < 2:
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    clip = found(path)
    assert clip.tones == pytest.approx([3.0], abs=0.13) and clip.segments == 8
    assert any("damaged packets of the audio track" in note for note in clip.notes)


def test_a_track_that_begins_later_costs_nothing_of_the_others():
    """PyAV raises IndexError at the packet of a track that FFmpeg found after opening the file.

    FFmpeg looks at five megabytes before, so that a real file of that kind is a large one.
    """
    left = [SimpleNamespace(size=1, number=n) for n in range(6)]
    asked = []

    def demux(streams):
        asked.append(streams)
        while left:
            packet = left.pop(0)
            if packet.number in (2, 3) and len(asked) < 3:
                raise IndexError("list index out of range")
            yield packet

    late = []
    container = SimpleNamespace(streams=["pictures"], demux=demux)
    found = [each.number for each in packets(container, late=lambda: late.append(True))]
    assert found == [0, 1, 4, 5] and len(late) == 2
    assert asked == [["pictures"]] * 3  # never the new one


# Recordings joined by cat.


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("a.ts", {}),
        ("a.mpg", {"codecs": ("mpeg2video", "mp2")}),
        ("a.vob", {"codecs": ("mpeg2video", "ac3")}),
        ("a.aac", {"codecs": (None, "aac")}),
        ("a.h264", {"codecs": ("libx264", None), "format": "h264"}),
    ],
)
def test_joined_recordings_appear_one_behind_the_other(tmp_path, file, options):
    one = write_marked(tmp_path / file, **options).read_bytes()
    path = tmp_path / f"two{Path(file).suffix}"
    path.write_bytes(one + one)
    clip = found(path)
    assert clip.segments == 16
    if options.get("codecs", "av")[1]:
        assert clip.tones == pytest.approx([3, 11], abs=0.15)
    if options.get("codecs", "av")[0]:
        assert clip.flashes == pytest.approx([5, 13], abs=0.2)
    assert not any("damaged" in note for note in clip.notes)


def test_recordings_of_other_days_are_joined_without_the_days_between(tmp_path):
    first = write_marked(tmp_path / "a.ts", offset=5.0).read_bytes()
    second = write_marked(tmp_path / "b.ts", offset=40000.0).read_bytes()
    (tmp_path / "two.ts").write_bytes(first + second)
    clip = found(tmp_path / "two.ts")
    assert_marked(clip, joined=2)
    assert any("start over or jump once" in note for note in clip.notes)


def test_sound_that_ends_early_does_not_pull_the_next_recording_forward(tmp_path):
    first = write_marked(tmp_path / "a.ts", sound_seconds=4.0).read_bytes()
    second = write_marked(tmp_path / "b.ts").read_bytes()
    (tmp_path / "two.ts").write_bytes(first + second)
    assert_marked(found(tmp_path / "two.ts"), joined=2)


def test_recordings_in_other_tracks_are_said_to_be_left_out(tmp_path):
    one = write_marked(tmp_path / "a.ts").read_bytes()
    other = write_marked(tmp_path / "b.ts", options={"mpegts_start_pid": "768"}).read_bytes()
    (tmp_path / "two.ts").write_bytes(one + other)
    notes = " ".join(found(tmp_path / "two.ts").notes)
    assert "in another audio track" in notes and "in another video track" in notes


@pytest.mark.parametrize("name", ["a.mp4", "a.flv", "a.wav"])
def test_a_second_file_that_is_not_read_is_said(tmp_path, name):
    codecs = {"a.mp4": ("libx264", "aac"), "a.flv": ("flv1", "libmp3lame")}
    chosen = codecs.get(name, (None, "pcm_s16le"))
    one = write_marked(tmp_path / name, codecs=chosen, rate=44100)
    assert not any("joined" in note for note in Clip(one).info.notes)
    two = tmp_path / f"two{one.suffix}"
    two.write_bytes(one.read_bytes() * 2)
    clip = found(two)
    assert clip.segments == 8
    assert any("another file is joined behind this one" in note for note in clip.notes)


def test_a_hostile_gap_is_left_out_and_said(tmp_path):
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for second in (0.0, 0.04, 36000.0, 36000.04):
            frame = av.VideoFrame.from_ndarray(np.full((24, 16), 90, np.uint8), format="yuv420p")
            frame.pts, frame.time_base = round(second * 25), Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    clip = found(path)
    assert clip.duration <= 1211 and clip.segments <= 1211
    assert any("left out" in note for note in clip.notes)


# Which of several tracks.


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_default_track_is_heard(tmp_path, name):
    path = write_marked(tmp_path / name, sounds=("silent", "tone"), default=1)
    clip = found(path)
    assert_marked(clip)
    assert any("2 audio tracks, of which 2 (aac" in note for note in clip.notes)
    other = found(path, TrackChoice(audio=1))
    assert other.tones == [] and other.segments == 8
    assert any("of which 1 (aac" in note for note in other.notes)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"audio": 3}, r"audio-track: found 3, but its audio tracks are 1 \(aac.*; 2 \(aac"),
        ({"video": 2}, r"video-track: found 2, but its video tracks are 1 \(h264"),
    ],
)
def test_a_track_that_is_not_there_is_refused(tmp_path, choice, words):
    path = write_marked(tmp_path / "a.mkv", sounds=("silent", "tone"), seconds=1.0)
    with pytest.raises(RlldError, match=words):
        Clip(path, TrackChoice(**choice))
    with pytest.raises(RlldError, match=r"audio-track: expected 1"):
        TrackChoice(audio=0)


def test_features_of_other_tracks_are_never_mixed(tmp_path, capsys):
    clip = write_marked(tmp_path / "a.mkv", sounds=("silent", "tone"), default=1, seconds=4.0)
    command = ["extract", str(clip), "--workers", "1", "--out"]
    for name, choice in (("plain", []), ("second", ["--audio-track", "1"])):
        with pytest.raises(SystemExit) as ended:
            main([*command, str(tmp_path / name), *choice])
        assert not ended.value.code
    assert '"tracks"' not in (tmp_path / "plain/manifest.json").read_text()
    first, second = (np.load(tmp_path / f"{f}/audio/a.npy") for f in ("plain", "second"))
    assert np.abs(first - second).max() > 0.1
    with pytest.raises(SystemExit) as refused:
        main([*command, str(tmp_path / "second")])
    assert refused.value.code == 2
    assert "of audio track 1, not of light" in capsys.readouterr().err


# More than two channels.


def write_channels(path: Path, sounds: np.ndarray, layout: str) -> Path:
    """Writes sound (channels, n) at 16 kHz."""
    whole = np.round(sounds.T.reshape(1, -1) * 32767).astype(np.int16)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=16000, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(whole), format="s16", layout=layout)
        frame.sample_rate, frame.pts = 16000, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize(
    ("layout", "weights"),
    [
        ("5.1", [0.2071, 0.2071, 0.2929, 0, 0.1464, 0.1464]),
        ("7.1", [0.1602, 0.1602, 0.2265, 0, 0.1133, 0.1133, 0.1133, 0.1133]),
        ("quad", [0.2929, 0.2929, 0.2071, 0.2071]),
        ("3.0", [0.2929, 0.2929, 0.4142]),
        ("4.0", [0.2265, 0.2265, 0.3204, 0.2265]),
    ],
)
def test_channels_are_mixed_down_as_players_do(tmp_path, layout, weights):
    # L = FL + 0.7071 (FC + surround), a single surround at 0.5 on both sides, no LFE; divided by
    # the sum of these; the mean of L and R. Front left of 5.1: 1 / (1 + 2 * 0.7071) / 2 = 0.2071.
    time = np.arange(16000 * len(weights)) / 16000
    each = np.array([(time >= k) & (time < k + 1) for k in range(len(weights))])
    path = write_channels(tmp_path / "a.wav", 0.9 * each * np.sin(2 * np.pi * 440 * time), layout)
    for segment, weight in zip(Clip(path).segments(1.0, (Sound(16000),)), weights, strict=True):
        (heard,) = segment.views.values()
        assert np.abs(heard).max() == pytest.approx(0.9 * weight, abs=2e-3)
    path = write_channels(tmp_path / "b.wav", np.ones((len(weights), 16000)), layout)
    (segment,) = Clip(path).segments(1.0, (Sound(16000),))
    assert np.abs(next(iter(segment.views.values()))).max() <= 1.0


@pytest.mark.parametrize(("count", "weight"), [(6, 0.2071), (7, 1 / 7), (12, 1 / 12)])
def test_channels_without_names_are_those_of_players_or_averaged(tmp_path, count, weight):
    sounds = np.zeros((8000, count), "<i2")
    sounds[:, 0] = 32767 * 0.9 * np.sin(np.arange(8000) * 0.2)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:  # which cannot name channels
        file.setnchannels(count)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(sounds.tobytes())
    (segment,) = Clip(tmp_path / "a.wav").segments(1.0, (Sound(16000),))
    (heard,) = segment.views.values()
    assert np.abs(heard).max() == pytest.approx(0.9 * weight, abs=2e-3)


CROWD = """
import sys
from rlld.media.decode import Clip
from rlld.media.views import Sound
import numpy as np
for path in sys.argv[1:]:
    view = Sound(16000)
    heard = np.concatenate([s.views[view] for s in Clip(path).segments(1.0, (view,))])
    print(np.flatnonzero(np.abs(heard) > 0.02)[0] / 16000)
"""


def test_eight_planes_of_sound_and_more_do_not_crash(tmp_path):
    tone = np.sin(np.arange(32000) * 0.4) * (np.arange(32000) >= 16000)
    paths = [str(write_marked(tmp_path / "a.mp4", layout="7.1"))]
    for count in (8, 12):
        layout = "7.1" if count == 8 else "hexadecagonal"
        channels = 8 if count == 8 else 16
        path = write_channels(tmp_path / f"{count}.wav", np.tile(tone, (channels, 1)), layout)
        paths.append(str(path))
    done = subprocess.run(
        [sys.executable, "-c", CROWD, *paths],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert [float(line) for line in done.stdout.split()] == pytest.approx([3, 1, 1], abs=0.05)


def test_stereo_of_opposite_phase_is_noted(tmp_path):
    tone = 0.5 * np.sin(np.arange(48000) * 0.4)
    path = write_channels(tmp_path / "a.wav", np.stack([tone, -tone]), "stereo")
    assert any("opposite in phase" in note and "3.0 s" in note for note in found(path).notes)
    path = write_channels(tmp_path / "b.wav", np.stack([tone, -0.5 * tone]), "stereo")
    assert not any("phase" in note for note in found(path).notes)


# Ends.


def test_a_pad_of_the_codec_makes_no_segment(tmp_path):
    path = write_marked(tmp_path / "a.mp4", seconds=10.0, rate=8000)
    clip = found(path)
    assert clip.segments == 10 and clip.duration > 10.1
    assert sum(1 for _ in Clip(path).segments(1.0, (Sound(8000),))) == 10
    assert found(path, seconds=0.1).segments == 100


def test_a_tail_of_sound_alone_is_kept(tmp_path):
    path = write_marked(tmp_path / "a.mp4", seconds=5.0, sound_seconds=5.6, rate=8000)
    assert found(path).segments == 6


def test_subtitles_do_not_make_a_clip_longer(tmp_path):
    write_marked(tmp_path / "a.mkv")
    (tmp_path / "s.srt").write_text("1\n00:00:50,000 --> 00:01:00,000\nbye\n")
    with (
        av.open(str(tmp_path / "a.mkv")) as clip,
        av.open(str(tmp_path / "s.srt")) as text,
        av.open(str(tmp_path / "b.mkv"), "w") as out,
    ):
        new = {
            (source, stream.index): out.add_stream_from_template(stream)
            for source in (clip, text)
            for stream in source.streams
        }
        for source in (clip, text):
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = new[source, packet.stream.index]
                    out.mux(packet)
    assert_marked(found(tmp_path / "b.mkv"))
    assert sum(1 for _ in Clip(tmp_path / "b.mkv").segments(1.0, (Sound(8000),))) == 8


def test_same_picture_again_is_no_damage(tmp_path):
    path = tmp_path / "a.avi"
    whole = write_marked(tmp_path / "b.avi", codecs=("mpeg4", None))
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux()):
            if packet.size:
                again = av.Packet(0) if number % 5 == 3 and number > 150 else packet
                again.pts, again.dts, again.duration = packet.pts, packet.dts, packet.duration
                again.time_base, again.stream = packet.time_base, stream
                out.mux(again)
    clip = found(path)
    assert clip.segments == 8 and clip.flashes == pytest.approx([5.0], abs=0.2)
    assert not any("damaged" in note for note in clip.notes)


# Bounds.


def test_pictures_and_sounds_beyond_all_bounds_are_refused(tmp_path, monkeypatch):
    path = write_marked(tmp_path / "a.mp4", seconds=1.0)
    monkeypatch.setattr("rlld.media.tracks.MOST_PIXELS", 1000)
    with pytest.raises(RlldError, match="pictures of 160 x 120 pixels"):
        Clip(path)
    monkeypatch.undo()
    monkeypatch.setattr("rlld.media.tracks.LEAST_RATE", 100_000)
    with pytest.raises(RlldError, match="1 channels and 48000 samples per second"):
        Clip(path)


PLAIN = f"""{PEAK}
import av
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    for frame in container.decode(stream):
        pass
print(peak())
"""
VIEWED = f"""{PEAK}
from rlld.media.decode import Clip
from rlld.media.views import Pictures
views = [Pictures(fps, 64, 48) for fps in (1, 8, 16, 25)]
for _ in Clip(sys.argv[1]).segments(1.0, views):
    pass
print(peak())
"""


def test_several_views_hold_few_pictures(tmp_path):
    size = (1920, 1080)
    path = write_marked(tmp_path / "a.mp4", seconds=3.0, size=size, codecs=("libx264", None))
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, str(path)],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            ).stdout
        )
        for script in (PLAIN, VIEWED)
    ]
    picture = size[0] * size[1] * 1.5 / 1024
    # The modules of rlld take 25 MB, eight of these pictures.
    assert peaks[1] - peaks[0] < 18 * picture
