"""Random weights of the right size, in the layout of the published files."""

from __future__ import annotations

from pathlib import Path

import torch

from rlld.utils.extras import optional

FILES = {
    "vggish": "vggish-10086976.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "r2plus1d": "r2plus1d_18-91a641e6.pth",
}
VGGISH = {
    "features.0": (64, 1, 3, 3),
    "features.3": (128, 64, 3, 3),
    "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3),
    "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3),
    "embeddings.0": (4096, 12288),
    "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}


def write_random_weights(name: str, folder: Path) -> Path:
    """Writes the file of an extractor and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(len(name))
    if name == "vggish":
        state = {}
        for layer, shape in VGGISH.items():
            fan_in = torch.Size(shape[1:]).numel()
            state[f"{layer}.weight"] = torch.randn(shape) * (2 / fan_in) ** 0.5
            state[f"{layer}.bias"] = torch.zeros(shape[0])
    else:
        models = optional("torchvision", "random weights").models
        network = {"resnet152": models.resnet152, "r2plus1d": models.video.r2plus1d_18}[name]()
        state = network.state_dict()
    torch.save(state, folder / FILES[name])
    return folder / FILES[name]
