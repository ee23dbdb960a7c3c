"""``pe_a_frame``: sound by PE-A-Frame (Meta, 2025; arXiv 2512.19687), every 40 ms, beside its text.

The model and its weights are Apache-2.0; it is read by transformers, which knows it from 5.0 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import base, spelled
from rlld.features.base import Extractor, Rows
from rlld.features.extractors._language import Language
from rlld.features.extractors._perception import HOP, RATE, language_of, published, read_model
from rlld.features.weights import PublishedWeights, find
from rlld.media.views import Chunk, Sound
from rlld.utils.files import sha256

if TYPE_CHECKING:
    import torch

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        model: ``pe-a-frame-small`` (450 million parameters) or ``pe-a-frame-base`` (560 million).
    """

    model: Literal["pe-a-frame-small", "pe-a-frame-base"] = "pe-a-frame-small"

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the files of the model; prompts need the last one, sound does not."""
        return published(self.model, FILES)

    def language(self, device: torch.device) -> Language:
        """Loads the text side of the model.

        Raises:
            RlldError: As ``build``.
        """
        network = _read(self)
        words = find(self.files()[-1], spelled("pe_a_frame", self))
        heads = {"audio": network.text_audio_head}
        return language_of(words, network.text_model, heads, device)


@Config.makes
class PeAFrame(Extractor):
    """The ``pe_a_frame`` extractor.

    Args:
        config: Its parameters.
    """

    name = "pe_a_frame"
    views = (Sound(RATE),)

    def __init__(self, config: Config) -> None:
        import torch

        self.config = config
        network = _read(config)
        self._encoder, self._head = network.audio_encoder, network.audio_head
        self._dim: int = self._head.proj.out_features
        self._digests = [
            sha256(find(file, spelled(self.name, config))) for file in config.files()[:2]
        ]
        self._device = torch.device("cpu")

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        return {**asdict(self.config), "weights": self._digests, "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream, a row every 40 ms.

        Raises:
            RlldError: If segments do not hold a whole number of these.
        """
        frames = segment_seconds * RATE / HOP
        if frames < 1 or abs(frames - round(frames)) > 1e-6:
            raise RlldError(
                f"extractor {self.name!r}: hears in steps of 0.04 s, of which segments of "
                f"{segment_seconds} s hold {frames:g}; give a length that is a multiple of them"
            )
        return {"audio": StreamSpec(self._dim, "PE-A-Frame/embeddings", round(frames))}

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._device = device
        self._encoder.to(device)
        self._head.to(device)

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns the rows of every segment, each heard among the others of its chunk."""
        frames = self.streams(segment_seconds)["audio"].frames
        return {"audio": np.concatenate([self._heard(chunk, frames) for chunk in chunks])}

    def _heard(self, chunk: Chunk, frames: int) -> NDArray[np.float32]:
        """Returns the rows of a chunk, zeros where a segment has no sound."""
        sounds = [segment.views[self.views[0]] for segment in chunk]
        there = np.array([sound is not None for sound in sounds])
        if not there.any():
            return np.zeros((len(chunk) * frames, self._dim), np.float32)
        whole = np.zeros((len(chunk), frames * HOP), np.float32)
        for row, sound in zip(whole, sounds, strict=True):
            if sound is not None:
                row[: len(sound)] = sound[: frames * HOP]
        rows = self.embeddings(whole.reshape(-1))
        return rows * np.repeat(there, frames)[:, None].astype(np.float32)

    def embeddings(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeds a sound.

        Args:
            sound: (n * 1920,) at 48 kHz.

        Returns:
            (n, D), a row every 40 ms.
        """
        import torch

        values = torch.from_numpy(sound)[None, None].to(self._device)
        with torch.inference_mode():
            states = self._encoder(input_values=values).last_hidden_state
            rows: NDArray[np.float32] = self._head(states)[0].float().cpu().numpy()
        return rows


def _read(config: Config) -> Any:
    """Loads the whole model.

    Raises:
        RlldError: If transformers is missing or too old, or a file is missing, damaged, or of
            another model.
    """
    files = [find(file, spelled("pe_a_frame", config)) for file in config.files()[:2]]
    return read_model("pe_a_frame", "PE-A-Frame", "PeAudioFrameLevelModel", *files)
