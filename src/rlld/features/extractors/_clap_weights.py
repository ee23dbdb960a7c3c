"""LAION's CLAP checkpoints in the names of transformers.

The network is the same; a checkpoint of ``laion_clap`` calls its parts otherwise, joins query, key
and value of the sound's attention, and holds parts that embeddings do not need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError

if TYPE_CHECKING:
    from torch import Tensor

UNUSED = re.compile(
    r"audio_branch\.(spectrogram_extractor|logmel_extractor|tscam_conv|head)\."
    r"|.*\.attn_mask$|(audio|text)_transform\.|text_branch\.embeddings\.position_ids$"
)
"""Fixed filters and masks, the head of sound classes, layers of the training loss."""

ENCODER = "audio_model.audio_encoder."
BLOCK = r"(layers\.\d+\.blocks\.\d+\.)"
RENAMES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rf"^audio_branch\.{BLOCK}norm1\.", rf"{ENCODER}\1layernorm_before."),
        (rf"^audio_branch\.{BLOCK}norm2\.", rf"{ENCODER}\1layernorm_after."),
        (rf"^audio_branch\.{BLOCK}attn\.proj\.", rf"{ENCODER}\1attention.output.dense."),
        (rf"^audio_branch\.{BLOCK}attn\.", rf"{ENCODER}\1attention.self."),
        (rf"^audio_branch\.{BLOCK}mlp\.fc1\.", rf"{ENCODER}\1intermediate.dense."),
        (rf"^audio_branch\.{BLOCK}mlp\.fc2\.", rf"{ENCODER}\1output.dense."),
        (r"^audio_branch\.bn0\.", f"{ENCODER}batch_norm."),
        (r"^audio_branch\.", ENCODER),
        (r"^text_branch\.", "text_model."),
        (r"^(audio|text)_projection\.0\.", r"\1_projection.linear1."),
        (r"^(audio|text)_projection\.2\.", r"\1_projection.linear2."),
    )
)
"""The first that matches a name counts."""

JOINED = "attention.self.qkv."
HEAD = 64
"""Dimensions of a head of RoBERTa, whose number a checkpoint does not say."""
ROBERTA_EPSILON = 1e-5


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of a ``laion_clap`` checkpoint in the names of ``ClapModel``."""
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        if UNUSED.match(key):
            continue
        pattern, replacement = next(
            ((p, r) for p, r in RENAMES if p.match(key)), (re.compile("^"), "")
        )
        name = pattern.sub(replacement, key)
        if JOINED not in name:
            result[name] = value
            continue
        for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=False):
            result[name.replace("qkv", part)] = rows
    return result


def description(state: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Reads the sizes of the network off its tensors.

    Args:
        state: What ``renamed`` returned.
        path: Where it is from, for messages.

    Returns:
        Arguments of ``ClapConfig``.

    Raises:
        RlldError: If tensors that say it are missing.
    """
    try:
        return {"audio_config": _audio(state), "text_config": _text(state), **_joint(state)}
    except (KeyError, IndexError) as error:
        raise RlldError(
            f"{path}: tensor {error} is missing; this is no CLAP of LAION with HTSAT and RoBERTa"
        ) from None


def _audio(state: Mapping[str, Tensor]) -> dict[str, Any]:
    width, channels = state[f"{ENCODER}patch_embed.proj.weight"].shape[:2]
    depths = []
    heads = []
    for stage in range(_count(state, f"{ENCODER}layers.")):
        blocks = f"{ENCODER}layers.{stage}.blocks."
        depths.append(_count(state, blocks))
        heads.append(state[f"{blocks}0.attention.self.relative_position_bias_table"].shape[1])
    first = f"{ENCODER}layers.0.blocks.0."
    table = state[f"{first}attention.self.relative_position_bias_table"].shape[0]
    fusion = f"{ENCODER}patch_embed.fusion_model.local_att.0.weight"
    found = {
        "patch_embeds_hidden_size": width,
        "patch_embed_input_channels": channels,
        "hidden_size": state[f"{ENCODER}norm.weight"].shape[0],
        "num_mel_bins": state[f"{ENCODER}batch_norm.weight"].shape[0],
        "depths": depths,
        "num_attention_heads": heads,
        "window_size": (round(table**0.5) + 1) // 2,
        "mlp_ratio": state[f"{first}intermediate.dense.weight"].shape[0] / width,
        "enable_fusion": fusion in state,
    }
    if fusion in state:
        found |= {"fusion_type": "aff_2d", "aff_block_r": width // state[fusion].shape[0]}
    return found


def _text(state: Mapping[str, Tensor]) -> dict[str, Any]:
    tokens, width = state["text_model.embeddings.word_embeddings.weight"].shape
    return {
        "vocab_size": tokens,
        "hidden_size": width,
        "num_attention_heads": max(1, width // HEAD),
        "num_hidden_layers": _count(state, "text_model.encoder.layer."),
        "intermediate_size": state["text_model.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": state["text_model.embeddings.position_embeddings.weight"].shape[
            0
        ],
        # RoBERTa's; transformers takes another one for CLAP when it is not told.
        "layer_norm_eps": ROBERTA_EPSILON,
    }


def _joint(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {"projection_dim": state["audio_projection.linear2.weight"].shape[0]}


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {key[len(prefix) :].partition(".")[0] for key in state if key.startswith(prefix)}
    return len(numbers)
