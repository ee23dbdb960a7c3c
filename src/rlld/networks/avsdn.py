"""AVSDN, the dual-modality sequence-to-sequence network (Lin, Li and Wang, ICASSP 2019).

Its authors published no code. The localisation form is the one in CPSP's repository, the form for
parsing is ours (see ``docs/methods/avsdn.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.networks._blocks import States, full_precision, time_max
from rlld.networks._published import Layout, State
from rlld.networks._recurrent import (
    RecurrentConfig,
    RecurrentEncoder,
    encoder_sizes,
    over_time,
    recurrent,
    residual_fusion,
    residual_layers,
    xavier,
)
from rlld.types import Prediction


@dataclass(frozen=True)
class Config(RecurrentConfig):
    """Options of AVSDN; those that AVE has, too, are in ``RecurrentConfig``.

    The localisation form and its attention over positions (49) are those of CPSP's repository; the
    paper has no such attention. Pooled are the scores in the parsing form, the decoder's outputs
    in the localisation form.

    Attributes:
        relu_states: Whether negative entries of the encoders' last states are cut off before
            their fusion, as in CPSP's code.
        bidirectional: Whether the LSTMs read in both directions.
    """

    network = "avsdn"

    relu_states: bool = True
    bidirectional: bool = True

    @property
    def gives(self) -> frozenset[str]:
        """The outputs of the encoders, which the localisation form keeps to itself."""
        return frozenset() if self.form == "localisation" else super().gives


@Config.makes
class AVSDN(RecurrentEncoder):
    """The network; in the localisation form its state dict has the keys of CPSP's.

    Attributes:
        config: Its options.
    """

    gives = frozenset({"audio_after", "visual_after"})

    config: Config

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config, spec, bidirectional=config.bidirectional)
        classes, width = len(spec.classes), self.state_width
        self.lstm_a_v = nn.LSTM(
            spec.dims["audio"] + self.visual_width,
            config.hidden,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        self.U_v, self.U_a = residual_layers(config.hidden), residual_layers(config.hidden)
        self.category_classifier = _classifier(width, classes)
        if config.form == "parsing":
            self.audio_classifier = _classifier(2 * width, classes)
            self.visual_classifier = _classifier(2 * width, classes)
        else:
            self.event_classifier = _classifier(width, 1)

    def forward(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts.

        Args:
            streams: Features by stream name, (B, T, D); ``visual_2d`` with (B, T * positions, D).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            The prediction. Its extras hold (B, T, width each) the outputs of the decoder
            ``decoder_feature`` and, in the parsing form, of the encoders ``audio_after`` and
            ``visual_after``; in the localisation form also the logits ``event_logit`` (B, T)
            that an event goes on and ``category_logit`` (B, C) of the video's class.
        """
        audio, visual = self.embed(streams)
        if self.config.form == "localisation":
            return self._localise(audio, visual, mask)
        return self._parse(audio, visual, mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts each modality while the other one is all zeros.

        The fused probability is the larger one of both passes. The localisation form makes no
        prediction by modality and predicts as usual.
        """
        if self.config.form == "localisation":
            return self(streams, mask)
        audio, visual = self.embed(streams, attend=False)
        silent, dark = torch.zeros_like(audio), torch.zeros_like(visual)
        twice = None if mask is None else torch.cat([mask, mask])
        both = self._parse(torch.cat([audio, silent]), torch.cat([dark, visual]), twice)
        videos = len(audio)
        segment = torch.stack([both.segment[:videos, :, 0], both.segment[videos:, :, 1]], 2)
        video = torch.maximum(both.video[:videos], both.video[videos:])
        extras = {
            "audio_after": both.extras["audio_after"][:videos],
            "visual_after": both.extras["visual_after"][videos:],
        }
        parts = segment, both.audio[:videos], both.visual[videos:], video
        return Prediction(*parts, extras).within(mask)

    def _parse(self, audio: Tensor, visual: Tensor, mask: Tensor | None) -> Prediction:
        heard, audio_states = recurrent(self.lstm_audio, audio, mask=mask)
        seen, visual_states = recurrent(self.lstm_video, visual, mask=mask)
        decoded = self._decode(audio, visual, audio_states, visual_states, mask)
        scores = full_precision(self.category_classifier(decoded.relu()))
        audio_scores = self.audio_classifier(torch.cat([decoded, heard], -1).relu())
        visual_scores = self.visual_classifier(torch.cat([decoded, seen], -1).relu())
        segments = torch.stack([full_precision(audio_scores), full_precision(visual_scores)], 2)
        pooled = over_time(segments, self.config.pooling, mask).sigmoid()
        video = over_time(scores, self.config.pooling, mask).sigmoid()
        extras = {"decoder_feature": decoded, "audio_after": heard, "visual_after": seen}
        parts = segments.sigmoid(), pooled[:, 0], pooled[:, 1], video
        return Prediction(*parts, extras).within(mask)

    def _localise(self, audio: Tensor, visual: Tensor, mask: Tensor | None) -> Prediction:
        audio_states = recurrent(self.lstm_audio, audio, mask=mask)[1]
        visual_states = recurrent(self.lstm_video, visual, mask=mask)[1]
        decoded = self._decode(audio, visual, audio_states, visual_states, mask).relu()
        event = full_precision(self.event_classifier(decoded)).squeeze(-1)
        pooled = over_time(decoded, self.config.pooling, mask)
        category = full_precision(self.category_classifier(pooled))
        goes_on = event.sigmoid().unsqueeze(-1)
        # As released: of a negative score, the maximum takes the smallest gate.
        video = time_max(goes_on * category.unsqueeze(1), mask).softmax(-1)
        segment = (goes_on * category.softmax(-1).unsqueeze(1)).unsqueeze(2).expand(-1, -1, 2, -1)
        extras = {"decoder_feature": decoded, "event_logit": event, "category_logit": category}
        return Prediction(segment, video, video, video, extras).within(mask)

    def _decode(
        self,
        audio: Tensor,
        visual: Tensor,
        audio_states: States,
        visual_states: States,
        mask: Tensor | None,
    ) -> Tensor:
        """Reads both streams again, from the fused last states of their encoders."""
        # Hidden and cell states pass through the same layers; one call serves both.
        heard, seen = torch.stack(audio_states), torch.stack(visual_states)
        if self.config.relu_states:
            heard, seen = heard.relu(), seen.relu()
        hidden, cell = residual_fusion(heard, seen, self.U_a, self.U_v).unbind(0)
        rows = torch.cat([audio, visual], -1)
        return recurrent(self.lstm_a_v, rows, (hidden, cell), mask)[0]


def _classifier(width: int, outputs: int) -> nn.Sequential:
    layer = nn.Linear(width, outputs)
    xavier(layer)
    return nn.Sequential(layer)


def _options(state: State) -> dict[str, Any]:
    both = "lstm_a_v.weight_ih_l0_reverse" in state
    return {**encoder_sizes(state), "network.bidirectional": both}


PUBLISHED = (
    Layout(
        "AVSDN of CPSP",
        "avsdn",
        {"network.form": "localisation", "network.pooling": "mean"},
        infer=_options,
    ),
)
"""Checkpoints of ``avsdn_net`` in jasongief/CPSP, weakly supervised."""
