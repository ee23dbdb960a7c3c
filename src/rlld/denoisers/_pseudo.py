"""What label sources share that find segment labels in scores, once before the first step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.split import Split
from rlld.denoisers.base import Context, Denoiser
from rlld.errors import RlldError
from rlld.types import Batch, ModalityLabels, Prediction

LabelPrompts = Callable[[Sequence[int], Sequence[str]], tuple[list[str], list[str]]]
"""Returns the audio and the visual prompts of labels of a video, given the class names."""


@dataclass(frozen=True)
class Teacher:
    """How a method scores segments; the ``TEACHER`` of its module.

    Attributes:
        features: What embeds pictures and sounds: extractors as ``rlld extract`` takes them.
        scores: Set of scores that its recipe reads.
        class_prompts: Returns one prompt per class by modality, given the class names.
        label_prompts: Instead of them, one for every combination of the labels of a video.
        calibrated: Whether scores are log odds, by what similarities mean in the whole data set.
    """

    features: str
    scores: str
    class_prompts: Callable[[Sequence[str]], dict[str, list[str]]] | None = None
    label_prompts: LabelPrompts | None = None
    calibrated: bool = False

    def __post_init__(self) -> None:
        if (self.class_prompts is None) == (self.label_prompts is None):
            raise ValueError("a teacher has either class_prompts or label_prompts")


class PseudoLabels(Denoiser):
    """Hands out labels of every training segment; a subclass finds them.

    The video-level target of a modality is its largest segment label, the fused target stays the
    weak label.
    """

    replayable = True
    networks_are_fixed = True

    def __init__(self, classes: int) -> None:
        self._segment: Tensor | None = None
        self._kept = Kept(classes)

    @abstractmethod
    def segment_labels(self, split: Split) -> Tensor:
        """Returns the labels of all segments of a split (N, T, 2, C), in [0, 1].

        Raises:
            RlldError: If the data set has no scores to find them in.
        """

    def prepare(self, context: Context) -> None:
        """Finds the labels of the training segments; validation has no part in it."""
        train = context.train
        self._segment = self.segment_labels(train)
        if train.mask is not None:
            self._segment = self._segment * train.mask[..., None, None]
        # Soft labels of classes that the video does not carry are no kept labels.
        self._kept.keep = self._segment.amax(1) * train.labels[:, None]

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the labels of the batch's segments; the prediction is not looked at."""
        if self._segment is None:
            raise RuntimeError("prepare comes before revise")
        segment = batch.part(self._segment)
        audio, visual = segment.amax(1).unbind(1)
        return ModalityLabels(audio, visual, batch.labels, segment)

    def training_keep(self) -> Tensor | None:
        """Returns the largest segment label of every training label (N, 2, C)."""
        return self._kept.keep if len(self._kept.keep) else None

    def networks(self) -> dict[str, nn.Module]:
        """Returns what was kept of the training labels."""
        return {"kept": self._kept}


class Kept(nn.Module):
    """Largest segment labels (N, 2, C); a module so that a run folder holds them."""

    keep: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("keep", torch.zeros(0, 2, classes))

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        # How many videos there are is known only from the file.
        found = state_dict.get(f"{prefix}keep")
        if isinstance(found, Tensor):
            self.keep = self.keep.new_empty(found.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def per_class(values: tuple[float, ...], classes: int, option: str) -> Tensor:
    """Returns thresholds (C,) from one number for all classes or one for each.

    Raises:
        RlldError: If there is another number of them; ``option`` names them in the message.
    """
    if len(values) not in (1, classes):
        raise RlldError(
            f"denoiser {option}: {len(values)} thresholds for {classes} classes; give one for all "
            "or one for each"
        )
    return torch.tensor(values).expand(classes)
