"""A data set of clips and tags, and its studio in a process that can be killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from parse_kit import make_clip
from rlld.data.spec import ANNOTATIONS, FILE_NAME, VIDEOS, AnnotationFiles, DataSpec, spec_text

STRANGE = "<img src=x onerror=document.title=1>"
CLASSES = ("Dog_bark", "Rain", STRANGE)
ENVIRONMENT = {
    "COLUMNS": "1000",
    "NO_COLOR": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONFAULTHANDLER": "1",
}
OPEN = re.compile(r"is open at (\S+);")


def make_data(folder: Path, clips: int = 14, clip: Path | None = None) -> Path:
    """Writes a data set of one clip under many names; nothing was extracted or trained."""
    (folder / ANNOTATIONS).mkdir(parents=True)
    (folder / VIDEOS).mkdir()
    files = AnnotationFiles(audio="", visual="")
    spec = DataSpec("aviary", CLASSES, 10, 1.0, streams={}, annotations=files)
    (folder / FILE_NAME).write_text(spec_text(spec))
    clip = clip or make_clip(folder.with_name("clip.mp4"))
    ids = [f"a #{number} & b" for number in range(clips)]
    for name in ids:
        shutil.copy(clip, folder / VIDEOS / f"{name}.mp4")
    rows = [f"{name}\t{','.join(CLASSES)}\n" for name in ids]
    for split, part in {"train": rows[:-2], "validation": rows[-2:-1], "test": rows[-1:]}.items():
        file = folder / ANNOTATIONS / f"{split}.csv"
        file.write_text("".join(["filename\tevent_labels\n", *part]))
    return folder


@dataclass
class Served:
    """A studio that is open.

    Attributes:
        address: Where its page is.
        process: What serves it.
    """

    address: str
    process: subprocess.Popen[str]


@contextmanager
def studio(folder: Path, *words: str, port: int = 0) -> Iterator[Served]:
    """Opens the studio of a data set in another process, and kills it at the end."""
    call = [sys.executable, "-m", "rlld", "studio", str(folder), "--port", str(port)]
    process = subprocess.Popen(
        [*call, "--no-browser", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    try:
        assert process.stdout is not None
        said = ""
        while not (found := OPEN.search(said)):
            line = process.stdout.readline()
            assert line, f"ended: {said}"
            said += line
        yield Served(found[1].rstrip("/"), process)
        ended = process.poll()
        assert ended in (None, -signal.SIGKILL), f"the studio ended by itself: {ended}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def aviary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one clip under many names, for the tests of a module."""
    return make_data(tmp_path_factory.mktemp("studio") / "data")


@pytest.fixture(scope="module")
def aviary_studio(aviary: Path) -> Iterator[Served]:
    """Its studio, open while the tests of a module run."""
    with studio(aviary) as opened:
        yield opened
