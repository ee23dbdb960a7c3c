"""CLAP's sound: its front end, LAION's checkpoints, and what the extractor makes of them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from clips_kit import beep, write_test_clip

from models_kit import CLAP_WIDTH, laion_state, small_clap, write_clap, write_roberta_words
from rlld.data.spec import DataSpec, StreamSpec
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors import _clap_audio as clap_audio
from rlld.features.extractors._clap_weights import description, renamed
from rlld.features.extractors._language import ROBERTA_WORDS
from rlld.features.extractors._towers import COMPUTED
from rlld.features.extractors.clap import Config
from rlld.features.weights import VARIABLE
from rlld.media.views import Segment, Sound
from rlld.networks import valor
from rlld.utils.extras import optional

CPU = torch.device("cpu")
UNFUSED = "630k-audioset-best.pt"
SOUND = Sound(48000)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder of weights with two small checkpoints, and the networks."""
    folder = tmp_path_factory.mktemp("weights")
    return folder, {
        True: write_clap(folder),
        False: write_clap(folder, UNFUSED, fusion=False),
    }


@pytest.fixture
def weights(published, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(published[0]))
    return published[0]


def noise(samples=48000, seed=0, strength=0.2):
    """Noise with a rising tone, clipped by nothing."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 48000
    tone = 0.3 * np.sin(2 * np.pi * (300 + 900 * seed + 400 * time) * time)
    return (tone + strength * rng.standard_normal(samples)).clip(-1, 1).astype(np.float32)


def chunk(sounds):
    return [Segment(index, {SOUND: sound}) for index, sound in enumerate(sounds)]


def test_sixteen_bits_are_cut_off_towards_zero():
    found = clap_audio.quantised(np.array([0.5, -0.5, 1.2, -3, 0.00002, -0.00004], np.float32))
    # 0.5 * 32767 = 16383.5, 0.00004 * 32767 = 1.31
    expected = np.array([16383, -16383, 32767, -32767, 0, -1]) / 32767
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("samples", "repeats", "zeros"),
    [(48000, 10, 0), (47923, 10, 770), (48025, 9, 47775), (480000, 1, 0), (96000, 5, 0)],
)
def test_short_sounds_are_repeated_wholly(samples, repeats, zeros):
    sound = np.arange(1, samples + 1, dtype=np.float32)
    found = clap_audio.repeated(sound)
    assert found.shape == (480000,)
    assert np.count_nonzero(found == 0) == zeros and not found[480000 - zeros :].any()
    np.testing.assert_array_equal(found[: samples * repeats].reshape(repeats, -1)[-1], sound)


def test_stretching_takes_the_nearest_samples():
    sound = np.arange(300, dtype=np.float32)
    found = clap_audio.stretched(sound)
    places = np.array([0, 1, 239999, 240000, 479999])
    np.testing.assert_array_equal(found[places], np.round(places * 299 / 479999))


@pytest.mark.parametrize("slaney", [False, True])
def test_filters_are_those_of_transformers(slaney):
    from transformers.audio_utils import mel_filter_bank

    reference = mel_filter_bank(
        num_frequency_bins=513,
        num_mel_filters=64,
        min_frequency=50.0,
        max_frequency=14000.0,
        sampling_rate=48000,
        norm="slaney" if slaney else None,
        mel_scale="slaney" if slaney else "htk",
    )
    np.testing.assert_allclose(clap_audio.mel_filters(slaney), reference, atol=1e-7)


def mel_slowly(wave, filters):
    """The spectrogram frame by frame in double precision."""
    from scipy.signal import get_window

    window = get_window("hann", 1024, fftbins=True)
    padded = np.pad(wave.astype(np.float64), 512, mode="reflect")
    rows = []
    for frame in range(len(wave) // 480 + 1):
        power = np.abs(np.fft.rfft(padded[frame * 480 : frame * 480 + 1024] * window)) ** 2
        rows.append(10 * np.log10(np.maximum(power @ filters.astype(np.float64), 1e-10)))
    return np.array(rows)


@pytest.mark.parametrize("slaney", [False, True])
def test_spectrogram_equals_the_slow_one(slaney):
    wave = clap_audio.repeated(clap_audio.quantised(noise(30000, 1)))
    found = clap_audio.log_mel(torch.from_numpy(wave)[None], slaney)[0].numpy()
    reference = mel_slowly(wave, clap_audio.mel_filters(slaney))
    assert found.shape == reference.shape == (clap_audio.FRAMES, 64)
    # Float32 rounds near 1e-7 of the loudest bin, which lifts bands 60 dB below it by 0.01 dB.
    np.testing.assert_allclose(found, reference, atol=0.02)
    assert np.abs(found - reference).mean() < 1e-4


def test_silence_lies_at_the_floor():
    found = clap_audio.log_mel(torch.zeros(1, 480000), slaney=False)
    assert found.unique().tolist() == [-100.0]


@pytest.mark.parametrize("fusion", [True, False])
def test_spectrograms_are_those_of_transformers(fusion):
    extractor = optional("transformers", "tests").ClapFeatureExtractor(
        frequency_min=50, frequency_max=14000, truncation="fusion" if fusion else "rand_trunc"
    )
    sounds = [clap_audio.quantised(noise(48000, 2)), clap_audio.quantised(noise(47923, 3))]
    reference = extractor(sounds, sampling_rate=48000, return_tensors="np")["input_features"]
    waves = torch.from_numpy(np.stack([clap_audio.repeated(sound) for sound in sounds]))
    found = clap_audio.log_mel(waves, slaney=not fusion).numpy()
    assert reference.shape[1] == (4 if fusion else 1)
    for channel in range(reference.shape[1]):
        np.testing.assert_allclose(found, reference[:, channel], atol=0.02)


@pytest.mark.parametrize("fusion", [True, False])
def test_embeddings_are_those_of_the_whole_model(weights, published, fusion):
    """The reference hears transformers' own spectrograms, four of them with fusion."""
    extractor = load_extractor("clap" if fusion else f"clap(weights={UNFUSED})")
    sounds = [noise(48000, seed) for seed in range(3)]
    mels = np.stack(
        [
            mel_slowly(
                clap_audio.repeated(clap_audio.quantised(sound)),
                clap_audio.mel_filters(not fusion),
            )
            for sound in sounds
        ]
    )
    features = torch.from_numpy(mels).float()[:, None].expand(-1, 4 if fusion else 1, -1, -1)
    with torch.no_grad():
        model = published[1][fusion]
        reference = model.get_audio_features(
            features.contiguous(), is_longer=torch.zeros(3, 1, dtype=torch.bool)
        ).pooler_output
    found = extractor.embeddings(sounds)
    assert found.shape == (3, CLAP_WIDTH)
    np.testing.assert_allclose(found, reference.numpy(), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_the_two_kinds_of_checkpoints_hear_through_their_own_filters(weights, monkeypatch):
    asked = []
    original = clap_audio.log_mel
    monkeypatch.setattr(
        clap_audio, "log_mel", lambda waves, slaney: asked.append(slaney) or original(waves, slaney)
    )
    load_extractor("clap").embeddings([noise()])
    load_extractor(f"clap(weights={UNFUSED})").embeddings([noise()])
    assert asked == [False, True]


@pytest.mark.parametrize("output", ["embedding", "maps"])
def test_rows_do_not_depend_on_what_else_is_described(weights, output):
    extractor = load_extractor(f"clap(batch=2,output={output})")
    first = chunk([noise(seed=0), None, noise(seed=1)])
    second, silent = chunk([noise(seed=2), noise(seed=3)]), chunk([None, None])
    together = extractor.describe([first, second, silent], 1.0)["audio"]
    assert together.dtype == np.float32 and not together[[1, 5, 6]].any()
    np.testing.assert_allclose(extractor.describe([first], 1.0)["audio"], together[:3], atol=1e-5)
    np.testing.assert_allclose(extractor.describe([second], 1.0)["audio"], together[3:5], atol=1e-5)
    assert together[[0, 2, 3, 4]].any(1).all()


def test_segments_of_another_length(weights):
    extractor = load_extractor("clap")
    rows = extractor.describe([chunk([noise(96000)])], 2.0)["audio"]
    five = np.tile(clap_audio.quantised(noise(96000)), 5)
    np.testing.assert_allclose(rows, extractor.embeddings([five]), atol=1e-5)
    with pytest.raises(RlldError, match=r"hears 10 s at once, segments of 12.0 s"):
        extractor.streams(12.0)
    assert load_extractor("clap(output=maps)").streams(12.0)["audio"].dim == 64


def test_maps_are_the_last_states_of_the_encoder(weights, published):
    extractor = load_extractor("clap(output=maps)")
    sound = noise(100000, 4)
    index = np.round(np.linspace(0, 99999, 480000)).astype(int)
    wave = (sound[index] * np.float32(32767)).astype(np.int16) / 32767
    mel = torch.from_numpy(mel_slowly(wave, clap_audio.mel_filters(slaney=False))).float()
    encoder = published[1][True].audio_model.audio_encoder
    caught = []
    handle = encoder.norm.register_forward_hook(lambda module, args, out: caught.append(out))
    with torch.no_grad():
        encoder(
            input_features=mel[None, None].repeat(1, 4, 1, 1),
            is_longer=torch.zeros(1, 1, dtype=torch.bool),
        )
    handle.remove()
    # The encoder folds time 0-255, 256-511 ... into four pictures one below the other, of which
    # 2 x 8 patches are left each: row = (quarter, frequency), column = eighth of the quarter.
    states = caught[0][0].numpy().reshape(4, 2, 8, 64)
    found = extractor.maps([sound])
    assert found.shape == (1, 64, 64)
    for frequency in range(2):
        for time in range(32):
            expected = states[time // 8, frequency, time % 8]
            np.testing.assert_allclose(found[0, frequency * 32 + time], expected, atol=2e-3)


def test_reduced_maps_are_for_the_network_what_whole_ones_are(weights):
    """VALOR++ reads published maps as they are; our rows must give it the same."""
    extractor = load_extractor("clap(output=maps)")
    sounds = [noise(seed=seed) for seed in range(10)]
    rows = extractor.describe([chunk(sounds)], 1.0)["audio"]
    maps = extractor.maps([np.concatenate(sounds)])
    streams = {"audio": StreamSpec(64), "visual_2d": StreamSpec(6), "visual_3d": StreamSpec(5)}
    torch.manual_seed(0)
    network = valor.Config(hidden=8, heads=2).build(DataSpec("d", ("a", "b"), 10, 1.0, streams))
    network.eval()
    visual = {"visual_2d": torch.randn(1, 10, 6), "visual_3d": torch.randn(1, 10, 5)}
    with torch.no_grad():
        whole = network({"audio": torch.from_numpy(maps), **visual}).segment
        reduced = network({"audio": torch.from_numpy(rows)[None], **visual}).segment
    torch.testing.assert_close(reduced, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("fusion", [True, False])
def test_every_tensor_of_a_checkpoint_has_its_place(fusion):
    network = small_clap(fusion)
    own = {k: v for k, v in network.state_dict().items() if not k.endswith(COMPUTED)}
    found = renamed(laion_state(network))
    found = {key: value for key, value in found.items() if not key.endswith(COMPUTED)}
    assert found.keys() == own.keys()
    for key, value in own.items():
        assert torch.equal(found[key], value), key


def test_sizes_are_read_off_the_tensors():
    transformers = optional("transformers", "tests")
    with torch.device("meta"):
        network = transformers.ClapModel(
            transformers.ClapConfig(
                audio_config={"enable_fusion": True, "fusion_type": "aff_2d"},
            )
        )
        found = transformers.ClapConfig(**description(renamed(laion_state(network)), "x"))
    # HTSAT-tiny, which has the default sizes of transformers, and RoBERTa-base.
    assert found.audio_config.to_dict() == network.config.audio_config.to_dict()
    text = network.config.text_config.to_dict() | {"layer_norm_eps": 1e-5}
    assert found.text_config.to_dict() == text


def test_prompts_become_the_embeddings_of_the_whole_model(weights, published):
    language = Config().language(CPU)
    model = published[1][True]
    assert language.scale == pytest.approx(float(model.logit_scale_a.detach().exp()), rel=1e-6)
    rows = language.embeddings(["Hello world", "This is a sound of something long", "Hello world"])
    with torch.no_grad():
        tokens = torch.tensor([ROBERTA_WORDS.tokens])
        reference = model.get_text_features(input_ids=tokens).pooler_output[0].numpy()
    np.testing.assert_allclose(rows[0], reference, atol=1e-5)
    np.testing.assert_allclose(rows[2], rows[0], atol=1e-6)
    assert np.abs(rows[1] - rows[0]).max() > 1e-3


def test_a_folder_of_transformers_gives_the_same(weights, published, tmp_path, monkeypatch):
    from safetensors.torch import save_file

    model = published[1][True]
    folder = tmp_path / "clap-htsat-fused"
    write_roberta_words(tmp_path / "roberta-base")
    folder.mkdir()
    model.config.to_json_file(folder / "config.json", use_diff=False)
    save_file(model.state_dict(), folder / "model.safetensors")
    reference = load_extractor("clap").embeddings([noise()])
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    config = Config("clap-htsat-fused")
    np.testing.assert_allclose(config.build().embeddings([noise()]), reference, atol=1e-6)
    assert config.language(CPU).embeddings(["Hello world"]).shape == (1, CLAP_WIDTH)


def test_a_clip_is_extracted(weights, tmp_path):
    sound = beep(3, 1, 2, 48000)
    path = write_test_clip(tmp_path / "a.mp4", sound=sound, rate=48000)
    rows = load_extractor("clap").extract(path).streams["audio"]
    assert rows.shape == (3, CLAP_WIDTH)
    assert np.abs(rows[1] - rows[0]).max() > 10 * np.abs(rows[2] - rows[0]).max()


def test_parameters_say_what_the_numbers_depend_on(weights):
    texts = ("clap", "clap(output=maps)", f"clap(weights={UNFUSED})")
    assert len({load_extractor(text).version for text in texts}) == 3
    assert load_extractor("clap(batch=2)").version == load_extractor("clap").version
    json.dumps(load_extractor("clap").parameters())


def test_missing_weights_give_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(RlldError, match=r"630k-fusion-best.pt.*rlld weights clap.*lukewys"):
        load_extractor("clap")


@pytest.fixture
def own(published, tmp_path, monkeypatch):
    shutil.copytree(published[0], tmp_path / "w")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "w"))
    return tmp_path / "w" / "630k-fusion-best.pt"


def test_damaged_and_foreign_checkpoints_are_refused(own):
    whole = own.read_bytes()
    own.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RlldError, match=r"630k-fusion-best.pt: not a whole file of weights"):
        load_extractor("clap")
    torch.save({"state_dict": {"conv.weight": torch.zeros(3)}}, own)
    with pytest.raises(RlldError, match=r"patch_embed.proj.weight' is missing; this is no CLAP"):
        load_extractor("clap")
    torch.save({"state_dict": {"conv.weight": 3.0}}, own)
    with pytest.raises(RlldError, match=r"entry 'conv.weight' is float"):
        load_extractor("clap")
    own.write_bytes(whole)
    checkpoint = torch.load(own, weights_only=False)
    del checkpoint["state_dict"]["module.audio_branch.norm.bias"]
    torch.save(checkpoint, own)
    with pytest.raises(RlldError, match=r"audio_encoder.norm.bias' is missing"):
        load_extractor("clap")


def test_a_checkpoint_with_code_is_refused(own, tmp_path):
    target = tmp_path / "harm"

    class Harm:
        def __reduce__(self):
            return type(target).touch, (target,)

    torch.save({"state_dict": {"a": Harm()}}, own)
    with pytest.raises(RlldError, match=r"refused, because reading it would run"):
        load_extractor("clap")
    assert not target.exists()


@pytest.mark.slow
def test_the_published_size_runs(tmp_path, monkeypatch):
    transformers = optional("transformers", "tests")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    audio = {"enable_fusion": True, "fusion_type": "aff_2d"}
    model = transformers.ClapModel(transformers.ClapConfig(audio_config=audio))
    write_roberta_words(tmp_path / "roberta-base")
    torch.save({"state_dict": laion_state(model)}, tmp_path / "630k-fusion-best.pt")
    assert load_extractor("clap").embeddings([noise(), noise(seed=1)]).shape == (2, 512)
    assert load_extractor("clap(output=maps)").maps([noise(480000)]).shape == (1, 64, 768)
    assert Config().language(CPU).embeddings(["Hello world"]).shape == (1, 512)
