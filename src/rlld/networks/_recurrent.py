"""What AVE and AVSDN share: visual input, audio-guided attention, LSTMs, residual fusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.errors import RlldError
from rlld.networks import base
from rlld.networks._blocks import (
    States,
    VisualEmbedding,
    pool_frames,
    run_lstm,
    time_max,
    time_mean,
)
from rlld.networks._published import State, sizes
from rlld.networks.base import Network
from rlld.utils.config import require_positive

AudioAxis = Literal["position", "hidden"]
Form = Literal["parsing", "localisation"]


@dataclass(frozen=True)
class RecurrentConfig(base.Config):
    """Options that AVE and AVSDN share.

    Attributes:
        hidden: Width of an LSTM in one direction.
        form: ``parsing`` maps the visual streams by HAN's input layers and has a head per modality
            besides the joint one; ``localisation`` is the published network, for one event per
            video, which takes ``visual_2d`` as it is.
        visual: Width of the visual embedding in the parsing form; 4 * ``hidden`` when None.
        attention: Width inside the attention; 4 * ``hidden`` when None.
        positions: Rows of ``visual_2d`` per segment that the sound chooses from (49 in AVE's
            data, 8 in LLP's files). Packed data sets hold their average: with 1 there is nothing
            to attend to and the attention has no parameters.
        audio_axis: Where the sound enters the attention: at each position, as released, or at
            each hidden unit, as in the formula of AVE's paper.
        pooling: ``max`` or ``mean`` over time.

    Raises:
        RlldError: If a size is not positive.
    """

    network: ClassVar[str]

    hidden: int = 128
    form: Form = "parsing"
    visual: int | None = None
    attention: int | None = None
    positions: int = 1
    audio_axis: AudioAxis = "position"
    pooling: Literal["max", "mean"] = "max"

    def __post_init__(self) -> None:
        self.require_positive("hidden", "visual", "attention", "positions")

    def require_positive(self, *names: str) -> None:
        """Raises RlldError if a size is known and not positive."""
        require_positive(f"network {self.network}: ", self, *names)


class RecurrentEncoder(VisualEmbedding, Network):
    """The front of AVE and AVSDN; keys of its state dict are those of the published code.

    Args:
        config: Options.
        spec: The data set.
        bidirectional: Whether the LSTMs read in both directions.
    """

    stackable = False

    def __init__(
        self, config: RecurrentConfig, spec: DataSpec, *, bidirectional: bool = True
    ) -> None:
        nn.Module.__init__(self)
        self.config, self.positions, self.audio_axis = config, config.positions, config.audio_axis
        hidden, positions, dims = config.hidden, config.positions, spec.dims
        attention = config.attention or 4 * hidden
        self.projects = config.form == "parsing"
        width = dims["visual_2d"]
        if self.projects:
            width = config.visual or 4 * hidden
            self.add_visual_layers(width, spec)
        if positions > 1:
            self.affine_audio = nn.Linear(dims["audio"], attention)
            self.affine_video = nn.Linear(width, attention)
            self.affine_v = nn.Linear(attention, positions, bias=False)
            self.affine_g = nn.Linear(attention, positions, bias=False)
            self.affine_h = nn.Linear(positions, 1, bias=False)
            xavier(
                self.affine_audio, self.affine_video, self.affine_v, self.affine_g, self.affine_h
            )
        both = {"batch_first": True, "bidirectional": bidirectional}
        self.lstm_audio = nn.LSTM(dims["audio"], hidden, **both)
        self.lstm_video = nn.LSTM(width, hidden, **both)
        self.visual_width = width
        self.state_width = hidden * (2 if bidirectional else 1)

    def embed(self, streams: Mapping[str, Tensor], attend: bool = True) -> tuple[Tensor, Tensor]:
        """Returns what the LSTMs read.

        Args:
            streams: Features by stream name (B, T, D); visual ones may have ``positions`` rows
                per segment (B, T * positions, D). A single row stands for positions that are all
                alike, among which no weights choose.
            attend: Whether the sound weights the positions; otherwise they are averaged.

        Returns:
            Audio (B, T, D of audio) and visual (B, T, width of the visual rows).

        Raises:
            RlldError: If the pictures have neither one nor ``positions`` rows per segment.
        """
        audio = streams["audio"].to(_precision(self.lstm_audio))
        rows = self._visual_rows(streams, audio.shape[1])
        if rows.shape[2] == 1:
            return audio, rows.squeeze(2)
        if not attend:
            return audio, rows.mean(2)
        return audio, (self._weights(audio, rows) @ rows).squeeze(2)

    def _visual_rows(self, streams: Mapping[str, Tensor], segments: int) -> Tensor:
        """Returns the visual rows (B, T, positions or 1, width)."""
        pictures = streams["visual_2d"].to(_precision(self.lstm_video))
        if self.positions == 1:
            pictures = pool_frames(pictures, segments)
        count = pictures.shape[1] // segments
        if pictures.shape[1] % segments or count not in (1, self.positions):
            raise RlldError(
                f"network {self.config.network}: visual_2d has {pictures.shape[1]} rows for "
                f"{segments} segments, expected 1 or {self.positions} per segment; set "
                "network.positions to what the features have"
            )
        pictures = pictures.reshape(len(pictures), segments, count, -1)
        if not self.projects:
            return pictures
        if not self.has_motion:
            return self.fuse_visual(pictures, None)
        return self.fuse_visual(pictures, pool_frames(streams["visual_3d"], segments).unsqueeze(2))

    def _weights(self, audio: Tensor, rows: Tensor) -> Tensor:
        """Returns the weights of the positions (B, T, 1, positions)."""
        heard = self.affine_g(self.affine_audio(audio).relu())
        seen = self.affine_v(self.affine_video(rows).relu())
        # Both axes of ``seen`` behind T are as long as there are positions: the first counts
        # positions, the second hidden units. The released code adds the sound along the first.
        heard = heard.unsqueeze(-1 if self.audio_axis == "position" else -2)
        logits: Tensor = self.affine_h((seen + heard).tanh())
        return logits.softmax(2).transpose(2, 3)


def recurrent(
    lstm: nn.LSTM, rows: Tensor, state: States | None = None, mask: Tensor | None = None
) -> tuple[Tensor, States]:
    """Runs an LSTM in the precision of its weights, whatever the precision of the run.

    Args:
        lstm: One layer, batch first.
        rows: (B, T, D).
        state: Where it starts; zeros when None.
        mask: Which segments belong to their video (B, T), bool; all when None.

    Returns:
        Its outputs (B, T, directions * H) and its last states.
    """
    kind = _precision(lstm)
    if state is not None:
        state = (state[0].to(kind), state[1].to(kind))
    with torch.autocast(rows.device.type, enabled=False):
        return run_lstm(lstm, rows.to(kind), state, mask)


def _precision(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


def residual_layers(width: int) -> nn.Sequential:
    """Returns one of the two branches of ``residual_fusion``."""
    return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))


def residual_fusion(
    audio: Tensor, visual: Tensor, from_audio: nn.Module, from_visual: nn.Module, blocks: int = 1
) -> Tensor:
    """Dual multimodal residual fusion (DMRN; ``models_fusion.py: TBMRF_block`` of AVE).

    The residuals are crossed as released: what becomes the visual stream carries the audio one
    on. All blocks share their layers.

    Args:
        audio: (..., D).
        visual: (..., D).
        from_audio: Layers of the audio branch, D -> D.
        from_visual: Layers of the visual branch, D -> D.
        blocks: How often the block is applied, 1 or more.

    Returns:
        The mean of both streams (..., D).
    """
    for _ in range(blocks):
        merged = 0.5 * (from_visual(visual) + from_audio(audio))
        audio, visual = (visual + merged).tanh(), (audio + merged).tanh()
    return 0.5 * (audio + visual)


def xavier(*layers: nn.Linear) -> None:
    """Draws the weights of linear layers as the released AVE does (Xavier uniform)."""
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight)


def over_time(scores: Tensor, pooling: Literal["max", "mean"], mask: Tensor | None) -> Tensor:
    """Pools (B, T, ...) over the segments of each video."""
    return (time_max if pooling == "max" else time_mean)(scores, mask)


def encoder_sizes(state: State) -> dict[str, Any]:
    """Reads the sizes of the front off a published state dict, as dotted settings."""
    return sizes(
        state,
        hidden=("lstm_audio.weight_hh_l0", 1),
        attention=("affine_audio.weight", 0),
        positions=("affine_v.weight", 0),
    )
