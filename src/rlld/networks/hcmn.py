"""HCMN, the main network of DHHN: hybrid attention at three scales of time (Jiang et al., 2022).

Source: ``nets/net_audiovisual.py`` of CFM-MSG/Code_DHHN, class ``HCMN``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.networks import base
from rlld.networks._blocks import (
    HybridAttentionLayer,
    StreamEmbedding,
    full_precision,
    fused_heads,
    mmil_pool,
)
from rlld.networks._published import Layout, sizes
from rlld.types import Prediction
from rlld.utils.config import Share, require_positive

SCALES = ((1, 1, 0), (3, 2, 1), (5, 5, 2))
"""Kernel, stride and padding of the convolution of each scale; 10 segments become 10, 5 and 2."""


@dataclass(frozen=True)
class Config(base.Config):
    """Options of HCMN.

    Attributes:
        hidden: Width of the model.
        attention_dropout: Dropout inside the attention layer.
        cross_attention: Whether a modality attends to the other one.

    Raises:
        RlldError: If ``hidden`` is not positive.
    """

    hidden: int = 512
    attention_dropout: Share = 0.1
    cross_attention: bool = True

    def __post_init__(self) -> None:
        require_positive("network hcmn: ", self, "hidden")


class _Norm(nn.BatchNorm1d):
    """Batch normalisation that also takes a batch of a single value per channel."""

    def forward(self, value: Tensor) -> Tensor:
        # Such a batch (one short video is left over) has no spread to divide by.
        if self.training and value.shape[0] * value.shape[2] == 1:
            return functional.batch_norm(
                value, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(value)


class _Convolution(nn.Module):
    """The segments of one modality at one scale; the keys are the published ones."""

    def __init__(self, hidden: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        conv = nn.Conv1d(hidden, hidden, kernel, stride, padding, bias=False)
        self.blocks = nn.ModuleList([nn.Sequential(conv, _Norm(hidden), nn.ReLU())])

    def forward(self, rows: Tensor) -> Tensor:
        """Maps (B, T, hidden) to (B, T of the scale, hidden)."""
        out: Tensor = self.blocks[0](rows.transpose(1, 2))
        return out.transpose(1, 2)


@Config.makes
class HCMN(StreamEmbedding):
    """The network; its state dict has the keys of the published one.

    Attributes:
        config: Its options.
    """

    gives = base.EMBEDDINGS

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config = config
        hidden, classes = config.hidden, len(spec.classes)
        self.conv_x1 = nn.ModuleList(_Convolution(hidden, *scale) for scale in SCALES)
        self.conv_x2 = nn.ModuleList(_Convolution(hidden, *scale) for scale in SCALES)
        layer = HybridAttentionLayer(hidden, config.attention_dropout)
        self.hat_encoder = nn.ModuleDict({"layers": nn.ModuleList([layer])})
        self.fc_prob = nn.Linear(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, classes)
        self.fc_av_att = nn.Linear(hidden, classes)

    def forward(self, streams: Mapping[str, Tensor]) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged first.

        Returns:
            The prediction. Its extras hold the embeddings (B, T, hidden) ``audio_before`` and
            ``visual_before`` the convolutions, ``audio_after`` and ``visual_after`` the attention,
            summed over the scales.
        """
        embedded = self.embed(streams)
        return self.predict(embedded, self.convolve(embedded))

    def unimodal(self, streams: Mapping[str, Tensor]) -> Prediction:
        """Predicts without cross-modal attention."""
        embedded = self.embed(streams)
        return self.predict(embedded, self.convolve(embedded), cross_attention=False)

    def with_unimodal(self, streams: Mapping[str, Tensor]) -> tuple[Prediction, Prediction]:
        """Predicts without cross-modal attention and gradient, then usually.

        Both share embeddings and convolutions, so that batch normalisation sees a batch once.
        """
        embedded = self.embed(streams)
        scales = self.convolve(embedded)
        with torch.no_grad():
            unimodal = self.predict(embedded, scales, cross_attention=False)
        return unimodal, self.predict(embedded, scales)

    def convolve(self, embedded: Tensor) -> list[Tensor]:
        """Returns both modalities at each scale, (2, B, T of the scale, hidden)."""
        audio, visual = embedded.unbind(0)
        pairs = zip(self.conv_x1, self.conv_x2, strict=True)
        return [torch.stack([hear(audio), see(visual)]) for hear, see in pairs]

    def attend(self, scales: list[Tensor], cross_attention: bool | None = None) -> list[Tensor]:
        """Applies the attention layer that all scales share.

        Args:
            scales: What ``convolve`` returned.
            cross_attention: Overrides the option of that name for this call.
        """
        cross = self.config.cross_attention if cross_attention is None else cross_attention
        layer = self.hat_encoder["layers"][0]  # type: ignore[index]
        return [layer(scale, cross) for scale in scales]

    def predict(
        self, embedded: Tensor, scales: list[Tensor], cross_attention: bool | None = None
    ) -> Prediction:
        """Predicts from the convolved embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            scales: What ``convolve`` returned.
            cross_attention: Overrides the option of that name for this call.
        """
        sums = top_down(self.attend(scales, cross_attention))
        heads = (self.fc_prob, self.fc_frame_att, self.fc_av_att)
        # (scales, 2, B, T, C) becomes (scales * B, T, 2, C): a scale is pooled like a video.
        logits = [head.permute(0, 2, 3, 1, 4).flatten(0, 1) for head in fused_heads(heads, sums)]
        event_logits, time_logits, modality_logits = logits
        segment = event_logits.sigmoid()
        pooled = mmil_pool(segment, time_logits, modality_logits)
        audio, visual, video = (_scale_mean(value) for value in pooled)
        before, after = embedded.unbind(0), sums[-1].unbind(0)
        extras = {
            "audio_before": full_precision(before[0]),
            "visual_before": full_precision(before[1]),
            "audio_after": full_precision(after[0]),
            "visual_after": full_precision(after[1]),
        }
        return Prediction(_scale_mean(segment), audio, visual, video, extras)


def top_down(scales: list[Tensor]) -> Tensor:
    """Adds each coarser scale to the sum of the finer ones, stretched to their length.

    Args:
        scales: From fine to coarse, (2, B, T of the scale, hidden); the first has T segments.

    Returns:
        The running sums (scales, 2, B, T, hidden).
    """
    sums = [scales[0]]
    segments = scales[0].shape[2]
    for scale in scales[1:]:
        length = scale.shape[2]
        nearest = torch.arange(segments, device=scale.device) * length // segments
        sums.append(sums[-1] + scale[:, :, nearest])
    return torch.stack(sums)


def _scale_mean(value: Tensor) -> Tensor:
    """Averages (scales * B, ...) over the scales."""
    return value.reshape(len(SCALES), -1, *value.shape[1:]).mean(0)


PUBLISHED = (
    Layout(
        "HCMN",
        "dhhn",
        {"network": "hcmn", "objective": "mil", "selection.parts": {}},
        dead=("hat_encoder.norm1.", "hat_encoder.norm2."),
        infer=lambda state: sizes(state, hidden=("fc_a.weight", 0)),
    ),
)
"""Checkpoints ``*_aud-vis.pt``, ``*_audio.pt`` and ``*_video.pt`` of CFM-MSG/Code_DHHN."""
