"""From features of segments to their similarities with the names of classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.features import extractor_configs, load_extractor, spelled
from rlld.features.extractors._language import cosines
from rlld.open_classes.similarities import Array, Similarities
from rlld.taxonomy import Taxonomy

if TYPE_CHECKING:
    import torch

    from rlld.data.spec import StreamSpec
    from rlld.features.base import Extractor, Rows

STREAMS = ("audio", "visual_2d")
"""Stream of features that is compared with words, by modality."""
ENCODERS = "clip,clap"
"""Extractors that are taken when none are named: they embed words beside pictures and sounds."""
MARKUP = re.compile(r"[<>{}\[\]\\`|]")


def read_classes(text: str) -> tuple[str, ...]:
    """Reads a list of class names as it is typed.

    Args:
        text: Names joined by commas.

    Raises:
        RlldError: If there are fewer than two, one is empty or given twice, or one is no plain
            words.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not any(names):
        raise RlldError('--classes: found none; name what to look for: "glass breaking,applause"')
    if "" in names:
        raise RlldError(
            f"--classes: name {names.index('') + 1} of {len(names)} is empty; leave it out"
        )
    marked = next((name for name in names if MARKUP.search(name)), None)
    if marked is not None:
        raise RlldError(
            f"--classes: {marked!r} holds markup; a name is compared as words, write it as a "
            "person would say it"
        )
    alike = [words(name) for name in names]
    twice = next((name for name in names if alike.count(words(name)) > 1), None)
    if twice is not None:
        raise RlldError(f"--classes: {twice!r} is listed twice; every class has a name of its own")
    if len(names) == 1:
        raise RlldError(
            f"--classes: found {names[0]!r} alone; a class is told from others, name at least one "
            'more that may occur, such as "speech"'
        )
    return Taxonomy(names).classes


def words(name: str) -> str:
    """Returns a class name as words: in small letters, with spaces for underscores."""
    return " ".join(name.replace("_", " ").lower().split())


def prompts(classes: Sequence[str]) -> dict[str, list[str]]:
    """Returns AV2A's prompts by modality, in class order."""
    named = [words(name) for name in classes]
    return {
        "audio": [f"This is a sound of {name}" for name in named],
        "visual": [f"A {name}" for name in named],
    }


class Namer:
    """Compares features of clips with class names.

    Args:
        classes: The names.
        encoders: Extractors as ``load_extractor`` takes them: one that embeds sounds and one that
            embeds pictures, or one for both, beside words.
        device: Where networks run.

    Attributes:
        classes: The names.
        extractor: Makes the features.

    Raises:
        RlldError: If an extractor does not embed words, they are not one for each track, or what
            they need is not installed or not there.
    """

    def __init__(
        self, classes: Sequence[str], encoders: str = ENCODERS, device: torch.device | None = None
    ) -> None:
        import torch

        self.classes = tuple(classes)
        self.encoders = encoders
        device = device or torch.device("cpu")
        configs = extractor_configs(encoders)
        for name, config in configs.items():
            if not hasattr(config, "language"):
                raise RlldError(
                    f"--encoders: {spelled(name, config)!r} knows no words; take extractors that "
                    f"embed words beside what they see and hear, such as {ENCODERS}"
                )
        self.extractor: Extractor = load_extractor(encoders)
        self.extractor.to(device)
        makers = [self._maker(stream) for stream in STREAMS]
        # One that makes both streams is loaded once.
        languages = {name: configs[name].language(device) for name in dict.fromkeys(makers)}
        texts = prompts(self.classes).values()
        self._texts: list[NDArray[np.float32]] = [
            languages[name].embeddings(named, stream)
            for name, named, stream in zip(makers, texts, STREAMS, strict=True)
        ]

    def _maker(self, stream: str) -> str:
        """Returns the name of the extractor that makes a stream."""
        members = getattr(self.extractor, "members", [self.extractor])
        for member in members:
            if stream in member.streams(1.0):
                return str(member.name)
        raise RlldError(
            f"--encoders: none of {self.encoders!r} makes stream {stream!r}; give one for sound "
            f"and one for pictures, such as {ENCODERS}, or one for both (pe_av)"
        )

    def streams(self, segment_seconds: float = 1.0) -> dict[str, StreamSpec]:
        """Returns the streams that are compared."""
        return self.extractor.streams(segment_seconds)

    def similarities(self, chunks: Iterable[Rows]) -> Similarities:
        """Compares a clip; only the similarities of its segments are kept.

        Args:
            chunks: Features of consecutive segments by stream, (n, D) each; rows of zeros are
                segments without sound or picture.

        Raises:
            RlldError: If there is no segment.
        """
        kept: tuple[list[Array], list[Array]] = ([], [])
        steady: list[Array] = []
        before: NDArray[np.float32] | None = None
        for chunk in chunks:
            for rows, stream, texts in zip(kept, STREAMS, self._texts, strict=True):
                rows.append(_compared(chunk[stream], texts))
            pictures = chunk[STREAMS[1]]
            shown = pictures if before is None else np.concatenate([before, pictures])
            steady.append(_steady(shown))
            before = pictures[-1:]
        if not steady:
            raise RlldError("the video has no segment; give one that lasts longer")
        audio, visual = (np.concatenate(rows) for rows in kept)
        return Similarities(audio, visual, np.concatenate(steady))


def _compared(rows: NDArray[np.float32], texts: NDArray[np.float32]) -> Array:
    alike = cosines(rows, texts).astype(np.float64)
    alike[~rows.any(1)] = np.nan
    return alike


def _steady(pictures: NDArray[np.float32]) -> Array:
    """Returns the cosine of each picture with the next one, 0 where one of both is missing."""
    length = np.linalg.norm(pictures, axis=1, keepdims=True)
    unit = pictures / np.where(length > 0, length, 1)
    cosine: Array = (unit[:-1] * unit[1:]).sum(1).astype(np.float64)
    return cosine
