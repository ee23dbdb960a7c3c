"""PE-A-Frame: what the extractor makes of sound and words, beside transformers' own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from clips_kit import beep, write_test_clip

from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors.pe_a_frame import Config
from rlld.features.weights import VARIABLE
from rlld.media.views import Segment, Sound
from rlld.utils.extras import optional

CPU = torch.device("cpu")
WIDTH = 16
MODEL = "pe-a-frame-small"
WORDS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "sound", "of", "dog", "cat", "rain")


def small() -> torch.nn.Module:
    """A model of some hundred thousand weights, all of them random."""
    transformers = optional("transformers", "tests")
    side = {"hidden_size": WIDTH, "intermediate_size": 24, "num_hidden_layers": 2}
    special = {"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    codec = {"model_type": "dac", "downsampling_ratios": [2, 8, 10, 12]}
    config = transformers.PeAudioConfig(
        text_config={
            **{"model_type": "modernbert", "vocab_size": 20, "num_attention_heads": 2},
            **{**side, **special, **ends},
        },
        audio_config={
            **{**side, "num_attention_heads": 2, "head_dim": 8},
            "dac_config": {**codec, "encoder_hidden_size": 4, "codebook_dim": 6},
        },
    )
    torch.manual_seed(0)
    return transformers.PeAudioFrameLevelModel(config).eval()


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


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of weights with a small model, and the model."""
    folder = tmp_path_factory.mktemp("weights")
    model = small()
    model.save_pretrained(folder / MODEL)
    write_words(folder / MODEL / "tokenizer.json")
    return folder, model


@pytest.fixture
def weights(published, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(published[0]))
    return published[0]


def noise(samples=48000, seed=0):
    rng = np.random.default_rng(seed)
    return (0.2 * rng.standard_normal(samples)).astype(np.float32)


def test_frames_are_those_of_transformers(weights, published):
    sounds = [noise(seed=seed) for seed in range(3)]
    whole = np.concatenate(sounds)
    inputs = optional("transformers", "tests").PeAudioFeatureExtractor()(
        whole, sampling_rate=48000, return_tensors="pt"
    )
    tokens = torch.tensor([[1, 4, 7, 2]])
    with torch.no_grad():
        expected = published[1](input_ids=tokens, **inputs).audio_embeds[0].numpy()
    extractor = load_extractor("pe_a_frame")
    chunk = [Segment(n, {Sound(48000): sound}) for n, sound in enumerate(sounds)]
    found = extractor.describe([chunk], 1.0)["audio"]
    assert found.shape == (75, WIDTH) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert extractor.streams(1.0)["audio"].frames == 25


def test_prompts_are_those_of_transformers(weights, published):
    model = published[1]
    tokens = torch.tensor([[1, 4, 7, 2, 0, 0], [1, 4, 5, 6, 8, 2]])
    mask = (tokens != 0).long()
    with torch.no_grad():
        values = torch.zeros(1, 1, 1920)
        found = model(input_ids=tokens, attention_mask=mask, input_values=values)
        expected = torch.nn.functional.normalize(found.text_audio_embeds, dim=-1).numpy()
    rows = Config().language(CPU).embeddings(["a dog", "a sound of cat"])
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)


def test_a_chunk_is_heard_alone_and_silence_is_none(weights):
    extractor = load_extractor("pe_a_frame")
    view = extractor.views[0]
    first = [Segment(0, {view: noise()}), Segment(1, {view: None})]
    second = [Segment(0, {view: None})]
    together = extractor.describe([first, second], 1.0)["audio"]
    np.testing.assert_array_equal(extractor.describe([first], 1.0)["audio"], together[:50])
    assert together[:25].any(1).all() and not together[25:].any()


def test_segments_hold_whole_frames(weights):
    extractor = load_extractor("pe_a_frame")
    assert extractor.streams(0.4)["audio"].frames == 10
    for seconds in (0.5, 0.01):
        with pytest.raises(RlldError, match=r"steps of 0\.04 s"):
            extractor.streams(seconds)


def test_a_clip_is_extracted(weights, tmp_path):
    path = write_test_clip(tmp_path / "a.mp4", sound=beep(3, 1, 2, 48000), rate=48000)
    assert load_extractor("pe_a_frame").extract(path).streams["audio"].shape == (75, WIDTH)
    json.dumps(load_extractor("pe_a_frame").parameters())


def test_other_files_are_refused(published, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(RlldError, match=r"config\.json.*rlld weights pe_a_frame.*facebook"):
        load_extractor("pe_a_frame")
    folder = tmp_path / MODEL
    published[1].save_pretrained(folder)
    state = dict(published[1].state_dict())
    lost = {key: value for key, value in state.items() if key != "audio_head.proj.weight"}
    for other, told in (
        (lost, "audio_head.proj.weight is missing"),
        (state | {"more": torch.zeros(1)}, "more is missing, unknown"),
        (state | {"audio_head.proj.weight": torch.full((WIDTH, WIDTH), torch.nan)}, "NaN"),
    ):
        save_file(other, folder / "model.safetensors")
        with pytest.raises(RlldError, match=told):
            load_extractor("pe_a_frame")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(RlldError, match="no weights of PE-A-Frame"):
        load_extractor("pe_a_frame")
    save_file(state, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(RlldError, match="no tokenizer"):
        Config().language(CPU)
