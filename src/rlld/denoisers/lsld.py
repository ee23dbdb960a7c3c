"""LSLD's segment labels (Fan, Wu, Du and Lin, NeurIPS 2023): denoising from the language side.

Every segment takes the combination of the video's labels whose prompt it resembles most; unreliable
visual labels then become soft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlld.data.similarities import combinations, load_scores
from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers._pseudo import PseudoLabels, Teacher
from rlld.errors import RlldError
from rlld.taxonomy import LLP
from rlld.types import MODALITIES

NOTHING = "other"
SPOKEN_NAMES = (
    "Speeching",
    "Car",
    "Cheering",
    "Dog",
    "Cat",
    "Frying food",
    "playing basketball",
    "Fire alarm ringing",
    "Chainsaw",
    "playing the Cello",
    "playing the Banjo",
    "Singing",
    "Chicken",
    "playing the Violin",
    "Vacuum cleaner",
    "Baby laughter",
    "playing the Accordion",
    "Lawn-mower",
    "Motorcycle",
    "Helicopter",
    "playing the guitar",
    "Telephone bell ringing",
    "Baby cry",
    "Blender",
    "Clapping",
)
"""LLP's classes as they stand in prompts."""


@dataclass(frozen=True)
class Config:
    """Options of LSLD's labels.

    Attributes:
        scores: The set of scores to read, one prompt per combination of the video's labels.
        event_ratio: Factor from the similarity of a doubtful visual label to its new value.
        noise_ratio: The same for a segment that resembles a class without carrying its label.
        reweigh: Whether doubtful visual labels become soft at all.
    """

    scores: str = "combinations"
    event_ratio: float = 4.0
    noise_ratio: float = 0.4
    reweigh: bool = True

    def __post_init__(self) -> None:
        for name in ("event_ratio", "noise_ratio"):
            if getattr(self, name) < 0:
                raise RlldError(
                    f"denoiser lsld: {name} must not be negative, found {getattr(self, name)}"
                )

    def build(self, spec: DataSpec) -> LSLDLabels:
        """Builds the label source."""
        return LSLDLabels(self, spec)


class LSLDLabels(PseudoLabels):
    """Labels of the video, in the segments whose closest prompt names them.

    Attributes:
        config: Its options.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__(len(spec.classes))
        self.config = config

    def segment_labels(self, split: Split) -> Tensor:
        """Returns the labels of all segments of a split (N, T, 2, C), visual ones in [0, 1]."""
        wanted: dict[str, int | None] = dict.fromkeys(MODALITIES)
        if self.config.reweigh:
            wanted["visual_classes"] = len(split.spec.classes)
        scores = load_scores(split, self.config.scores, wanted)
        audio, visual = (refine(scores[modality], split.labels) for modality in MODALITIES)
        if self.config.reweigh:
            ratios = (self.config.event_ratio, self.config.noise_ratio)
            visual = reweigh(visual, scores["visual_classes"], *ratios, split.mask)
        return torch.stack([audio, visual], 2)


def prompts(labels: Sequence[int], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the audio and the visual prompts of a video, in the order of their scores.

    Args:
        labels: Class indices in ascending order.
        names: Classes as they stand in prompts (``spoken_names``).
    """
    visual = [" and ".join(names[c] for c in chosen) or NOTHING for chosen in combinations(labels)]
    return [f"This is a sound of {text}" for text in visual], visual


def spoken_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Returns class names as they stand in prompts; those outside LLP without underscores."""
    known = dict(zip(LLP.classes, SPOKEN_NAMES, strict=True))
    return tuple(known.get(name, name.replace("_", " ")) for name in classes)


TEACHER = Teacher(
    "clip(model=clip-vit-base-patch16,sampling=all),clap(weights=630k-audioset-best.pt)",
    "combinations",
    label_prompts=lambda labels, classes: prompts(labels, spoken_names(classes)),
)


def refine(scores: Tensor, labels: Tensor) -> Tensor:
    """Gives each segment the labels that its closest prompt names (``refineLabel``).

    Args:
        scores: Similarities with the prompts of each video (B, T, P); a video with n labels has
            2**n of them, what stands behind is not looked at. Of equal ones the first counts.
        labels: Weak labels (B, C).

    Returns:
        (B, T, C), 0 or 1, in the dtype of the labels.

    Raises:
        RlldError: If there are fewer scores than prompts.
    """
    positive = labels > 0
    count = positive.sum(1)
    most = 2 ** int(count.max()) if len(labels) else 1
    if scores.shape[-1] < most:
        raise RlldError(
            f"scores: {scores.shape[-1]} prompts per video, but videos with {int(count.max())} "
            f"labels have {most}; make the scores again"
        )
    prompt = torch.arange(scores.shape[-1], device=scores.device)
    meaningless = prompt >= (2**count)[:, None]
    chosen = scores.masked_fill(meaningless[:, None], -torch.inf).argmax(-1)
    result = torch.zeros_like(labels)[:, None].repeat(1, scores.shape[1], 1)
    for number in torch.unique(count).tolist():
        rows = (count == number).nonzero()[:, 0]
        # Which of a video's n labels each of its prompts names (2**n, n).
        named = torch.zeros(2**number, number, dtype=labels.dtype, device=labels.device)
        for row, members in enumerate(combinations(range(number))):
            named[row, list(members)] = 1
        classes = positive[rows].nonzero()[:, 1].view(len(rows), 1, number)
        index = classes.expand(-1, scores.shape[1], -1)
        result[rows] = result[rows].scatter(2, index, named[chosen[rows]])
    return result


def reweigh(
    labels: Tensor,
    similarity: Tensor,
    event_ratio: float,
    noise_ratio: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Makes doubtful visual labels soft (``getVisualCleanLabel``).

    Of a class, a labelled segment is doubtful where some unlabelled one resembles it more, and an
    unlabelled one where it resembles the class more than some labelled one. Every segment of the
    training split counts, those of videos without the class too.

    Args:
        labels: Labels of all segments (N, T, C), 0 or 1.
        similarity: Cosines with the class names (N, T, C).
        event_ratio: A doubtful label becomes this times its similarity, if that lies in (0, 1).
        noise_ratio: The same for a doubtful missing label.
        mask: Which segments belong to their video (N, T), bool; all when None.

    Returns:
        (N, T, C), in [0, 1].
    """
    positive = labels > 0
    # A class without a positive segment has the limit +inf and is left as it is, and so is one
    # without a negative segment, whose limit is -inf.
    known = positive, ~positive
    if mask is not None:
        known = positive & mask[..., None], ~positive & mask[..., None]
    lowest = similarity.masked_fill(~known[0], torch.inf).amin((0, 1))
    highest = similarity.masked_fill(~known[1], -torch.inf).amax((0, 1))
    raised = similarity.to(labels.dtype)
    event, noise = raised * event_ratio, raised * noise_ratio
    doubtful = positive & (similarity < highest) & (event > 0) & (event < 1)
    resembling = ~positive & (similarity > lowest) & (noise > 0) & (noise < 1)
    return torch.where(doubtful, event, torch.where(resembling, noise, labels))
