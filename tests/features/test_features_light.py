"""The light descriptors mean what they say and tell the rendered classes apart."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from clips_kit import beep, flashes

from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors.light import (
    BAND_GROUPS,
    Config,
    audio_row,
    mel_filters,
    motion_row,
    picture_row,
    ycc,
)
from rlld.media.views import Segment
from rlld.synthetic.clips.labels import rendered_classes
from rlld.synthetic.clips.scene import Scene, frames_of, sound_of
from rlld.utils.registry import EXTRACTORS


def grey(values):
    """(F, H, W) in [0, 255] as RGB frames."""
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=3)


def test_registry_knows_it_and_names_the_nearest():
    assert "light" in EXTRACTORS.names()
    assert not {"base", "container", "decode", "job"} & set(EXTRACTORS.names())
    with pytest.raises(RlldError, match="did you mean 'light'"):
        load_extractor("ligth")


def test_version_follows_the_parameters():
    versions = {Config().build().version, Config(bands=40).build().version}
    assert len(versions) == 2
    assert Config().build().version == Config().build().version


@pytest.mark.parametrize("hertz", [200.0, 500.0, 1000.0, 3000.0, 6000.0])
def test_a_pure_tone_is_loudest_in_its_mel_band(hertz):
    time = np.arange(16000) / 16000
    row = audio_row((0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), 16000, 48)
    # Band centres, computed here from the definition of the mel scale.
    low, high = (2595 * np.log10(1 + f / 700) for f in (50.0, 7600.0))
    centres = 700 * (10 ** (np.linspace(low, high, 50)[1:-1] / 2595) - 1)
    assert abs(int(row[:48].argmax()) - int(np.abs(centres - hertz).argmin())) <= 1


def test_no_mel_band_is_empty():
    assert (mel_filters(16000, 48).sum(0) > 0.5).all()


@pytest.mark.parametrize(("hertz", "band"), [(2.0, 0), (4.0, 1), (9.0, 2), (16.0, 3)])
def test_rhythm_of_sound_falls_into_its_band(hertz, band):
    rng = np.random.default_rng(0)
    time = np.arange(16000) / 16000
    on = 0.02 + 0.98 * (np.sin(2 * np.pi * hertz * time) > 0)
    row = audio_row((0.3 * on * rng.standard_normal(16000)).astype(np.float32), 16000, 48)
    power = row[96:].reshape(4, BAND_GROUPS).mean(1)
    assert power.argmax() == band


def test_edges_have_their_orientation():
    stripes = np.tile((np.arange(64) // 4 % 2) * 200, (48, 1))
    upright = picture_row(grey([stripes]), ycc(grey([stripes])))
    lying = np.tile(((np.arange(48) // 4 % 2) * 200)[:, None], (1, 64))
    flat = picture_row(grey([lying]), ycc(grey([lying])))
    edges = slice(48 + 64, 48 + 64 + 128)
    assert upright[edges].reshape(16, 8).mean(0).argmax() in (0, 7)
    assert flat[edges].reshape(16, 8).mean(0).argmax() in (3, 4)


def test_colour_layout_is_where_the_colour_is():
    frame = np.zeros((1, 48, 64, 3), np.uint8)
    frame[:, :12, :16] = (255, 0, 0)
    layout = picture_row(frame, ycc(frame))[:48].reshape(3, 16)
    assert layout[2].argmax() == 0
    np.testing.assert_allclose(layout[0, 0], (0.299 - 0.5) * 3, atol=1e-5)


@pytest.mark.parametrize("direction", [1, -1])
def test_direction_of_motion(direction):
    place = np.arange(64)[None, :] - direction * 2.0 * np.arange(8)[:, None]
    frames = grey(np.repeat((127 + 100 * np.sin(place / 5))[:, None], 48, axis=1))
    flow = motion_row(frames, ycc(frames), 1.0)[32:48]
    assert (np.sign(flow) == direction).all()


@pytest.mark.parametrize(("hertz", "band"), [(1, 0), (2, 1), (3, 2), (4, 3)])
def test_rhythm_of_flashes(hertz, band):
    time = (np.arange(8) + 0.5) / 8
    level = 127 + 100 * np.sign(np.sin(2 * np.pi * hertz * time) + 1e-9)
    frames = grey(np.broadcast_to(level[:, None, None], (8, 48, 64)))
    rhythm = motion_row(frames, ycc(frames), 1.0)[64:128].reshape(4, 16).mean(1)
    assert rhythm.argmax() == band


def test_still_pictures_have_no_motion():
    rng = np.random.default_rng(0)
    still = np.repeat(rng.integers(0, 255, (1, 48, 64)), 8, axis=0)
    moving = rng.integers(0, 255, (8, 48, 64))
    rest, unrest = (
        motion_row(grey(values), ycc(grey(values)), 1.0)[:16] for values in (still, moving)
    )
    assert rest.max() < -0.9 < 0.5 < unrest.min()


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.5])
def test_streams_have_the_dimensions_that_they_announce(make_clip, seconds):
    extractor = load_extractor("light")
    path = make_clip("clip.mp4", sound=beep(5, 0, 2), pictures=flashes(5, 1, 2))
    result = extractor.extract(path, seconds)
    for name, spec in extractor.streams(seconds).items():
        value = result.streams[name]
        assert value.shape == (round(5 / seconds), spec.dim) and value.dtype == np.float32
        assert np.isfinite(value).all() and np.abs(value).max() <= 4.0
        assert value.any(axis=1).all()


def test_missing_tracks_are_zero_and_noted(make_clip):
    extractor = load_extractor("light")
    mute = extractor.extract(make_clip("mute.mp4", pictures=flashes(3, 1, 2)))
    assert not mute.streams["audio"].any() and mute.streams["visual_2d"].any(axis=1).all()
    assert not mute.info.has_audio and "no audio track" in mute.info.notes
    blind = extractor.extract(make_clip("blind.mp4", sound=beep(3, 0, 3)))
    assert not blind.streams["visual_2d"].any() and not blind.streams["visual_3d"].any()
    assert blind.streams["audio"].any(axis=1).all() and not blind.info.has_video


def scene(classes, label, seed):
    events = np.zeros((2, 2, len(classes)), bool)
    events[:, :, label] = True
    return Scene(classes, events, 1.0, (seed, label))


def described(classes, seeds):
    """Rows (samples, D) of sound and picture of one class at a time, and the classes."""
    sounds, pictures, labels = [], [], []
    for seed in seeds:
        for label in range(len(classes)):
            clip = scene(classes, label, seed)
            sounds.append(audio_row(sound_of(clip)[:16000], 16000, 48))
            # The first second, 8 of its 12 pictures.
            frames = np.stack(list(islice(frames_of(clip), 12)))[np.arange(12) % 3 < 2]
            frames = frames[:, 2::4, 2::5][:, :40]
            row = picture_row(frames, ycc(frames)), motion_row(frames, ycc(frames), 1.0)
            pictures.append(np.concatenate(row))
            labels.append(label)
    return np.stack(sounds), np.stack(pictures), np.array(labels)


def nearest_mean_accuracy(train, train_labels, test, test_labels):
    scale = train.std(0) + 0.1
    centres = np.stack([train[train_labels == c].mean(0) for c in np.unique(train_labels)]) / scale
    distance = np.linalg.norm(test[:, None] / scale - centres, axis=2)
    return (distance.argmin(1) == test_labels).mean()


@pytest.mark.slow
def test_rendered_classes_can_be_told_apart():
    classes = rendered_classes(12)
    train_sounds, train_pictures, train_labels = described(classes, range(4))
    sounds, pictures, labels = described(classes, range(100, 102))
    # Chance is 1 in 12.
    assert nearest_mean_accuracy(train_sounds, train_labels, sounds, labels) > 0.7
    assert nearest_mean_accuracy(train_pictures, train_labels, pictures, labels) > 0.6


def test_a_segment_is_described_alone_as_in_a_chunk():
    """So a source that goes on need not wait for ten of them."""
    extractor, rng = load_extractor("light"), np.random.default_rng(0)
    sound, pictures = extractor.views
    chunk = [
        Segment(
            number,
            {
                sound: rng.normal(0, 0.1, sound.rate).astype(np.float32),
                pictures: rng.integers(0, 256, (8, 48, 64, 3), np.uint8) if number != 2 else None,
            },
        )
        for number in range(4)
    ]
    assert extractor.alone
    together = extractor.describe([chunk], 1.0)
    apart = [extractor.describe([[segment]], 1.0) for segment in chunk]
    for name, rows in together.items():
        np.testing.assert_array_equal(rows, np.concatenate([own[name] for own in apart]))
