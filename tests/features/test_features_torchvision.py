"""ResNet-152 and R(2+1)D-18 on random weights in the layout of the published files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features import extractor_configs, load_extractor
from rlld.features.base import Extractor
from rlld.features.extractors import r2plus1d, resnet152
from rlld.features.extractors._torchvision import Backbone
from rlld.media.decode import Clip
from rlld.media.views import Pictures, Segment
from rlld.utils.config import from_dict
from rlld.utils.extras import optional

RESNET = "resnet152-394f9c45.pth"
RESNET_2 = "resnet152-f82ba261.pth"
VIDEO = "r2plus1d_18-91a641e6.pth"

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def vision() -> ModuleType:
    return optional("torchvision", "tests")


def sensible(network: torch.nn.Module, seed: int) -> dict[str, torch.Tensor]:
    """Returns random weights that keep activations in a usual range, as trained ones do."""
    generator = torch.Generator().manual_seed(seed)
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(0.0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            if name.endswith(("bn3", "conv2.1")):
                module.weight.data.mul_(0.2)
    return network.state_dict()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, vision: ModuleType) -> Iterator[Path]:
    """A folder of weights, and where rlld looks for them."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    state = sensible(vision.models.resnet152(), 1)
    # As files of 2017 are: without the counters that batch normalisation got later.
    old = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    assert len(state) - len(old) == 155
    torch.save(old, folder / RESNET)
    torch.save(state, folder / RESNET_2)
    # As files of 2019 are: no zip archive.
    moving = sensible(vision.models.video.r2plus1d_18(), 2)
    torch.save(moving, folder / VIDEO, _use_new_zipfile_serialization=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RLLD_WEIGHTS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def pictures(weights: Path) -> Extractor:
    return load_extractor("resnet152")


@pytest.fixture(scope="module")
def motion(weights: Path) -> Extractor:
    return load_extractor("r2plus1d")


def noise(shape: tuple[int, ...], seed: int) -> Pixels:
    """Coarse random pictures (..., H, W, 3): each pixel repeated in a square of 8."""
    small = (*shape[:-3], shape[-3] // 8, shape[-2] // 8, 3)
    cells = np.random.default_rng(seed).integers(0, 256, small, dtype=np.uint8)
    return np.repeat(np.repeat(cells, 8, -3), 8, -2)


def shown(extractor: Extractor, *contents: Pixels | None) -> list[Segment]:
    """Segments that show this."""
    (view,) = extractor.views
    return [Segment(number, {view: content}) for number, content in enumerate(contents)]


def relative(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


class TestResNet152:
    def test_rows_are_what_a_hook_on_the_pooling_of_torchvision_sees(
        self, weights: Path, vision: ModuleType, pictures: Extractor
    ) -> None:
        first, third = noise((2, 224, 224, 3), 1), noise((2, 224, 224, 3), 2)
        rows = pictures.describe([shown(pictures, first, None, third)], 0.25)

        network = vision.models.resnet152().eval()
        network.load_state_dict(torch.load(weights / RESNET_2))
        pooled: list[torch.Tensor] = []
        network.avgpool.register_forward_hook(lambda module, given, made: pooled.append(made))
        transforms = vision.transforms.functional
        with torch.no_grad():
            for picture in [*first, *third]:
                given = transforms.to_tensor(Image.fromarray(picture))
                given = transforms.normalize(given, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
                network(given[None])
        expected = torch.cat(pooled)[:, :, 0, 0].numpy()

        assert set(rows) == {"visual_2d"}
        assert rows["visual_2d"].shape == (6, 2048)
        assert rows["visual_2d"].dtype == np.float32
        assert not rows["visual_2d"][2:4].any()
        assert relative(rows["visual_2d"][[0, 1, 4, 5]], expected) < 1e-5
        # Pictures differ by far more than that, so that their order was checked too.
        assert relative(expected[0], expected[1]) > 1e-3

    @pytest.mark.slow
    def test_a_row_does_not_depend_on_its_batch(self, weights: Path) -> None:
        content = [noise((2, 224, 224, 3), seed) for seed in (1, 2)]
        together = load_extractor("resnet152")
        alone = load_extractor("resnet152(batch=1)")
        one = together.describe([shown(together, *content)], 0.25)["visual_2d"]
        two = np.concatenate(
            [alone.describe([shown(alone, part)], 0.25)["visual_2d"] for part in content]
        )
        assert relative(two, one) < 1e-5

    def test_layout_is_the_published_one(self, pictures: Extractor) -> None:
        assert pictures.streams(1.0) == {"visual_2d": StreamSpec(2048, "res152", 8)}
        assert pictures.streams(0.5) == {"visual_2d": StreamSpec(2048, "res152", 4)}
        unseen = pictures.describe([shown(pictures, *[None] * 10)], 1.0)
        assert unseen["visual_2d"].shape == (80, 2048)

    @pytest.mark.parametrize("name", ["IMAGENET1K_V1", "IMAGENET1K_V2"])
    def test_constants_are_those_of_torchvision(self, name: str, vision: ModuleType) -> None:
        enum = vision.models.ResNet152_Weights[name]
        published, short_side = resnet152.WEIGHTS[name]
        assert published.url == enum.url
        assert published.file == enum.url.rpartition("/")[2]
        assert published.file == f"resnet152-{published.digest}.pth"
        transform = enum.transforms()
        assert transform.resize_size == [short_side]
        assert transform.crop_size == [resnet152.CROP]
        assert transform.interpolation.value == "bilinear"
        assert transform.antialias
        assert (tuple(transform.mean), tuple(transform.std)) == (resnet152.MEAN, resnet152.STD)

    def test_other_weights_are_other_features(self, weights: Path, pictures: Extractor) -> None:
        second = load_extractor("resnet152(weights=IMAGENET1K_V2)")
        assert pictures.views == (Pictures(8.0, 224, 224, 256, "BILINEAR"),)
        assert second.views == (Pictures(8.0, 224, 224, 232, "BILINEAR"),)
        assert second.version != pictures.version
        assert load_extractor("resnet152(batch=8)").version == pictures.version
        assert pictures.parameters()["sha256"] != second.parameters()["sha256"]


class TestR2Plus1D:
    def test_rows_are_what_torchvision_gives_without_its_last_layer(
        self, weights: Path, vision: ModuleType, motion: Extractor
    ) -> None:
        first, third = noise((8, 112, 112, 3), 3), noise((8, 112, 112, 3), 4)
        rows = motion.describe([shown(motion, first), shown(motion, None, third)], 1.0)

        network = vision.models.video.r2plus1d_18()
        network.load_state_dict(torch.load(weights / VIDEO))
        headless = torch.nn.Sequential(*list(network.children())[:-1]).eval()
        # Colour, time, row, column: one after the other, by hand.
        given = torch.zeros(2, 3, 8, 112, 112)
        for number, snippet in enumerate((first, third)):
            for time in range(8):
                for colour, (mean, std) in enumerate(
                    zip((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989), strict=True)
                ):
                    plane = (snippet[time, :, :, colour] / 255 - mean) / std
                    given[number, colour, time] = torch.from_numpy(plane)
        with torch.no_grad():
            expected = headless(given)[:, :, 0, 0, 0].numpy()

        assert set(rows) == {"visual_3d"}
        assert rows["visual_3d"].shape == (3, 512)
        assert rows["visual_3d"].dtype == np.float32
        assert not rows["visual_3d"][1].any()
        assert relative(rows["visual_3d"][[0, 2]], expected) < 1e-5
        assert relative(expected[0], expected[1]) > 1e-2

    def test_the_order_of_pictures_counts(self, motion: Extractor) -> None:
        content = noise((4, 112, 112, 3), 5)
        rows = motion.describe([shown(motion, content, content[::-1].copy())], 0.5)["visual_3d"]
        assert relative(rows[1], rows[0]) > 1e-3

    def test_a_row_does_not_depend_on_its_batch(self, weights: Path) -> None:
        content = [noise((2, 112, 112, 3), seed) for seed in range(3)]
        together, alone = load_extractor("r2plus1d"), load_extractor("r2plus1d(batch=1)")
        one = together.describe([shown(together, *content)], 0.25)["visual_3d"]
        two = alone.describe([shown(alone, *content)], 0.25)["visual_3d"]
        assert relative(two, one) < 1e-5
        assert together.version == alone.version

    def test_layout_is_the_published_one(self, motion: Extractor) -> None:
        assert motion.streams(1.0) == {"visual_3d": StreamSpec(512, "r2plus1d_18", 1)}
        unseen = motion.describe([shown(motion, *[None] * 10)], 1.0)
        assert unseen["visual_3d"].shape == (10, 512)

    def test_constants_are_those_of_torchvision(self, vision: ModuleType) -> None:
        enum = vision.models.video.R2Plus1D_18_Weights.KINETICS400_V1
        published = r2plus1d.KINETICS400_V1
        assert published.url == enum.url
        assert published.file == f"r2plus1d_18-{published.digest}.pth"
        assert published.file == enum.url.rpartition("/")[2]
        transform = enum.transforms()
        assert transform.crop_size == [r2plus1d.SIDE, r2plus1d.SIDE]
        assert (tuple(transform.mean), tuple(transform.std)) == (r2plus1d.MEAN, r2plus1d.STD)


def painted(number: int, width: int, height: int) -> Pixels:
    """A picture with waves of colour, an edge and grey noise, another one for each number."""
    y, x = np.mgrid[:height, :width] + np.array([5.0 * number, 9.0 * number])[:, None, None]
    waves = [np.sin(x / 17 + y / 29), np.cos(y / 11), np.sin(x / 23 - y / 31)]
    picture = np.stack([127 + 90 * wave for wave in waves], -1)
    picture[height // 3 : height // 2, width // 4 : width // 2] = (240, 40, 30 + 20 * number)
    picture += np.random.default_rng(number).normal(0, 20, (height, width, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_painted(path: Path, count: int, width: int = 640, height: int = 360) -> Path:
    """Writes pictures at 8 per second, without loss but for the half resolution of colour."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(painted(number, width, height), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> list[NDArray[np.float32]]:
    """Pictures (H, W, 3) of a clip, 0 to 255, from its planes by the formula of BT.601."""
    pictures = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            width, height = frame.width, frame.height
            flat = frame.to_ndarray(format="yuv420p").reshape(-1).astype(np.float32)
            sizes = [(height, width), (height // 2, width // 2), (height // 2, width // 2)]
            planes = []
            for rows, columns in sizes:
                plane, flat = flat[: rows * columns].reshape(rows, columns), flat[rows * columns :]
                planes.append(resized(plane, width, height))
            luma = (planes[0] - 16) * 255 / 219
            blue, red = ((plane - 128) * 255 / 224 for plane in planes[1:])
            picture = np.stack(
                [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue],
                -1,
            )
            pictures.append(np.clip(picture, 0, 255))
    return pictures


def resized(plane: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """PIL's bilinear filter, which averages when it shrinks."""
    image = Image.fromarray(plane)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


class TestPreprocessing:
    """Pictures of FFmpeg's scaler against PIL's.

    Levels go from 0 to 255. Both average by the same triangle when they shrink, but FFmpeg's works
    in whole numbers of few bits: the mean differences found are 0.29 to 0.54 on these clips and 0.3
    on a real one, of which rounding to whole levels costs 0.25. A crop that is off by a row costs 7
    or more, a bicubic filter 1 or more, one that does not average 4 or more, colour at half
    resolution 1.3 or more.
    """

    LIMIT = 0.7

    @pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (320, 240)])
    @pytest.mark.parametrize("short", [256, 232])
    def test_shorter_side_and_crop(
        self, tmp_path: Path, width: int, height: int, short: int
    ) -> None:
        path = write_painted(tmp_path / "clip.mkv", 2, width, height)
        view = Pictures(8.0, 224, 224, short, "BILINEAR")
        (segment,) = Clip(path).segments(0.25, (view,))
        found = segment.views[view]
        assert found is not None
        wide, high = short * width // min(width, height), short * height // min(width, height)
        left, top = round((wide - 224) / 2), round((high - 224) / 2)
        for picture, full in zip(found, decoded(path), strict=True):
            for colour in range(3):
                whole = resized(np.ascontiguousarray(full[..., colour]), wide, high)
                expected = whole[top : top + 224, left : left + 224]
                assert np.abs(picture[..., colour] - expected).mean() < self.LIMIT
                shifted = whole[top + 1 : top + 225, left : left + 224]
                assert np.abs(picture[..., colour] - shifted).mean() > 5.0

    @pytest.mark.parametrize(("width", "height"), [(640, 360), (360, 640), (1280, 720)])
    def test_stretching(self, tmp_path: Path, width: int, height: int) -> None:
        path = write_painted(tmp_path / "clip.mkv", 2, width, height)
        view = Pictures(8.0, 112, 112, scaling="BILINEAR")
        (segment,) = Clip(path).segments(0.25, (view,))
        found = segment.views[view]
        assert found is not None
        for picture, full in zip(found, decoded(path), strict=True):
            for colour in range(3):
                expected = resized(np.ascontiguousarray(full[..., colour]), 112, 112)
                assert np.abs(picture[..., colour] - expected).mean() < self.LIMIT

    def test_a_real_clip(self, shared_media: Path) -> None:
        (path,) = shared_media.glob("*.mp4")
        view = Pictures(8.0, 112, 112, scaling="BILINEAR")
        first = next(iter(Clip(path).segments(1.0, (view,)))).views[view]
        assert first is not None
        with av.open(str(path)) as container:
            rate = float(container.streams.video[0].average_rate)
        full = decoded(path)[int(0.5 / 8 * rate)]
        for colour in range(3):
            expected = resized(np.ascontiguousarray(full[..., colour]), 112, 112)
            assert np.abs(first[0, ..., colour] - expected).mean() < self.LIMIT

    @pytest.mark.parametrize("name", ["pictures", "motion"])
    def test_normalisation_of_every_level(self, name: str, request: pytest.FixtureRequest) -> None:
        extractor = request.getfixturevalue(name)
        module = resnet152 if name == "pictures" else r2plus1d
        levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
        pixels = np.concatenate([levels, levels[:, ::-1], levels[:, :, ::-1]], -1)
        found = extractor.backbone.inputs(pixels).numpy()
        assert found.shape == (1, 3, 16, 16)
        assert found.dtype == np.float32
        for colour in range(3):
            expected = (pixels[..., colour] / 255.0 - module.MEAN[colour]) / module.STD[colour]
            np.testing.assert_allclose(found[:, colour], expected, atol=1e-6)


class TestClips:
    def test_both_from_one_decoding(
        self, weights: Path, tmp_path: Path, pictures: Extractor, motion: Extractor
    ) -> None:
        path = write_painted(tmp_path / "clip.mkv", 4)
        both = load_extractor("resnet152,r2plus1d")
        features = both.extract(path, 0.25)
        assert features.streams["visual_2d"].shape == (4, 2048)
        assert features.streams["visual_3d"].shape == (2, 512)
        (one,), (two,) = pictures.views, motion.views
        segments = list(Clip(path).segments(0.25, (one, two)))
        last = pictures.describe([segments[1:]], 0.25)["visual_2d"]
        assert relative(features.streams["visual_2d"][2:], last) < 1e-5
        assert relative(features.streams["visual_2d"][:2], last) > 1e-3

    def test_sound_alone_gives_zeros(self, pictures: Extractor, make_clip: Any) -> None:
        path = make_clip("sound.mp4", sound=np.full(16000, 0.1, np.float32))
        features = pictures.extract(path)
        assert features.streams["visual_2d"].shape == (8, 2048)
        assert not features.streams["visual_2d"].any()


class TestSettings:
    def test_files_are_known_without_torch(self) -> None:
        program = (
            "import sys\n"
            "from rlld.features import extractor_configs\n"
            "found = extractor_configs('resnet152(weights=IMAGENET1K_V2),r2plus1d(batch=8)')\n"
            "print(*[file.file for config in found.values() for file in config.files()])\n"
            "assert not {'torch', 'torchvision'} & set(sys.modules)\n"
        )
        assert run(program).split() == [RESNET_2, VIDEO]

    @pytest.mark.parametrize(
        ("features", "told"),
        [
            ("resnet152(weights=IMAGENET21K)", "IMAGENET1K_V1"),
            ("resnet152(batch=0)", "batch must be at least 1, found 0"),
            ("r2plus1d(batch=-1)", "batch must be at least 1, found -1"),
            ("r2plus1d(weights=KINETICS400_V1)", "unknown key 'weights'"),
        ],
    )
    def test_wrong_ones(self, features: str, told: str) -> None:
        with pytest.raises(RlldError, match=told):
            extractor_configs(features)

    @pytest.mark.parametrize(("name", "file"), [("resnet152", RESNET), ("r2plus1d", VIDEO)])
    def test_weights_that_are_not_there(
        self, name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RLLD_WEIGHTS", str(tmp_path))
        with pytest.raises(RlldError) as told:
            load_extractor(name)
        assert str(tmp_path / file) in str(told.value)
        assert f"https://download.pytorch.org/models/{file}" in str(told.value)

    def test_configs_are_plain_data(self) -> None:
        plain = {"weights": "IMAGENET1K_V2", "batch": 3}
        assert from_dict(resnet152.Config, plain, "x") == resnet152.Config("IMAGENET1K_V2", 3)


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3)
        self.fc = torch.nn.Linear(3, 2)


class TestWrongWeights:
    def backbone(self, path: Path) -> Backbone:
        return Backbone(Small, path, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def told(self, path: Path) -> str:
        with pytest.raises(RlldError) as error:
            self.backbone(path)
        message = str(error.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        return message

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "small.pth"
        torch.save(Small().state_dict(), path)
        return path

    def test_right_ones_are_taken_and_the_classifier_dropped(self, path: Path) -> None:
        state = torch.load(path)
        state["norm.running_mean"] = torch.tensor([1.0, 2.0, 3.0])
        torch.save(state, path)
        network = self.backbone(path)._network
        assert network.norm.running_mean.tolist() == [1.0, 2.0, 3.0]
        assert isinstance(network.fc, torch.nn.Identity)
        assert not network.training
        assert not any(value.requires_grad for value in network.parameters())

    @pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 and so on"])
    def test_no_weights_at_all(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self.told(path)

    def test_cut_off(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-200])
        self.told(path)

    def test_something_else_that_was_saved(self, path: Path) -> None:
        torch.save([1, 2], path)
        self.told(path)

    def test_code_is_not_run(self, path: Path, tmp_path: Path) -> None:
        torch.save({"fc.weight": Hostile(tmp_path / "harm")}, path)
        self.told(path)
        assert not (tmp_path / "harm").exists()

    def test_a_key_too_few(self, path: Path) -> None:
        state = torch.load(path)
        del state["norm.running_var"]
        torch.save(state, path)
        assert "'norm.running_var' is missing" in self.told(path)

    def test_a_key_too_many(self, path: Path) -> None:
        torch.save({**torch.load(path), "more": torch.zeros(1)}, path)
        assert "'more'" in self.told(path)

    def test_another_shape(self, path: Path) -> None:
        torch.save({**torch.load(path), "fc.bias": torch.zeros(5)}, path)
        told = self.told(path)
        assert "'fc.bias'" in told
        assert "(5,)" in told
        assert "(2,)" in told

    def test_no_numbers(self, path: Path) -> None:
        torch.save({**torch.load(path), "fc.bias": torch.tensor([1.0, torch.nan])}, path)
        assert "'fc.bias'" in self.told(path)

    def test_those_of_the_other_network(
        self, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        os.link(weights / VIDEO, tmp_path / RESNET)
        monkeypatch.setenv("RLLD_WEIGHTS", str(tmp_path))
        with pytest.raises(RlldError, match=r"'conv1\.weight' is missing"):
            load_extractor("resnet152")


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def run(program: str, *folders: Path) -> str:
    """Runs a program in a process of its own, modules of the folders first."""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


PLAIN = """
try:
    import torchvision
except RuntimeError as error:
    print("plain:", error)
"""

MENDED = """
from rlld.errors import RlldError
from rlld.utils.extras import optional
try:
    module = optional("torchvision", "extractor 'x'")
    print("mended:", module.models)
except RlldError as error:
    print("told:", error)
"""


def fake(folder: Path, content: str) -> Path:
    """Writes a torchvision that does this when it is imported."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "part.py").write_text("value = 1\n")
    (package / "__init__.py").write_text(f"import torch\nfrom . import part\n{content}\n")
    return folder


class TestImport:
    """How torchvision is imported, each time in a fresh process."""

    UNFIT = (
        'torch.library.register_fake("torchvision::nms")(lambda a, b, c: a)\n'
        'torch.library.register_fake("torchvision::qnms")(lambda a, b, c: a)\n'
        'models = "networks"'
    )

    def test_one_that_does_not_fit(self, tmp_path: Path) -> None:
        answer = run(PLAIN + MENDED, fake(tmp_path, self.UNFIT)).splitlines()
        assert answer == ["plain: operator torchvision::nms does not exist", "mended: networks"]

    def test_one_that_fits_is_left_alone(self, tmp_path: Path) -> None:
        defined = 'torch.library.define("torchvision::nms", "(Tensor a) -> Tensor")\nmodels = "ok"'
        assert run(PLAIN + MENDED, fake(tmp_path, defined)) == "mended: ok\n"

    def test_one_that_is_broken_otherwise(self, tmp_path: Path) -> None:
        answer = run(MENDED, fake(tmp_path, 'raise RuntimeError("another CUDA\\nand so on")'))
        assert answer == (
            "told: extractor 'x' needs torchvision, which is installed but cannot be imported "
            "(another CUDA); reinstall a release that fits the other packages "
            f"(torch is {torch.__version__})\n"
        )

    def test_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torchvision", None)
        with pytest.raises(RlldError, match=r"not installed; pip install 'rlld\[features\]'"):
            resnet152.Config().build()

    def test_the_real_one(self) -> None:
        told = run(
            PLAIN + "from rlld.utils.extras import optional\n"
            "vision = optional('torchvision', 'x')\n"
            "print(vision.models.resnet152.__name__, vision.models.video.r2plus1d_18.__name__)\n"
        )
        assert told.splitlines()[-1] == "resnet152 r2plus1d_18"
