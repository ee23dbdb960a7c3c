"""VALOR's segment pseudo labels (Lai, Chen and Wang, NeurIPS 2023): label elaboration.

Logits of CLIP for pictures and of CLAP for sounds, one prompt per class; a label of the video holds
in the segments whose logit is above the threshold of its class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.similarities import class_scores
from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers._pseudo import PseudoLabels, Teacher, per_class
from rlld.denoisers.base import Context
from rlld.taxonomy import LLP
from rlld.types import MODALITIES
from rlld.utils.console import ERR

VISUAL_PROMPTS = (
    "A photo of people talking.",
    "A photo of a car.",
    "A photo of people cheering.",
    "A photo of a dog.",
    "A photo of a cat.",
    "A photo of frying food.",
    "A photo of people playing basketball.",
    "A photo of a fire alarm.",
    "A photo of a chainsaw.",
    "A photo of a cello.",
    "A photo of a banjo.",
    "A photo of people singing.",
    "A photo of a chicken or a rooster.",
    "A photo of a violin.",
    "A photo of a vaccum cleaner.",
    "A photo of a laughing baby.",
    "A photo of an accordion.",
    "A photo of a lawnmower.",
    "A photo of a motorcycle.",
    "A photo of a helicopter.",
    "A photo of a acoustic guiter.",
    "A photo of a ringing telephone.",
    "A photo of a crying baby.",
    "A photo of a blender.",
    "A photo of hands clapping.",
)
"""Prompts for LLP's classes and CLIP ViT-L/14; the spelling is the published one."""

SOUNDS = (
    "speech",
    "car",
    "cheering",
    "dog",
    "cat",
    "frying (food)",
    "basketball bounce",
    "fire alarm",
    "chainsaw",
    "cello",
    "banjo",
    "singing",
    "chicken, rooster",
    "violin fiddle",
    "vacuum cleaner",
    "baby laughter",
    "accordion",
    "lawn mower",
    "motorcycle",
    "helicopter",
    "acoustic guitar",
    "telephone bell ringing",
    "baby cry, infant cry",
    "blender",
    "clapping",
)
AUDIO_PROMPTS = tuple(f"This is a sound of {sound}" for sound in SOUNDS)
"""Prompts for LLP's classes and CLAP (630k-fusion-best)."""


def prompts(classes: Sequence[str]) -> dict[str, list[str]]:
    """Returns the prompts by modality; classes outside LLP stand in the same sentences."""
    audio = dict(zip(LLP.classes, AUDIO_PROMPTS, strict=True))
    visual = dict(zip(LLP.classes, VISUAL_PROMPTS, strict=True))
    words = {name: name.replace("_", " ").lower() for name in classes}
    return {
        "audio": [audio.get(n, f"This is a sound of {word}") for n, word in words.items()],
        "visual": [visual.get(n, f"A photo of {word}.") for n, word in words.items()],
    }


TEACHER = Teacher("clip,clap", "classes", prompts)


# fmt: off
AUDIO_THRESHOLDS = (
    0.0, 0.0, 1.0, 4.0, 6.0, -2.0, 4.0, 4.0, 2.0, 2.0, 2.0, 1.0, 2.0,
    3.0, 0.0, 2.0, 2.0, 2.0, 0.0, 2.0, -1.0, 2.0, 3.0, 3.0, 0.0,
)
VISUAL_THRESHOLDS = (
    20.0, 15.0, 18.0, 14.0, 15.0, 18.0, 18.0, 15.0, 15.0, 15.0, 15.0, 18.0, 15.0,
    15.0, 15.0, 15.0, 15.0, 15.0, 15.0, 16.0, 14.0, 15.0, 15.0, 15.0, 18.0,
)
# fmt: on


@dataclass(frozen=True)
class Config:
    """Options of VALOR's pseudo labels.

    Attributes:
        scores: The set of scores to read, one prompt per class.
        audio_thresholds: Logits that a sound must exceed, one per class or one for all; the
            defaults are those for LLP's classes, by name, with the prompts of this module.
        visual_thresholds: The same for pictures.
    """

    scores: str = "classes"
    audio_thresholds: tuple[float, ...] = AUDIO_THRESHOLDS
    visual_thresholds: tuple[float, ...] = VISUAL_THRESHOLDS

    def build(self, spec: DataSpec) -> ValorLabels:
        """Builds the label source."""
        return ValorLabels(self, spec)


def _thresholds(
    values: tuple[float, ...], published: tuple[float, ...], classes: Sequence[str], option: str
) -> Tensor:
    """Returns thresholds (C,); the published ones are those of LLP's classes by name."""
    if values != published or _strangers(classes):
        return per_class(values, len(classes), option)
    known = dict(zip(LLP.classes, values, strict=True))
    return torch.tensor([known[name] for name in classes])


def _strangers(classes: Sequence[str]) -> list[str]:
    """Returns the classes that are not LLP's."""
    return [name for name in classes if name not in LLP.classes]


class ValorLabels(PseudoLabels):
    """Labels of the video, in the segments that resemble them.

    Attributes:
        config: Its options.
        thresholds: By modality and class (2, C).
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(len(spec.classes))
        self.config = config
        both = (config.audio_thresholds, config.visual_thresholds)
        published = (AUDIO_THRESHOLDS, VISUAL_THRESHOLDS)
        self._by_place = _strangers(spec.classes) if set(both) & set(published) else []
        self.thresholds = torch.stack(
            [
                _thresholds(values, usual, spec.classes, f"valor: {modality}_thresholds")
                for modality, values, usual in zip(MODALITIES, both, published, strict=True)
            ]
        )

    def prepare(self, context: Context) -> None:
        """Finds the labels, and says where thresholds of other classes stand in."""
        for note in self.notes():
            ERR.print(note)
        super().prepare(context)

    def notes(self) -> list[str]:
        """Says that published thresholds were taken for classes that they were not chosen for."""
        if not self._by_place:
            return []
        return [
            f"denoiser valor: the published thresholds are those of LLP's classes, of which "
            f"{self._by_place[0]!r} is none, and were taken in their order; give "
            "--denoiser.audio_thresholds and --denoiser.visual_thresholds, one for all or for each"
        ]

    def segment_labels(self, split: Split) -> Tensor:
        """Returns the pseudo labels of all segments of a split (N, T, 2, C)."""
        logits = class_scores(split, self.config.scores)
        return elaborate(logits, split.labels, self.thresholds.to(logits))


def elaborate(logits: Tensor, labels: Tensor, thresholds: Tensor) -> Tensor:
    """Elaborates labels of videos to labels of segments (``get_segment_pseudo_labels``).

    Args:
        logits: Similarities (B, T, 2, C).
        labels: Weak labels (B, C).
        thresholds: (2, C); a label needs a larger logit, an equal one does not do.

    Returns:
        (B, T, 2, C), 0 or 1, in the dtype of the labels.
    """
    return (logits > thresholds).to(labels.dtype) * labels[:, None, None]
