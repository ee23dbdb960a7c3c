"""Parts of a network that are kept from the rounds that are best by scores of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rlld.errors import RlldError
from rlld.metrics.scores import NAMES, named_score
from rlld.training.selection import Selection


class KeptParts:
    """The kept weights of parts, see ``Selection.parts``.

    Args:
        rule: Says which parts there are and by which score each is kept.
        network: The network in training.
        name: Its name, for messages.

    Attributes:
        kept: By part the ``score``, the ``round`` and the ``weights``.

    Raises:
        RlldError: If the network does not have a part, or a score is unknown.
    """

    def __init__(self, rule: Selection, network: nn.Module, name: str) -> None:
        self.rule = rule
        self.kept: dict[str, dict[str, Any]] = {}
        for part, score in rule.parts.items():
            named_score(dict.fromkeys(NAMES, 0.0), score)
            if not _weights(network, part):
                raise RlldError(
                    f"selection.parts: network {name} has no part {part!r}; set selection.parts "
                    "to {} to keep the network as a whole"
                )

    def see(self, network: nn.Module, number: int, scores: Mapping[str, float]) -> None:
        """Looks at the network of a round and at its scores, which are empty without validation."""
        for part, name in self.rule.parts.items() if scores else ():
            score = named_score(scores, name)
            if self.rule.better(score, self.kept.get(part, {}).get("score")):
                weights = {key: v.detach().clone() for key, v in _weights(network, part).items()}
                self.kept[part] = {"score": score, "round": number, "weights": weights}

    def weights(self) -> dict[str, Tensor]:
        """Returns the kept weights of all parts, by their names in the network."""
        return {key: value for part in self.kept.values() for key, value in part["weights"].items()}

    def rounds(self) -> dict[str, int]:
        """Returns the round of each part."""
        return {name: part["round"] for name, part in self.kept.items()}


def _weights(network: nn.Module, part: str) -> dict[str, Tensor]:
    return {k: v for k, v in network.state_dict().items() if k.startswith(f"{part}.")}
