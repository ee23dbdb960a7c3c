"""The published way of training HAN, written plainly: what the fast version is measured against.

One ``.npy`` file per video and stream, all 80 picture frames through the linear layer, two calls of
the attention layer that also return their weights, evaluation video by video with a look-up in the
annotation table. It is also the independent implementation that the network's tests compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

STREAMS = {"audio": "vggish", "visual": "res152", "visual_st": "r2plus1d_18"}
DIMS = {"audio": 128, "visual": 2048, "visual_st": 512}


class PlainLayer(nn.Module):
    """One hybrid attention layer, called once for each modality."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(hidden, 1, dropout=dropout)
        self.cm_attn = nn.MultiheadAttention(hidden, 1, dropout=dropout)
        self.linear1 = nn.Linear(hidden, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden)
        self.norm2 = nn.LayerNorm(hidden)
        self.drop = nn.ModuleList(nn.Dropout(dropout) for _ in range(4))

    def forward(self, query: Tensor, other: Tensor, cross_attention: bool = True) -> Tensor:
        """Query and other are (T, B, hidden), as ``nn.MultiheadAttention`` wants them."""
        within = self.self_attn(query, query, query, need_weights=True)[0]
        if cross_attention:
            across = self.cm_attn(query, other, other, need_weights=True)[0]
            hidden = query + self.drop[0](across) + self.drop[1](within)
        else:
            hidden = query + self.drop[1](within)
        hidden = self.norm1(hidden)
        inner = self.linear2(self.drop[2](torch.relu(self.linear1(hidden))))
        return self.norm2(hidden + self.drop[3](inner))


class PlainHAN(nn.Module):
    """HAN in the order of the paper; state-dict keys are the published ones."""

    def __init__(
        self,
        classes: int = 25,
        hidden: int = 512,
        dropout: float = 0.1,
        layers: int = 1,
        chained: bool = False,
        dims: dict[str, int] | None = None,
    ) -> None:
        super().__init__()
        dims = dims or DIMS
        self.chained = chained
        self.fc_a = nn.Linear(dims["audio"], hidden)
        self.fc_v = nn.Linear(dims["visual"], hidden)
        self.fc_st = nn.Linear(dims["visual_st"], hidden)
        self.fc_fusion = nn.Linear(2 * hidden, hidden)
        self.fc_prob = nn.Linear(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, classes)
        self.fc_av_att = nn.Linear(hidden, classes)
        self.hat_encoder = nn.Module()
        self.hat_encoder.layers = nn.ModuleList(PlainLayer(hidden, dropout) for _ in range(layers))

    def forward(
        self, audio: Tensor, visual: Tensor, visual_st: Tensor, cross_attention: bool = True
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns the global, audio, visual and segment probabilities."""
        segments = audio.shape[1]
        sound = self.fc_a(audio).transpose(0, 1)
        frames = self.fc_v(visual)
        pictures = torch.stack([part.mean(1) for part in frames.chunk(segments, 1)], 1)
        motion = self.fc_st(visual_st)
        sight = self.fc_fusion(torch.cat([pictures, motion], 2)).transpose(0, 1)
        first_sound, first_sight = sound, sight
        for layer in self.hat_encoder.layers:
            inputs = (sound, sight) if self.chained else (first_sound, first_sight)
            sound = layer(inputs[0], inputs[1], cross_attention)
            sight = layer(inputs[1], inputs[0], cross_attention)
        both = torch.stack([sound.transpose(0, 1), sight.transpose(0, 1)], 2)
        probability = torch.sigmoid(self.fc_prob(both))
        over_time = torch.softmax(self.fc_frame_att(both), 1)
        over_modality = torch.softmax(self.fc_av_att(both), 2)
        weighted = over_time * probability
        fused = (weighted * over_modality).sum(2).sum(1)
        return fused, weighted[:, :, 0].sum(1), weighted[:, :, 1].sum(1), probability


class PlainFiles(Dataset[dict[str, Tensor | str]]):
    """Videos as files of the published layout, read one at a time."""

    def __init__(self, folder: Path, ids: list[str], labels: np.ndarray) -> None:
        self.folder, self.ids, self.labels = folder, ids, labels

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Tensor | str]:
        name = self.ids[index]
        sample: dict[str, Tensor | str] = {
            stream: torch.from_numpy(np.load(self.folder / kind / f"{name}.npy"))
            for stream, kind in STREAMS.items()
        }
        return {**sample, "label": torch.from_numpy(self.labels[index]), "name": name}


@dataclass(frozen=True)
class Table:
    """A dense annotation table as its columns: name, onset, offset, class index."""

    names: np.ndarray
    onsets: np.ndarray
    offsets: np.ndarray
    classes: np.ndarray

    def rasterise(self, name: str, segments: int, classes: int) -> np.ndarray:
        """Looks a video up in the whole table and paints its events (C, T)."""
        found = np.zeros((classes, segments), dtype=bool)
        for row in np.flatnonzero(self.names == name):
            found[self.classes[row], self.onsets[row] : self.offsets[row]] = True
        return found


def clamped(probability: Tensor) -> Tensor:
    """The published guard against log(0)."""
    return probability.clamp(1e-7, 1 - 1e-7)


def loss(outputs: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The three cross-entropies, the visual target smoothed."""
    fused, audio, visual, _ = outputs
    smooth = 0.9 * labels + 0.05
    return (
        functional.binary_cross_entropy(clamped(audio), labels)
        + functional.binary_cross_entropy(clamped(visual), smooth)
        + functional.binary_cross_entropy(clamped(fused), labels)
    )


def train_epoch(
    network: PlainHAN, files: PlainFiles, optimizer: torch.optim.Optimizer, batch_size: int
) -> int:
    """Trains one epoch from files; returns the videos seen."""
    network.train()
    for sample in DataLoader(files, batch_size=batch_size, shuffle=True):
        optimizer.zero_grad()
        outputs = network(sample["audio"], sample["visual"], sample["visual_st"])
        loss(outputs, sample["label"]).backward()
        optimizer.step()
    return len(files)


def evaluate(
    network: PlainHAN, files: PlainFiles, audio: Table, visual: Table
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts video by video with the global gate and looks its annotation up.

    Returns:
        Predicted and true events (N, T, 2, C), bool.
    """
    network.eval()
    predicted, true = [], []
    with torch.no_grad():
        for sample in DataLoader(files, batch_size=1):
            fused, _, _, frames = network(sample["audio"], sample["visual"], sample["visual_st"])
            gate = fused[0].numpy() >= 0.5
            segment = frames[0].numpy() >= 0.5
            segments, _, classes = segment.shape
            predicted.append(segment & gate)
            name = sample["name"][0]
            truth = [table.rasterise(name, segments, classes).T for table in (audio, visual)]
            true.append(np.stack(truth, 1))
    return np.stack(predicted), np.stack(true)
