"""PE-A-Frame: what the extractor makes of sound and words, beside transformers' own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from clips_kit import beep, write_test_clip
from perception_kit import WIDTH, small_frame_model, write_words

from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors.pe_a_frame import Config
from rlld.features.weights import VARIABLE
from rlld.media.views import Segment, Sound
from rlld.utils.extras import optional

CPU = torch.device("cpu")
MODEL = "pe-a-frame-small"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of weights with a small model, and the model."""
    folder = tmp_path_factory.mktemp("weights")
    model = small_frame_model()
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
