"""PE-AV: what the extractor makes of sounds, pictures and words, beside transformers' own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from clips_kit import beep, flashes, write_test_clip
from perception_kit import (
    PICTURES,
    WIDTH,
    small_frame_model,
    small_model,
    write_model,
    write_preparation,
)

from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors.pe_av import BOTH, Config
from rlld.features.weights import VARIABLE
from rlld.media.views import Segment
from rlld.open_classes.calibrated import Calibrated, CalibratedRule
from rlld.open_classes.named import Namer, prompts
from rlld.parsing.zero_shot import compare, decide
from rlld.utils.extras import optional

CPU = torch.device("cpu")
MODEL = "pe-av-small"
PREPARATION = "video_preprocessor_config.json"
TOKENS = torch.tensor([[1, 4, 7, 2, 0, 0], [1, 4, 5, 6, 8, 2]])
TEXTS = ["a dog", "a sound of cat"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of weights with a small model, and the model."""
    folder = tmp_path_factory.mktemp("weights")
    model = small_model()
    write_model(folder / MODEL, model)
    return folder, model


@pytest.fixture
def weights(published, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(published[0]))
    return published[0]


def shown(segments: int, samples: int = 48000, pictures: int = 8):
    """Sounds and pictures of some segments."""
    rng = np.random.default_rng(0)
    sounds = 0.2 * rng.standard_normal((segments, samples)).astype(np.float32)
    size = (segments, pictures, PICTURES, PICTURES, 3)
    return list(sounds), list(rng.integers(0, 256, size, np.uint8))


def of_transformers(folder, model, sounds, videos):
    """All embeddings of transformers' own pipeline, each segment by itself."""
    transformers = optional("transformers", "tests")
    hear = transformers.PeAudioFeatureExtractor()
    look = transformers.PeVideoVideoProcessor.from_pretrained(folder)
    made = []
    for n, (sound, video) in enumerate(zip(sounds, videos, strict=True)):
        tokens = TOKENS[[n % 2]]
        heard = hear(sound, sampling_rate=48000, return_tensors="pt")
        metadata = {"total_num_frames": len(video), "fps": 8}
        seen = look(list(video), video_metadata=metadata, return_tensors="pt")
        with torch.no_grad():
            made.append(
                model(input_ids=tokens, attention_mask=tokens.ne(0).long(), **heard, **seen)
            )
    return made


def stacked(made, name: str) -> np.ndarray:
    return torch.cat([getattr(each, name) for each in made]).numpy()


@pytest.mark.parametrize("samples", [48000, 24000 + 100])
def test_embeddings_are_those_of_transformers(weights, published, samples):
    sounds, videos = shown(3, samples)
    made = of_transformers(weights / MODEL, published[1], sounds, videos)
    extractor = load_extractor("pe_av(batch=2)")
    sound, pictures = extractor.views
    chunk = [
        Segment(n, {sound: s, pictures: v})
        for n, (s, v) in enumerate(zip(sounds, videos, strict=True))
    ]
    found = extractor.describe([chunk], samples / 48000)
    for rows, name in (
        (found["audio"], "audio_embeds"),
        (found["visual_2d"], "video_embeds"),
        (extractor.together(sounds, videos), "audio_video_embeds"),
    ):
        assert rows.shape == (3, WIDTH) and rows.dtype == np.float32
        np.testing.assert_allclose(rows, stacked(made, name), rtol=1e-4, atol=1e-5)


def test_sixteen_pictures_are_those_that_transformers_takes(published, tmp_path, monkeypatch):
    folder = tmp_path / "pe-av-base-16-frame"
    write_model(folder, published[1])
    write_preparation(folder / PREPARATION, 16)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    sounds, videos = shown(2, pictures=25)
    made = of_transformers(folder, published[1], sounds, videos)
    found = load_extractor("pe_av(model=pe-av-base-16-frame,fps=25)").seen(videos)
    np.testing.assert_allclose(found, stacked(made, "video_embeds"), rtol=1e-4, atol=1e-5)


def test_prompts_are_those_of_transformers_for_each_stream(weights, published):
    made = of_transformers(weights / MODEL, published[1], *shown(2, pictures=2))
    language = Config().language(CPU)
    for stream, name in (
        ("audio", "text_audio_embeds"),
        ("visual_2d", "text_video_embeds"),
        (BOTH, "text_audio_video_embeds"),
    ):
        expected = stacked(made, name)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        rows = language.embeddings(TEXTS, stream)
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-5)


def test_a_segment_is_described_by_itself_and_silence_is_none(weights):
    extractor = load_extractor("pe_av")
    sound, pictures = extractor.views
    sounds, videos = shown(2)
    first = [Segment(0, {sound: sounds[0], pictures: None})]
    second = [Segment(1, {sound: None, pictures: videos[1]})]
    both = extractor.describe([first, second], 1.0)
    assert extractor.alone and not both["audio"][1].any() and not both["visual_2d"][0].any()
    for chunk, stream, row in ((first, "audio", 0), (second, "visual_2d", 1)):
        np.testing.assert_array_equal(
            extractor.describe([chunk], 1.0)[stream][0], both[stream][row]
        )


def test_names_are_compared_by_one_extractor_for_both_tracks(weights, tmp_path):
    sound, pictures = beep(2, 1, 2, 48000), flashes(2, 0, 1)
    path = write_test_clip(tmp_path / "a.mp4", sound=sound, rate=48000, pictures=pictures)
    namer = Namer(("dog", "cat", "rain"), "pe_av")
    rows = namer.extractor.extract(path).streams
    found = namer.similarities([rows])
    language, texts = Config().language(CPU), prompts(namer.classes)
    for stream, modality, part in (("audio", "audio", 0), ("visual_2d", "visual", 1)):
        unit = rows[stream] / np.linalg.norm(rows[stream], axis=1, keepdims=True)
        expected = unit @ language.embeddings(texts[modality], stream).T
        assert expected.shape == (2, 3) and np.isfinite(expected).all()
        np.testing.assert_allclose(found.part(part), expected, atol=1e-5)
    compared = compare(namer, path)
    (parse,) = decide([compared], namer.classes, CalibratedRule(Calibrated(), namer.classes), "m")
    assert np.shape(parse.probabilities) == (2, 2, 3) and not parse.notes
    np.testing.assert_allclose(compared.similarities.visual, found.visual, atol=1e-5)
    json.dumps(namer.extractor.parameters())


def test_other_files_are_refused(published, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(RlldError, match=r"config\.json.*rlld weights pe_av.*facebook/pe-av-small"):
        load_extractor("pe_av")
    folder = tmp_path / MODEL
    small_frame_model().save_pretrained(folder)
    with pytest.raises(RlldError, match="type 'pe_audio', expected 'pe_audio_video' of PE-AV"):
        load_extractor("pe_av")
    write_model(folder, published[1])
    for text, told in (
        ("{}", r"how pictures are prepared \(KeyError"),
        ('{"size": {"height": 0, "width": 9}, "image_mean": [0], "image_std": [1]}', "range"),
    ):
        (folder / PREPARATION).write_text(text)
        with pytest.raises(RlldError, match=told):
            load_extractor("pe_av")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(RlldError, match="no weights of PE-AV"):
        load_extractor("pe_av")
    with pytest.raises(RlldError, match="fps"):
        load_extractor("pe_av(fps=0)")
