"""Sources that go on: the segments of a clip, whatever they come from, and their ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from live_kit import make_stream
from marked_kit import write_marked
from rlld.errors import RlldError
from rlld.media import live
from rlld.media.decode import Clip
from rlld.media.live import LiveClip
from rlld.media.views import Pictures, Segment, Sound

VIEWS = (Sound(8000), Pictures(4.0, 32, 24))


@pytest.fixture(scope="module")
def stream(tmp_path_factory) -> Path:
    return make_stream(tmp_path_factory.mktemp("live") / "clip.ts")


def segments(source: object, patience: float = 0.3) -> tuple[list[Segment], LiveClip]:
    clip = LiveClip(str(source), patience)
    found = list(clip.segments(1.0, VIEWS))
    clip.close()
    return found, clip


def same(found: list[Segment], wanted: list[Segment]) -> None:
    assert [each.index for each in found] == [each.index for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        for view in VIEWS:
            np.testing.assert_array_equal(one.views[view], other.views[view])


@pytest.mark.parametrize("suffix", ["ts", "mkv", "webm", "mp4"])
def test_segments_are_those_of_the_clip(tmp_path, suffix):
    path = make_stream(tmp_path / f"clip.{suffix}", 13.4)
    found, clip = segments(path)
    same(found, list(Clip(path).segments(1.0, VIEWS)))
    whole = Clip(path)
    list(whole.segments(1.0, VIEWS))
    assert clip.outcome()[0] == pytest.approx(whole.outcome().duration)
    assert clip.stalled and clip.grows


def test_slow_pictures_are_no_recordings_that_start_over(tmp_path):
    """A picture that is presented later is stored before them, and says no decoding time."""
    path = write_marked(tmp_path / "clip.mkv", fps=1, seconds=16.0)
    found, clip = segments(path)
    same(found, list(Clip(path).segments(1.0, VIEWS)))
    assert not any("start over" in note for note in clip.outcome()[1])


@pytest.mark.parametrize("missing", ["sound", "picture"])
def test_one_track_alone_is_enough(tmp_path, missing):
    path = make_stream(tmp_path / "clip.mkv", 5.0, **{missing: None})
    found, clip = segments(path)
    assert clip.kinds == (("video",) if missing == "sound" else ("audio",))
    wanted = list(Clip(path).segments(1.0, VIEWS))
    for one, other in zip(found, wanted, strict=True):
        for view in VIEWS:
            assert np.array_equal(one.views.get(view), other.views.get(view))


@pytest.mark.slow
def test_a_growing_file_is_followed_to_its_end(stream, tmp_path):
    content, path = stream.read_bytes(), tmp_path / "grows.ts"
    path.write_bytes(content[:200_000] if len(content) > 400_000 else content[: len(content) // 2])

    def write() -> None:
        with path.open("ab") as file:
            file.seek(0, os.SEEK_END)
            for start in range(path.stat().st_size, len(content), len(content) // 5):
                time.sleep(0.2)
                file.write(content[start : start + len(content) // 5])
                file.flush()

    writer = threading.Thread(target=write)
    clip = LiveClip(str(path), 5.0)
    writer.start()
    found = list(clip.segments(1.0, VIEWS))
    writer.join()
    same(found, list(Clip(stream).segments(1.0, VIEWS)))


@contextmanager
def piped(folder: Path, content: bytes, hold: threading.Event | None = None) -> Iterator[Path]:
    """A pipe into which somebody writes, who closes it then, or once ``hold`` is set."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(content)
            file.flush()
            if hold is not None:
                hold.wait()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield pipe
    finally:
        if hold is not None:
            hold.set()
        writer.join()


def test_a_pipe_ends_where_its_writer_ends(stream, tmp_path):
    with piped(tmp_path, stream.read_bytes()) as pipe:
        found, clip = segments(pipe, patience=10.0)
    same(found, list(Clip(stream).segments(1.0, VIEWS)))
    assert not clip.stalled and not clip.grows


def test_a_pipe_that_stalls_ends_with_what_came(stream, tmp_path):
    content = stream.read_bytes()
    with piped(tmp_path, content[: len(content) * 3 // 4], threading.Event()) as pipe:
        began = time.monotonic()
        found, clip = segments(pipe, patience=1.0)
        assert time.monotonic() - began < 60  # and not for ever
    assert clip.stalled and not clip.grows
    assert 10 < len(found) < 23


@pytest.mark.parametrize("fresh", [True, False])
def test_what_never_comes_is_said(tmp_path, fresh):
    """Nobody writes into a pipe; or somebody has it open, and says nothing."""
    pipe = tmp_path / "pipe"
    if fresh:
        os.mkfifo(pipe)
        with pytest.raises(RlldError, match=r"nothing came for 0\.2 s"):
            LiveClip(str(pipe), 0.2)
        return
    with (
        piped(tmp_path, b"", threading.Event()) as pipe,
        pytest.raises(RlldError, match=r"nothing came for 0\.2 s"),
    ):
        LiveClip(str(pipe), 0.2)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = partial(
        type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": _no}), directory=folder
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://user:secret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _no(*_: object) -> None:
    """Keeps quiet."""


def test_an_address_is_read_and_its_password_kept(stream):
    with served(stream.parent) as address:
        found, clip = segments(f"{address}/clip.ts", patience=10.0)
        same(found, list(Clip(stream).segments(1.0, VIEWS)))
        assert "secret" not in clip.name and clip.name.endswith("/clip.ts")
        assert not clip.stalled
        with pytest.raises(RlldError, match="cannot be read") as refused:
            LiveClip(f"{address}/nothing.ts", 5.0)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "nothing came"), (b"no clip at all" * 1000, "cannot be read")],
)
def test_what_is_no_clip_is_said(tmp_path, content, words):
    path = tmp_path / "x.ts"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RlldError, match=words):
        LiveClip(str(path), 0.2)
    with pytest.raises(RlldError, match="is a folder"):
        LiveClip(str(tmp_path), 0.2)


def test_recordings_that_follow_each_other_are_laid_behind_each_other(stream, tmp_path):
    """A camera that starts again: its time stamps begin anew."""
    path = tmp_path / "twice.ts"
    path.write_bytes(stream.read_bytes() * 2)
    found, clip = segments(path)
    once = Clip(stream).info.duration
    seconds, notes = clip.outcome()
    assert seconds == pytest.approx(2 * once, abs=0.5)
    assert len(found) == pytest.approx(2 * once, abs=1.1)
    assert any("time stamps start over or jump" in note for note in notes)


def test_a_source_that_changes_its_size_goes_on(tmp_path):
    """Two encoders one after the other, of other sizes and rates of sound."""
    import parse_kit

    first = make_stream(tmp_path / "a.ts", 6.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse_kit, "RATE", 32_000)
        second = make_stream(tmp_path / "b.ts", 6.0)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    found, _ = segments(path)
    assert len(found) == pytest.approx(12, abs=1)
    assert all(each.views[VIEWS[1]].shape == (4, 24, 32, 3) for each in found)


def test_a_track_that_ends_does_not_hold_up_the_other(stream, tmp_path, monkeypatch):
    """Sound of 4 seconds beside pictures of 13: these come, and not only at the end."""
    monkeypatch.setattr(live, "LAG", 3.0)
    import av

    path = tmp_path / "half.mkv"
    with av.open(str(stream)) as source, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            kind = packet.stream.type
            if packet.size and (kind == "video" or packet.pts * packet.time_base < 4):
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    clip = LiveClip(str(path), 0.3)
    rows = [each.views[VIEWS[0]] for each in clip.segments(1.0, VIEWS)]
    assert all(row is not None for row in rows[:3])
    assert all(row is None for row in rows[7:]) and len(rows) > 20
