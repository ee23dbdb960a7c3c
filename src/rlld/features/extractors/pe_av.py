"""``pe_av``: sounds and pictures by PE-AV (Meta, 2025; arXiv 2512.19687), in one space with text.

The model and its weights are Apache-2.0; it is read by transformers, whose pictures need timm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import base, spelled
from rlld.features.base import Extractor, Rows, flat, rows_where_seen
from rlld.features.extractors._language import Language
from rlld.features.extractors._perception import HOP, RATE, language_of, published, read_model
from rlld.features.extractors._towers import read_config
from rlld.features.weights import PublishedWeights, find
from rlld.media.views import Chunk, Pictures, Sound
from rlld.utils.config import require_positive
from rlld.utils.extras import optional
from rlld.utils.files import sha256

if TYPE_CHECKING:
    import torch
    from torch import Tensor

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

NAME = "pe_av"
FILES = ("config.json", "model.safetensors", "video_preprocessor_config.json", "tokenizer.json")
BOTH = "audio_visual"
"""What prompts are compared with embeddings of sound and pictures together by."""


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        model: ``pe-av-small``, ``pe-av-base`` or ``pe-av-large``, which see any number of pictures;
            with ``-16-frame``, those that see 16 of each segment.
        fps: Pictures per second that are decoded.
        batch: Segments in one go of the network.

    Raises:
        RlldError: If a number is not positive.
    """

    model: Literal[
        "pe-av-small",
        "pe-av-base",
        "pe-av-large",
        "pe-av-small-16-frame",
        "pe-av-base-16-frame",
        "pe-av-large-16-frame",
    ] = "pe-av-small"
    fps: int = 8
    batch: int = 4

    def __post_init__(self) -> None:
        require_positive(f"extractor {NAME!r}: ", self, "fps", "batch")

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the files of the model; prompts need the last one, features do not."""
        return published(self.model, FILES)

    def language(self, device: torch.device) -> Language:
        """Loads the text side of the model, which says prompts differently for each stream.

        Raises:
            RlldError: As ``build``.
        """
        network = _read(self)
        words = find(self.files()[-1], spelled(NAME, self))
        heads = {
            "audio": network.audio_model.text_audio_head,
            "visual_2d": network.video_model.text_video_head,
            BOTH: network.text_audio_video_head,
        }
        return language_of(words, network.text_model, heads, device)


@dataclass(frozen=True)
class Prepared:
    """How pictures are prepared, as ``video_preprocessor_config.json`` says.

    Attributes:
        height: Height of a picture in pixels.
        width: Its width.
        mean: What is taken off red, green and blue in [0, 1].
        std: What that is divided by.
        number: Pictures of a segment that are seen, all when 0.
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    number: int

    def __call__(self, pictures: Tensor) -> Tensor:
        """Returns what the network is given (..., N, 3, H, W) of pictures (..., F, H, W, 3)."""
        count = pictures.shape[-4]
        if self.number:
            steps = max(1, self.number - 1)
            pictures = pictures[
                ..., [n * (count - 1) // steps for n in range(self.number)], :, :, :
            ]
        values = pictures.movedim(-1, -3).float() / 255
        mean, std = (values.new_tensor(part)[:, None, None] for part in (self.mean, self.std))
        return (values - mean) / std


@Config.makes
class PeAv(Extractor):
    """The ``pe_av`` extractor.

    Args:
        config: Its parameters.
    """

    name = NAME
    alone = True

    def __init__(self, config: Config) -> None:
        import torch

        self.config = config
        self._network = _read(config)
        del self._network.text_model, self._network.audio_model.text_model
        del self._network.video_model.text_model
        self._dim: int = self._network.audio_model.audio_head.proj.out_features
        found = [find(file, spelled(NAME, config)) for file in config.files()[:3]]
        self._digests = [sha256(path) for path in found]
        self._prepared = _preparation(found[2])
        self._sound = Sound(RATE)
        self._pictures = Pictures(
            config.fps, self._prepared.width, self._prepared.height, scaling="BILINEAR"
        )
        self.views = (self._sound, self._pictures)
        self._device = torch.device("cpu")

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        values = asdict(self.config)
        del values["batch"]
        return {**values, "weights": self._digests, "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its streams, a row per segment."""
        return {
            "audio": StreamSpec(self._dim, "PE-AV/audio"),
            "visual_2d": StreamSpec(self._dim, "PE-AV/video"),
        }

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._device = device
        self._network.to(device)

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns a row per segment, each heard and seen by itself."""
        segments = flat(chunks)
        return {
            "audio": rows_where_seen(segments, self._sound, 1, self._dim, self.heard),
            "visual_2d": rows_where_seen(segments, self._pictures, 1, self._dim, self.seen),
        }

    def heard(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embeds sounds.

        Args:
            sounds: Each (samples,) at 48 kHz, equally long.

        Returns:
            (n, D).
        """
        return self._embedded(self._network.audio_model.get_audio_embeds, self._waves(sounds))

    def seen(self, videos: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeds stretches of pictures.

        Args:
            videos: Each (pictures, height, width, 3), RGB, equally many, as large as in ``views``.

        Returns:
            (n, D).
        """
        model = self._network.video_model

        def embed(pixels: Tensor) -> Tensor:
            made: Tensor = model.video_head(model.video_encoder(self._prepared(pixels))[1])
            return made

        return self._embedded(embed, videos)

    def together(
        self, sounds: Sequence[NDArray[np.float32]], videos: Sequence[NDArray[np.uint8]]
    ) -> NDArray[np.float32]:
        """Embeds what is heard and seen at once; prompts beside it are those of ``BOTH``.

        Args:
            sounds: As ``heard`` takes them.
            videos: As ``seen`` takes them, one for each sound.

        Returns:
            (n, D).
        """

        def embed(values: Tensor, pixels: Tensor) -> Tensor:
            made = self._network.get_audio_video_embeds(values, self._prepared(pixels))
            both: Tensor = made.audio_video_embeds
            return both

        return self._embedded(embed, self._waves(sounds), videos)

    def _waves(self, sounds: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Returns sounds (1, samples) of whole states; at their end they are reflected."""
        return [np.pad(sound, (0, -len(sound) % HOP), "reflect")[None] for sound in sounds]

    def _embedded(
        self, embed: Callable[..., Tensor], *inputs: Sequence[NDArray[Any]]
    ) -> NDArray[np.float32]:
        """Runs the network over inputs, some at a time."""
        import torch

        rows = []
        for start in range(0, len(inputs[0]), self.config.batch):
            cut = slice(start, start + self.config.batch)
            given = [torch.from_numpy(np.stack(part[cut])).to(self._device) for part in inputs]
            with torch.inference_mode():
                rows.append(embed(*given).float().cpu().numpy())
        return np.concatenate(rows)


def _read(config: Config) -> Any:
    """Loads the whole model.

    Raises:
        RlldError: If transformers or timm are missing or too old, or a file is missing, damaged, or
            of another model.
    """
    optional("timm", f"extractor {NAME!r}")
    files = [find(file, spelled(NAME, config)) for file in config.files()[:2]]
    return read_model(NAME, "PE-AV", "PeAudioVideoModel", *files)


def _preparation(path: Path) -> Prepared:
    """Reads how pictures are prepared.

    Raises:
        RlldError: If the file does not say so.
    """
    told = read_config(path)
    try:
        size = told["size"]
        number = int(told.get("num_frames") or 0) if told.get("do_sample_frames") else 0
        mean, std = (tuple(map(float, told[key])) for key in ("image_mean", "image_std"))
        made = Prepared(int(size["height"]), int(size["width"]), mean, std, number)
    except (KeyError, TypeError, ValueError) as error:
        raise RlldError(
            f"{path}: does not say how pictures are prepared ({error!r}); get it again"
        ) from None
    if min(made.height, made.width, *made.std) <= 0 or not len(mean) == len(std) == 3:
        raise RlldError(f"{path}: a size, mean or spread of pictures is out of range; get it again")
    return made
