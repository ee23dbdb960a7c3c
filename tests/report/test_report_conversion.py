"""A page plays its clip by the clock of the parse, whatever the clip's own is like."""

from __future__ import annotations

import base64
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from marked_kit import write_marked
from rlld.errors import RlldError
from rlld.media.conversion import convert
from rlld.media.playable import page_clip

ODD = {
    "start at 20 s": ("a.mkv", {"offset": 20.0}, 1),
    "start at 20 s in mp4": ("a.mp4", {"offset": 20.0}, 1),
    "recorded": ("a.ts", {"offset": 30000.0}, 1),
    "program stream": ("a.mpg", {"codecs": ("mpeg2video", "mp2")}, 1),
    "mp3 in avi": ("a.avi", {"codecs": ("mpeg4", "libmp3lame"), "rate": 44100}, 1),
    "ac3 in avi": ("a.avi", {"codecs": ("mpeg4", "ac3")}, 1),
    "surround": ("a.mkv", {"layout": "7.1"}, 1),
    "second track": ("a.mp4", {"sounds": ("silent", "tone"), "default": 1}, 1),
    "raw": ("a.h264", {"codecs": ("libx264", None), "format": "h264"}, 1),
    "one pixel": ("a.mkv", {"codecs": ("ffv1", "aac"), "size": (1, 1)}, 1),
    "joined": ("a.ts", {}, 2),
}


@pytest.mark.parametrize("name", ODD)
def test_a_page_plays_by_the_clock_of_the_parse(tmp_path, name) -> None:
    file, options, parts = ODD[name]
    clip = tmp_path / f"clip{Path(file).suffix}"
    clip.write_bytes(write_marked(tmp_path / file, **options).read_bytes() * parts)
    held = page_clip(clip, tmp_path / "page.html")
    played = tmp_path / "played.mp4"
    played.write_bytes(base64.b64decode(held.url.removeprefix("data:video/mp4;base64,")))
    with av.open(str(played)) as media:
        bright = [f.time for f in media.decode(video=0) if f.to_ndarray(format="gray").mean() > 120]
    flashes = [
        time for before, time in zip([-1.0, *bright], bright, strict=False) if time > before + 1
    ]
    assert flashes == pytest.approx([5.0 + 8 * part for part in range(parts)], abs=0.15)
    if options.get("codecs", "av")[1] is None:
        return
    with av.open(str(played)) as media:
        loud = [f.time for f in media.decode(audio=0) if np.abs(f.to_ndarray()).max() > 0.1]
    assert loud[0] == pytest.approx(3.0, abs=0.1)
    assert len([time for time in loud if time > 11 - 0.1]) > 20 or parts == 1


def turned(path: Path, degrees: int, shape: Fraction = Fraction(1)) -> Path:
    """Writes a clip of 64 by 48 whose left half is white, as a phone does that was held upright."""
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx265", rate=10)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        track.codec_context.sample_aspect_ratio = shape
        track.options = {"x265-params": "log-level=none"}
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[:, :32] = 255
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    one = 0x10000
    matrix = {
        0: (one, 0, 0, 0, one, 0, 0, 0, 0x40000000),
        90: (0, one, 0, -one, 0, 0, 0, 0, 0x40000000),
        180: (-one, 0, 0, 0, -one, 0, 0, 0, 0x40000000),
        270: (0, -one, 0, one, 0, 0, 0, 0, 0x40000000),
    }[degrees]
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # of version 0
    content[place : place + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("degrees", "white"), [(90, "top"), (180, "right"), (270, "bottom")])
def test_a_converted_clip_is_upright(tmp_path, degrees, white) -> None:
    convert(turned(tmp_path / "phone.mp4", degrees), tmp_path / "page.mp4")
    with av.open(str(tmp_path / "page.mp4")) as media:
        grey = next(media.decode(video=0)).to_ndarray(format="gray")
    high, wide = (48, 64) if degrees == 180 else (64, 48)
    assert grey.shape == (high, wide)
    half = {
        "top": grey[: high // 2], "bottom": grey[high // 2 :], "right": grey[:, wide // 2 :]
    }[white]  # fmt: skip
    assert half.mean() > 250 and grey.mean() == pytest.approx(128, abs=5)


@pytest.mark.parametrize(("degrees", "shape"), [(0, Fraction(64, 45)), (90, Fraction(45, 64))])
def test_a_converted_clip_is_as_wide_as_it_is_shown(tmp_path, degrees, shape) -> None:
    clip = turned(tmp_path / "a.mp4", degrees, Fraction(64, 45))
    convert(clip, tmp_path / "played.mp4")
    with av.open(str(tmp_path / "played.mp4")) as media:
        assert media.streams.video[0].sample_aspect_ratio == shape


def test_a_clip_of_which_nothing_can_be_decoded_is_not_converted(tmp_path) -> None:
    clip = write_marked(tmp_path / "a.avi", codecs=("mpeg4", None), seconds=1.0)
    content = bytearray(clip.read_bytes())
    start = content.index(b"movi")
    content[start + 12 : content.index(b"idx1") - 8] = bytes(content.index(b"idx1") - start - 20)
    clip.write_bytes(content)
    with pytest.raises(RlldError, match=r"a\.avi"):
        page_clip(clip, tmp_path / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi"]
