"""From probabilities to binary maps: a segment threshold, gated by video-level probabilities.

A class is on in a segment when its segment probability reaches the segment threshold and its
video-level probability reaches the video threshold. Published methods differ in which video-level
probability gates which modality, and in the thresholds; ``published_gate`` has their rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from rlld.errors import RlldError, nearest
from rlld.metrics.scores import NAMES, Scorer, named_score
from rlld.types import AUDIO, MODALITIES, Prediction
from rlld.utils.config import YOUNG

if TYPE_CHECKING:
    from rlld.data.split import Split

Source = Literal["video", "modality"]
Threshold = float | tuple[float, ...]

NEAR = 0.5
"""Share of the strongest probability of a known tag from which on a track is taken to hold it."""
LASTING = 0.35
"""Times the square of the strongest probability of such a track: its segments from there on."""
EVEN = 0.5
"""Share of the strongest probability with which a track leaves the policy's odds as they are."""
SURE = 0.99
"""Most, and one less this the least, that a policy's probability counts for."""

CANDIDATES = tuple(step / 20 for step in range(5, 15))
"""Thresholds that CMPAE tries for each class: 0.25, 0.30 ... 0.70."""


@dataclass(frozen=True)
class Gate:
    """The rule that makes binary maps of a prediction; the default is JoMoLD's.

    All comparisons are "at least". A single threshold is compared in the precision of the
    probabilities (float32), thresholds per class in float64, as in the published evaluations; it
    matters only for probabilities equal to the float32 neighbour of the threshold.

    Attributes:
        audio: Which video-level probability gates audio: ``video``, the fused one, or
            ``modality``, that of the audio track.
        visual: The same for visual.
        audio_threshold: Threshold of the audio gate, in [0, 1]; one number or one per class.
        visual_threshold: The same for visual.
        segment_threshold: Threshold of the segment probabilities, in [0, 1].
        judged: Whether the policy that cleaned the labels of a run also judges, in each new video,
            which tracks hold what occurs in it; see ``completed``.
        smoothing: How much each of the two neighbours of a segment counts before its probability
            is compared, in [0, 0.5]; the segment itself has the rest. At the ends of a video it
            stands in for the neighbour that is missing.

    Raises:
        RlldError: If a threshold or the smoothing is out of range.
    """

    audio: Source = "modality"
    visual: Source = "modality"
    audio_threshold: Threshold = 0.5
    visual_threshold: Threshold = 0.5
    segment_threshold: float = 0.5
    smoothing: float = field(default=0.0, metadata=YOUNG)
    judged: bool = field(default=False, metadata=YOUNG)

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 0.5:
            raise RlldError(f"gate: smoothing {self.smoothing} is out of range; give 0 to 0.5")
        for name in ("audio_threshold", "visual_threshold", "segment_threshold"):
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if not 0 <= number <= 1:
                    raise RlldError(f"gate: {name} {number} is out of range; give 0 to 1")

    def apply(self, prediction: Prediction, tags: Tensor | None = None) -> Tensor:
        """Returns the binary maps of a prediction.

        Args:
            prediction: Probabilities of B videos; completed where a policy judged them.
            tags: Known tags (B, C), bool or 0/1, which stand in for the video-level gate: a
                class that is not among the tags of a video is off in it, a tag is never dropped
                for a low video-level probability. And since it is somewhere in the video, the
                track that comes near its strongest segment holds it, however weak that is
                (``lasting`` says when).
                None when nothing is known.

        Returns:
            (B, T, 2, C), bool, on the device of the prediction; False behind the end of a video.

        Raises:
            RlldError: If ``tags`` or thresholds per class do not fit the prediction.

        Examples:
            Two segments, two classes. Both are heard in the second segment, but the whole video has
            the second class with 0.4 only:

            >>> heard = torch.tensor([[0.2, 0.1], [0.9, 0.8]])
            >>> segment = torch.stack([heard, torch.zeros(2, 2)], 1)[None]  # (B, T, 2, C)
            >>> level = torch.tensor([[0.7, 0.4]])
            >>> prediction = Prediction(segment=segment, audio=level, visual=level, video=level)
            >>> Gate().apply(prediction)[0, :, AUDIO].tolist()
            [[False, False], [True, False]]
            >>> Gate().apply(prediction, tags=torch.tensor([[0, 1]]))[0, :, AUDIO].tolist()
            [[False, False], [False, True]]
        """
        if tags is not None and tags.shape != prediction.video.shape:
            raise RlldError(
                f"tags have shape {tuple(tags.shape)}, expected one row per video and one "
                f"column per class, {tuple(prediction.video.shape)}"
            )
        found = self.completed(prediction, tags)
        if tags is None:
            return self._open(found)
        return self.reached(found.segment, found.mask, known=True) & tags.bool()[:, None, None]

    def completed(self, prediction: Prediction, tags: Tensor | None = None) -> Prediction:
        """Adds what a policy knows of the tracks to what the network perceives in them.

        Given that a class occurs in a video, the odds of a track to hold it are those of the policy
        (``Prediction.held``) times what the network sees there of it, relative to the track that
        it is surest of. Where it is then probable, the track holds it, and the segments that it
        then lasts for (``lasting``) have at least that probability.

        Args:
            prediction: Probabilities of B videos, judged or not.
            tags: Known tags (B, C); None where the network has to tell what occurs at all: what the
                gate finds in one track, as probable as its strongest segment.

        Returns:
            The prediction, ``held`` used up; the same one where nothing judged it.
        """
        if prediction.held is None:
            return prediction
        segment = smoothed(prediction.segment, self.smoothing, prediction.mask)
        track = segment.amax(1)
        strongest = track.amax(1, keepdim=True)
        judged = prediction.held.to(track).clamp(1 - SURE, SURE)
        odds = judged / (1 - judged) * track / (EVEN * strongest.clamp(min=1e-9))
        occurs, active = torch.ones_like(strongest), self._open(prediction)
        if tags is None:
            occurs = strongest * active.any(1).any(1, keepdim=True)
        probability = occurs * odds / (1 + odds)
        held = probability >= 0.5
        raised = torch.maximum(prediction.segment, probability[:, None])
        audio, visual = (
            torch.where(held[:, track], torch.maximum(level, probability[:, track]), level)
            for track, level in enumerate((prediction.audio, prediction.visual))
        )
        whole = torch.where(held[:, None] & lasting(segment, active), raised, prediction.segment)
        completed = replace(prediction, segment=whole, audio=audio, visual=visual, held=None)
        return completed.within(prediction.mask)

    def reached(
        self, segment: Tensor, mask: Tensor | None = None, *, known: bool = False
    ) -> Tensor:
        """Returns which segments hold a class, as far as they tell by themselves.

        Args:
            segment: Probabilities (B, T, 2, C).
            mask: Which segments belong to their video (B, T), bool; all when None.
            known: Whether each class is known to be somewhere in its video.

        Returns:
            (B, T, 2, C), bool.
        """
        segment = smoothed(segment, self.smoothing, mask)
        active = _reaches(segment, self.segment_threshold)
        if known:
            track = segment.amax(1, keepdim=True)
            held = (track >= NEAR * track.amax(2, keepdim=True)) & (track > 0)
            held |= active.any(1, keepdim=True)
            # Networks without a policy beside them are too unsure to say when it begins and ends.
            said = active if self.judged else torch.zeros_like(active)
            active |= held & lasting(segment, said)
        return active if mask is None else active & mask[..., None, None]

    def _open(self, prediction: Prediction) -> Tensor:
        """Returns which segments hold a class whose gate is open (B, T, 2, C), bool."""
        active = self.reached(prediction.segment, prediction.mask)
        return active & self.video_level(prediction)[:, None]

    def video_level(self, prediction: Prediction) -> Tensor:
        """Returns which classes pass the video-level gate (B, 2, C), bool."""
        audio = prediction.video if self.audio == "video" else prediction.audio
        visual = prediction.video if self.visual == "video" else prediction.visual
        passed = (
            _reaches(audio, self.audio_threshold),
            _reaches(visual, self.visual_threshold),
        )
        return torch.stack(passed, 1)


def lasting(segment: Tensor, active: Tensor) -> Tensor:
    """Returns in which segments a class lasts where its track holds it.

    Where some segments say so by themselves, these and what lies between the first and the last one
    and is not much weaker than the strongest: what is seen in the second and the fourth second was
    there in the third. Where none does, all that are not much weaker than the strongest, for then
    nothing is known of when.

    Args:
        segment: Probabilities (B, T, 2, C).
        active: Which of them reach the threshold (B, T, 2, C), bool.

    Returns:
        (B, T, 2, C), bool.

    Examples:
        >>> segment = torch.tensor([0.2, 0.9, 0.3, 0.6, 0.3])[None, :, None, None]
        >>> lasting(segment, segment >= 0.5).flatten().tolist()
        [False, True, True, True, False]
        >>> lasting(segment, segment >= 1).flatten().tolist()
        [False, True, True, True, True]
    """
    begun, goes_on = active.cumsum(1) > 0, active.flip(1).cumsum(1).flip(1) > 0
    within = (begun & goes_on) | ~active.any(1, keepdim=True)
    return within & (segment >= LASTING * segment.amax(1, keepdim=True).square())


def smoothed(segment: Tensor, weight: float, mask: Tensor | None = None) -> Tensor:
    """Returns the probabilities of segments, each mixed with those of its two neighbours.

    Args:
        segment: (B, T, ...); 0 behind the end of a video.
        weight: Of each neighbour, in [0, 0.5].
        mask: Which segments belong to their video (B, T), bool; all when None.

    Examples:
        >>> smoothed(torch.tensor([[0.8, 0.0, 0.4]]), 0.25)
        tensor([[0.6000, 0.3000, 0.3000]])
    """
    if not weight:
        return segment
    before = torch.cat([segment[:, :1], segment[:, :-1]], 1)
    after = torch.cat([segment[:, 1:], segment[:, -1:]], 1)
    if mask is not None:
        goes_on = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], 1)
        after = torch.where(goes_on.view(*mask.shape, *[1] * (segment.ndim - 2)), after, segment)
    return segment + weight * (before + after - 2 * segment)


def _reaches(probability: Tensor, threshold: Threshold) -> Tensor:
    """Compares (..., C) with one threshold or one per class."""
    if not isinstance(threshold, tuple):
        # Half-precision values are exact in float32, a threshold like 0.45 is not in half.
        wide = torch.promote_types(probability.dtype, torch.float32)
        value = probability.detach().to(wide)
        # On a CPU, comparing into floats is vectorised, comparing into bool is not.
        return torch.ge(value, threshold, out=torch.empty_like(value)).bool()
    if len(threshold) != probability.shape[-1]:
        raise RlldError(
            f"gate: found {len(threshold)} thresholds for {probability.shape[-1]} classes; give "
            "one per class, or a single number"
        )
    limits = torch.tensor(threshold, dtype=torch.float64, device=probability.device)
    return probability.double() >= limits


GLOBAL = Gate("video", "video")
"""HAN, MM-Pyramid, MGN, CVCMS and VALOR: the fused probability gates both modalities."""

PER_MODALITY = Gate()
"""MA, CPSP, JoMoLD, DHHN, LSLD and ADDA: each modality is gated by its own probability."""

MM_CSE = Gate("video", "modality")
"""MM-CSE: the fused probability gates audio, the visual one gates visual."""

NREP = Gate(audio_threshold=0.45, visual_threshold=0.45, segment_threshold=0.25)
"""NREP: evidential probabilities of its two models."""

_FIXED = {
    **dict.fromkeys(("han", "mm_pyramid", "mgn", "cvcms", "valor"), GLOBAL),
    **dict.fromkeys(("ma", "cpsp", "jomold", "dhhn", "lsld", "adda"), PER_MODALITY),
    "mm_cse": MM_CSE,
    "nrep": NREP,
}
_FUSED = {"cmpae": 0.45, "coleaf": 0.52}

FUSE_RATIO = 0.7
"""Weight of the pass with cross-modal attention in CMPAE and CoLeaF."""


def published_gate(method: str, classes: int) -> Gate:
    """Returns the rule that a published evaluation uses.

    Args:
        method: Name of the method: ``han``, ``jomold``, ``mm_cse`` ... ``cmpae``, ``coleaf``.
        classes: Number of classes; CMPAE and CoLeaF compare visual gates class by class. Both
            gate fused predictions, see ``fuse``; CMPAE searches the visual thresholds before its
            final test, see ``search_thresholds``.

    Raises:
        RlldError: If the method is unknown.
    """
    if method in _FUSED:
        threshold = _FUSED[method]
        return Gate(
            audio_threshold=threshold,
            visual_threshold=(threshold,) * classes,
            segment_threshold=0.25,
        )
    if method not in _FIXED:
        known = (*_FIXED, *_FUSED)
        raise RlldError(f"no published gate rule named {method!r}{nearest(method, known)}")
    return _FIXED[method]


def fuse(attended: Prediction, plain: Prediction, ratio: float = FUSE_RATIO) -> Prediction:
    """Mixes two passes of one network, with and without cross-modal attention.

    Source: option ``fuse_ratio`` of CMPAE and CoLeaF.

    Args:
        attended: The pass with cross-modal attention.
        plain: The pass without.
        ratio: Weight of ``attended`` in [0, 1]; the other pass has the rest.

    Returns:
        ``ratio * attended + (1 - ratio) * plain`` of all four probabilities, without extras.

    Raises:
        RlldError: If ``ratio`` is out of range.
    """
    if not 0 <= ratio <= 1:
        raise RlldError(f"fuse ratio {ratio} is out of range; give 0 to 1")

    def mix(first: Tensor, second: Tensor) -> Tensor:
        return ratio * first + (1 - ratio) * second

    return Prediction(
        mix(attended.segment, plain.segment),
        mix(attended.audio, plain.audio),
        mix(attended.visual, plain.visual),
        mix(attended.video, plain.video),
        mask=attended.mask,
    )


def search_thresholds(
    prediction: Prediction,
    split: Split,
    gate: Gate,
    modality: str = "visual",
    score: str = "event_visual",
    candidates: tuple[float, ...] = CANDIDATES,
) -> Gate:
    """Searches a video threshold for each class, on validation.

    Source: CMPAE, which does so for the visual modality. Each class is tried alone, all others
    stay at the gate's own thresholds; of equally good candidates the last is kept.

    Args:
        prediction: Probabilities of all videos of ``split``.
        split: The validation split, with dense annotation.
        gate: The rule to start from.
        modality: ``audio`` or ``visual``.
        score: The score to raise, as ``named_score`` reads it.
        candidates: Thresholds to try, in this order.

    Returns:
        The gate with one threshold per class in that modality.

    Raises:
        RlldError: If the split is the test split or has no dense annotation, if a name is
            unknown, or if there is no candidate.
    """
    if split.name == "test":
        raise RlldError("thresholds are never chosen on the test split; give the validation split")
    if modality not in MODALITIES:
        raise RlldError(f"unknown modality {modality!r}{nearest(modality, MODALITIES)}")
    if not candidates:
        raise RlldError("the threshold search needs at least one candidate, found none")
    scorer = Scorer(split.require_dense())
    own = gate.audio_threshold if modality == MODALITIES[AUDIO] else gate.visual_threshold
    start = own if isinstance(own, tuple) else (own,) * prediction.video.shape[-1]
    wanted = _needed(score)

    def value(class_index: int, threshold: float) -> Tensor:
        trial = (*start[:class_index], threshold, *start[class_index + 1 :])
        maps = _with_thresholds(gate, modality, trial).apply(prediction)
        return named_score(scorer(maps, wanted), score)

    chosen = []
    for class_index in range(len(start)):
        values = torch.stack([value(class_index, each) for each in candidates]).tolist()
        best = max(range(len(candidates)), key=lambda i: (values[i], i))
        chosen.append(candidates[best])
    return _with_thresholds(gate, modality, tuple(chosen))


def _with_thresholds(gate: Gate, modality: str, thresholds: tuple[float, ...]) -> Gate:
    if modality == MODALITIES[AUDIO]:
        return replace(gate, audio_threshold=thresholds)
    return replace(gate, visual_threshold=thresholds)


def _needed(score: str) -> tuple[str, ...]:
    """Returns the scores that a named score is made of."""
    parts = tuple(part.strip() for part in score.split("+"))
    return NAMES if "mean" in parts else parts
