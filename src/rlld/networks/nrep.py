"""NREP: presence said by a modality, absence by the other one, in two networks.

Jiang et al., IEEE TNNLS 2024. Source: ``nets/net_audiovisual.py`` of CFM-MSG/Code_NREP, class
``NREP``, of which ``main.py`` makes two; one answers for the sound, the other for the picture.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.features.clap_maps import are_maps, pool_resized, resize_maps
from rlld.networks import base
from rlld.networks._activated import SLOPE, ActivatedEmbedding, layer
from rlld.networks._attention import HybridEncoder
from rlld.networks._blocks import Dropout, full_precision, stored, time_weights
from rlld.networks._published import Layout, State, depth, sizes
from rlld.networks._sight import sight_of
from rlld.networks.base import Network
from rlld.networks.dhhn import merged
from rlld.types import AUDIO, VISUAL, Prediction
from rlld.utils.config import YOUNG, Count, Share, require_positive

ALONE = 0.8
"""Share of what a modality sees alone where both encodings are mixed."""

EVIDENCE_LIMIT = 10.0

NETS = ("audio_net", "video_net")
"""The two networks."""

SAID = frozenset(
    {
        "segment_evidence",
        "modality_evidence",
        "joint_evidence",
        "video_evidence",
        "segment_weights",
        "joint_weights",
    }
)
"""What a network says beside probabilities; see ``EvidenceNet.predict``."""


@dataclass(frozen=True)
class Config(base.Config):
    """Options of NREP.

    Attributes:
        hidden: Width of both networks.
        layers: Hybrid attention layers, each of which reads the one before it.
        attention_dropout: Dropout inside the attention layers.
        visual_dropout: Dropout of the visual stream before the heads.
        causal: Whether a segment attends to itself and to those before it only, for parsing while
            a video goes on.

    Raises:
        RlldError: If a value is out of range.
    """

    hidden: int = 512
    layers: Count = 1
    attention_dropout: Share = 0.1
    visual_dropout: Share = 0.5
    causal: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        require_positive("network nrep: ", self, "hidden", "layers")


class EvidenceNet(ActivatedEmbedding):
    """One of the two networks; its state dict has the keys of the published one.

    Attributes:
        segments: Segments of a video, T.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.segments, self.causal = spec.segments, config.causal
        hidden, classes = config.hidden, len(spec.classes)
        self.inter_encoder = HybridEncoder(config.layers, hidden, config.attention_dropout)
        self.fc_sl_fore = layer(hidden, classes)
        self.fc_sl_back = layer(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, 2 * classes)
        self.fc_a_sl = layer(hidden, hidden, nn.LeakyReLU(SLOPE))
        self.fc_v_sl = layer(hidden, hidden, nn.LeakyReLU(SLOPE))
        self.fc_joint_sl = layer(hidden, 2 * classes)
        self.fc_temporal_att = nn.Linear(hidden, 2 * classes)
        self.visual_dropout = Dropout(config.visual_dropout)

    def hear(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the sound to the width of the model; it may come as CLAP's maps (B, 64, D)."""
        if not are_maps(streams, self.segments):
            return super().hear(streams)
        linear, activation = self.fc_a
        # The resizing commutes with the linear layer, which is cheaper on few rows; the means
        # do not commute with the activation.
        rows = linear(stored(streams["audio"], cast(nn.Linear, linear)))
        return pool_resized(activation(resize_maps(rows)), self.segments)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts; see ``predict``."""
        return self.predict(self.embed(streams), mask=mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts each modality, presence and absence, from itself."""
        return self.predict(self.embed(streams), alone=True, mask=mask)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts alone and without gradient, then usually, from one embedding."""
        embedded = self.embed(streams)
        with torch.no_grad():
            unimodal = self.predict(embedded, alone=True, mask=mask)
        return unimodal, self.predict(embedded, mask=mask)

    def predict(
        self, embedded: Tensor, alone: bool = False, mask: Tensor | None = None
    ) -> Prediction:
        """Predicts from embeddings.

        Args:
            embedded: What ``embed`` returned (2, B, T, hidden).
            alone: Whether a modality sees nothing of the other one.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold logits of presence and absence ``segment_evidence``
            (B, T, 2, C, 2), ``modality_evidence`` (B, 2, C, 2), ``joint_evidence`` (B, T, C, 2)
            and ``video_evidence`` (B, C, 2); the weights of the segments, which sum to 1,
            ``segment_weights`` (B, T, 2, C, 2) and ``joint_weights`` (B, T, C, 2); and the
            embeddings (B, T, hidden) ``audio_before`` and ``visual_before`` the attention,
            ``audio_after`` and ``visual_after`` it, mixed of both encodings.
        """
        sight = sight_of(embedded, mask, causal=self.causal)
        intra = self.inter_encoder(embedded, False, sight)
        inter = intra if alone else self.inter_encoder(embedded, True, sight)
        after = ALONE * intra + (1 - ALONE) * inter
        rows = torch.stack([inter[AUDIO], self.visual_dropout(inter[VISUAL])])
        against = self.fc_sl_back(intra if alone else intra.flip(0))
        segment = _by_segment(torch.stack([self.fc_sl_fore(rows), against], -1))
        segment_weights = time_weights(_by_segment(_pairs(self.fc_frame_att(rows))), mask)
        modality = (segment_weights * segment).sum(1)
        both = self.fc_a_sl(after[AUDIO]) + self.fc_v_sl(after[VISUAL])
        joint = full_precision(_pairs(self.fc_joint_sl(both)))
        joint_weights = time_weights(full_precision(_pairs(self.fc_temporal_att(both))), mask)
        video = (joint_weights * joint).sum(1)
        extras = {
            "segment_evidence": segment,
            "modality_evidence": modality,
            "joint_evidence": joint,
            "video_evidence": video,
            "segment_weights": segment_weights,
            "joint_weights": joint_weights,
            "audio_before": full_precision(embedded[AUDIO]),
            "visual_before": full_precision(embedded[VISUAL]),
            "audio_after": full_precision(after[AUDIO]),
            "visual_after": full_precision(after[VISUAL]),
        }
        audio, visual = probabilities(modality)[..., 0].unbind(1)
        said = probabilities(segment)[..., 0], audio, visual, probabilities(video)[..., 0]
        return Prediction(*said, extras).within(mask)


@Config.makes
class NREP(Network):
    """Two networks that begin with the same weights and share nothing.

    The extras of a prediction hold those of either network under its name:
    ``audio_net.segment_evidence`` and so on.

    Attributes:
        audio_net: Answers for the sound.
        video_net: Answers for the picture.
    """

    gives = frozenset(f"{net}.{name}" for net in NETS for name in SAID | base.EMBEDDINGS)

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.audio_net = EvidenceNet(config, spec)
        self.video_net = copy.deepcopy(self.audio_net)
        self.causal = config.causal

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D); a visual stream may also come as
                (B, T * frames, D), and audio as CLAP feature maps (B, 64, D), where T is not 64.
            mask: Which segments belong to their video (B, T), bool; all when None.
        """
        return _joined(self.audio_net(streams, mask), self.video_net(streams, mask))

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts each modality, presence and absence, from itself."""
        hears, sees = self.audio_net.unimodal, self.video_net.unimodal
        return _joined(hears(streams, mask), sees(streams, mask))

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts twice; either network embeds the features once."""
        audio = self.audio_net.with_unimodal(streams, mask)
        visual = self.video_net.with_unimodal(streams, mask)
        return _joined(audio[0], visual[0]), _joined(audio[1], visual[1])


def probabilities(evidence: Tensor) -> Tensor:
    """Reads the probabilities of presence and of absence off their logits.

    They do not sum to 1: what is missing is the uncertainty.

    Args:
        evidence: (..., 2), presence first.

    Returns:
        (..., 2), in (0, 1).
    """
    found = strength(evidence)
    return found / (found + 1).sum(-1, keepdim=True)


def strength(evidence: Tensor) -> Tensor:
    """Returns the evidence that logits stand for."""
    return evidence.clamp(-EVIDENCE_LIMIT, EVIDENCE_LIMIT).exp()


def _joined(audio: Prediction, visual: Prediction) -> Prediction:
    pairs = zip(NETS, (audio, visual), strict=True)
    extras = {f"{net}.{name}": v for net, own in pairs for name, v in own.extras.items()}
    return replace(merged(audio, visual), extras=extras)


def _pairs(value: Tensor) -> Tensor:
    """Splits what a head says (..., 2 C), presence and absence of a class in turn: (..., C, 2)."""
    return value.view(*value.shape[:-1], -1, 2)


def _by_segment(value: Tensor) -> Tensor:
    """Moves the modalities behind the segments: (2, B, T, C, 2) to (B, T, 2, C, 2)."""
    return full_precision(value).permute(1, 2, 0, 3, 4)


def _infer(state: State) -> dict[str, Any]:
    layers = depth(state, f"{_PARTS[0]}.inter_encoder.layers.")
    found = sizes(state, hidden=(f"{_PARTS[0]}.fc_a.0.weight", 0))
    return {**found, "network.layers": layers}


_PARTS = ("model_audio", "model_video")
_DEAD = ("inter_encoder.norm1.", "inter_encoder.norm2.")
PUBLISHED = (
    Layout(
        "NREP",
        "nrep",
        dead=tuple(f"{part}.{name}" for part in _PARTS for name in _DEAD),
        renames={f"{part}.": f"{net}." for part, net in zip(_PARTS, NETS, strict=True)},
        infer=_infer,
        parts=_PARTS,
    ),
)
"""Checkpoints ``*.best`` of CFM-MSG/Code_NREP, which hold both networks."""
