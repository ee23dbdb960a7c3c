"""Clips as a camera writes them: sound and pictures side by side, from the first byte on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av

from parse_kit import make_clip

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "2000000"}


def make_stream(path: Path, seconds: float = 23.4, **tracks: Any) -> Path:
    """Encodes a clip of ``make_clip`` so that it can be read while it is written."""
    webm = path.suffix == ".webm"
    codecs = {"sound": "libopus", "picture": "libvpx"} if webm else {}
    clip = make_clip(path.with_name(f"whole-{path.stem}.mkv"), seconds, **(codecs | tracks))
    options = FRAGMENTS if path.suffix == ".mp4" else {}
    with av.open(str(clip)) as source, av.open(str(path), "w", options=options) as out:
        streams = {s.index: out.add_stream_from_template(s) for s in source.streams}
        packets = [packet for packet in source.demux() if packet.size]
        for packet in sorted(packets, key=lambda each: float(each.dts * each.time_base)):
            packet.stream = streams[packet.stream_index]
            out.mux(packet)
    clip.unlink()
    return path
