"""DHHN: two networks over three scales of time, taught by a guide for each modality.

Jiang et al., ACM MM 2022. Source: ``nets/net_audiovisual.py`` of CFM-MSG/Code_DHHN, classes
``DHHN``, ``AudioNet`` and ``VideoNet``; the two networks are of class ``HCMN``.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base, hcmn
from rlld.networks._blocks import VisualEmbedding, fused_heads, stored, time_weights
from rlld.networks._published import Layout, sizes
from rlld.networks._sight import Sight, sight_of
from rlld.networks.base import Network
from rlld.types import AUDIO, VISUAL, Prediction
from rlld.utils.config import Share

HEADS = 8
DROPOUT = 0.1


@dataclass(frozen=True)
class Config(base.Config):
    """Options of DHHN.

    Attributes:
        hidden: Width of both networks and of the guides.
        guides: Which modalities have a guide in training (``--no-mgn`` and ``--mgn-single`` of the
            released code take guides away).
        audio_guide_rate: Learning rate of the audio guide, as a multiple of the network's
            (released: 2 on weak labels, 1 in the retraining).
        visual_guide_rate: The same of the visual guide (0.2 and 1).
        attention_dropout: Dropout inside the attention layer of the networks.

    Raises:
        RlldError: If ``hidden`` or a rate is not positive.
    """

    hidden: int = 512
    guides: Literal["both", "audio", "visual", "none"] = "both"
    audio_guide_rate: float = 2.0
    visual_guide_rate: float = 0.2
    attention_dropout: Share = 0.1

    def __post_init__(self) -> None:
        self.main()
        if self.audio_guide_rate <= 0 or self.visual_guide_rate <= 0:
            raise RlldError(
                "network dhhn: audio_guide_rate and visual_guide_rate must be positive, found "
                f"{self.audio_guide_rate} and {self.visual_guide_rate}"
            )

    def main(self) -> hcmn.Config:
        """Returns the options of the two networks."""
        return hcmn.Config(self.hidden, self.attention_dropout)


class Guide(nn.Module, ABC):
    """A network that predicts one modality from itself.

    A small transformer encoder is applied several times with the same weights, each time added to
    its input; segment probabilities are pooled with learned weights over time.

    Args:
        hidden: Width of the model.
        classes: Number of classes.
        layers: Layers of the encoder.
        repeats: How many times it is applied.
    """

    def __init__(self, hidden: int, classes: int, layers: int, repeats: int) -> None:
        nn.Module.__init__(self)
        self.repeats = repeats
        heads = max(number for number in range(1, HEADS + 1) if hidden % number == 0)
        layer = nn.TransformerEncoderLayer(hidden, heads, hidden, DROPOUT, batch_first=True)
        # The guide of either modality has this name in the released code.
        self.audio_encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.fc_prob = nn.Linear(hidden, classes)
        self.fc_frame_att = nn.Linear(hidden, classes)

    @abstractmethod
    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the features of the modality to the width of the model (B, T, hidden)."""

    def forward(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predicts.

        Args:
            streams: Features by stream name; those of the other modality are not looked at.
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            Video-level probabilities (B, C) and segment probabilities (B, T, C).
        """
        rows = self.embed(streams)
        for _ in range(self.repeats):
            rows = rows + self._encoded(rows, mask)
        event_logits, time_logits = fused_heads((self.fc_prob, self.fc_frame_att), rows)
        segment = event_logits.sigmoid()
        return (time_weights(time_logits, mask) * segment).sum(1), segment

    def _encoded(self, rows: Tensor, mask: Tensor | None) -> Tensor:
        sight = sight_of(rows, mask).of_one()
        if sight.allowed is None:
            return self.audio_encoder(rows)  # type: ignore[no-any-return]
        for layer in self.audio_encoder.layers:
            rows = seeing(layer, rows, sight)
        return rows


def seeing(layer: nn.TransformerEncoderLayer, rows: Tensor, sight: Sight) -> Tensor:
    """Applies a post-norm layer in which not every row sees every other one.

    Args:
        layer: The layer, batch first.
        rows: (B, T, hidden).
        sight: Which rows see each other, of one modality.
    """
    asking, asked = sight.asking(rows), sight.asked(rows)
    places = asking.shape[:-2]
    hidden = sight.limited(rows.new_zeros(*places, asking.shape[-2], asked.shape[-2]))
    attention = layer.self_attn
    heads = hidden.flatten(0, -3).repeat_interleave(attention.num_heads, 0)
    query, key = asking.flatten(0, -3), asked.flatten(0, -3)
    mixed = attention(query, key, key, attn_mask=heads, need_weights=False)[0]
    mixed = sight.joined(mixed.unflatten(0, places))
    rows = layer.norm1(rows + layer.dropout1(mixed))
    inner = layer.dropout(layer.activation(layer.linear1(rows)))
    out: Tensor = layer.norm2(rows + layer.dropout2(layer.linear2(inner)))
    return out


class AudioGuide(Guide):
    """The guide of audio (``AudioNet``): one layer, applied four times."""

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__(hidden, len(spec.classes), layers=1, repeats=4)
        self.fc_a = nn.Linear(spec.dims["audio"], hidden)

    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps sound to the width of the model."""
        embedded: Tensor = self.fc_a(stored(streams["audio"], self.fc_a))
        return embedded


class VisualGuide(Guide, VisualEmbedding):
    """The guide of the picture (``VideoNet``): two layers, applied three times."""

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__(hidden, len(spec.classes), layers=2, repeats=3)
        self.add_visual_layers(hidden, spec)

    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps pictures and motion to the width of the model."""
        return self.embed_visual(streams, streams["audio"].shape[1])


@Config.makes
class DHHN(Network):
    """The network; without guides its state dict has the keys of the published one.

    One network is trained. The weights that predict audio and those that predict the picture may
    be kept from different rounds of the run (``selection.parts``), and then there are two.

    Attributes:
        config: Its options.
        audio_net: Predicts audio.
        video_net: Predicts the picture; the same module as ``audio_net`` as long as their weights
            agree.
        guides: The guides by modality; they take part in training only.
    """

    gives = base.EMBEDDINGS

    stackable = False  # its tracks share modules

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.audio_net = config.main().build(spec)
        self.video_net = self.audio_net
        self.guides = nn.ModuleDict()
        if config.guides in ("both", "audio"):
            self.guides["audio"] = AudioGuide(config.hidden, spec)
        if config.guides in ("both", "visual"):
            self.guides["visual"] = VisualGuide(config.hidden, spec)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, each (B, T, D).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction, with the extras of HCMN. In training they also hold the video-level
            probabilities (B, C) ``audio_guide`` and ``visual_guide`` of the guides there are.
        """
        if self.video_net is not self.audio_net:
            return merged(self.audio_net(streams, mask), self.video_net(streams, mask))
        return self._guided(self.audio_net(streams, mask), streams)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts without cross-modal attention."""
        if self.video_net is not self.audio_net:
            hears, sees = self.audio_net.unimodal, self.video_net.unimodal
            return merged(hears(streams, mask), sees(streams, mask))
        return self._guided(self.audio_net.unimodal(streams, mask), streams)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts without cross-modal attention and gradient, then usually."""
        if self.video_net is not self.audio_net:
            return super().with_unimodal(streams, mask)
        unimodal, usual = self.audio_net.with_unimodal(streams, mask)
        return unimodal, self._guided(usual, streams)

    def rate_factors(self) -> dict[nn.Parameter, float]:
        """Returns the factors of the guides' parameters."""
        config = self.config
        factors = {"audio": config.audio_guide_rate, "visual": config.visual_guide_rate}
        return {
            parameter: factors[name]
            for name, guide in self.guides.items()
            for parameter in guide.parameters()
        }

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads weights; the two networks become one or two, as their weights agree or not."""
        audio = {k: v for k, v in state_dict.items() if k.startswith("audio_net.")}
        names = {name: "video_net." + name.removeprefix("audio_net.") for name in audio}
        same = all(
            torch.equal(value, state_dict.get(names[name], value)) for name, value in audio.items()
        )
        if same:
            self.video_net = self.audio_net
        elif self.video_net is self.audio_net:
            self.video_net = copy.deepcopy(self.audio_net)
        return super().load_state_dict(state_dict, strict, assign)

    def _guided(self, prediction: Prediction, streams: Mapping[str, Tensor]) -> Prediction:
        """Adds what the guides say, where somebody learns from it."""
        if not (self.training and torch.is_grad_enabled()):
            return prediction
        said = {
            f"{name}_guide": guide(streams, prediction.mask)[0]
            for name, guide in self.guides.items()
        }
        return replace(prediction, extras={**prediction.extras, **said})


def merged(audio: Prediction, visual: Prediction) -> Prediction:
    """Takes each modality from the network that predicts it.

    Args:
        audio: What the network for audio says.
        visual: What the network for the picture says.

    Returns:
        A prediction without extras. Its fused probability, which the published evaluation does
        not look at, is the mean of both.
    """
    segment = torch.stack([audio.segment[:, :, AUDIO], visual.segment[:, :, VISUAL]], 2)
    video = (audio.video + visual.video) / 2
    return Prediction(segment, audio.audio, visual.visual, video, mask=audio.mask)


_NETS = ("audio_net", "video_net")
PUBLISHED = (
    Layout(
        "DHHN",
        "dhhn",
        {"network.guides": "none"},
        dead=tuple(f"{net}.hat_encoder.{norm}." for net in _NETS for norm in ("norm1", "norm2")),
        infer=lambda state: sizes(state, hidden=("audio_net.fc_a.weight", 0)),
    ),
)
"""Both networks of CFM-MSG/Code_DHHN in one state dict; single ones are checkpoints of ``hcmn``."""
