"""Cases for tag files: tables of every kind, events, texts, XMP."""

from __future__ import annotations

import io
import json
import random
import zipfile
from functools import cache
from pathlib import Path

import openpyxl

from campaign.mutations import mutated, reshaped
from campaign.samples import Samples, put
from campaign.target import target
from rlld.data.own import doubts, known_of
from rlld.data.tags.events import read_events
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import read_tags
from rlld.data.tags.texts import folder_of_texts
from rlld.media.keywords import subjects

CLIPS = ClipNames({f"clip{n}": f"day{n % 3}/clip{n}.mp4" for n in range(8)})
ROWS = [[f"clip{n}.mp4", "Dog, cat" if n % 2 else "owl"] for n in range(8)]
COLUMNS = (None, None, None, "file=clip", "1=clip,2=tags", "tags=class", "9=tags", "=", "a=b=clip")
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
    b'"http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:dc='
    b'"http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>Dog</rdf:li></rdf:Bag>'
    b"</dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def use(at: Path, name: str, rng: random.Random) -> None:
    """Reads a table and does with its tags what is done with them."""
    found = read_tags(at / name, CLIPS, rng.choice(COLUMNS))
    known = known_of(found.of, (), ())
    doubts(dict.fromkeys(known.classes, 1), 8)


@target(weight=3)
def tag_text(rng: random.Random, at: Path, samples: Samples) -> None:
    """Tags in text of any dialect and encoding."""
    mark = rng.choice(",;\t|")
    text = "\n".join(mark.join(f'"{cell}"' for cell in row) for row in [["file", "tags"], *ROWS])
    content = text.encode(rng.choice(("utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252")))
    put(at, "t.csv", mutated(rng, content, True))
    use(at, "t.csv", rng)


@target(weight=2)
def tag_json(rng: random.Random, at: Path, samples: Samples) -> None:
    """Tags in JSON."""
    rows = [{"file": file, "tags": tags.split(", ")} for file, tags in ROWS]
    shape = rng.choice((rows, {row["file"]: row["tags"] for row in rows}, {"videos": rows}))
    text = json.dumps(reshaped(rng, shape)).encode()
    put(at, "t.json", text if rng.random() < 0.7 else mutated(rng, text, True))
    use(at, "t.json", rng)


@cache
def workbook() -> dict[str, bytes]:
    """Returns the parts of a workbook by name."""
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in [["file", "tags"], *ROWS]:
        book.active.append(row)
    book.save(content)
    with zipfile.ZipFile(content) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@target(weight=2)
def tag_excel(rng: random.Random, at: Path, samples: Samples) -> None:
    """Tags in a workbook, damaged within or as a whole."""
    parts, content = dict(workbook()), io.BytesIO()
    for name in rng.sample(sorted(parts), rng.choice((0, 1, 1, 2))):
        parts[name] = mutated(rng, parts[name], True)
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    whole = content.getvalue()
    put(at, "t.xlsx", whole if rng.random() < 0.8 else mutated(rng, whole))
    use(at, "t.xlsx", rng)


@target(weight=2)
def tag_events(rng: random.Random, at: Path, samples: Samples) -> None:
    """Events that somebody marked."""
    rows = "".join(f"clip{n},Dog,both,0:0{n},{n + 1}.5\n" for n in range(8))
    content = f"clip,class,modality,onset,offset\n{rows}".encode()
    path = put(at, rng.choice(("e.csv", "audio.csv")), mutated(rng, content, True))
    events = read_events((path,), CLIPS)
    known_of({}, events.rows, events.videos)


@target(weight=1)
def tag_texts(rng: random.Random, at: Path, samples: Samples) -> None:
    """A folder of small texts."""
    for name in ("clip1.txt", "clip2.txt", "dog.txt")[rng.randrange(3) :]:
        put(at, name, mutated(rng, b"clip1.mp4\nDog, cat\n", True))
    folder_of_texts(at, CLIPS)


@target(weight=1)
def tag_xmp(rng: random.Random, at: Path, samples: Samples) -> None:
    """The XMP beside a clip."""
    subjects(mutated(rng, XMP, True), "a.xmp")
