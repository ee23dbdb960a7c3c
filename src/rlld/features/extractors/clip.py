"""``clip``: pictures by CLIP's image encoder (Radford et al., 2021), projected beside its text.

Two forms are published: VALOR's has one picture per segment, LSLD's the mean of eight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError, nearest
from rlld.features import base, spelled
from rlld.features.base import Extractor, Rows, flat, rows_where_seen
from rlld.features.extractors._language import (
    CLIP_WORDS,
    Language,
    language_of,
    load_tokenizer,
)
from rlld.features.extractors._towers import load_whole, parts, read_config, read_state
from rlld.features.weights import PublishedWeights, find
from rlld.media.sampling import frame_indices
from rlld.media.views import CHUNK, Chunk, Pictures
from rlld.utils.config import require_positive
from rlld.utils.extras import optional
from rlld.utils.files import sha256

if TYPE_CHECKING:
    import torch
    from torch import Tensor

REVISION = 1
"""Raised whenever the numbers change for the same parameters."""

WEIGHTS = {
    "clip-vit-large-patch14": "model.safetensors",
    "clip-vit-base-patch16": "pytorch_model.bin",
}
"""File of the weights of each published model."""

HUB = "https://huggingface.co/openai/{model}/resolve/main/{file}"
FPS = 8
SIZE = 224
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Mean and spread of red, green and blue that CLIP was trained with."""


@dataclass(frozen=True)
class Config(base.Config):
    """Parameters.

    Attributes:
        model: ``clip-vit-large-patch14`` (VALOR, 768 dimensions) or ``clip-vit-base-patch16``
            (LSLD, 512).
        sampling: ``valor`` takes one picture of each segment, such that the first and the last of
            ten segments at 8 per second are among them, stretches it to 224 x 224 without
            averaging, and gives embeddings of length 1. ``all`` takes 8 pictures a second, scales
            and cuts them as CLIP does, and gives embeddings as they are.
        batch: Pictures in one go of the network.

    Raises:
        RlldError: If the model is unknown.
    """

    model: str = "clip-vit-large-patch14"
    sampling: Literal["valor", "all"] = "valor"
    batch: int = 32

    def __post_init__(self) -> None:
        if self.model not in WEIGHTS:
            raise RlldError(
                f"extractor 'clip': unknown model {self.model!r}{nearest(self.model, WEIGHTS)}"
            )
        require_positive("extractor 'clip': ", self, "batch")

    def files(self) -> tuple[PublishedWeights, ...]:
        """Returns the files of the model; prompts need the last two, pictures do not."""
        names = ("config.json", WEIGHTS[self.model], "vocab.json", "merges.txt")
        return tuple(
            PublishedWeights(f"{self.model}/{name}", HUB.format(model=self.model, file=name))
            for name in names
        )

    def language(self, device: torch.device) -> Language:
        """Loads the text side of the model.

        Raises:
            RlldError: As ``build``.
        """
        optional("transformers", "extractor 'clip'")  # before weights of gigabytes are asked for
        config, weights, vocabulary, merges = (
            find(file, spelled("clip", self)) for file in self.files()
        )
        tokenizer = load_tokenizer(CLIP_WORDS, vocabulary, merges)
        state = read_state(weights)
        network = _tower(config, "text", state, weights).to(device)
        return language_of("visual_2d", tokenizer, network, state, "logit_scale", weights, device)


@Config.makes
class ClipModel(Extractor):
    """The ``clip`` extractor.

    Args:
        config: Its parameters.
    """

    name = "clip"

    def __init__(self, config: Config) -> None:
        import torch

        self.config = config
        optional("transformers", "extractor 'clip'")
        description, weights = (
            find(file, spelled(self.name, config)) for file in config.files()[:2]
        )
        self._network = _tower(description, "vision", read_state(weights), weights)
        self._digests = [sha256(description), sha256(weights)]
        self._device = torch.device("cpu")
        self._dim: int = self._network.config.projection_dim
        self._view = view_of(config.sampling)
        self.views = (self._view,)

    def parameters(self) -> dict[str, Any]:
        """Returns everything that its numbers depend on."""
        values = asdict(self.config)
        del values["batch"]
        return {**values, "weights": self._digests, "revision": REVISION}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns its stream, in the layout of VALOR's files or of LSLD's."""
        if self.config.sampling == "valor":
            return {"visual_2d": StreamSpec(self._dim, "CLIP/features")}
        return {"visual_2d": StreamSpec(self._dim, "clip_16", self._view.count(segment_seconds))}

    def to(self, device: torch.device) -> None:
        """Moves the network to a device."""
        self._device = device
        self._network.to(device)

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns a row per picture."""
        frames = self.streams(segment_seconds)["visual_2d"].frames
        rows = rows_where_seen(
            flat(chunks),
            self._view,
            frames,
            self._dim,
            lambda seen: self.embeddings([picture for pictures in seen for picture in pictures]),
        )
        return {"visual_2d": rows}

    def embeddings(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeds pictures.

        Args:
            pictures: Each (height, width, 3), RGB, of any size.

        Returns:
            (n, D).
        """
        import torch

        rows = []
        for start in range(0, len(pictures), self.config.batch):
            part = [
                prepared(torch.from_numpy(picture).to(self._device))
                for picture in pictures[start : start + self.config.batch]
            ]
            with torch.inference_mode():
                made = self._network(pixel_values=torch.stack(part)).image_embeds
                if self.config.sampling == "valor":
                    made = torch.nn.functional.normalize(made, dim=-1)
            rows.append(made.cpu().numpy())
        return np.concatenate(rows)


def view_of(sampling: str) -> Pictures:
    """Returns what is looked at of a clip."""
    if sampling == "all":
        return Pictures(FPS, SIZE, SIZE, short_side=SIZE, scaling="BICUBIC")
    # Of segments of a second; in longer ones these pictures lie in the first second.
    chosen = frame_indices(FPS * CHUNK, CHUNK) - FPS * np.arange(CHUNK)
    return Pictures(FPS, 0, 0, picks=tuple(int(pick) for pick in chosen))


def prepared(picture: Tensor) -> Tensor:
    """Returns what the network is given of a picture.

    Args:
        picture: (height, width, 3), uint8 RGB; stretched to 224 x 224, bilinear without averaging,
            if it has another size.

    Returns:
        (3, 224, 224), by CLIP's mean and spread.
    """
    from torch.nn.functional import interpolate

    values = picture.permute(2, 0, 1)[None].float() / 255
    if values.shape[2:] != (SIZE, SIZE):
        values = interpolate(values, (SIZE, SIZE), mode="bilinear", align_corners=False)
    mean, std = (values.new_tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (values[0] - mean) / std


def _tower(description: Path, side: str, state: dict[str, Tensor], weights: Path) -> Any:
    """Returns the ``text`` or the ``vision`` side with its projection."""
    transformers = optional("transformers", "extractor 'clip'")
    try:
        whole = transformers.CLIPConfig(**read_config(description))
    except Exception as error:
        # Its checks raise errors of several packages.
        reason = str(error).partition("\n")[0]
        raise RlldError(f"{description}: no description of CLIP ({reason}); get it again") from None
    config = whole.text_config if side == "text" else whole.vision_config
    config.projection_dim = whole.projection_dim
    name = "CLIPTextModelWithProjection" if side == "text" else "CLIPVisionModelWithProjection"
    network = getattr(transformers, name)(config)
    other = "visual" if side == "vision" else "text"
    load_whole(network, parts(state, (f"{side}_model.", f"{other}_projection.")), weights)
    return network
