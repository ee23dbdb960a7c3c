"""``clap``: sound by LAION's CLAP (Wu et al., 2023), as embeddings beside text or feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import base, spelled
from rlld.features.base import Extractor, Rows, flat, rows_where_seen
from rlld.features.extractors import _clap_audio as clap_audio
from rlld.features.extractors._clap_weights import description, renamed
from rlld.features.extractors._language import (
    ROBERTA_WORDS,
    Language,
    language_of,
    load_tokenizer,
)
from rlld.features.extractors._towers import load_whole, parts, read_config, read_state
from rlld.features.weights import PublishedWeights, find
from rlld.media.views import Chunk, Sound
from rlld.utils.config import require_positive
from rlld.utils.extras import optional
from rlld.utils.files import sha256

if TYPE_CHECKING:
    import torch
    from torch import Tensor

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

CHECKPOINTS = "https://huggingface.co/lukewys/laion_clap/resolve/main/{file}"
MODELS = "https://huggingface.co/laion/{model}/resolve/main/{file}"
ROBERTA = "https://huggingface.co/FacebookAI/roberta-base/resolve/main/{file}"
WORDS = ("vocab.json", "merges.txt")
SECONDS = clap_audio.SAMPLES // clap_audio.RATE
"""Longest sound that the network sees at once."""


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        weights: A checkpoint of ``laion_clap``: ``630k-fusion-best.pt`` (VALOR),
            ``630k-audioset-best.pt`` (LSLD). A name without ``.pt`` is a folder of weights in the
            layout of transformers.
        output: ``embedding`` gives one embedding of length 1 per segment, each heard alone.
            ``maps`` gives the feature maps of VALOR++, of up to ten segments together, reduced to
            a row per segment.
        batch: Sounds in one go of the network.

    Raises:
        RlldError: If a number is out of range.
    """

    weights: str = "630k-fusion-best.pt"
    output: Literal["embedding", "maps"] = "embedding"
    batch: int = 8

    def __post_init__(self) -> None:
        require_positive("extractor 'clap': ", self, "batch")

    def model_files(self) -> tuple[PublishedWeights, ...]:
        """Returns the files that sound needs, the weights last."""
        if self.weights.endswith(".pt"):
            return (PublishedWeights(self.weights, CHECKPOINTS.format(file=self.weights)),)
        return tuple(
            PublishedWeights(f"{self.weights}/{file}", MODELS.format(model=self.weights, file=file))
            for file in ("config.json", "model.safetensors")
        )

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns all files; prompts need the last two, sound does not."""
        words = (
            PublishedWeights(f"roberta-base/{file}", ROBERTA.format(file=file)) for file in WORDS
        )
        return (*self.model_files(), *words)

    def language(self, device: torch.device) -> Language:
        """Loads the text side of the model.

        Raises:
            RlldError: As ``build``.
        """
        vocabulary, merges = (find(file, spelled("clap", self)) for file in self.files()[-2:])
        tokenizer = load_tokenizer(ROBERTA_WORDS, vocabulary, merges)
        state, whole, path = _read(self)
        network = _tower(whole, "Text", state, path).to(device)
        return language_of("audio", tokenizer, network, state, "logit_scale_a", path, device)


@Config.makes
class Clap(Extractor):
    """The ``clap`` extractor.

    Args:
        config: Its parameters.
    """

    name = "clap"
    views = (Sound(clap_audio.RATE),)

    def __init__(self, config: Config) -> None:
        import torch

        self.config = config
        state, whole, path = _read(config)
        self._network = _tower(whole, "Audio", state, path)
        self._fusion: bool = whole.audio_config.enable_fusion
        self._width: int = whole.audio_config.hidden_size
        self._dim: int = whole.projection_dim if config.output == "embedding" else self._width
        self._digests = [
            sha256(find(file, spelled(self.name, config))) for file in config.model_files()
        ]
        self._device = torch.device("cpu")

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        values = asdict(self.config)
        del values["batch"]
        return {**values, "weights": self._digests, "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream.

        Raises:
            RlldError: If segments are too long to be heard alone.
        """
        if self.config.output == "maps":
            return {"audio": StreamSpec(self._dim, "CLAP/pooled")}
        if segment_seconds > SECONDS:
            raise RlldError(
                f"extractor 'clap': hears {SECONDS} s at once, segments of {segment_seconds} s "
                "are too long"
            )
        return {"audio": StreamSpec(self._dim, "CLAP/embeddings")}

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._device = device
        self._network.to(device)

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns a row per segment."""
        segments, view = flat(chunks), self.views[0]

        def pooled(_: list[NDArray[np.float32]]) -> NDArray[np.float32]:
            heard = [segment.views[view] is not None for segment in segments]
            return self._pooled(chunks)[heard]

        describe = self.embeddings if self.config.output == "embedding" else pooled
        return {"audio": rows_where_seen(segments, view, 1, self._dim, describe)}

    def embeddings(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embeds sounds, each repeated to ten seconds.

        Args:
            sounds: Each (n,) at 48 kHz, 10 seconds at most.

        Returns:
            (number of sounds, D), of length 1.
        """
        import torch

        waves = [clap_audio.repeated(clap_audio.quantised(sound)) for sound in sounds]
        with torch.inference_mode():
            made = [torch.nn.functional.normalize(o.audio_embeds, dim=-1) for o in self._run(waves)]
        return torch.cat(made).cpu().numpy()

    def maps(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the feature maps of sounds, each forced to ten seconds, as VALOR++ reads them.

        Args:
            sounds: Each (n,) at 48 kHz, of any length.

        Returns:
            (number of sounds, 64, width), row = frequency * 32 + time.
        """
        import torch

        waves = [clap_audio.quantised(clap_audio.stretched(sound)) for sound in sounds]
        made = [o.last_hidden_state.flatten(2).transpose(1, 2) for o in self._run(waves)]
        return torch.cat(made).cpu().numpy()

    def _pooled(self, chunks: Sequence[Chunk]) -> NDArray[np.float32]:
        """Returns the maps of each chunk's whole sound as a row per segment."""
        import torch

        from rlld.features.clap_maps import pool_maps

        whole = [_joined([segment.views[self.views[0]] for segment in chunk]) for chunk in chunks]
        maps = iter(self.maps([sound for sound in whole if sound is not None]))
        rows = []
        for chunk, sound in zip(chunks, whole, strict=True):
            if sound is None:
                rows.append(np.zeros((len(chunk), self._dim), np.float32))
            else:
                rows.append(pool_maps(torch.from_numpy(next(maps))[None], len(chunk))[0].numpy())
        return np.concatenate(rows)

    def _run(self, waves: Sequence[NDArray[np.float32]]) -> list[Any]:
        """Runs the network on sounds of ten seconds, a mini-batch at a time."""
        import torch

        outputs = []
        for start in range(0, len(waves), self.config.batch):
            part = torch.from_numpy(np.stack(waves[start : start + self.config.batch]))
            with torch.inference_mode():
                mel = clap_audio.log_mel(part.to(self._device), slaney=not self._fusion)[:, None]
                # Of the four spectrograms of fusion all are equal when nothing is longer than ten
                # seconds, and then the network looks at the first alone.
                longer = torch.zeros(len(mel), 1, dtype=torch.bool, device=self._device)
                outputs.append(self._network(input_features=mel, is_longer=longer))
        return outputs


def _joined(sounds: Sequence[NDArray[Any] | None]) -> NDArray[np.float32] | None:
    """Returns consecutive segments as one sound, silent where there is none in some."""
    heard = next((sound for sound in sounds if sound is not None), None)
    if heard is None:
        return None
    silence = np.zeros(len(heard), np.float32)
    return np.concatenate([silence if sound is None else sound for sound in sounds])


def _read(config: Config) -> tuple[dict[str, Tensor], Any, Path]:
    """Returns the weights by transformers' names, a ``ClapConfig``, and the file of the weights."""
    transformers = optional("transformers", "extractor 'clap'")
    *described, path = (find(file, spelled("clap", config)) for file in config.model_files())
    state = read_state(path)
    if described:
        values = read_config(described[0])
        where = described[0]
    else:
        state = renamed(state)
        values = description(state, path)
        where = path
    try:
        return state, transformers.ClapConfig(**values), path
    except Exception as error:
        # Its checks raise errors of several packages.
        reason = str(error).partition("\n")[0]
        raise RlldError(f"{where}: no description of CLAP ({reason}); get it again") from None


def _tower(whole: Any, side: str, state: dict[str, Tensor], path: Path) -> Any:
    """Returns the ``Text`` or the ``Audio`` side with its projection."""
    transformers = optional("transformers", "extractor 'clap'")
    config = whole.text_config if side == "Text" else whole.audio_config
    network = getattr(transformers, f"Clap{side}ModelWithProjection")(config)
    name = side.lower()
    load_whole(network, parts(state, (f"{name}_model.", f"{name}_projection.")), path)
    return network
