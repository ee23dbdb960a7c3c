"""The network of CMPAE: evidence of presence and of absence (Gao, Chen and Xu, CVPR 2023).

Each probability is read off two kinds of evidence, of which the one of absence may look at the
other modality, and comes with an uncertainty. A branch beside the attention predicts the fused
video level. The published code is ``nets/net_audiovisual.py`` of MengyuanChen21/CVPR2023-CMPAE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.metrics.gates import FUSE_RATIO, fuse
from rlld.networks import base
from rlld.networks._activated import SLOPE, ActivatedEmbedding, layer
from rlld.networks._attention import HybridEncoder
from rlld.networks._blocks import Dropout, full_precision, time_mean, time_weights
from rlld.networks._published import Layout, State, depth, sizes
from rlld.networks._sight import Sight, sight_of
from rlld.types import AUDIO, MODALITIES, VISUAL, Prediction
from rlld.utils.config import YOUNG, Count, Share, require_positive

ATTENDED = 0.8
"""Share of the cross-modal encoding where both encodings are mixed."""

EVIDENCE_LIMIT = 10.0
EVIDENCE_TEMPERATURE = 0.8
BRIDGE_DROPOUT = 0.2


@dataclass(frozen=True)
class Config(base.Config):
    """Options of CMPAE's network.

    Attributes:
        hidden: Width of the model.
        layers: Hybrid attention layers, each of which reads the one before it.
        attention_dropout: Dropout inside the attention layers.
        visual_dropout: Dropout of the visual stream before the heads.
        fuse_ratio: Weight of the pass with cross-modal attention when predicting in evaluation
            mode; a pass without it has the rest. 1 does without the second pass.
        causal: Whether a segment attends to itself and to those before it only, for parsing while
            a video goes on.

    Raises:
        RlldError: If a value is out of range.
    """

    hidden: int = 512
    layers: Count = 1
    attention_dropout: Share = 0.1
    visual_dropout: Share = 0.5
    fuse_ratio: float = FUSE_RATIO
    causal: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        require_positive("network cmpae: ", self, "hidden", "layers")
        if not 0 <= self.fuse_ratio <= 1:
            raise RlldError(
                f"network cmpae: fuse_ratio must lie in [0, 1], found {self.fuse_ratio}"
            )


@Config.makes
class CMPAE(ActivatedEmbedding):
    """The network ``MMIL_Net``; its state dict has the keys of the published one.

    Attributes:
        config: Its options.
    """

    gives = base.EMBEDDINGS | {f"{name}_uncertainty" for name in ("audio", "visual", "video")}

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.causal = config, config.causal
        hidden, classes = config.hidden, len(spec.classes)
        self.hat_encoder = HybridEncoder(config.layers, hidden, config.attention_dropout)
        self.fc_prob = nn.Linear(hidden, classes)
        self.fc_prob_beta = nn.Linear(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, 2 * classes)
        self.v2a = layer(hidden, hidden, Dropout(BRIDGE_DROPOUT), nn.LeakyReLU(SLOPE))
        self.a2v = layer(hidden, hidden, Dropout(BRIDGE_DROPOUT), nn.LeakyReLU(SLOPE))
        self.classifier1 = layer(hidden, hidden, nn.LeakyReLU(SLOPE))
        self.classifier2 = nn.Linear(hidden, classes)
        self.visual_dropout = Dropout(config.visual_dropout)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; in evaluation mode two passes are mixed, with and without cross-attention.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), its frames are averaged after the first layer.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras, those of the pass with cross-attention, hold the
            embeddings (B, T, hidden) ``audio_before`` and ``visual_before`` the attention,
            ``audio_after`` and ``visual_after`` it (before ``visual_dropout``), and uncertainties
            in (0, 1): ``video_uncertainty`` (B,), ``audio_uncertainty`` and
            ``visual_uncertainty`` (B, C), ``segment_uncertainty`` (B, T, 2, C).
        """
        return self._usual(self.embed(streams), mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts without cross-modal attention, as the published denoising step does.

        Evidence of absence looks at the other modality all the same, as published.
        """
        return self.predict(self.embed(streams), cross_attention=False, mask=mask)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts without cross-modal attention and gradient, then usually, from one embedding."""
        embedded = self.embed(streams)
        with torch.no_grad():
            unimodal = self.predict(embedded, cross_attention=False, mask=mask)
        return unimodal, self._usual(embedded, mask)

    def _usual(self, embedded: Tensor, mask: Tensor | None) -> Prediction:
        ratio = self.config.fuse_ratio
        if self.training or ratio == 1:
            return self.predict(embedded, mask=mask)
        # Without dropout both passes encode a modality by itself alike: once is enough.
        sight = sight_of(embedded, mask, causal=self.causal)
        alone = self.hat_encoder(embedded, False, sight)
        attended = self._read(embedded, self._attended(embedded, alone, sight), mask)
        plain = self._read(embedded, alone, mask)
        return replace(fuse(attended, plain, ratio), extras=attended.extras, mask=mask)

    def predict(
        self, embedded: Tensor, cross_attention: bool = True, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts in one pass from embeddings.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            cross_attention: Whether a modality attends to the other one.
            mask: As in ``forward``.
        """
        sight = sight_of(embedded, mask, causal=self.causal)
        encoded = self.hat_encoder(embedded, False, sight)
        if cross_attention:
            encoded = self._attended(embedded, encoded, sight)
        return self._read(embedded, encoded, mask)

    def _attended(self, embedded: Tensor, alone: Tensor, sight: Sight) -> Tensor:
        """Mixes what each modality is by itself with what it is beside the other one."""
        crossed: Tensor = self.hat_encoder(embedded, True, sight)
        return (1 - ATTENDED) * alone + ATTENDED * crossed

    def _read(self, embedded: Tensor, encoded: Tensor, mask: Tensor | None) -> Prediction:
        evidence, attention = self._evidence(encoded, mask)
        segment, segment_uncertainty = opinion(evidence)
        modality, uncertainty = opinion((attention * evidence).sum(2))
        video, video_uncertainty = self._video(embedded, mask)
        extras = {
            "video_uncertainty": video_uncertainty,
            "segment_uncertainty": _by_segment(segment_uncertainty),
        }
        for index, name in enumerate(MODALITIES):
            extras[f"{name}_before"] = full_precision(embedded[index])
            extras[f"{name}_after"] = full_precision(encoded[index])
            extras[f"{name}_uncertainty"] = uncertainty[index]
        parts = _by_segment(segment), modality[AUDIO], modality[VISUAL], video
        return Prediction(*parts, extras).within(mask)

    def _evidence(self, encoded: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns logits of presence and absence and their weights over T (2, B, T, C, 2)."""
        audio, visual = encoded.unbind(0)
        rows = torch.stack([audio, self.visual_dropout(visual)])
        both = rows.sum(0)
        presence = self.fc_prob(rows)
        absence = self.fc_prob_beta(rows + torch.stack([self.v2a(both), self.a2v(both)]))
        evidence = full_precision(torch.stack([presence, absence], -1))
        weights = full_precision(self.fc_frame_att(rows)).view_as(evidence)
        if mask is None:
            return evidence, weights.softmax(2)
        return evidence, torch.stack([time_weights(each, mask) for each in weights])

    def _video(self, embedded: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Fused probabilities (B, C) and their uncertainty (B,), from before the attention."""
        logits = full_precision(self.classifier2(self.classifier1(embedded).sum(0)))
        strength = dirichlet(time_mean(logits, mask))
        return time_mean(logits.sigmoid(), mask), strength.shape[-1] / strength.sum(-1)


def dirichlet(logits: Tensor) -> Tensor:
    """Returns the parameters of the distribution that evidence amounts to: exp(l / 0.8) + 1."""
    return (logits.clamp(-EVIDENCE_LIMIT, EVIDENCE_LIMIT) / EVIDENCE_TEMPERATURE).exp() + 1


def opinion(evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Reads probability and uncertainty off logits of presence and absence.

    Args:
        evidence: (..., 2), presence first.

    Returns:
        The probability of presence and its uncertainty (...), both in (0, 1).
    """
    strength = dirichlet(evidence)
    total = strength.sum(-1)
    return strength[..., 0] / total, 2 / total


def _by_segment(value: Tensor) -> Tensor:
    """Moves the modalities behind the segments: (2, B, T, C) to (B, T, 2, C)."""
    return value.permute(1, 2, 0, 3)


def _infer(state: State) -> dict[str, object]:
    layers = depth(state, "hat_encoder.layers.")
    return {**sizes(state, hidden=("fc_a.0.weight", 0)), "network.layers": layers}


def _without_tokens(state: State) -> State:
    return {key: value for key, value in state.items() if ".cls_tokens_" not in key}


_DEAD = ("fc_global.", "hat_encoder.norm1.", "hat_encoder.norm2.")
PUBLISHED = (
    Layout("CMPAE", "cmpae", dead=_DEAD, infer=_infer),
    Layout("CoLeaF", "coleaf", dead=_DEAD, infer=_infer, tidy=_without_tokens),
)
"""Checkpoints of MengyuanChen21/CVPR2023-CMPAE and of faeghehsardari/coleaf, the layers of which
hold class tokens that are never used."""
