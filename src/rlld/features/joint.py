"""Several extractors as one: each clip is decoded once for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlld.data.spec import StreamSpec
from rlld.errors import RlldError
from rlld.features.base import Extractor, Rows
from rlld.media.views import Chunk

if TYPE_CHECKING:
    import torch


class Joint(Extractor):
    """Extractors that describe different streams of a clip.

    Args:
        name: What they are called together.
        members: The extractors.

    Raises:
        RlldError: If two of them describe the same stream.
    """

    def __init__(self, name: str, members: Sequence[Extractor]) -> None:
        self.name = name
        self.members = members
        self.views = tuple(dict.fromkeys(view for member in members for view in member.views))
        self.alone = all(member.alone for member in members)
        makers: dict[str, str] = {}
        for member in members:
            for stream in member.streams(1.0):
                other = makers.setdefault(stream, member.name)
                if other != member.name:
                    raise RlldError(
                        f"features {name!r}: {other} and {member.name} both describe stream "
                        f"{stream!r}; choose one of them"
                    )

    def parameters(self) -> dict[str, Any]:
        """Returns the parameters of each."""
        return {member.name: member.parameters() for member in self.members}

    def streams(self, segment_seconds: float) -> dict[str, StreamSpec]:
        """Returns the streams of all."""
        return {
            name: stream
            for member in self.members
            for name, stream in member.streams(segment_seconds).items()
        }

    def describe(self, chunks: Sequence[Chunk], segment_seconds: float) -> Rows:
        """Returns the rows of all."""
        return {
            name: value
            for member in self.members
            for name, value in member.describe(chunks, segment_seconds).items()
        }

    def to(self, device: torch.device) -> None:
        """Moves the networks of all."""
        for member in self.members:
            member.to(device)
