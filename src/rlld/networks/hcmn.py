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
from rlld.networks._attention import HybridAttentionLayer
from rlld.networks._blocks import (
    StreamEmbedding,
    full_precision,
    fused_heads,
    mmil_pool,
    within,
)
from rlld.networks._published import Layout, sizes
from rlld.networks._sight import sight_of
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

    def forward(self, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalises (B, hidden, T), by the places of the mask (B, T) where there is one."""
        if mask is not None:
            rows = value.transpose(1, 2)
            inside = self(rows[mask].T.unsqueeze(0)).squeeze(0).T
            return torch.zeros_like(rows).masked_scatter(mask[..., None], inside).transpose(1, 2)
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
        self.stride = stride
        conv = nn.Conv1d(hidden, hidden, kernel, stride, padding, bias=False)
        self.blocks = nn.ModuleList([nn.Sequential(conv, _Norm(hidden), nn.ReLU())])

    def forward(self, rows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (B, T, hidden) to (B, T of the scale, hidden); a video ends where its mask does."""
        conv, norm, cut = self.blocks[0].children()
        convolved = conv(within(rows, mask).transpose(1, 2))
        out: Tensor = cut(norm(convolved, at_scale(mask, self.stride)))
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

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged first.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold the embeddings (B, T, hidden) ``audio_before`` and
            ``visual_before`` the convolutions, ``audio_after`` and ``visual_after`` the attention,
            summed over the scales.
        """
        embedded = self.embed(streams)
        return self.predict(embedded, self.convolve(embedded, mask), mask=mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts without cross-modal attention."""
        embedded = self.embed(streams)
        scales = self.convolve(embedded, mask)
        return self.predict(embedded, scales, cross_attention=False, mask=mask)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts without cross-modal attention and gradient, then usually.

        Both share embeddings and convolutions, so that batch normalisation sees a batch once.
        """
        embedded = self.embed(streams)
        scales = self.convolve(embedded, mask)
        with torch.no_grad():
            unimodal = self.predict(embedded, scales, cross_attention=False, mask=mask)
        return unimodal, self.predict(embedded, scales, mask=mask)

    def convolve(self, embedded: Tensor, mask: Tensor | None = None) -> list[Tensor]:
        """Returns both modalities at each scale, (2, B, T of the scale, hidden)."""
        audio, visual = embedded.unbind(0)
        pairs = zip(self.conv_x1, self.conv_x2, strict=True)
        return [torch.stack([hear(audio, mask), see(visual, mask)]) for hear, see in pairs]

    def attend(
        self,
        scales: list[Tensor],
        cross_attention: bool | None = None,
        mask: Tensor | None = None,
    ) -> list[Tensor]:
        """Applies the attention layer that all scales share.

        Args:
            scales: What ``convolve`` returned.
            cross_attention: Overrides the option of that name for this call.
            mask: As in ``forward``.
        """
        cross = self.config.cross_attention if cross_attention is None else cross_attention
        layer = self.hat_encoder["layers"][0]  # type: ignore[index]
        masks = [at_scale(mask, stride) for _, stride, _ in SCALES]
        pairs = zip(scales, masks, strict=True)
        return [layer(scale, cross, sight_of(scale, own)) for scale, own in pairs]

    def predict(
        self,
        embedded: Tensor,
        scales: list[Tensor],
        cross_attention: bool | None = None,
        mask: Tensor | None = None,
    ) -> Prediction:
        """Predicts from the convolved embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            scales: What ``convolve`` returned.
            cross_attention: Overrides the option of that name for this call.
            mask: As in ``forward``.
        """
        sums = top_down(self.attend(scales, cross_attention, mask), mask)
        heads = (self.fc_prob, self.fc_frame_att, self.fc_av_att)
        # (scales, 2, B, T, C) becomes (scales * B, T, 2, C): a scale is pooled like a video.
        logits = [head.permute(0, 2, 3, 1, 4).flatten(0, 1) for head in fused_heads(heads, sums)]
        event_logits, time_logits, modality_logits = logits
        segment = event_logits.sigmoid()
        repeated = None if mask is None else mask.repeat(len(SCALES), 1)
        pooled = mmil_pool(segment, time_logits, modality_logits, repeated)
        audio, visual, video = (_scale_mean(value) for value in pooled)
        before, after = embedded.unbind(0), sums[-1].unbind(0)
        extras = {
            "audio_before": full_precision(before[0]),
            "visual_before": full_precision(before[1]),
            "audio_after": full_precision(after[0]),
            "visual_after": full_precision(after[1]),
        }
        return Prediction(_scale_mean(segment), audio, visual, video, extras).within(mask)


def at_scale(mask: Tensor | None, stride: int) -> Tensor | None:
    """Returns which places of a scale belong to their video: those over one of its segments."""
    return None if mask is None else mask[:, ::stride]


def top_down(scales: list[Tensor], mask: Tensor | None = None) -> Tensor:
    """Adds each coarser scale to the sum of the finer ones, stretched to their length.

    Args:
        scales: From fine to coarse, (2, B, T of the scale, hidden); the first has T segments.
        mask: Which segments belong to their video (B, T), bool; all when None. Each video is
            stretched to its own length.

    Returns:
        The running sums (scales, 2, B, T, hidden).
    """
    sums = [scales[0]]
    segments = scales[0].shape[2]
    place = torch.arange(segments, device=scales[0].device)
    for scale, (_, stride, _) in zip(scales[1:], SCALES[1:], strict=True):
        own = at_scale(mask, stride)
        if mask is None or own is None:
            stretched = scale[:, :, place * scale.shape[2] // segments]
        else:
            nearest = place * own.sum(1, keepdim=True) // mask.sum(1, keepdim=True)
            video = torch.arange(len(mask), device=mask.device)[:, None]
            stretched = scale[:, video, nearest.clamp(max=scale.shape[2] - 1)]
        sums.append(sums[-1] + stretched)
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
