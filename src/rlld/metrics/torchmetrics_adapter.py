"""The ten F-scores as a ``torchmetrics.Metric``; needs the extra ``metrics``."""

from __future__ import annotations

import torch
from torch import Tensor

from rlld.errors import RlldError
from rlld.metrics.scores import COLUMNS, NAMES, per_video, ten_scores
from rlld.utils.extras import optional

optional("torchmetrics", "the torchmetrics wrapper")  # says which extra it is in
from torchmetrics import Metric  # noqa: E402


class VideoParsingScores(Metric):
    """Gathers the ten F-scores over batches, and over processes by summing.

    Args:
        iou: Events match from this intersection over union on, in (0, 1].
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    sums: Tensor
    videos: Tensor

    def __init__(self, iou: float = 0.5) -> None:
        super().__init__()
        self.iou = iou
        zeros = torch.zeros(len(COLUMNS), dtype=torch.float64)
        self.add_state("sums", zeros, dist_reduce_fx="sum")
        self.add_state("videos", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor) -> None:
        """Adds videos.

        Args:
            predicted: Predicted maps (N, T, 2, C), bool.
            truth: True maps of the same shape.

        Raises:
            RlldError: If the maps have another shape or type.
        """
        self.sums += per_video(predicted, truth, self.iou).sum(0)
        self.videos += len(predicted)

    def compute(self) -> dict[str, Tensor]:
        """Returns the ten scores in percent by name.

        Raises:
            RlldError: If no video was added.
        """
        if not self.videos:
            raise RlldError("no video was scored; call update before compute")
        values = ten_scores(self.sums / self.videos)
        return dict(zip(NAMES, values, strict=True))
