"""Small Perception Encoders with random weights, in the layout of the published folders."""

from __future__ import annotations

import json

import torch

from rlld.utils.extras import optional

WIDTH = 16
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "sound", "of", "dog", "cat", "rain")
SIDE = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 2}
TEXT = {
    **{"model_type": "modernbert", "vocab_size": 20, "num_attention_heads": 2, **SIDE},
    **{"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2},
    **{"bos_token_id": 1, "eos_token_id": 2},
}
TOWER = {**SIDE, "num_attention_heads": 2, "head_dim": 8}
CODEC = {"model_type": "dac", "downsampling_ratios": [2, 8, 10, 12]}
AUDIO = {**TOWER, "dac_config": {**CODEC, "encoder_hidden_size": 4, "codebook_dim": 6}}
PICTURES = 28
"""Width and height of pictures, of which the published ones have 336."""


def small_frame_model() -> torch.nn.Module:
    """A PE-A-Frame of some hundred thousand weights, all of them random."""
    transformers = optional("transformers", "tests")
    config = transformers.PeAudioConfig(text_config=TEXT, audio_config=AUDIO)
    torch.manual_seed(0)
    return transformers.PeAudioFrameLevelModel(config).eval()


def small_model() -> torch.nn.Module:
    """A PE-AV alike."""
    transformers = optional("transformers", "tests")
    vision = {
        "architecture": "vit_pe_core_large_patch14_336",
        "model_args": {
            **{"embed_dim": 32, "depth": 2, "img_size": (PICTURES, PICTURES)},
            **{"num_heads": 2, "ref_feat_shape": (2, 2)},
        },
        "num_classes": 12,
    }
    config = transformers.PeAudioVideoConfig(
        text_config=TEXT,
        audio_video_config={
            **TOWER,
            "audio_config": AUDIO,
            "video_config": {**TOWER, "vision_config": vision},
        },
    )
    torch.manual_seed(0)
    return transformers.PeAudioVideoModel(config).eval()


def write_words(path) -> None:
    """A tokenizer that knows ten words, in the form of the published one."""
    tokenizers = optional("tokenizers", "tests")
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: n for n, word in enumerate(WORDS)}, "[UNK]")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.save(str(path))


def write_preparation(path, number: int | None = None) -> None:
    """What the published folders say of pictures, and how many of them are seen."""
    told = {
        "video_processor_type": "PeVideoVideoProcessor",
        **{"do_sample_frames": number is not None, "num_frames": number},
        "size": {"height": PICTURES, "width": PICTURES},
        **{"do_normalize": True, "do_resize": True, "do_rescale": True, "do_convert_rgb": True},
        **{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
    }
    path.write_text(json.dumps(told))


def write_model(folder, model: torch.nn.Module) -> None:
    """Writes a whole folder."""
    model.save_pretrained(folder)
    write_words(folder / "tokenizer.json")
    write_preparation(folder / "video_preprocessor_config.json")
