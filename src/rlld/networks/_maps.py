"""Networks that also hear CLAP's feature maps, which VALOR and MM-CSE share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rlld.data.spec import DataSpec
from rlld.features.clap_maps import are_maps, pool_maps
from rlld.networks._blocks import CrossAttending, stored


class HearingMaps(CrossAttending):
    """A network whose first layer is linear, so that maps may be reduced before it.

    Args:
        hidden: Width of the model.
        spec: The data set.

    Attributes:
        segments: Segments of a video of the data set.
    """

    def __init__(self, hidden: int, spec: DataSpec) -> None:
        super().__init__(hidden, spec)
        self.segments = spec.segments

    def embed(self, streams: Mapping[str, Tensor]) -> Tensor:
        """Maps the features to the width of the model; see ``StreamEmbedding``.

        Audio may also come as CLAP feature maps (B, 64, D), where T is not 64.
        """
        if are_maps(streams, self.segments):
            heard = pool_maps(stored(streams["audio"], self.fc_a), self.segments)
            streams = {**streams, "audio": heard}
        return super().embed(streams)
