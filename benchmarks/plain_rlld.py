"""The paper's RLLD step written plainly: what the fast one is measured against.

Nobody published code of it, so this is what one would write from the paper on top of the published
task network: all picture frames through the linear layers, one call of the attention for each
modality, actions and rewards video by video, and after every step an evaluation of the validation
videos one at a time with the metric loop. The videos are in memory; no files are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import plain
from rlld.metrics import reference


@dataclass(frozen=True)
class Videos:
    """Videos in memory: audio (N, T, D), visual (N, T * frames, D), motion (N, T, D)."""

    audio: Tensor
    visual: Tensor
    motion: Tensor
    labels: Tensor
    dense: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def features(self, index: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the three streams of some videos."""
        return self.audio[index], self.visual[index], self.motion[index]


class PlainPolicy(nn.Module):
    """The label denoising network; state-dict keys are those of ``rlld``'s policy."""

    def __init__(self, classes: int, hidden: int, dims: dict[str, int]) -> None:
        super().__init__()
        self.fc_v = nn.Linear(dims["visual"], hidden)
        self.fc_st = nn.Linear(dims["visual_st"], hidden)
        self.fc_fusion = nn.Linear(2 * hidden, hidden)
        self.audio_state = nn.Linear(dims["audio"] + classes, hidden)
        self.visual_state = nn.Linear(hidden + classes, hidden)
        self.attention = plain.PlainLayer(hidden, 0.0)
        self.head = nn.Linear(hidden, classes)
        self.pooling = nn.Linear(hidden, classes, bias=False)
        nn.init.constant_(self.head.bias, 2.0)

    def forward(self, audio: Tensor, visual: Tensor, motion: Tensor, labels: Tensor) -> Tensor:
        """Returns the logits of keeping (B, 2, C)."""
        segments = audio.shape[1]
        frames = self.fc_v(visual)
        pictures = torch.stack([part.mean(1) for part in frames.chunk(segments, 1)], 1)
        sight = self.fc_fusion(torch.cat([pictures, self.fc_st(motion)], 2))
        every = labels.unsqueeze(1).repeat(1, segments, 1)
        sound = self.audio_state(torch.cat([audio, every], 2)).transpose(0, 1)
        sight = self.visual_state(torch.cat([sight, every], 2)).transpose(0, 1)
        pooled = []
        for own, other in ((sound, sight), (sight, sound)):
            hidden = self.attention(own, other).transpose(0, 1)
            pooled.append((self.pooling(hidden).softmax(1) * self.head(hidden)).sum(1))
        return torch.stack(pooled, 1)


class PlainRLLD:
    """Policy, task network and their optimizers; ``step`` is one step of Algorithm 1.

    Args:
        train: Training videos.
        validation: Validation videos with their events.
        dims: Feature dimensions by published stream name.
        hidden: Width of both networks.
    """

    def __init__(
        self, train: Videos, validation: Videos, dims: dict[str, int], hidden: int = 512
    ) -> None:
        self.train, self.validation = train, validation
        classes = train.labels.shape[1]
        self.policy = PlainPolicy(classes, hidden, dims)
        self.network = plain.PlainHAN(classes, hidden, dims=dims)
        self.policy_optimizer = torch.optim.Adam(self.policy.parameters(), lr=1e-4)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=5e-4)

    def step(self, index: Tensor) -> list[float]:
        """Takes one step on the videos at ``index``; returns the ten validation scores."""
        features, labels = self.train.features(index), self.train.labels[index]
        keep = torch.distributions.Bernoulli(logits=self.policy(*features, labels))
        actions = keep.sample()
        revised, undone = revise(labels, actions)
        self.learn(features, revised)
        scores = self.evaluate()
        reward = torch.zeros(len(index), 2)
        for video in range(len(index)):
            for modality, terminal in enumerate((scores[0], scores[6])):
                similar = inter_reward(labels[video], revised[video, modality])
                paid = -1.0 if undone[video] else similar + 0.1 * terminal
                reward[video, modality] = paid
        log_pi = (keep.log_prob(actions) * labels.unsqueeze(1)).sum(2)
        self.policy_optimizer.zero_grad()
        (-(reward * log_pi).sum(1).mean()).backward()
        self.policy_optimizer.step()
        return scores

    def learn(self, features: tuple[Tensor, Tensor, Tensor], revised: Tensor) -> None:
        """Takes a step of the task network on revised labels (B, 2, C)."""
        self.network.train()
        fused, audio, visual, _ = self.network(*features)
        video = torch.maximum(revised[:, 0], revised[:, 1])
        loss = (
            2 * functional.binary_cross_entropy(plain.clamped(audio), revised[:, 0])
            + functional.binary_cross_entropy(plain.clamped(visual), revised[:, 1])
            + functional.binary_cross_entropy(plain.clamped(fused), video)
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def evaluate(self) -> list[float]:
        """Returns the ten scores of the validation videos, one forward pass for each."""
        self.network.eval()
        rows = []
        with torch.no_grad():
            for video in range(len(self.validation)):
                one = slice(video, video + 1)
                _, audio, visual, frames = self.network(*self.validation.features(one))
                gate = torch.stack([audio[0], visual[0]]).numpy() >= 0.5
                predicted = (frames[0].numpy() >= 0.5) & gate
                rows.append(reference.video_scores(predicted, self.validation.dense[video]))
        return reference.ten_from_rows(rows)


def revise(labels: Tensor, actions: Tensor) -> tuple[Tensor, list[bool]]:
    """Removes labels, and gives them back where a video would have none (Eq. 5, section 4.1)."""
    revised, undone = labels.unsqueeze(1) * actions, []
    for video in range(len(labels)):
        empty = bool(labels[video].sum() > 0) and bool(revised[video].sum() == 0)
        if empty:
            revised[video] = labels[video]
        undone.append(empty)
    return revised, undone


def inter_reward(labels: Tensor, revised: Tensor) -> float:
    """Returns 0.6 R1 + 0.4 R2 of one video and modality (Eq. 9)."""
    before, after = 0.9 * labels + 0.05, 0.9 * revised + 0.05
    before, after = before / before.sum(), after / after.sum()
    there = (before * (before / after).log()).sum()
    back = (after * (after / before).log()).sum()
    cosine = functional.cosine_similarity(before, after, dim=0)
    return float(0.6 * torch.exp(-(there + back) / 2) + 0.4 * cosine)
