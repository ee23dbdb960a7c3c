"""A policy on top of another source of labels: it judges what that source claims.

The source says which tags hold in which modality, some sources in which segments too. The policy
removes from that; what it keeps stays as the source has it. Every network that is trained for the
policy learns from such labels as well, so that its evidence knows what the source knows. Where the
source can be asked about annotated segments, claims are judged segment by segment (``claims``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers._pseudo import Kept, PseudoLabels
from rlld.denoisers.base import Build, Context, Denoiser, Fit, TaskStep
from rlld.denoisers.reinforced.claims import (
    HALF,
    Claims,
    SegmentEvidence,
    answered,
    believed,
)
from rlld.denoisers.reinforced.policy import CHUNK
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import Batch, ModalityLabels, Prediction

BOTH = ("replayable", "networks_are_fixed")
EITHER = (
    "wants_feedback",
    "wants_prediction",
    "unimodal_prediction",
    "learns_from_validation",
    "needs_dense",
    "uses_truth",
    "fresh_network_each_round",
)
"""What holds of a composition where it holds of both of its parts, or of either."""


class Composed(Denoiser):
    """The labels of a source, less what a policy removes, or the segments of it that are believed.

    A source that judges by the network being trained (JoMoLD) has no labels before the training;
    what is trained for the policy then learns from the policy's labels alone.

    Args:
        source: The source of labels.
        policy: The learner, which acts on the tags.
        spec: The data set.

    Attributes:
        source: The source of labels.
        policy: The learner.
    """

    def __init__(self, source: Denoiser, policy: Denoiser, spec: DataSpec) -> None:
        self.source, self.policy = source, policy
        self._context: Context | None = None
        self._evidence: SegmentEvidence | None = None
        self._segment: Tensor | None = None
        self._kept = Kept(len(spec.classes))
        self._unheard = ""
        self._declare()

    @property
    def parts(self) -> tuple[Denoiser, Denoiser]:
        """Source and policy, in the order in which they act."""
        return self.source, self.policy

    def _declare(self) -> None:
        for names, quantified in ((BOTH, all), (EITHER, any)):
            for name in names:
                setattr(self, name, quantified(getattr(part, name) for part in self.parts))

    def attach(self, build_network: Build) -> None:
        """Tells both how to build a task network."""
        for part in self.parts:
            part.attach(build_network)

    def prepare(self, context: Context) -> None:
        """Prepares both; what is trained for the policy learns from the source's labels."""
        self.source.prepare(context)
        self.policy.prepare(replace(context, fit=self._fit_on(context)))
        self._declare()
        self._context, self._segment = context, None
        taught = context.reward.dense is not None and len(context.reward)
        if isinstance(self.source, PseudoLabels) and taught:
            self._evidence = SegmentEvidence(context.train, context.reward)

    def _fit_on(self, context: Context) -> Fit:
        def fit(
            labels: ModalityLabels,
            share: float = 1.0,
            videos: Tensor | None = None,
            unimodal: bool = False,
            settings: Mapping[str, Any] | None = None,
            start: Network | None = None,
            teachers: Split | None = None,
        ) -> Network:
            if not self.source.wants_prediction:
                own = training_labels(self.source, context.train)
                labels = composed(own, labels, context.train.labels)
            network = context.fit(labels, share, videos, unimodal, settings, start, teachers)
            if self._evidence is not None and unimodal and videos is not None:
                self._evidence.see(network, videos, teachers)
            return network

        return fit

    def generators(self) -> list[torch.Generator]:
        """Returns what both draw from."""
        return [each for part in self.parts for each in part.generators()]

    def advance(self, videos: int) -> None:
        """Tells both that a step follows."""
        for part in self.parts:
            part.advance(videos)

    def before_step(self, task: TaskStep) -> None:
        """Tells both that a step begins."""
        for part in self.parts:
            part.before_step(task)

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns what the source claims of a batch, less what the policy removes."""
        own = self.source.revise(batch, prediction)
        judged = self.policy.revise(batch, prediction)
        if self._evidence is not None:
            self._judge(self._evidence)
        if self._segment is None:
            return composed(own, judged, batch.labels)
        segment = batch.part(self._segment).to(batch.labels.dtype)
        audio, visual = segment.amax(1).unbind(1)
        return ModalityLabels(audio, visual, torch.maximum(audio, visual), segment, own.extras)

    def _judge(self, evidence: SegmentEvidence) -> None:
        """Judges what the source claims of the training segments, where that can be learned.

        It cannot where the learner trains no networks, no annotated video taught it, or the source
        has no scores of those that did.
        """
        self._evidence = None
        context, source, keep = self._context, self.source, self.policy.training_keep()
        taught = self.policy.held_out()
        if context is None or keep is None or taught is None or not evidence.known:
            return
        if not isinstance(source, PseudoLabels):
            return
        held = dict(zip(*taught, strict=True))
        rows = [row for row, video in enumerate(context.reward.ids) if video in held]
        index = torch.tensor(rows, device=context.device)
        videos = context.reward.subset(index)
        try:
            claimed = source.segment_labels(videos)
        except RlldError as error:
            self._unheard = f"claims were judged by video, not by segment: {error}"
            return
        own = training_labels(source, context.train).segment
        if own is None or not rows:
            return
        probability = torch.stack([held[video] for video in videos.ids])
        annotated = Claims(videos, claimed, evidence.reward[index], probability)
        found = believed(annotated, Claims(context.train, own, evidence.train, keep))
        if context.train.answers is not None:
            found = answered(found, context.train.answers)
        self._segment, self._kept.keep = found >= HALF, found.amax(1)

    def after_step(self) -> dict[str, Tensor]:
        """Tells both that the step was taken."""
        return {**self.source.after_step(), **self.policy.after_step()}

    def feedback(self, scores: Mapping[str, float | Tensor]) -> dict[str, Tensor]:
        """Hands the validation scores to both."""
        return {**self.source.feedback(scores), **self.policy.feedback(scores)}

    def keep_probability(self, batch: Batch) -> Tensor | None:
        """Returns the smaller keep probability of the two, for a label stays where both keep it."""
        return _smaller([part.keep_probability(batch) for part in self.parts])

    def training_keep(self) -> Tensor | None:
        """Returns how probably the training labels are kept, in any segment (N, 2, C).

        That is the smaller keep probability of the two where segments were not judged.
        """
        if len(self._kept.keep):
            return self._kept.keep
        return _smaller([part.training_keep() for part in self.parts])

    def held_out(self) -> tuple[Sequence[str], Tensor] | None:
        """Returns what the policy says of the videos that taught it."""
        return self.policy.held_out()

    def notes(self) -> list[str]:
        """Returns the notes of both."""
        own = [self._unheard] if self._unheard else []
        return own + [note for part in self.parts for note in part.notes()]

    def end_of_round(self) -> dict[str, Tensor]:
        """Tells both that a round ended."""
        return {**self.source.end_of_round(), **self.policy.end_of_round()}

    def networks(self) -> dict[str, nn.Module]:
        """Returns the networks of both, and what was kept of judged segments."""
        return {**self.source.networks(), **self.policy.networks(), "believed": self._kept}

    def state_dict(self) -> dict[str, Any]:
        """Returns the states of both."""
        state = {"source": self.source.state_dict(), "policy": self.policy.state_dict()}
        if self._segment is not None:
            state["judged"] = {"segment": self._segment, "keep": self._kept.keep}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the states of both."""
        self.source.load_state_dict(state["source"])
        self.policy.load_state_dict(state["policy"])
        if state["policy"]:
            # What was learned is known; networks will not be asked again.
            self._evidence = None
        if "judged" in state:
            self._segment, self._kept.keep = state["judged"]["segment"], state["judged"]["keep"]


def composed(own: ModalityLabels, judged: ModalityLabels, tags: Tensor) -> ModalityLabels:
    """Returns the targets of a source without the tags that a policy removed.

    Args:
        own: What the source claims, soft values allowed; classes that are not tagged stay as they
            are there.
        judged: The policy's labels, 0 where it removed a tag.
        tags: Weak labels (B, C).

    Returns:
        The source's targets, 0 where a tag was removed: from a modality in all its segments, from
        both in the fused target. Segments are the policy's where the source has none.
    """
    tagged = tags > 0
    audio, visual, video = (
        tagged & (part == 0) for part in (judged.audio, judged.visual, judged.video)
    )
    segment = judged.segment
    if own.segment is not None:
        segment = own.segment.masked_fill(torch.stack([audio, visual], 1)[:, None], 0)
    return replace(
        own,
        audio=own.audio.masked_fill(audio, 0),
        visual=own.visual.masked_fill(visual, 0),
        video=own.video.masked_fill(video, 0),
        segment=segment,
    )


def training_labels(source: Denoiser, train: Split) -> ModalityLabels:
    """Returns what a source that looks at no prediction claims of all training videos.

    Args:
        source: The source, prepared.
        train: The training split, N videos.
    """
    found = [(batch, source.revise(batch, None)) for batch in train.portions(CHUNK)]
    order = torch.cat([batch.index for batch, _ in found]).argsort()
    audio, visual, video = (
        torch.cat([getattr(labels, name) for _, labels in found])[order]
        for name in ("audio", "visual", "video")
    )
    first = found[0][1]
    if first.segment is None:
        return ModalityLabels(audio, visual, video, extras=first.extras)
    segment = first.segment.new_zeros(len(train), train.spec.segments, *first.segment.shape[2:])
    for batch, labels in found:
        if labels.segment is not None:
            segment[batch.index, : batch.segments] = labels.segment
    return ModalityLabels(audio, visual, video, segment, first.extras)


def _smaller(found: Sequence[Tensor | None]) -> Tensor | None:
    known = [keep for keep in found if keep is not None]
    return torch.stack(known).amin(0) if known else None
