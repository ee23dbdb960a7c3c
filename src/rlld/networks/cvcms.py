"""CVCMS: events read off class tokens that see each other, taught across videos (NeurIPS 2021).

Lin et al., "Exploring Cross-Video and Cross-Modality Signals for Weakly-Supervised Audio-Visual
Video Parsing". Source: ``nets/net_trans.py`` of GenjiB/CM-Co-Occurrence-AVVP, class ``MMIL_Net``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks import base
from rlld.networks._attention import HybridAttentionLayer
from rlld.networks._blocks import (
    CrossAttending,
    full_precision,
    fused_heads,
    mmil_pool,
)
from rlld.networks._published import Layout, sizes
from rlld.networks._sight import sight_of
from rlld.types import AUDIO, VISUAL, Prediction
from rlld.utils.config import Share, require_positive


@dataclass(frozen=True)
class Config(base.Config):
    """Options of CVCMS; the defaults are those of its ``run.sh``.

    Attributes:
        hidden: Width of the model.
        feedforward: Width inside its feed-forward block (``forward_dim``); ``hidden`` when None.
        token_width: Width of a class token (``occ_dim``); a quarter of ``hidden`` when None.
        dropout: Dropout of the attention over segments (``prob_drop``).
        token_dropout: Dropout of the attention over class tokens (``prob_drop_occ``).

    Raises:
        RlldError: If a width is not positive.
    """

    hidden: int = 512
    feedforward: int | None = None
    token_width: int | None = None
    dropout: Share = 0.4
    token_dropout: Share = 0.25

    def __post_init__(self) -> None:
        require_positive("network cvcms: ", self, "hidden", "feedforward", "token_width")

    @property
    def tokens(self) -> int:
        """Width of a class token."""
        return self.token_width or max(1, self.hidden // 4)


@Config.makes
class CVCMS(CrossAttending):
    """The network; its state dict has the keys of the live part of the published one.

    In training, every audio track also meets the picture of a random other video of the batch. What
    the attention makes of these pairs serves the contrast of the method's objective alone.

    Attributes:
        config: Its options.
    """

    gives = base.EMBEDDINGS | {"time_logits"}

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config = config
        hidden, tokens, classes = config.hidden, config.tokens, len(spec.classes)
        self.fc_frame_att = nn.Linear(hidden, classes)
        self.fc_av_att = nn.Linear(hidden, classes)
        self.fc_occ_class_a = nn.Linear(hidden, classes * tokens)
        self.fc_occ_class_v = nn.Linear(hidden, classes * tokens)
        self.fc_occ_prob_a = nn.Linear(tokens, 1)
        self.fc_occ_prob_v = nn.Linear(tokens, 1)
        over_time = HybridAttentionLayer(hidden, config.dropout, config.feedforward)
        over_classes = HybridAttentionLayer(tokens, config.token_dropout)
        self.hat_encoder = nn.ModuleDict({"layers": nn.ModuleList([over_time])})
        self.av_class_encoder = nn.ModuleDict({"layers": nn.ModuleList([over_classes])})

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged first.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold the embeddings (B, T, hidden) ``audio_before`` and
            ``visual_before`` the attention, ``audio_after`` and ``visual_after`` it, and
            ``time_logits`` (B, T, 2, C). In training there are also ``partner`` (B,), the video
            whose picture each audio track met, and of these pairs ``mixed_audio_after``,
            ``mixed_visual_after`` and ``mixed_time_logits``.
        """
        return self.predict(self.embed(streams), mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings, so that two passes over a batch can share them.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether a modality attends to the other one.
            mask: As in ``forward``.
        """
        videos = embedded.shape[1]
        partner = self._partners(embedded)
        both, parts = embedded, mask
        if partner is not None:
            mixed = torch.stack([embedded[AUDIO], embedded[VISUAL][partner]])
            both = torch.cat([embedded, mixed], 1)
            if mask is not None:
                # The tracks of a mixed pair may be of different lengths.
                pairs = torch.cat([mask, mask]), torch.cat([mask, mask[partner]])
                parts = torch.stack(pairs)
        over_time = self.hat_encoder["layers"][0]  # type: ignore[index]
        attended = over_time(both, cross_attention, sight_of(both, parts))
        heads = fused_heads((self.fc_frame_att, self.fc_av_att), attended)
        time_logits, modality_logits = (head.permute(1, 2, 0, 3) for head in heads)
        segment = self._segments(attended[:, :videos], cross_attention)
        pooled = mmil_pool(segment, time_logits[:videos], modality_logits[:videos], mask)
        audio, visual = full_precision(attended).unbind(0)
        before = full_precision(embedded)
        extras = {
            "audio_before": before[AUDIO],
            "visual_before": before[VISUAL],
            "audio_after": audio[:videos],
            "visual_after": visual[:videos],
            "time_logits": time_logits[:videos],
        }
        if partner is not None:
            extras |= {
                "partner": partner,
                "mixed_audio_after": audio[videos:],
                "mixed_visual_after": visual[videos:],
                "mixed_time_logits": time_logits[videos:],
            }
        return Prediction(segment, *pooled, extras).within(mask)

    def _partners(self, embedded: Tensor) -> Tensor | None:
        """Draws another video for each one, where somebody learns from it and there is one."""
        videos, device = embedded.shape[1], embedded.device
        if not (self.training and torch.is_grad_enabled()) or videos < 2:
            return None
        ahead = torch.randint(1, videos, (videos,), device=device)
        return (torch.arange(videos, device=device) + ahead) % videos

    def _segments(self, attended: Tensor, cross_attention: bool) -> Tensor:
        """Returns the segment probabilities (B, T, 2, C) of the class tokens."""
        _, videos, segments, _ = attended.shape
        tokens = torch.stack(
            [self.fc_occ_class_a(attended[AUDIO]), self.fc_occ_class_v(attended[VISUAL])]
        )
        # A segment is a sequence of classes here, as a video is one of segments elsewhere.
        tokens = tokens.relu().view(2, videos * segments, -1, self.config.tokens)
        met = self.av_class_encoder["layers"][0](tokens, cross_attention)  # type: ignore[index]
        logits = torch.cat([self.fc_occ_prob_a(met[AUDIO]), self.fc_occ_prob_v(met[VISUAL])], -1)
        return full_precision(logits).sigmoid().view(videos, segments, -1, 2).transpose(2, 3)


_UNUSED = (
    "fc_prob.",
    "fc_occ_class_av.",
    *(f"fc_occ_{stream}_{part}." for stream in ("a", "v", "av") for part in ("q", "k", "v")),
    "fc_occ_frame_prob.",
    "fc_occ_modality_prob.",
    "frame_att_encoder.",
    "modality_encoder.",
    "hat_encoder.norm1.",
    "hat_encoder.norm2.",
    "av_class_encoder.norm1.",
    "av_class_encoder.norm2.",
)
PUBLISHED = (
    Layout(
        "CVCMS",
        "cvcms",
        dead=_UNUSED,
        infer=lambda state: sizes(
            state,
            hidden=("fc_a.weight", 0),
            feedforward=("hat_encoder.layers.0.linear1.weight", 0),
            token_width=("fc_occ_prob_a.weight", 1),
        ),
    ),
)
"""State dicts of GenjiB/CM-Co-Occurrence-AVVP."""
