"""What Meta's Perception Encoders for sound have in common: models of transformers, and their text.

Models and weights are Apache-2.0 (arXiv 2512.19687); transformers knows them from 5.0 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.features.extractors._language import Language
from rlld.features.extractors._towers import read_config
from rlld.features.weights import PublishedWeights
from rlld.utils.extras import optional

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HUB = "https://huggingface.co/facebook/{model}/resolve/main/{file}"
RATE = 48_000
HOP = 1920
"""Samples that one state of the sound stands for, 40 ms."""
PADDING = "[PAD]"
SCALE = 1.0
"""They were trained with products of embeddings as they are, for whose cosines there is no
factor."""


def published(model: str, files: tuple[str, ...]) -> tuple[PublishedWeights, ...]:
    """Returns the files of a model, each with its address.

    Args:
        model: Its name.
        files: Their names in its repository.
    """
    return tuple(
        PublishedWeights(f"{model}/{file}", HUB.format(model=model, file=file)) for file in files
    )


def read_model(extractor: str, title: str, name: str, described: Path, weights: Path) -> Any:
    """Loads a whole model, every tensor of it.

    Args:
        extractor: Who needs it.
        title: What the model is called by people.
        name: What it is called by transformers.
        described: ``config.json``.
        weights: ``model.safetensors`` beside it.

    Raises:
        RlldError: If transformers is missing or too old, or a file is damaged or of another model.
    """
    import torch

    transformers = optional("transformers", f"extractor {extractor!r}")
    model = getattr(transformers, name, None)
    if model is None:
        raise RlldError(
            f"extractor {extractor!r}: transformers {transformers.__version__} does not know "
            f"{title}; install a newer one (pip install -U transformers)"
        )
    kind, wanted = read_config(described).get("model_type"), model.config_class.model_type
    if kind != wanted:  # which transformers would take for a model of its own default size
        raise RlldError(
            f"{described}: describes a model of type {kind!r}, expected {wanted!r} of {title}; get "
            "it again"
        )
    # What it would print is said below, in one sentence.
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        with redirect_stdout(StringIO()):  # where it tells its own developers of their docstrings
            network, found = model.from_pretrained(
                str(described.parent),
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except Exception as error:
        # Its readers raise errors of several packages.
        reason = str(error).partition("\n")[0]
        raise RlldError(f"{weights}: no weights of {title} ({reason}); get it again") from None
    odd = sorted(str(key) for keys in found.values() for key in keys)
    if odd:
        raise RlldError(
            f"{weights}: {odd[0]} is missing, unknown or of another shape; these are weights of "
            "something else, or incomplete"
        )
    wrong = next((name for name, value in network.named_parameters() if _odd(value)), None)
    if wrong is not None:
        raise RlldError(f"{weights}: tensor {wrong!r} holds NaN or infinite values; get it again")
    return network.eval().requires_grad_(False)


def _odd(value: Tensor) -> bool:
    return not bool(value.isfinite().all())


def language_of(words: Path, text: Any, heads: Mapping[str, Any], device: torch.device) -> Language:
    """Returns the language side of a model, which projects text for each stream by itself.

    Args:
        words: ``tokenizer.json``.
        text: The text tower.
        heads: What projects text, by stream of the extractor.
        device: Where it is to compute.

    Raises:
        RlldError: If there is no tokenizer in the file.
    """
    text.to(device)

    def embedder(head: Any) -> Callable[[Tensor, Tensor], Tensor]:
        head.to(device)

        def embed(tokens: Tensor, mask: Tensor) -> Tensor:
            said = text(input_ids=tokens, attention_mask=mask, output_hidden_states=True)
            made: Tensor = head(said.hidden_states[-1][:, 0])
            return made

        return embed

    embeds = {stream: embedder(head) for stream, head in heads.items()}
    return Language(_tokenizer(words, text.config.vocab_size), embeds, SCALE, device)


def _tokenizer(path: Path, size: int) -> Any:
    """Loads a tokenizer from its one published file.

    Raises:
        RlldError: If it is none, or has more tokens than the model knows.
    """
    transformers = optional("transformers", "the text of prompts")
    try:
        made = transformers.PreTrainedTokenizerFast(tokenizer_file=str(path), pad_token=PADDING)
        same = made("a dog")["input_ids"] == made("a cat")["input_ids"]
    except Exception as error:
        # The reader of tokenizers raises a bare Exception.
        reason = str(error).partition("\n")[0]
        raise RlldError(f"{path}: no tokenizer ({reason}); get it again") from None
    if len(made) > size or same:
        raise RlldError(
            f"{path}: {len(made)} tokens where the model knows {size}, or none for usual words; "
            "get it again"
        )
    return made
