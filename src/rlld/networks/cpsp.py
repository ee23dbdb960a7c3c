"""The network of CPSP: HAN's frame with positive sample propagation (Zhou et al., TPAMI 2023).

HAN's attention is replaced by a bidirectional LSTM per modality and the PSP module of CVPR 2021.
The published code is ``cpsp_avvp/nets`` of jasongief/CPSP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base
from rlld.networks._blocks import (
    Dropout,
    StreamEmbedding,
    full_precision,
    fused_heads,
    mmil_pool,
    recur,
)
from rlld.networks._published import Layout, sizes
from rlld.networks._sight import EVERYTHING, Sight, sight_of
from rlld.types import Prediction

SMALLEST = 1e-8
"""Added to the sum of a row of similarities before dividing by it."""

PSP_DROPOUT = 0.1

PUBLISHED_SEGMENTS = 10
"""Segments of the videos for which the threshold was chosen."""


@dataclass(frozen=True)
class Config(base.Config):
    """Options of CPSP's network.

    Attributes:
        hidden: Width of the model; even, for the two directions of the LSTM.
        threshold: Share of a segment's similarity above which a segment of the other modality
            propagates to it. The mean share is 1/T; at T = 10 the published 0.09 prunes about
            half. ``run.sh`` sets 0.09, the program's own default is 0.099. In a data set of
            videos of any length it is the share in one of 10 segments, and less in a longer one.

    Raises:
        RlldError: If a value is out of range.
    """

    hidden: int = 512
    threshold: float = 0.09

    def __post_init__(self) -> None:
        if self.hidden < 2 or self.hidden % 2:
            raise RlldError(
                f"network cpsp: hidden must be even and positive, found {self.hidden}; its LSTM "
                "gives half to each direction"
            )
        if not 0 <= self.threshold < 1:
            raise RlldError(
                f"network cpsp: threshold must lie in [0, 1), found {self.threshold}; it is a "
                "share of a row of similarities"
            )


class PSP(nn.Module):
    """Positive sample propagation: a segment is told of the similar ones in the other modality.

    Both modalities share one layer norm (``PSP`` in ``fully_model.py``). Not every layer that
    the symmetry would suggest is used: audio receives the values that visual is compared with.

    Args:
        hidden: Width of both inputs.
        out: Width of the output.
    """

    def __init__(self, hidden: int, out: int) -> None:
        super().__init__()
        self.scale = hidden**-0.5
        self.v_L1 = nn.Linear(hidden, hidden, bias=False)
        self.v_L2 = nn.Linear(hidden, hidden, bias=False)
        self.v_fc = nn.Linear(hidden, out, bias=False)
        self.a_L1 = nn.Linear(hidden, hidden, bias=False)
        self.a_L2 = nn.Linear(hidden, hidden, bias=False)
        self.a_fc = nn.Linear(hidden, out, bias=False)
        self.layer_norm = nn.LayerNorm(out, eps=1e-6)
        self.dropout = Dropout(PSP_DROPOUT)
        for layer in (self.v_L1, self.v_L2, self.v_fc, self.a_L1, self.a_L2, self.a_fc):
            nn.init.xavier_uniform_(layer.weight)

    def forward(
        self,
        audio: Tensor,
        visual: Tensor,
        threshold: float | Tensor,
        propagate: bool = True,
        sight: Sight = EVERYTHING,
    ) -> tuple[Tensor, Tensor]:
        """Propagates.

        Args:
            audio: Audio segments (B, T, hidden).
            visual: Visual segments (B, T', hidden).
            threshold: Share of a row's similarity that a segment must exceed.
            propagate: Whether anything is propagated; without, it is as if all were pruned.
            sight: Which segments are compared.

        Returns:
            Audio (B, T, out) and visual (B, T', out).
        """
        if propagate:
            rows, columns = self._mapped(self.v_L2, visual), self._mapped(self.a_L1, audio)
            similarity = self._similarity(sight.asking(rows), sight.asked(columns))
            seen, heard = self._mapped(self.v_L1, visual), self._mapped(self.a_L2, audio)
            shares = pruned(sight.emptied(similarity), threshold)
            visual = visual + sight.joined(shares @ sight.asked(heard))
            if sight.segments is None:
                similarity = similarity.transpose(-1, -2)
            else:
                similarity = self._similarity(sight.asking(columns), sight.asked(rows))
            shares = pruned(sight.emptied(similarity), threshold)
            audio = audio + sight.joined(shares @ sight.asked(seen))
        return self._out(self.a_fc, audio), self._out(self.v_fc, visual)

    def _similarity(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Similarities that are not negative, row by column."""
        # Whether a pair is pruned should not hang on 16-bit rounding.
        with torch.autocast(rows.device.type, enabled=False):
            return functional.relu(
                full_precision(rows) @ full_precision(columns).transpose(-1, -2) * self.scale
            )

    def _mapped(self, layer: nn.Linear, value: Tensor) -> Tensor:
        mapped: Tensor = self.dropout(functional.relu(layer(value)))
        return mapped

    def _out(self, layer: nn.Linear, value: Tensor) -> Tensor:
        out: Tensor = self.layer_norm(self._mapped(layer, value))
        return out


def pruned(similarity: Tensor, threshold: float | Tensor) -> Tensor:
    """Normalises rows of similarities, drops small shares and normalises again.

    Args:
        similarity: Rows of values of at least 0 (..., T).
        threshold: A share must be larger to stay; no gradient flows through the choice.

    Returns:
        Rows that sum to 1, or to 0 where nothing stayed.
    """
    share = similarity / (similarity.sum(-1, keepdim=True) + SMALLEST)
    kept = share.masked_fill(share <= threshold, 0)
    return kept / (kept.sum(-1, keepdim=True) + SMALLEST)


class _Recurrence(nn.Module):
    """Holds the two LSTMs under their published names."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        half = hidden // 2
        self.lstm_audio = nn.LSTM(hidden, half, batch_first=True, bidirectional=True)
        self.lstm_video = nn.LSTM(hidden, half, batch_first=True, bidirectional=True)


@Config.makes
class CPSP(StreamEmbedding):
    """The network ``PSP_MMIL_Net``; its state dict has the keys of the published one.

    Attributes:
        config: Its options.
    """

    gives = base.EMBEDDINGS

    stackable = False

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(config.hidden, spec)
        self.config, self.any_length = config, spec.any_length
        hidden, classes = config.hidden, len(spec.classes)
        self.lstm = _Recurrence(hidden)
        self.psp = PSP(hidden, hidden)
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
            ``visual_before`` the LSTMs, ``audio_after`` and ``visual_after`` the propagation.
        """
        return self.predict(*self.encode(streams, mask), mask=mask)

    def unimodal(self, streams: Mapping[str, Tensor], mask: Tensor | None = None) -> Prediction:
        """Predicts without propagation between the modalities, as if all pairs were pruned."""
        return self.predict(*self.encode(streams, mask), propagate=False, mask=mask)

    def with_unimodal(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Prediction, Prediction]:
        """Predicts without propagation and gradient, then usually; both share the LSTMs."""
        encoded = self.encode(streams, mask)
        with torch.no_grad():
            unimodal = self.predict(*encoded, propagate=False, mask=mask)
        return unimodal, self.predict(*encoded, mask=mask)

    def encode(
        self, streams: Mapping[str, Tensor], mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embeds the features and runs the LSTMs; nothing random happens here.

        Args:
            streams: As in ``forward``.
            mask: As in ``forward``.

        Returns:
            Audio and visual, stacked (2, B, T, hidden), before and after the LSTMs.
        """
        embedded = self.embed(streams)
        audio, visual = embedded.unbind(0)
        heard = recur(self.lstm.lstm_audio, audio, mask)
        return embedded, torch.stack([heard, recur(self.lstm.lstm_video, visual, mask)])

    def predict(
        self,
        embedded: Tensor,
        recurred: Tensor,
        propagate: bool = True,
        mask: Tensor | None = None,
    ) -> Prediction:
        """Predicts from what ``encode`` returned.

        Args:
            embedded: Before the LSTMs (2, B, T, hidden).
            recurred: After them.
            propagate: Whether segments are told of those of the other modality.
            mask: As in ``forward``.
        """
        audio, visual = recurred.unbind(0)
        sight = sight_of(audio, mask).of_one()
        threshold: float | Tensor = self.config.threshold
        if self.any_length:
            threshold = threshold * PUBLISHED_SEGMENTS / sight.count(audio)
        both = self.psp(audio, visual, threshold, propagate, sight)
        heads = (self.fc_prob, self.fc_frame_att, self.fc_av_att)
        event_logits, time_logits, modality_logits = fused_heads(heads, torch.stack(both, 2))
        segment = event_logits.sigmoid()
        extras = {
            "audio_before": embedded[0],
            "visual_before": embedded[1],
            "audio_after": both[0],
            "visual_after": both[1],
        }
        extras = {name: full_precision(value) for name, value in extras.items()}
        pooled = mmil_pool(segment, time_logits, modality_logits, mask)
        return Prediction(segment, *pooled, extras).within(mask)


PUBLISHED = (Layout("CPSP", "cpsp", infer=lambda state: sizes(state, hidden=("fc_a.weight", 0))),)
"""Checkpoints of jasongief/CPSP; the threshold is not in them, it has to be given."""
