"""The label denoising network (section 3.2): one keep probability per video, modality, class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.denoisers.reinforced.options import Options
from rlld.networks._attention import HybridAttentionLayer
from rlld.networks._blocks import (
    VisualEmbedding,
    full_precision,
    stored,
    time_mean,
    time_weights,
)
from rlld.networks._sight import sight_of
from rlld.networks.base import built

CHUNK = 1024
"""Videos judged at once, so that a whole training split passes in flat memory."""

CERTAIN = 40.0
"""A logit whose sigmoid is exactly 1 in float32 and float64: a branch that always keeps."""


class Policy(VisualEmbedding):
    """Maps features and weak labels to the logits of keeping each label.

    The state of a segment is its feature beside the weak labels (Eq. 1); the visual feature is the
    fusion of the picture and motion streams, as in HAN. A hybrid attention layer (Eq. 2-3) reads
    the two state sequences, and one linear layer shared by both modalities (the W of Eq. 4) gives
    a logit per segment and class, which is pooled over the segments.

    Args:
        config: Width, pooling, state and initial bias.
        spec: The data set.
    """

    def __init__(self, config: Options, spec: DataSpec) -> None:
        nn.Module.__init__(self)
        hidden, classes, dims = config.hidden, len(spec.classes), spec.dims
        self.initial_labels = config.initial_labels
        self.keeps_audio = config.audio == "keep"
        self.fuses = "visual_3d" in dims
        if self.fuses:
            self.add_visual_layers(hidden, spec)
        visual = hidden if self.fuses else dims["visual_2d"]
        extra = classes if config.initial_labels else 0
        self.audio_state = nn.Linear(dims["audio"] + extra, hidden)
        self.visual_state = nn.Linear(visual + extra, hidden)
        self.attention = HybridAttentionLayer(hidden, config.dropout)
        self.head = nn.Linear(hidden, classes)
        nn.init.constant_(self.head.bias, config.initial_bias)
        # No bias: a softmax over the segments would cancel it.
        attentive = config.pooling == "attentive"
        self.pooling = nn.Linear(hidden, classes, bias=False) if attentive else None

    def forward(
        self, streams: Mapping[str, Tensor], labels: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Judges every label.

        Args:
            streams: Features by stream name, each (B, T, D of that stream).
            labels: Weak labels (B, C).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            Logits of keeping (B, 2, C); those of absent labels have no meaning.
        """
        audio = self.audio_state(self._state(streams["audio"], labels))
        visual = self.visual_state(self._state(self._visual(streams), labels))
        both = torch.stack([audio, visual])
        hidden = self.attention(both, sight=sight_of(both, mask))
        logits = full_precision(self._pool(hidden, mask)).transpose(0, 1)
        if self.keeps_audio:
            return torch.stack([torch.full_like(logits[:, 0], CERTAIN), logits[:, 1]], 1)
        return logits

    def _visual(self, streams: Mapping[str, Tensor]) -> Tensor:
        if not self.fuses:
            return streams["visual_2d"]
        return self.fuse_visual(streams["visual_2d"], streams["visual_3d"])

    def _state(self, features: Tensor, labels: Tensor) -> Tensor:
        features = stored(features, self.head)
        if not self.initial_labels:
            return features
        every_segment = labels.to(features.dtype).unsqueeze(1).expand(-1, features.shape[1], -1)
        return torch.cat([features, every_segment], -1)

    def _pool(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Pools (2, B, T, hidden) to logits (2, B, C); the sigmoid follows the pooling."""
        logits: Tensor = self.head(hidden)
        if self.pooling is None:
            if mask is None:
                return logits.mean(2)
            return torch.stack([time_mean(each, mask) for each in logits])
        weights: Tensor = self.pooling(hidden)
        if mask is None:
            weights = weights.softmax(2)
        else:
            weights = torch.stack([time_weights(each, mask) for each in weights])
        return (weights * logits).sum(2)


def initialised(config: Options, spec: DataSpec, seed: int) -> Policy:
    """Returns a policy whose first weights depend on the seed alone.

    Args:
        config: Options.
        spec: The data set.
        seed: Seed; torch's global generators stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return built(lambda: Policy(config, spec), "denoiser reinforced: the policy")
