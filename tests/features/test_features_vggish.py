"""VGGish hears what the published front end and network hear."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from clips_kit import beep, flashes
from torch.nn import functional

from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors.vggish import Config, examples, log_mel, mel_filters
from rlld.features.job import Where
from rlld.features.to_files import extract_files
from rlld.features.weights import weights_folder
from rlld.media.views import Segment, Sound

WEIGHTS = "vggish-10086976.pth"
PCA = "vggish_pca_params-970ea276.pth"
SOUND = Sound(16000)

# The smoke test of the published front end: a tone of 1 kHz at 44.1 kHz for three seconds. Of its
# first example, the first and last three bands of some frames, and the embedding, as printed by
# it in 2019 (kept with its output in harritaylor/torchvggish, Conversion.ipynb).
PUBLISHED_LOG_MEL = {
    0: [-4.47297436, -4.29457354, -4.14940631, -3.9747003, -3.94774997, -3.78687669],
    1: [-4.48589533, -4.28825497, -4.139964, -3.98368686, -3.94976505, -3.7951698],
    2: [-4.46158065, -4.29329706, -4.14905953, -3.96442484, -3.94895483, -3.78619839],
    93: [-4.46152626, -4.29365061, -4.14848608, -3.96638113, -3.95057575, -3.78538167],
    94: [-4.46152595, -4.2936572, -4.14848104, -3.96640507, -3.95059567, -3.78537143],
    95: [-4.46152565, -4.29366386, -4.14847603, -3.96642906, -3.95061564, -3.78536116],
}

# Its 128 numbers, as rows of six; with the weights of the release, which are the published ones.
PUBLISHED_EMBEDDING = """
0 0 0 0 0 0  0 0.16137293 0 0 0 0  0 0 0 0 0 0.80695796  0 0 0 0 0 0
0 0.36792755 0.03582409 0 0 0  0 0.38027024 0.1375593 0.9174708 0.8065634 0
0 0 0 0.04036281 0.7076243 0  0.497839 0.24081808 0.21565434 0.88492286 1.19568 0.6706197
0.20779458 0.01639861 0.17471863 0 0 0.25100806  0 0 0.14607918 0 0.39887053 0.30542105
0.12896761 0 0 0 0 0  0.5385133 0 0 0.04941072 0.42527416 0.18537284
0 0 0.14753515 0 0 0.69933873  0.45541188 0.05174822 0 0.01992539 0 0
0.5181578 0.565576 0.6587975 0 0 0.41056332  0 0 0 0.25765193 0.23232114 0.24026448
0 0 0 0 0 0.26523757  0 0.48460823 0 0 0.19325787 0  0.20123348 0 0.03368621 0 0 0
0 0.17836356 0.024749 0.06889972 0 0  0 0.08246281 0 0 0 0  0 0
"""


# --- the front end ----------------------------------------------------------------------------


def slow_log_mel(samples):
    """(96, 64) in float64, from the definition: frame by frame, a written-out transform."""
    time = np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / 400)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(257), time) / 512)
    weights = slow_filters()
    rows = []
    for start in range(0, 96 * 160, 160):
        magnitude = np.abs(waves @ (samples[start : start + 400].astype(np.float64) * window))
        rows.append([math.log(magnitude @ weights[:, band] + 0.01) for band in range(64)])
    return np.array(rows)


@cache
def slow_filters():
    """(257, 64): each weight by itself, from the triangle of its band on the mel scale."""

    def mel(hertz):
        return 1127 * math.log(1 + hertz / 700)

    step = (mel(7500) - mel(125)) / 65
    weights = np.zeros((257, 64))
    for band in range(64):
        low = mel(125) + band * step
        middle, high = low + step, low + 2 * step
        for bin_ in range(1, 257):
            place = mel(bin_ * 16000 / 512)
            if low < place <= middle:
                weights[bin_, band] = (place - low) / (middle - low)
            elif middle < place < high:
                weights[bin_, band] = (high - place) / (high - middle)
    return weights


def test_filters_are_the_triangles_of_the_definition():
    np.testing.assert_allclose(mel_filters(), slow_filters(), atol=1e-12)
    assert not mel_filters()[0].any()


@pytest.mark.parametrize("kind", ["noise", "tone", "click", "silence"])
def test_log_mel_equals_the_definition(kind):
    time = np.arange(15600)
    samples = {
        "noise": np.random.default_rng(0).uniform(-1, 1, 15600),
        "tone": 0.9 * np.sin(2 * np.pi * 440 / 16000 * time),
        "click": (time == 7000) * 1.0,
        "silence": np.zeros(15600),
    }[kind].astype(np.float32)
    found = log_mel(torch.from_numpy(samples[None]))
    assert found.shape == (1, 96, 64) and found.dtype == torch.float32
    np.testing.assert_allclose(found[0].numpy(), slow_log_mel(samples), atol=2e-6)


def test_silence_is_the_offset_everywhere():
    found = log_mel(torch.zeros(1, 15600))
    torch.testing.assert_close(found, torch.full((1, 96, 64), math.log(0.01)))


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 4000.0])
def test_a_tone_is_loudest_in_its_band(hertz):
    samples = np.sin(2 * np.pi * hertz * np.arange(15600) / 16000).astype(np.float32)
    peak = int(log_mel(torch.from_numpy(samples[None])).mean((0, 1)).argmax())
    edges = 700 * (np.exp(np.linspace(*np.log1p(np.array([125, 7500]) / 700), 66)) - 1)
    # Triangles overlap by half: a tone between two middles is in both bands.
    assert edges[peak] < hertz < edges[peak + 2]


def resampled_as_published(samples, count):
    """The first samples at 16 kHz of samples at 44.1 kHz, with the flaws of resampy 0.2.

    A sinc of 64 zero crossings under a Kaiser window is read from a table with 512 entries per
    crossing; at this rate its step of 185.76 entries was cut to 185. The clock is a running sum.
    """
    ratio, crossings, entries, roll = 16000 / 44100, 64, 512, 0.9475937167399596
    places = np.linspace(0, crossings, crossings * entries + 1)
    window = np.kaiser(2 * crossings * entries + 1, 14.769656459379492)[crossings * entries :]
    table = ratio * roll * np.sinc(roll * places) * window
    slope = np.append(np.diff(table), 0.0)
    step = int(ratio * entries)

    def side(part, neighbours):
        first, rest = divmod(part * entries, 1)
        taken = np.arange(int(first), len(table), step)[: len(neighbours)]
        taken = taken[: (len(table) - int(first)) // step]
        return (table[taken] + rest * slope[taken]) @ neighbours[: len(taken)]

    result, clock = np.zeros(count), 0.0
    for index in range(count):
        at = int(clock)
        part = ratio * (clock - at)
        result[index] = side(part, samples[max(0, at - 400) : at + 1][::-1])
        result[index] += side(ratio - part, samples[at + 1 : at + 401])
        clock += 1 / ratio
    return result


@cache
def published_tone():
    tone = np.sin(2 * np.pi * 1000 * np.linspace(0, 3, 3 * 44100))
    return resampled_as_published(tone[:46000], 15600)


def test_log_mel_equals_the_published_front_end():
    found = log_mel(torch.from_numpy(published_tone()[None]))[0].numpy()
    for frame, expected in PUBLISHED_LOG_MEL.items():
        np.testing.assert_allclose(found[frame, [0, 1, 2, 61, 62, 63]], expected, atol=2e-6)


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.1, 1), (0.5, 1), (0.975, 1), (1, 1), (1.9, 1), (2, 2), (10, 10)]
)
def test_examples_are_those_of_the_published_framing(seconds, count):
    length = round(16000 * seconds)
    samples = np.random.default_rng(0).uniform(-1, 1, (2, length)).astype(np.float32)
    found = examples(samples)
    assert found.shape == (2, count, 15600)
    # Published: frames of 400 samples every 160, whole ones only; then 96 of them each.
    frames = 1 + (max(length, 15600) - 400) // 160
    assert count == frames // 96
    for k in range(count):
        part = samples[:, k * 96 * 160 : k * 96 * 160 + 15600]
        np.testing.assert_array_equal(found[:, k, : part.shape[1]], part)
        assert not found[:, k, part.shape[1] :].any()


# --- the network ------------------------------------------------------------------------------

CONVOLUTIONS = {0: (1, 64), 3: (64, 128), 6: (128, 256), 8: (256, 256), 11: (256, 512)}
CONVOLUTIONS[13] = (512, 512)
LINEAR = {0: (12288, 4096), 2: (4096, 4096), 4: (4096, 128)}


def save(folder, file, state):
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / file)


@pytest.fixture(scope="module")
def state():
    """Random weights under the published names; scaled so that no layer dies out."""
    torch.manual_seed(0)
    state = {}
    for index, (before, after) in CONVOLUTIONS.items():
        state[f"features.{index}.weight"] = torch.empty(after, before, 3, 3)
        state[f"features.{index}.bias"] = 0.1 * torch.randn(after)
    for index, (before, after) in LINEAR.items():
        state[f"embeddings.{index}.weight"] = torch.empty(after, before)
        state[f"embeddings.{index}.bias"] = 0.1 * torch.randn(after)
    for key, value in state.items():
        if key.endswith("weight"):
            bound = math.sqrt(6 / value[0].numel())
            value.uniform_(-bound, bound)
    return state


@pytest.fixture(scope="module")
def pca():
    torch.manual_seed(1)
    return {"pca_eigen_vectors": torch.randn(128, 128) / 8, "pca_means": torch.rand(128, 1)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory, state, pca):
    folder = tmp_path_factory.mktemp("weights")
    save(folder, WEIGHTS, state)
    save(folder, PCA, pca)
    return folder


@pytest.fixture(scope="module")
def build(weights):
    """A function (**settings) that builds each extractor once."""

    @cache
    def build(**settings):
        return built(weights, **settings)

    return build


@pytest.fixture(scope="module")
def vggish(build):
    return build()


def built(folder, **settings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLLD_WEIGHTS", str(folder))
        return Config(**settings).build()


def by_hand(state, mel, activation=True):
    """The network written out: (n, 96, 64) to (n, 128)."""
    maps = torch.from_numpy(np.array(mel, np.float32)).reshape(-1, 1, 96, 64)
    for index in CONVOLUTIONS:
        weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        maps = functional.relu(functional.conv2d(maps, weight, bias, padding=1))
        if index in (0, 3, 8, 13):
            maps = functional.max_pool2d(maps, 2, 2)
    assert maps.shape[1:] == (512, 6, 4)  # channel, time, frequency
    rows = torch.stack([one[:, t, f] for one in maps for t in range(6) for f in range(4)]).reshape(
        len(maps), 12288
    )
    for index in LINEAR:
        rows = functional.linear(
            rows, state[f"embeddings.{index}.weight"], state[f"embeddings.{index}.bias"]
        )
        if index < 4 or activation:
            rows = functional.relu(rows)
    return rows.numpy()


def noise(seed, seconds=1.0):
    rng = np.random.default_rng(seed)
    loud = rng.uniform(0.01, 1, 1) * rng.uniform(-1, 1, round(16000 * seconds))
    return loud.astype(np.float32)


def chunk(*sounds):
    return [Segment(index, {SOUND: sound}) for index, sound in enumerate(sounds)]


def test_rows_equal_the_network_written_out(vggish, state):
    sounds = [noise(0), noise(1), beep(1, 0.2, 0.7)]
    rows = vggish.describe([chunk(*sounds)], 1.0)["audio"]
    assert rows.shape == (3, 128) and rows.dtype == np.float32
    expected = by_hand(state, [slow_log_mel(sound[:15600]) for sound in sounds])
    assert (expected > 0).mean() > 0.2 and (rows >= 0).all()
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_longer_segments_average_their_examples(vggish, state):
    sound = noise(2, 2.0)
    rows = vggish.describe([chunk(sound)], 2.0)["audio"]
    expected = by_hand(state, [slow_log_mel(sound), slow_log_mel(sound[15360:])]).mean(0)
    np.testing.assert_allclose(rows[0], expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_shorter_segments_end_in_silence(vggish, state):
    sound = noise(3, 0.5)
    rows = vggish.describe([chunk(sound)], 0.5)["audio"]
    expected = by_hand(state, [slow_log_mel(np.append(sound, np.zeros(7600)))])
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_rows_do_not_depend_on_the_batch(vggish):
    sounds = [noise(seed) for seed in range(4)]
    together = vggish.describe([chunk(*sounds[:3]), chunk(sounds[3])], 1.0)["audio"]
    alone = np.concatenate([vggish.describe([chunk(one)], 1.0)["audio"] for one in sounds])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5 * alone.max())


def test_more_examples_than_a_batch_holds(vggish, monkeypatch):
    sounds = [noise(seed, 2.0) for seed in range(3)]
    whole = vggish.describe([chunk(*sounds)], 2.0)["audio"]
    monkeypatch.setattr("rlld.features.extractors.vggish.BATCH", 4)
    parts = vggish.describe([chunk(*sounds)], 2.0)["audio"]
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5 * whole.max())


def test_segments_without_sound_are_zero(vggish):
    rows = vggish.describe([chunk(None, noise(0)), chunk(None)], 1.0)["audio"]
    assert not rows[[0, 2]].any() and rows[1].any()
    alone = vggish.describe([chunk(noise(0))], 1.0)["audio"]
    np.testing.assert_allclose(rows[1], alone[0], rtol=1e-5, atol=1e-5 * alone.max())
    assert vggish.describe([chunk(None, None)], 1.0)["audio"].shape == (2, 128)


def test_without_activation(build, state):
    sound = noise(4)
    rows = build(activation=False).describe([chunk(sound)], 1.0)["audio"]
    expected = by_hand(state, [slow_log_mel(sound)], activation=False)
    assert expected.min() < 0
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4 * expected.max())


def whitened(rows, pca):
    vectors, means = pca["pca_eigen_vectors"].double().numpy(), pca["pca_means"].double().numpy()
    return np.stack([vectors @ (row - means[:, 0]) for row in rows.astype(np.float64)])


def test_whitening_and_eight_bits(build, vggish, pca):
    sounds = chunk(noise(5), None, noise(6))
    raw = vggish.describe([sounds], 1.0)["audio"][[0, 2]]
    white = build(pca=True).describe([sounds], 1.0)["audio"]
    np.testing.assert_allclose(white[[0, 2]], whitened(raw, pca), rtol=1e-4, atol=1e-4)
    bits = build(pca=True, quantised=True).describe([sounds], 1.0)["audio"]
    scaled = (np.clip(white[[0, 2]].astype(np.float64), -2, 2) + 2) * 63.75
    settled = np.abs(scaled - np.round(scaled)) > 1e-3
    assert settled.mean() > 0.3
    np.testing.assert_array_equal(bits[[0, 2]][settled], np.floor(scaled)[settled])
    assert bits.min() == 0 and bits.max() == 255 and bits.dtype == np.float32
    assert not white[1].any() and not bits[1].any()


def test_eight_bits_need_the_whitening():
    with pytest.raises(RlldError, match="pca=true with quantised=true"):
        load_extractor("vggish(quantised=true)")


@pytest.mark.skipif(
    not (weights_folder() / WEIGHTS).is_file(), reason="needs 'rlld weights vggish' once"
)
def test_the_published_weights_give_the_published_embedding():
    found = Config().build().describe([chunk(published_tone())], 0.975)["audio"]
    expected = [float(value) for value in PUBLISHED_EMBEDDING.split()]
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


# --- files ------------------------------------------------------------------------------------


def test_it_names_the_published_files():
    assert [file.file for file in Config().files()] == [WEIGHTS]
    assert [file.file for file in Config(pca=True).files()] == [WEIGHTS, PCA]
    for file in Config(pca=True).files():
        assert file.url.endswith(f"/releases/download/v0.1/{file.file}")
        assert file.digest in file.file


@pytest.fixture(scope="module")
def other(tmp_path_factory, state, pca):
    """The same numbers in the other published forms."""
    folder = tmp_path_factory.mktemp("other")
    save(folder, WEIGHTS, {key.replace("embeddings.", "fc."): state[key] for key in state})
    save(folder, PCA, {**pca, "pca_means": pca["pca_means"][:, 0]})
    return built(folder, pca=True)


def test_the_other_conversion_and_flat_means_are_read_too(build, other):
    sounds = chunk(noise(0))
    np.testing.assert_array_equal(
        other.describe([sounds], 1.0)["audio"],
        build(pca=True).describe([sounds], 1.0)["audio"],
    )


def refused(folder, monkeypatch, config=None):
    monkeypatch.setenv("RLLD_WEIGHTS", str(folder))
    with pytest.raises(RlldError) as raised:
        (config or Config()).build()
    message = str(raised.value)
    assert "\n" not in message and str(folder) in message
    return message


def test_missing_weights(tmp_path, monkeypatch):
    assert "rlld weights vggish" in refused(tmp_path, monkeypatch)


def test_missing_pca(tmp_path, weights, monkeypatch):
    (tmp_path / WEIGHTS).symlink_to(weights / WEIGHTS)
    assert PCA in refused(tmp_path, monkeypatch, Config(pca=True))


def small(state):
    """The names without the megabytes."""
    return {key: torch.zeros(1) for key in state}


def test_damaged_weights(tmp_path, state, monkeypatch):
    save(tmp_path, WEIGHTS, small(state))
    content = (tmp_path / WEIGHTS).read_bytes()
    for damaged in (b"", b"<html>not found</html>", content[: len(content) // 2]):
        (tmp_path / WEIGHTS).write_bytes(damaged)
        assert WEIGHTS in refused(tmp_path, monkeypatch)


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harm"),)


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path, WEIGHTS, {"features.0.weight": Harmful()})
    assert WEIGHTS in refused(tmp_path, monkeypatch)
    assert not Path("harm").exists()


def test_foreign_weights(tmp_path, state, monkeypatch):
    save(tmp_path, WEIGHTS, {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    assert "'features.0.weight'" in refused(tmp_path, monkeypatch)
    short = small(state)
    del short["embeddings.2.bias"]
    save(tmp_path, WEIGHTS, short)
    assert "'embeddings.2.bias'" in refused(tmp_path, monkeypatch)
    save(tmp_path, WEIGHTS, {**small(state), "embeddings.6.weight": torch.zeros(1)})
    assert "'embeddings.6.weight'" in refused(tmp_path, monkeypatch)
    save(tmp_path, WEIGHTS, small(state))
    assert "expected (64, 1, 3, 3)" in refused(tmp_path, monkeypatch)


def test_weights_with_nan(tmp_path, weights, pca, monkeypatch):
    (tmp_path / WEIGHTS).symlink_to(weights / WEIGHTS)
    save(tmp_path, PCA, {**pca, "pca_means": torch.full((128, 1), torch.nan)})
    assert "'pca_means'" in refused(tmp_path, monkeypatch, Config(pca=True))


def test_version_follows_parameters_and_weights(build, other, weights):
    settings = ({}, {"activation": False}, {"pca": True}, {"pca": True, "quantised": True})
    versions = [build(**each).version for each in settings]
    assert len({*versions, other.version}) == 5
    digest = hashlib.sha256((weights / WEIGHTS).read_bytes()).hexdigest()
    assert build().parameters()["weights"] == [digest]


# --- clips ------------------------------------------------------------------------------------


def test_a_clip_becomes_a_row_per_second(make_clip, tmp_path, weights, monkeypatch):
    monkeypatch.setenv("RLLD_WEIGHTS", str(weights))
    path = make_clip("clip.mp4", sound=beep(3, 1.0, 2.0), pictures=flashes(3, 1.0, 2.0))
    mute = make_clip("mute.mp4", pictures=flashes(2, 0.0, 1.0))
    report = extract_files({"clip": path, "mute": mute}, tmp_path / "out", "vggish", where=Where(1))
    assert report.clips == 2 and not report.failed
    rows = np.load(tmp_path / "out" / "vggish" / "clip.npy")
    assert rows.shape == (3, 128) and rows.dtype == np.float32
    # Two seconds of silence are alike, but for what the codec leaves of it; the tone is not.
    assert np.abs(rows[0] - rows[1]).max() > 10 * np.abs(rows[0] - rows[2]).max()
