"""RLLD with credit per label: the policy acts on annotated videos and is rewarded label by label.

A global validation score says too little about four hundred actions at once. Here the agent also
acts on the annotated validation videos, where every single action can be rewarded, and the labels
that it then leaves to the training videos train the task network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers.base import Build, Context, Denoiser
from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.labelwise.evidence import States
from rlld.denoisers.reinforced.labelwise.judge import (
    Examples,
    Judge,
    examples_of,
    joined,
    mixed,
    right,
    teach_features,
    teach_offsets,
)
from rlld.denoisers.reinforced.labelwise.lending import LENT, lent_rates, untaught
from rlld.denoisers.reinforced.labelwise.parts import Parts
from rlld.denoisers.reinforced.labelwise.priors import prior_keep, prior_rates, told, told_tracks
from rlld.denoisers.reinforced.labelwise.start import Start, start_of, starts, teach_from_start
from rlld.denoisers.reinforced.labelwise.worlds import Fit
from rlld.denoisers.reinforced.options import Options
from rlld.denoisers.reinforced.policy import CHUNK
from rlld.denoisers.reinforced.segments import SegmentTargets
from rlld.networks.base import built
from rlld.types import Batch, ModalityLabels, Prediction
from rlld.utils.console import ERR
from rlld.utils.stopping import repeatable

SEED = 0x5EED_0003
THRESHOLD = 0.5
STARTED = "few annotated videos, or answers drawn by lot: what they say is put on top of this"
WORTH = "about 25 annotated videos, or answers on their labels, would tell the rates of the classes"


class LabelwiseDenoiser(Denoiser):
    """Cleans the training labels once, before the first step.

    1. Task networks are trained on the bare tags, without cross-modal attention, each on all but
       one fold of the training videos (``States``).
    2. Policies (``Judge``) are taught on the annotated videos: one that is logistic in the
       evidence, with shrunken offsets per class, and, where cross-validation says that there are
       enough videos for it, some that read features; both kinds are averaged.
    3. Labels that the mean policy would rather remove than keep are removed. A class of which no
       annotated video says anything in a modality keeps all its labels there. Without any annotated
       video, the rates of ``priors`` decide how many go.
    4. Once more: the networks go on from there on what is left, which gives better evidence, and
       a policy that is logistic in it decides about all labels anew.

    Annotated are the reward videos, by times or by bare answers, and training videos with answers,
    whose labels are then simply what the answers say. Where answers say with which probability they
    were asked, the second policy is the one of ``drawn``.

    Args:
        config: Options.
        spec: The data set.
    """

    replayable = True
    learns_from_validation = True
    networks_are_fixed = True

    def __init__(self, config: Options, spec: DataSpec) -> None:
        self.config, self.spec, self.options = config, spec, config.labelwise
        self.fresh_network_each_round = config.mode == "one_epoch"
        self._context: Context | None = None
        self._segments = SegmentTargets(config.segments)
        self._parts: Parts
        self._start: Start | None = None
        self._fit: Fit
        self._held_out: tuple[tuple[str, ...], Tensor] | None = None

    def attach(self, build_network: Build) -> None:
        """Builds the parts that a run folder keeps."""
        with torch.random.fork_rng(devices=[]):
            states = States(build_network, self.options.folds, self.options.evidence)
            judges = [self._judge(number, features=True) for number in range(self.options.judges)]
            plain = self._judge(0, features=False)
        self._parts = Parts(states, judges, plain, len(self.spec.classes))

    def prepare(self, context: Context) -> None:
        """Remembers what to learn from; learning starts with the first step."""
        self._context = context
        self._parts.to(context.device)
        self._segments.prepare(context.train)
        self.learns_from_validation = bool(context.reward.annotated.any())

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the cleaned labels of training videos."""
        if not len(self._parts.keep):
            self._parts.keep = self._learn()
        keep = self._parts.keep[batch.index]
        return self._segments.added(self._cleaned(batch.labels, keep), batch, lambda: keep)

    def keep_probability(self, batch: Batch) -> Tensor:
        """Returns how probable it is that each label is kept (B, 2, C)."""
        return self._probability(batch, self._parts.states(batch.streams, batch.mask))

    def training_keep(self) -> Tensor | None:
        """Returns the keep probabilities that cleaned the training labels (N, 2, C)."""
        return self._parts.keep if len(self._parts.keep) else None

    def networks(self) -> dict[str, nn.Module]:
        """Returns states and policies, and the decisions on the training labels."""
        return {"labelwise": self._parts}

    def held_out(self) -> tuple[Sequence[str], Tensor] | None:
        """Returns the videos that taught, each judged by policies that were not taught by it."""
        return self._held_out

    def notes(self) -> list[str]:
        """Says what stood in for annotation, and which classes were left alone."""
        context = self._context
        if context is None:
            return []
        if not self._teaches(context):
            priors = self.spec.priors
            given = ["the priors of dataset.yaml"] * bool(priors.audio or priors.visual)
            given += ["rates that other data sets have for such classes"] * priors.borrow
            source = " and ".join(given) or "how well their tags can be predicted"
            dense = context.reward.dense is not None and len(context.reward)
            nobody = "no tag of an annotated video" if dense else "no annotated video"
            return [
                f"{nobody}: labels were cleaned by {source}; {WORTH}",
                *told(self.spec, context.train.labels, self._parts.fit),
            ]
        notes = untaught(self.spec, context.train.labels.any(0), self._parts.taught)
        if self._parts.rates.any():
            notes += [STARTED, *told(self.spec, context.train.labels, self._parts.fit)]
        return notes

    def state_dict(self) -> dict[str, Any]:
        """Returns everything learned; nothing before the first step."""
        if not len(self._parts.keep):
            return {}
        state: dict[str, Any] = {"parts": self._parts.state_dict()}
        if self._held_out is not None:
            ids, keep = self._held_out
            state["held_out"] = {"ids": list(ids), "keep": keep}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        if state:
            self._parts.load_state_dict(state["parts"])
            kept = state.get("held_out")
            self._held_out = (tuple(kept["ids"]), kept["keep"]) if kept else None

    def _judge(self, number: int, features: bool) -> Judge:
        torch.default_generator.manual_seed(SEED + number)
        return built(
            lambda: Judge(self.config, self.spec, features), "denoiser reinforced: the policy"
        )

    @torch.no_grad()
    def _probability(self, batch: Batch, states: Tensor) -> Tensor:
        keep = (self._decided(batch, states) - self._parts.cutoffs).sigmoid()
        return _spared(keep, self._parts.taught.bool())

    def _decided(self, batch: Batch, states: Tensor) -> Tensor:
        rich = self._parts.policies if self._parts.uses_features else []
        return mixed(rich, self._parts.plain, batch.streams, batch.labels, states, batch.mask)

    def _learn(self) -> Tensor:
        context = self._context
        if context is None:
            raise RuntimeError("revise came before prepare")
        # What is learned here must not move the chance of the task network's dropout.
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(context.seed + SEED)
        keep = self._judge_training_labels(context)
        torch.set_rng_state(before)
        return keep

    def _judge_training_labels(self, context: Context) -> Tensor:
        tags = context.train.labels
        labels = ModalityLabels(tags, tags, tags).of(context.train.tracks)
        rounds = self.options.rounds
        for number in repeatable("cleaning labels", range(rounds), rounds):
            logits = self._parts.states.learn(
                context, labels, self.options.state_share, go_on=number > 0
            )
            if self._teaches(context):
                examples = self._teach(context, logits, first=number == 0)
                self._lend(context.train, logits, examples)
            else:
                self._suppose(context.train, logits, first=number == 0)
            keep = self._judged(context.train, logits)
            labels = self._cleaned(tags, keep).of(context.train.tracks)
        return keep

    def _judged(self, train: Split, logits: Tensor) -> Tensor:
        """Returns the keep probabilities of the training labels.

        Answers are final, and so is that a video lacks a track.
        """
        keep = torch.zeros_like(logits)
        for batch in train.portions(CHUNK):
            keep[batch.index] = self._probability(batch, logits[batch.index])
        if train.answers is not None:
            keep = torch.where(train.answers < 0, keep, train.answers.to(keep))
        return keep if train.tracks is None else keep * train.tracks[..., None]

    def _cleaned(self, labels: Tensor, keep: Tensor) -> ModalityLabels:
        revision = actions.revise(labels, keep >= THRESHOLD, self.config.empty_rule)
        return actions.targets(revision.labels, labels, self.config.video_target)

    @staticmethod
    def _teaches(context: Context) -> bool:
        return bool(context.reward.annotated.any() or context.train.annotated.any())

    def _teach(self, context: Context, logits: Tensor, *, first: bool) -> Examples:
        """Teaches the policies on the evidence of a round; returns what taught them.

        What features tell is in the labels that the networks of later rounds were trained on; to
        read them again would only fit the annotated videos. Those networks have indirectly seen
        the annotation, too, so that only the first round can say how policies judge videos that
        did not teach them.
        """
        states = self._parts.states
        judged = states.of if states.teachers(context) is None else states.crossed
        reward = examples_of(context.reward, judged(context.reward))
        examples = joined(reward, examples_of(context.train, logits))
        if starts(examples):
            self._begin(context.train, logits, examples, first=first)
        self._parts.taught.copy_(self._start.taught if self._start else examples.taught)
        self._teach_plain(self._parts.plain, examples)
        if not first:
            self._parts.uses_features.zero_()
            return examples
        crossed = self._cross_validate(examples, context.seed)
        chosen = self._features_win(examples, crossed)
        self._parts.uses_features.fill_(float(chosen))
        if chosen:
            judges = self._parts.policies
            for number, judge in repeatable("teaching policies", enumerate(judges), len(judges)):
                teach_features(judge, examples, self.config, context.seed + SEED + number)
        if crossed is not None:
            keep = crossed.of(chosen).sigmoid()
            self._held_out = (examples.videos.ids, _spared(keep, self._parts.taught.bool()))
        return examples

    def _begin(self, train: Split, logits: Tensor, examples: Examples, *, first: bool) -> None:
        """Starts from what is supposed; the first networks saw bare tags, and say how it fits."""
        if first:
            self._fit = prior_rates(logits, train.labels, self.spec, train.tracks)
        self._start = start_of(self.spec, train.claims, logits, examples, self._fit)
        if self._start is not None and bool(self._start.known.any()):
            self._parts.suppose(self._fit.within(self._start.known))

    def _teach_plain(self, judge: Judge, examples: Examples) -> None:
        if self._start is None:
            teach_offsets(judge, examples, self.options.ridge)
        else:
            teach_from_start(judge, examples, self._start, self.options.ridge)

    @torch.no_grad()
    def _lend(self, train: Split, logits: Tensor, examples: Examples) -> None:
        """Removes the share that similar classes have from classes that nothing taught."""
        if self._start is not None:
            return
        rates = lent_rates(self.spec, examples).to(logits)
        self._parts.taught[rates > 0] = LENT
        decided = torch.zeros_like(logits)
        for batch in train.portions(CHUNK) if bool(rates.any()) else ():
            decided[batch.index] = self._decided(batch, logits[batch.index])
        cutoffs = prior_keep(decided, train.claims, rates)
        self._parts.cutoffs.copy_(torch.where(rates > 0, cutoffs, 0.0))

    def _considers_features(self, examples: Examples) -> bool:
        if self.options.judge != "auto":
            return self.options.judge == "features"
        return len(examples.videos) >= self.options.least_videos

    def _features_win(self, examples: Examples, crossed: _Crossed | None) -> bool:
        """Says by cross-validation whether policies that read features are as good, or better.

        They go on gaining with the number of videos, and each fold has a third less; so they are
        taken unless evidence alone agrees more often by more than one standard error.
        """
        if self.options.judge != "auto" or crossed is None or crossed.rich is None:
            return self._considers_features(examples)
        gain = right(examples, crossed.rich) - right(examples, crossed.plain)
        return bool(gain.sum() >= -gain.square().sum().sqrt())

    @torch.no_grad()
    def _cross_validate(self, examples: Examples, seed: int) -> _Crossed | None:
        """Judges each annotated video by policies that the videos of other folds taught.

        Returns:
            The logits; None of a single video, which leaves none to teach.
        """
        count = len(examples.videos)
        folds = min(self.options.cross_validation, count)
        if folds < 2:
            return None
        considered, device = self._considers_features(examples), examples.states.device
        generator = torch.Generator().manual_seed(seed)
        fold = (torch.randperm(count, generator=generator) % folds).to(device)
        plain_logits, rich_logits = (
            torch.zeros_like(examples.states),
            torch.zeros_like(examples.states),
        )
        for number in repeatable("cross-validating policies", range(folds), folds):
            taught = examples.at((fold != number).nonzero()[:, 0])
            own = (fold == number).nonzero()[:, 0]
            tested = examples.at(own)
            batch = tested.videos.all()
            judged = (batch.streams, batch.labels, tested.states, batch.mask)
            with torch.random.fork_rng(devices=[]):
                rich = self._judge(number, features=True).to(device)
                plain = self._judge(number, features=False).to(device)
            with torch.enable_grad():
                self._teach_plain(plain, taught)
                if considered:
                    teach_features(rich, taught, self.config, seed + SEED + number)
            plain_logits[own] = mixed([], plain, *judged)
            if considered:
                rich_logits[own] = mixed([rich], plain, *judged)
        return _Crossed(plain_logits, rich_logits if considered else None)

    def _suppose(self, train: Split, logits: Tensor, *, first: bool) -> None:
        """Without annotation: removes the least credible share that the priors give a class.

        Only networks that were trained on the bare tags say how well these can be predicted.
        """
        plain = self._parts.plain
        with torch.no_grad():
            plain.own.fill_(1.0)
            plain.other.zero_()
            plain.offset.zero_()
        if first:
            self._parts.suppose(prior_rates(logits, train.labels, self.spec, train.tracks))
            # The classes follow at the run's end, once.
            for note in (self.notes()[0], *told_tracks(self._parts.fit)):
                ERR.print(note)
        rates = self._parts.rates
        self._parts.cutoffs.copy_(prior_keep(logits, train.claims, rates))


@dataclass(frozen=True)
class _Crossed:
    """Cross-validated logits of keeping (n, 2, C).

    Attributes:
        plain: Of the policy that reads evidence alone.
        rich: Of its mean with one that reads features; None where none was taught.
    """

    plain: Tensor
    rich: Tensor | None

    def of(self, features: bool) -> Tensor:
        """Returns the logits of the policy that was chosen."""
        return self.rich if features and self.rich is not None else self.plain


def _spared(keep: Tensor, taught: Tensor) -> Tensor:
    """Lifts keep probabilities (..., 2, C) to 1/2 and more where nothing was taught (2, C)."""
    return torch.where(taught, keep, (1 + keep) / 2)
