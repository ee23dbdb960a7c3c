"""RLLD with credit per label: the policy acts on annotated videos and is rewarded label by label.

A global validation score says too little about four hundred actions at once. Here the agent also
acts on the annotated validation videos, where every single action can be rewarded, and the labels
that it then leaves to the training videos train the task network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlld.console import ERR
from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers.base import Context, Denoiser
from rlld.denoisers.reinforced import actions
from rlld.denoisers.reinforced.judge import (
    Judge,
    Lesson,
    mixed,
    right,
    teach_features,
    teach_offsets,
)
from rlld.denoisers.reinforced.options import Config
from rlld.denoisers.reinforced.priors import prior_keep
from rlld.denoisers.reinforced.states import CHUNK, States
from rlld.errors import RlldError
from rlld.networks.base import Network
from rlld.types import Batch, ModalityLabels, Prediction

SEED = 0x5EED_0003
THRESHOLD = 0.5


class LabelwiseDenoiser(Denoiser):
    """Cleans the training labels once, before the first step.

    1. Task networks are trained on the bare tags, without cross-modal attention, each on all but
       one fold of the training videos (``States``).
    2. Policies (``Judge``) are taught on the annotated videos: one that is logistic in the
       evidence, with shrunken offsets per class, and, where cross-validation says that there are
       enough videos for it, some that read features; both kinds are averaged.
    3. Labels that the mean policy would rather remove than keep are removed. Without any annotated
       video, the rates of ``priors`` decide how many.

    Args:
        config: Options.
        spec: The data set.
    """

    replayable = True
    learns_from_validation = True
    networks_are_fixed = True

    def __init__(self, config: Config, spec: DataSpec) -> None:
        self.config, self.spec, self.options = config, spec, config.labelwise
        self.fresh_network_each_round = config.mode == "one_epoch"
        self._context: Context | None = None
        self._parts: _Parts

    def attach(self, build_network: Callable[[], Network]) -> None:
        """Builds the parts that a run folder keeps."""
        with torch.random.fork_rng(devices=[]):
            states = States(build_network, self.options.folds)
            judges = [self._judge(number, features=True) for number in range(self.options.judges)]
            plain = self._judge(0, features=False)
        self._parts = _Parts(states, judges, plain, len(self.spec.classes))

    def prepare(self, context: Context) -> None:
        """Remembers what to learn from; learning starts with the first step."""
        self._context = context
        self._parts.to(context.device)
        self.learns_from_validation = bool(len(context.reward))

    def revise(self, batch: Batch, prediction: Prediction | None) -> ModalityLabels:
        """Returns the cleaned labels of training videos."""
        if not len(self._parts.keep):
            self._parts.keep = self._learn()
        kept = self._parts.keep[batch.index] >= THRESHOLD
        revision = actions.revise(batch.labels, kept, self.config.empty_rule)
        return actions.targets(revision.labels, batch.labels, self.config.video_target)

    def keep_probability(self, batch: Batch) -> Tensor:
        """Returns how probable it is that each label is kept (B, 2, C)."""
        states = self._parts.states(batch.streams)
        return self._probability(batch.streams, batch.labels, states)

    def training_keep(self) -> Tensor | None:
        """Returns the keep probabilities that cleaned the training labels (N, 2, C)."""
        return self._parts.keep if len(self._parts.keep) else None

    def networks(self) -> dict[str, nn.Module]:
        """Returns states and policies, and the decisions on the training labels."""
        return {"labelwise": self._parts}

    def state_dict(self) -> dict[str, Any]:
        """Returns everything learned; nothing before the first step."""
        return {"parts": self._parts.state_dict()} if len(self._parts.keep) else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` returned."""
        if state:
            self._parts.load_state_dict(state["parts"])

    def _judge(self, number: int, features: bool) -> Judge:
        torch.default_generator.manual_seed(SEED + number)
        return Judge(self.config, self.spec, features)

    @torch.no_grad()
    def _probability(self, streams: Mapping[str, Tensor], labels: Tensor, states: Tensor) -> Tensor:
        rich = self._parts.policies if self._parts.uses_features else []
        logits = mixed(rich, self._parts.plain, streams, labels, states)
        return (logits - self._parts.cutoffs).sigmoid()

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
        train = context.train
        logits = self._parts.states.learn(context, self.options.state_share)
        if len(context.reward):
            self._teach(context)
        else:
            self._suppose(train, logits)
        parts = []
        for index in torch.split(torch.arange(len(train), device=train.device), CHUNK):
            batch = train.batch(index)
            parts.append(self._probability(batch.streams, batch.labels, logits[index]))
        return torch.cat(parts)

    def _teach(self, context: Context) -> None:
        reward = context.reward
        lesson = Lesson(reward, self._parts.states.of(reward), reward.require_dense().any(1))
        if not bool(lesson.labelled.any()):
            raise RlldError("the annotated videos have no weak label; annotate tagged videos")
        teach_offsets(self._parts.plain, lesson, self.options.ridge)
        chosen = self._features_win(lesson, context.seed)
        self._parts.uses_features.fill_(float(chosen))
        if chosen:
            for number, judge in enumerate(self._parts.policies):
                teach_features(judge, lesson, self.config, context.seed + SEED + number)

    def _features_win(self, lesson: Lesson, seed: int) -> bool:
        """Says by cross-validation whether policies that read features are as good, or better.

        They go on gaining with the number of videos, and each fold has a third less; so they are
        taken unless evidence alone agrees more often by more than one standard error.
        """
        count, folds = len(lesson.videos), self.options.cross_validation
        if self.options.judge != "auto":
            return self.options.judge == "features"
        if count < self.options.least_videos:
            return False
        generator = torch.Generator().manual_seed(seed)
        fold = (torch.randperm(count, generator=generator) % folds).to(lesson.states.device)
        gains = []
        for number in range(folds):
            taught = lesson.at((fold != number).nonzero()[:, 0])
            tested = lesson.at((fold == number).nonzero()[:, 0])
            with torch.random.fork_rng(devices=[]):
                rich = self._judge(number, features=True).to(lesson.states.device)
                plain = self._judge(number, features=False).to(lesson.states.device)
            teach_features(rich, taught, self.config, seed + SEED + number)
            teach_offsets(plain, taught, self.options.ridge)
            gains.append(right(tested, [rich], plain) - right(tested, [], plain))
        gain = torch.cat(gains)
        return bool(gain.sum() >= -gain.square().sum().sqrt())

    def _suppose(self, train: Split, logits: Tensor) -> None:
        """Without annotation: removes the least credible share that the priors give a class."""
        ERR.print(
            "no annotated video: labels are cleaned by priors alone; 25 annotated videos would "
            "tell the rates of the classes (docs/methods/rlld.md)"
        )
        plain = self._parts.plain
        with torch.no_grad():
            plain.own.fill_(1.0)
            plain.other.zero_()
            plain.offset.zero_()
        cutoffs = prior_keep(logits, train.labels, self.spec)
        self._parts.cutoffs.copy_(cutoffs)


class _Parts(nn.Module):
    """Everything that a run folder keeps.

    Attributes:
        states: Networks trained on the bare tags.
        judges: Policies that read features.
        plain: The policy that reads evidence alone.
        uses_features: Whether ``judges`` decide, else ``plain``.
        cutoffs: Logits below which a label is removed (2, C), zero unless priors set them.
        keep: Keep probabilities of the training labels (N, 2, C), empty before they are known.
    """

    uses_features: Tensor
    cutoffs: Tensor
    keep: Tensor

    def __init__(self, states: States, judges: Sequence[Judge], plain: Judge, classes: int) -> None:
        super().__init__()
        self.states, self.plain = states, plain
        self.judges = nn.ModuleList(judges)
        self.register_buffer("uses_features", torch.zeros(1))
        self.register_buffer("cutoffs", torch.zeros(2, classes))
        self.register_buffer("keep", torch.zeros(0, 2, classes))

    @property
    def policies(self) -> list[Judge]:
        """The policies that read features."""
        return [judge for judge in self.judges if isinstance(judge, Judge)]

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # The number of training videos is known only now.
        keep = state_dict.get(f"{prefix}keep")
        if keep is not None:
            self.keep = self.keep.new_empty(keep.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
