"""Phones, old cameras, spoiled files and full disks: a right result or one sentence."""

from __future__ import annotations

import json
import resource
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips_kit import beep, flashes, seen, write_test_clip

from cli_kit import called, limited
from rlld.features.job import Where
from rlld.features.to_files import extract_files
from rlld.media.decode import Clip
from rlld.media.files import find_clips
from rlld.media.views import Pictures

QUADRANTS = np.array([[30, 90], [150, 210]])
"""Brightness of the four quarters of a picture, as a person sees them."""

MATRICES = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}
"""Display matrix of an mp4 track whose pictures are to be turned clockwise by so many degrees."""


def write_quadrants(path: Path, quadrants: np.ndarray, size: tuple[int, int]) -> None:
    width, height = size
    rows = np.repeat(np.repeat(quadrants, height // 2, 0), width // 2, 1)
    pixels = np.repeat(rows[:, :, None], 3, 2).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(8):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def turn(path: Path, degrees: int) -> None:
    """Writes a display matrix into the header of an mp4 file, as phones do."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 4 * 5 + 8 + 8
    a, b, c, d = (65536 * part for part in MATRICES[degrees])
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize("degrees", MATRICES)
def test_phone_pictures_are_upright(tmp_path, degrees):
    stored = np.rot90(QUADRANTS, degrees // 90)
    size = (96, 64) if degrees in (0, 180) else (64, 96)
    write_quadrants(tmp_path / "phone.mp4", stored, size)
    turn(tmp_path / "phone.mp4", degrees)
    views = (Pictures(2, 48, 32), Pictures(2, 0, 0), Pictures(2, 32, 32, short_side=32))
    (segment,) = Clip(tmp_path / "phone.mp4").segments(1.0, views)
    for view, shape in zip(views, ((32, 48), (64, 96), (32, 32)), strict=True):
        pictures = segment.views[view].astype(float)
        assert pictures.shape == (2, *shape, 3)
        high, wide = shape[0] // 2, shape[1] // 2
        quarters = pictures.mean((0, 3)).reshape(2, high, 2, wide)
        np.testing.assert_allclose(quarters.mean((1, 3)), QUADRANTS, atol=4)


def test_surround_sound_at_8_khz_and_48_khz_gives_the_same_beep(tmp_path):
    found = []
    for rate, channels in ((8000, 1), (48000, 6)):
        path = tmp_path / f"{rate}.mkv"
        tone = (beep(2, 0.5, 1.5, rate) * 32767).astype(np.int16)
        layout = {1: "mono", 6: "5.1"}[channels]
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=rate, layout=layout)
            interleaved = np.repeat(tone, channels)[None]
            frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            container.mux([*stream.encode(frame), *stream.encode(None)])
        found.append(np.concatenate([s.audio for s in seen(Clip(path))]))
    low, surround = found
    assert len(low) == len(surround) == 32000
    assert np.sqrt((low - surround).astype(float) ** 2).mean() < 0.01
    assert abs(np.abs(low[9000:23000]).max() - 0.5) < 0.02


def test_a_job_lists_what_is_spoiled_and_does_the_rest(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    good = {"Fête 犬": flashes(2, 0, 1), "-dash": flashes(2, 0, 1), "short": flashes(0.4, 0, 0.2)}
    for name, pictures in good.items():
        sound = beep(0.4 if name == "short" else 2, 0.1, 0.3)
        write_test_clip(folder / f"{name}.mp4", sound=sound, pictures=pictures)
    whole = (folder / "-dash.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("not a clip")
    report = extract_files(find_clips([folder]), tmp_path / "out", skip_failed=True)
    assert report.clips == 3 and set(report.failed) == {"cut", "empty", "text"}
    listed = (tmp_path / "out/failed.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in listed] == ["cut", "empty", "text"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert {name: facts["segments"] for name, facts in manifest["clips"].items()} == {
        "-dash": 2,
        "Fête 犬": 2,
        "short": 1,
    }


@pytest.mark.parametrize("limit", [100, 600])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path, limit):
    folder, out = tmp_path / "clips", tmp_path / "out"
    folder.mkdir()
    write_test_clip(folder / "a.mp4", pictures=flashes(2, 0, 1))
    result = limited(limit, "extract", folder, "--out", out, "--workers", "1")
    assert result.returncode == 2
    assert "cannot be written (File too large)" in result.stderr
    assert "Traceback" not in result.stderr and result.stderr.count("\n") == 1
    assert not list(out.rglob("*.npy")) and not list(out.rglob("*.part"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != limit
    report = extract_files(find_clips([folder]), out, where=Where(1))
    assert report.clips == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    write_test_clip(tmp_path / "a.mp4", pictures=flashes(2, 0, 1))
    result = called("extract", tmp_path / "a.mp4", "--out", "/proc/self/nowhere")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert "/proc/self/nowhere" in result.stderr and "choose another place" in result.stderr
