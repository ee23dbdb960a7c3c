"""CLIP's pictures: what is shown to the network, and what the extractor makes of its answer."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from clips_kit import flashes, write_test_clip
from PIL import Image

from models_kit import CLIP_WIDTH, small_clip, write_clip, write_clip_words
from rlld.errors import RlldError
from rlld.features import extractor_configs, load_extractor
from rlld.features.extractors._language import CLIP_WORDS, load_tokenizer
from rlld.features.extractors.clip import MEAN, STD, Config, prepared, view_of
from rlld.features.weights import VARIABLE
from rlld.media.decode import Clip
from rlld.media.views import Pictures, Segment
from rlld.utils.extras import optional

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of weights with a small CLIP, and the network itself."""
    folder = tmp_path_factory.mktemp("weights")
    network = write_clip(folder)
    write_clip(folder, "clip-vit-base-patch16")
    return folder, network


@pytest.fixture
def weights(published, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(published[0]))
    return published[0]


def pictures(count, size=(48, 64), seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, *size, 3)).astype(np.uint8))


def chunk(extractor, shown):
    return [
        Segment(index, {extractor.views[0]: None if part is None else np.stack(part)})
        for index, part in enumerate(shown)
    ]


def test_valor_looks_at_the_published_pictures():
    view = view_of("valor")
    numbers = [8 * segment + pick for segment, pick in enumerate(view.picks)]
    assert numbers == [0, 9, 18, 26, 35, 44, 53, 61, 70, 79]
    assert (view.fps, view.width, view.height) == (8, 0, 0)


def stretched_slowly(picture, size):
    """Bilinear interpolation between the centres of pixels, point by point."""
    height, width = picture.shape[:2]
    result = np.zeros((size, size, 3))
    for row in range(size):
        y = min(max((row + 0.5) * height / size - 0.5, 0), height - 1)
        for column in range(size):
            x = min(max((column + 0.5) * width / size - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            down, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = picture[top, left] * (1 - x + left) + picture[top, right] * (x - left)
            lower = picture[down, left] * (1 - x + left) + picture[down, right] * (x - left)
            result[row, column] = upper * (1 - y + top) + lower * (y - top)
    return result


@pytest.mark.parametrize("size", [(48, 64), (300, 500)])
def test_pictures_are_stretched_without_averaging(size):
    picture = pictures(1, size)[0]
    slow = stretched_slowly(picture.astype(np.float64), 224) / 255
    slow = (slow - np.array(MEAN)) / np.array(STD)
    found = prepared(torch.from_numpy(picture)).permute(1, 2, 0).numpy()
    # Places are computed in float32: some 3e-5 of a pixel, times a contrast of up to 4.
    np.testing.assert_allclose(found, slow, atol=2e-4)


def test_a_picture_of_the_right_size_is_normalised_as_transformers_does():
    picture = pictures(1, (224, 224))[0]
    processor = optional("transformers", "tests").CLIPImageProcessor(do_resize=False)
    reference = processor(images=Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(prepared(torch.from_numpy(picture)), reference, atol=2e-6)


def test_all_pictures_are_scaled_and_cut_nearly_as_clip_does(tmp_path):
    """FFmpeg's bicubic filter is another one than Pillow's, by a few grey levels at edges."""
    view = view_of("all")
    path = write_test_clip(
        tmp_path / "a.mp4", pictures=flashes(1, 0, 1), size=(640, 360), options={}
    )
    whole, seen = Pictures(8, 0, 0), Clip(path)
    segment = next(iter(seen.segments(1.0, (view, whole))))
    assert segment.views[view].shape == (8, 224, 224, 3)
    # A picture with structure, through the same scaler as a decoder's frame.
    import av

    from rlld.media.pictures import Scaler

    rng = np.random.default_rng(1)
    rough = rng.integers(0, 256, (9, 16, 3)).astype(np.uint8)
    picture = np.asarray(Image.fromarray(rough).resize((640, 360), Image.Resampling.BICUBIC))
    found = Scaler(view).scaled(av.VideoFrame.from_ndarray(picture, format="rgb24"))
    small = Image.fromarray(picture).resize((398, 224), Image.Resampling.BICUBIC)
    reference = np.asarray(small)[:, 87:311]
    difference = np.abs(found.astype(int) - reference)
    assert difference.mean() < 1 and difference.max() < 12


def test_embeddings_are_those_of_the_whole_model(weights, published):
    extractor = load_extractor("clip")
    shown = pictures(5)
    values = torch.stack([prepared(torch.from_numpy(picture)) for picture in shown])
    with torch.no_grad():
        reference = published[1].get_image_features(pixel_values=values).pooler_output.numpy()
    rows = extractor.embeddings(shown)
    np.testing.assert_allclose(
        rows, reference / np.linalg.norm(reference, axis=1, keepdims=True), atol=1e-5
    )
    raw = load_extractor("clip(sampling=all)").embeddings(shown)
    np.testing.assert_allclose(raw, reference, rtol=1e-4, atol=1e-5)


def test_rows_do_not_depend_on_what_else_is_described(weights):
    extractor = load_extractor("clip(batch=3)")
    sizes = [(48, 64), (30, 30), (48, 64), (224, 224), (100, 20)]
    shown = [pictures(1, size, seed) for seed, size in enumerate(sizes)]
    shown[2] = None
    one = chunk(extractor, shown)
    together = extractor.describe([one, one[:2]], 1.0)["visual_2d"]
    assert together.shape == (7, CLIP_WIDTH) and together.dtype == np.float32
    assert not together[2].any()
    np.testing.assert_allclose(together[5:], together[:2], atol=1e-5)
    for index in (0, 1, 3, 4):
        alone = extractor.describe([[one[index]]], 1.0)["visual_2d"]
        np.testing.assert_allclose(alone[0], together[index], atol=1e-5)


def test_all_gives_eight_rows_per_segment_in_order(weights):
    extractor = load_extractor("clip(model=clip-vit-base-patch16,sampling=all)")
    spec = extractor.streams(1.0)["visual_2d"]
    assert (spec.frames, spec.dim, spec.folder) == (8, CLIP_WIDTH, "clip_16")
    assert extractor.streams(0.5)["visual_2d"].frames == 4
    shown = [pictures(8, (224, 224)), None]
    rows = extractor.describe([chunk(extractor, shown)], 1.0)["visual_2d"]
    assert rows.shape == (16, CLIP_WIDTH) and not rows[8:].any()
    np.testing.assert_allclose(rows[:8], extractor.embeddings(shown[0]), atol=1e-5)


def test_a_clip_is_extracted(weights, tmp_path):
    path = write_test_clip(tmp_path / "a.mp4", pictures=flashes(3, 1, 2), size=(64, 48))
    rows = load_extractor("clip").extract(path).streams["visual_2d"]
    assert rows.shape == (3, CLIP_WIDTH)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.abs(rows[1] - rows[0]).max() > 1e-3


def test_parameters_say_what_the_numbers_depend_on(weights):
    versions = {
        load_extractor(text).version
        for text in ("clip", "clip(sampling=all)", "clip(model=clip-vit-base-patch16)")
    }
    assert len(versions) == 3
    assert load_extractor("clip(batch=2)").version == load_extractor("clip").version
    json.dumps(load_extractor("clip").parameters())


def test_files_are_the_published_ones():
    names = [file.file for file in Config().files()]
    folder = "clip-vit-large-patch14"
    assert names == [
        f"{folder}/{name}"
        for name in ("config.json", "model.safetensors", "vocab.json", "merges.txt")
    ]
    with pytest.raises(RlldError, match=r"unknown model.*did you mean 'clip-vit-base-patch16'"):
        extractor_configs("clip(model=clip-vit-base-patch32)")


def test_prompts_become_the_embeddings_of_the_whole_model(weights, published):
    language = Config().language(CPU)
    texts = ["a photo of a cat", "A photo of a cat.", "photo", "a " * 200]
    rows = language.embeddings(texts)
    assert rows.shape == (4, CLIP_WIDTH)
    model = published[1]
    assert language.scale == pytest.approx(float(model.logit_scale.detach().exp()), rel=1e-6)
    # Known tokens, without a tokenizer and without padding.
    ids = [list(CLIP_WORDS.tokens), [49406, 1125, 49407], [49406, *[320] * 75, 49407]]
    for row, tokens in zip((0, 2, 3), ids, strict=True):
        with torch.no_grad():
            made = model.get_text_features(input_ids=torch.tensor([tokens])).pooler_output[0]
        made = torch.nn.functional.normalize(made, dim=0).numpy()
        np.testing.assert_allclose(rows[row], made, atol=1e-5)


def test_the_empty_tokenizer_of_transformers_is_refused(tmp_path):
    """Three words that stand for everything, as transformers makes it up when it finds nothing."""
    (tmp_path / "vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(RlldError, match=r"vocab.json: 2 tokens, the published one has 49408"):
        load_tokenizer(CLIP_WORDS, tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_another_vocabulary_of_the_same_size_is_refused(tmp_path):
    write_clip_words(tmp_path)
    words = json.loads((tmp_path / "vocab.json").read_text())
    words["cat</w>"], words["of</w>"] = words["of</w>"], words["cat</w>"]
    (tmp_path / "vocab.json").write_text(json.dumps(words))
    with pytest.raises(RlldError, match=r"'a photo of a cat' becomes \[49406, 320, 1125, 2368"):
        load_tokenizer(CLIP_WORDS, tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_damaged_words_are_refused_in_a_sentence(tmp_path):
    write_clip_words(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\nzz yy\n")
    with pytest.raises(RlldError, match=r"merges.txt: no merges of .*get both again"):
        load_tokenizer(CLIP_WORDS, tmp_path / "vocab.json", tmp_path / "merges.txt")
    (tmp_path / "vocab.json").write_text("[1")
    with pytest.raises(RlldError, match=r"vocab.json: not a JSON file"):
        load_tokenizer(CLIP_WORDS, tmp_path / "vocab.json", tmp_path / "merges.txt")


def test_missing_weights_give_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(RlldError, match=r"clip-vit-large-patch14/config.json.*rlld weights clip"):
        load_extractor("clip")


@pytest.fixture
def own(published, tmp_path, monkeypatch):
    """A copy of the weights, to be damaged."""
    shutil.copytree(published[0], tmp_path / "w")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "w"))
    return tmp_path / "w" / "clip-vit-large-patch14"


def test_a_missing_package_is_told_before_weights_are(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setitem(sys.modules, "transformers", None)
    for made in Config().build, lambda: Config().language(CPU):
        with pytest.raises(RlldError, match=r"needs transformers.*pip install 'rlld\[features\]'"):
            made()


def test_cut_off_weights_are_refused(own):
    file = own / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(RlldError, match=r"model.safetensors: not a whole file of weights"):
        load_extractor("clip")


def test_other_weights_are_refused_by_their_first_tensor(own):
    from safetensors.torch import load_file, save_file

    file = own / "model.safetensors"
    state = load_file(file)
    bias = "vision_model.encoder.layers.1.mlp.fc1.bias"
    kept = state.pop(bias)
    save_file(state, file)
    with pytest.raises(RlldError, match=rf"model.safetensors: tensor '{bias}' is missing"):
        load_extractor("clip")
    save_file(state | {bias: kept, "vision_model.extra": kept.clone()}, file)
    with pytest.raises(RlldError, match=r"unknown tensor 'vision_model.extra'"):
        load_extractor("clip")
    save_file(state | {bias: kept[:-1]}, file)
    with pytest.raises(RlldError, match=rf"'{bias}' is \(23,\), expected \(24,\)"):
        load_extractor("clip")
    save_file(state | {bias: kept * torch.nan}, file)
    with pytest.raises(RlldError, match=rf"'{bias}' holds NaN"):
        load_extractor("clip")


def test_a_wrong_description_is_refused(own):
    (own / "config.json").write_text('{"text_config": 3}')
    with pytest.raises(RlldError, match=r"config.json: no description of CLIP"):
        load_extractor("clip")
    (own / "config.json").write_text('["a"]')
    with pytest.raises(RlldError, match=r"config.json: expected a mapping"):
        load_extractor("clip")


def test_a_pickle_with_code_is_refused(published, tmp_path, monkeypatch):
    shutil.copytree(published[0], tmp_path / "w")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "w"))
    target = tmp_path / "harm"

    class Harm:
        def __reduce__(self):
            return type(target).touch, (target,)

    torch.save({"a": Harm()}, tmp_path / "w" / "clip-vit-base-patch16" / "pytorch_model.bin")
    with pytest.raises(RlldError, match=r"model.bin: refused, because reading it would run"):
        load_extractor("clip(model=clip-vit-base-patch16)")
    assert not target.exists()


@pytest.mark.slow
def test_the_published_size_runs(tmp_path, monkeypatch):
    transformers = optional("transformers", "tests")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    config = transformers.CLIPConfig(vision_config={"patch_size": 16})
    folder = tmp_path / "clip-vit-base-patch16"
    write_clip_words(folder)
    config.to_json_file(folder / "config.json", use_diff=False)
    model = transformers.CLIPModel(config)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    extractor = load_extractor("clip(model=clip-vit-base-patch16,sampling=all)")
    assert extractor.embeddings(pictures(2, (224, 224))).shape == (2, 512)
    configs = Config("clip-vit-base-patch16")
    assert configs.language(CPU).embeddings(["a photo of a cat"]).shape == (1, 512)


def test_small_models_differ_from_their_start():
    """The kit's networks have no tensor at its default, or mapping errors could hide."""
    for name, value in small_clip().state_dict().items():
        if value.ndim and value.is_floating_point():
            assert value.unique().numel() > 1, name
