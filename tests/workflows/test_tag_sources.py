"""Tags of a folder of clips come from the one place that tells them, or are asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import pytest

from parse_kit import make_clip
from rlld.errors import RlldError
from rlld.workflows.tag_sources import clip_tags

XMP = (
    '<x xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax'
    '-ns#"><d:subject><r:Bag><r:li>Owl</r:li></r:Bag></d:subject></x>'
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 1.0)


def clips_of(folder: Path, clip: Path, *names: str) -> tuple[dict[str, Path], dict[str, str]]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, folder / name)
    return {Path(name).stem: folder / name for name in names}, {Path(n).stem: n for n in names}


def test_the_only_place_that_tells_tags_is_taken(tmp_path, clip):
    clips, paths = clips_of(tmp_path, clip, "DCIM/dog/a.mp4", "DCIM/cat/b.mp4")
    assert clip_tags(None, clips, paths, None).of == {"a": ("dog",), "b": ("cat",)}
    with pytest.raises(RlldError, match="no keywords in them tell what occurs"):
        clip_tags("keywords", clips, paths, None)


def test_of_several_places_one_is_asked_for(tmp_path, clip):
    clips, paths = clips_of(tmp_path, clip, "dog/a.mp4", "cat/b.mp4")
    (tmp_path / "dog/a.xmp").write_text(XMP)
    (tmp_path / "cat/b.txt").write_text("Wolf")
    told = "told by texts and keywords and folders; .*: --tags texts or --tags keywords or --tags f"
    with pytest.raises(RlldError, match=told):
        clip_tags(None, clips, paths, None)
    assert clip_tags("texts", clips, paths, None).of == {"b": ("Wolf",)}
    assert clip_tags("keywords", clips, paths, None).of == {"a": ("Owl",)}
    assert clip_tags("folders", clips, paths, None).of == {"a": ("dog",), "b": ("cat",)}


def test_an_item_of_a_list_of_keywords_is_one_tag_and_a_line_holds_several(tmp_path, clip):
    clips, paths = clips_of(tmp_path, clip, "a.mp4", "b.mp4")
    (tmp_path / "a.xmp").write_text(XMP.replace("Owl", "dog, wet</r:li><r:li>Owl"))
    with av.open(str(clip)) as source, av.open(str(clips["b"]), "w") as out:
        out.metadata["keywords"] = "dog, wet"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    assert clip_tags("keywords", clips, paths, None).of == {
        "a": ("dog wet", "Owl"),
        "b": ("dog", "wet"),
    }


def test_columns_belong_to_a_table(tmp_path, clip):
    clips, paths = clips_of(tmp_path, clip, "dog/a.mp4", "cat/b.mp4")
    with pytest.raises(RlldError, match="--columns: speaks of the columns of a table"):
        clip_tags("folders", clips, paths, "file=clip")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("Dog\n")
    assert clip_tags(str(tmp_path / "texts"), clips, paths, None).of == {"a": ("Dog",)}


def test_a_clip_that_cannot_be_read_carries_nothing(tmp_path, clip):
    clips, paths = clips_of(tmp_path, clip, "a.mp4", "b.mp4")
    (tmp_path / "a.xmp").write_text(XMP)
    (tmp_path / "b.mp4").write_bytes(b"no clip")
    found = clip_tags(None, clips, paths, None)
    assert found.of == {"a": ("Owl",)} and found.unknown == ("b",)
    assert "b.mp4: is no audio or video file" in found.notes[1]
