"""Keywords that clips carry, and those in XMP files beside them."""

from __future__ import annotations

import av
import pytest

from parse_kit import make_clip
from rlld.errors import RlldError
from rlld.media.keywords import keywords_of, subjects

XMP = """<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>no</dc:title><dc:subject><rdf:Bag>
<rdf:li>Dog</rdf:li><rdf:li>V\u00f6gel</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>
</x:xmpmeta><?xpacket end="w"?>"""


def test_the_header_of_a_clip_may_hold_keywords(tmp_path):
    clip = make_clip(tmp_path / "plain.mp4", 1.0)
    assert keywords_of(clip) == ()
    for suffix in ("mp4", "mkv"):
        tagged = tmp_path / f"tagged.{suffix}"
        with av.open(str(clip)) as source, av.open(str(tagged), "w") as out:
            out.metadata["keywords"] = "Dog, Cat"
            out.metadata["title"] = "Holiday"
            streams = {
                stream.index: out.add_stream_from_template(stream) for stream in source.streams
            }
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
        assert keywords_of(tagged) == "Dog, Cat"


def test_an_xmp_file_beside_a_clip_wins(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", 1.0)
    for name in ("a.xmp", "a.mp4.xmp"):
        (tmp_path / name).write_text(XMP, encoding="utf-8")
        assert keywords_of(clip) == ("Dog", "V\u00f6gel")
        (tmp_path / name).unlink()


def test_an_ogg_file_holds_them_in_its_stream(tmp_path):
    path = tmp_path / "a.ogg"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libopus", rate=48_000)
        out.metadata["KEYWORDS"] = "rain"
        frame = av.AudioFrame(format="s16", layout="mono", samples=960)
        frame.sample_rate = 48_000
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    assert keywords_of(path) == "rain"


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_an_xmp_file_may_be_of_any_coding_and_in_capitals(tmp_path, coding):
    clip = make_clip(tmp_path / "a.mp4", 1.0)
    text = f"\ufeff{XMP}" if coding == "utf-16-be" else XMP
    (tmp_path / "a.XMP").write_bytes(f"{text}\0\n".encode(coding))
    assert keywords_of(clip) == ("Dog", "V\u00f6gel")
    (tmp_path / "a.XMP").write_text(XMP.replace("dc:subject", "dc:type"), encoding="utf-8")
    (tmp_path / "a.mp4.XMP").write_text(XMP, encoding="utf-8")  # the first one tells nothing
    assert keywords_of(clip) == ("Dog", "V\u00f6gel")


@pytest.mark.parametrize(
    "text",
    [
        "<x", "", "no xml",
        '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        '<?xml version="1.0" encoding="nonsense"?><x/>',
    ],
)  # fmt: skip
def test_what_is_no_xmp_is_refused(text):
    with pytest.raises(RlldError, match=r"a.xmp: is no XMP that can be read"):
        subjects(text.encode(), "a.xmp")
