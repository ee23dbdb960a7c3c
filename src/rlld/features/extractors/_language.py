"""Prompts as embeddings, by the language side of CLIP and CLAP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlld.errors import RlldError
from rlld.features.extractors._towers import read_config
from rlld.utils.extras import optional

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LONGEST = 77
"""Tokens of a prompt; longer ones are cut, as CLIP and CLAP do."""

BATCH = 64

NOTHING_ALIKE = -1.0
"""Cosine of a segment without sound or picture with every prompt."""


@dataclass(frozen=True)
class Words:
    """A published vocabulary, and how to know that it is the one.

    Attributes:
        tokenizer: Class of transformers that cuts text by it.
        size: Its number of tokens.
        sentence: A sentence.
        tokens: What it becomes.
    """

    tokenizer: str
    size: int
    sentence: str
    tokens: tuple[int, ...]


CLIP_WORDS = Words(
    "CLIPTokenizer", 49408, "a photo of a cat", (49406, 320, 1125, 539, 320, 2368, 49407)
)
ROBERTA_WORDS = Words("RobertaTokenizer", 50265, "Hello world", (0, 31414, 232, 2))


def load_tokenizer(words: Words, vocabulary: Path, merges: Path) -> Any:
    """Loads a tokenizer from its two published files, and only from them.

    Asked for a model by name, transformers may give an empty tokenizer without a word, of which
    every prompt is the same. Hence the files are given, and what comes out is checked.

    Args:
        words: What is expected.
        vocabulary: ``vocab.json``.
        merges: ``merges.txt``.

    Raises:
        RlldError: If transformers is not installed, or the files are damaged or other ones.
    """
    transformers = optional("transformers", "the text of prompts")
    try:
        lines = merges.read_text(encoding="utf-8").splitlines()
        pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#ver")]
        made = getattr(transformers, words.tokenizer)(vocab=read_config(vocabulary), merges=pairs)
    except RlldError:
        raise
    except Exception as error:
        # The reader of merges raises a bare Exception.
        reason = str(error).partition("\n")[0]
        raise RlldError(f"{merges}: no merges of {vocabulary} ({reason}); get both again") from None
    if len(made) != words.size:
        raise RlldError(
            f"{vocabulary}: {len(made)} tokens, the published one has {words.size}; get it again"
        )
    found = tuple(made(words.sentence)["input_ids"])
    if found != words.tokens:
        raise RlldError(
            f"{vocabulary}: {words.sentence!r} becomes {list(found)}, with the published files "
            f"{list(words.tokens)}; get it and {merges.name} again"
        )
    return made


class Language:
    """Turns prompts into embeddings.

    Args:
        tokenizer: What ``load_tokenizer`` returned.
        embeds: By stream of the extractor, what maps token ids and their mask (n, L) to embeddings
            (n, D) in its space.
        scale: Factor of cosines with these embeddings that the model was trained with.
        device: Where the network is.

    Attributes:
        scale: See above.
    """

    def __init__(
        self,
        tokenizer: Any,
        embeds: Mapping[str, Callable[[Tensor, Tensor], Tensor]],
        scale: float,
        device: torch.device,
    ) -> None:
        self.scale = scale
        self._tokenizer = tokenizer
        self._embeds = embeds
        self._device = device

    def embeddings(self, prompts: Sequence[str], stream: str = "") -> NDArray[np.float32]:
        """Returns embeddings of length 1 (n, D).

        Args:
            prompts: The n texts.
            stream: What they are compared with, for a model that says text of several streams
                differently.
        """
        import torch

        (embed,) = [self._embeds[stream]] if stream else self._embeds.values()
        rows = []
        for start in range(0, len(prompts), BATCH):
            tokens = self._tokenizer(
                list(prompts[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=LONGEST,
                return_tensors="pt",
            ).to(self._device)
            with torch.inference_mode():
                made = embed(tokens["input_ids"], tokens["attention_mask"])
                rows.append(torch.nn.functional.normalize(made, dim=-1).cpu().numpy())
        return np.concatenate(rows)


def language_of(
    stream: str,
    tokenizer: Any,
    network: Any,
    state: Mapping[str, Tensor],
    scale: str,
    path: Path,
    device: torch.device,
) -> Language:
    """Returns the language side of a model of transformers.

    Args:
        stream: What its extractor makes.
        tokenizer: What ``load_tokenizer`` returned.
        network: Its text tower with projection, on the device.
        state: All weights of the model.
        scale: Name of the logarithm of its scale among them.
        path: Where they are from, for the message.
        device: Where the network is.

    Raises:
        RlldError: If the scale is missing.
    """

    def embed(tokens: Tensor, mask: Tensor) -> Tensor:
        made: Tensor = network(input_ids=tokens, attention_mask=mask).text_embeds
        return made

    if scale not in state:
        raise RlldError(f"{path}: tensor {scale!r} is missing; get it again")
    return Language(tokenizer, {stream: embed}, float(state[scale].float().exp()), device)


def cosines(rows: NDArray[np.float32], prompts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns cosines of embeddings with those of prompts.

    Args:
        rows: (T, D); a row of zeros is a segment without sound or picture.
        prompts: (P, D), of length 1.

    Returns:
        (T, P); -1 where there is nothing to compare.
    """
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    alike = rows @ prompts.T / np.where(length > 0, length, 1)
    result: NDArray[np.float32] = np.where(length > 0, alike, np.float32(NOTHING_ALIKE)).astype(
        np.float32
    )
    return result
