"""Small CLIP and CLAP with random weights, in the layout of the published files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import torch

from rlld.utils.extras import optional

CLIP_WIDTH = 12
CLAP_WIDTH = 10


def byte_characters() -> list[str]:
    """The characters that stand for bytes in the vocabularies of GPT-2, in their order there."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + number) for number in range(len(rest))]


def write_clip_words(folder: Path) -> None:
    """A vocabulary of the published size that knows the words of CLIP's known sentence."""
    letters = byte_characters()
    known = dict(enumerate([*letters, *(f"{letter}</w>" for letter in letters)]))
    known |= {539: "of</w>", 1125: "photo</w>", 2368: "cat</w>"}
    known |= {600: "ph", 601: "pho", 602: "phot", 603: "ca"}
    known |= {49406: "<|startoftext|>", 49407: "<|endoftext|>"}
    merges = ["o f</w>", "p h", "ph o", "pho t", "phot o</w>", "c a", "ca t</w>"]
    write_words(folder, known, 49408, merges)


def write_roberta_words(folder: Path) -> None:
    """The same for RoBERTa's."""
    known = {0: "<s>", 1: "<pad>", 2: "</s>", 3: "<unk>", 50264: "<mask>"}
    known |= {4 + number: letter for number, letter in enumerate(byte_characters())}
    known |= {31414: "Hello", 232: known[232]}
    space = "\u0120"
    free = iter(range(400, 500))
    pieces = ["He", "Hel", "Hell", f"{space}w", f"{space}wo", f"{space}wor", f"{space}worl"]
    displaced = known[232]
    known |= {next(free): piece for piece in [*pieces, displaced]}
    known[232] = f"{space}world"
    merges = ["H e", "He l", "Hel l", "Hell o"]
    merges += [f"{space} w", f"{space}w o", f"{space}wo r", f"{space}wor l", f"{space}worl d"]
    write_words(folder, known, 50265, merges)


def write_words(folder: Path, known: dict[int, str], size: int, merges: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words = {known.get(number, f"filler {number}"): number for number in range(size)}
    assert len(words) == size
    (folder / "vocab.json").write_text(json.dumps(words), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", "utf-8")


def shaken(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Gives every tensor random values, so that none is where a network starts."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            value.copy_(noise.abs() + 0.5)
        elif name.startswith("logit_scale"):
            value.copy_(torch.tensor(2.0) + 0.1 * noise)
        else:
            value.copy_(value + 0.2 * noise / max(1, value.shape[-1] if value.ndim else 1) ** 0.5)
    return network.eval()


def small_clip() -> torch.nn.Module:
    """A CLIPModel of a few thousand weights besides its words."""
    transformers = optional("transformers", "tests")
    side = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    torch.manual_seed(0)
    return shaken(
        transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config={**side, "num_attention_heads": 2},
                vision_config={**side, "num_attention_heads": 2, "patch_size": 32},
                projection_dim=CLIP_WIDTH,
            )
        ),
        1,
    )


def write_clip(weights: Path, model: str = "clip-vit-large-patch14") -> torch.nn.Module:
    """Writes a small CLIP as the published ones lie in their folder."""
    from safetensors.torch import save_file

    network = small_clip()
    folder = weights / model
    write_clip_words(folder)
    network.config.to_json_file(folder / "config.json", use_diff=False)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    # The published files hold these, from an older transformers.
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(50)[None]
    if model == "clip-vit-base-patch16":
        torch.save(state, folder / "pytorch_model.bin")
    else:
        save_file(state, folder / "model.safetensors")
    return network


def small_clap(fusion: bool) -> torch.nn.Module:
    """A ClapModel whose sound encoder has four stages, as HTSAT."""
    transformers = optional("transformers", "tests")
    audio = {
        "patch_embeds_hidden_size": 8,
        "hidden_size": 64,
        "depths": [1, 2, 1, 1],
        "num_attention_heads": [1, 2, 2, 4],
        "enable_fusion": fusion,
        "fusion_type": "aff_2d" if fusion else None,
    }
    text = {
        "hidden_size": 64,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "layer_norm_eps": 1e-5,
    }
    torch.manual_seed(0)
    config = transformers.ClapConfig(
        audio_config=audio, text_config=text, projection_dim=CLAP_WIDTH
    )
    return shaken(transformers.ClapModel(config), 2)


def laion_state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Returns weights as ``laion_clap`` names them, with the parts that only it has."""
    result: dict[str, torch.Tensor] = {}
    joined: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in network.state_dict().items():
        if key.endswith("token_type_ids"):
            continue
        name = key.replace("audio_model.audio_encoder.", "audio_branch.")
        name = name.replace("text_model.", "text_branch.").replace("batch_norm.", "bn0.")
        name = name.replace("projection.linear1", "projection.0")
        name = name.replace("projection.linear2", "projection.2")
        if name.startswith("audio_branch.layers"):
            name = name.replace("layernorm_before", "norm1").replace("layernorm_after", "norm2")
            name = name.replace("attention.output.dense", "attn.proj")
            name = name.replace("intermediate.dense", "mlp.fc1")
            name = name.replace("output.dense", "mlp.fc2")
            name = name.replace("attention.self", "attn")
            found = re.fullmatch(r"(.*)\.(query|key|value)\.(weight|bias)", name)
            if found:
                joined.setdefault(f"{found[1]}.qkv.{found[3]}", {})[found[2]] = value
                continue
        result[name] = value.clone()
    for name, three in joined.items():
        result[name] = torch.cat([three["query"], three["key"], three["value"]])
    result |= {
        "audio_branch.spectrogram_extractor.stft.conv_real.weight": torch.zeros(513, 1, 4),
        "audio_branch.spectrogram_extractor.stft.conv_imag.weight": torch.zeros(513, 1, 4),
        "audio_branch.logmel_extractor.melW": torch.zeros(513, 64),
        "audio_branch.layers.1.blocks.1.attn_mask": torch.zeros(16, 64, 64),
        "audio_branch.tscam_conv.weight": torch.zeros(5, 64, 2, 3),
        "audio_branch.tscam_conv.bias": torch.zeros(5),
        "audio_branch.head.weight": torch.zeros(5, 5),
        "audio_branch.head.bias": torch.zeros(5),
        "audio_transform.sequential.0.weight": torch.zeros(4, 4),
        "audio_transform.sequential.3.bias": torch.zeros(4),
        "text_transform.sequential.0.weight": torch.zeros(4, 4),
    }
    return result


def write_clap(
    weights: Path, file: str = "630k-fusion-best.pt", *, fusion: bool = True
) -> torch.nn.Module:
    """Writes a small CLAP as a checkpoint of LAION's training loop."""
    network = small_clap(fusion)
    write_roberta_words(weights / "roberta-base")
    state = {f"module.{key}": value for key, value in laion_state(network).items()}
    checkpoint = {
        "epoch": 3,
        "name": "small",
        "state_dict": state,
        "best": np.float64(0.5),
        "counts": [np.int64(3), np.float32(1.0)],
    }
    torch.save(checkpoint, weights / file)
    return network
