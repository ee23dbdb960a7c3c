"""Options of RLLD. Every reading of the paper is a field; docs/methods/rlld*.md explain each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from rlld.errors import RlldError
from rlld.utils.config import EXPERT, YOUNG, Count, Share, Weight, Width, Within
from rlld.utils.registry import DENOISERS

Score = Literal[
    "segment_audio",
    "segment_visual",
    "segment_audio_visual",
    "segment_type",
    "segment_event",
    "event_audio",
    "event_visual",
    "event_audio_visual",
    "event_type",
    "event_event",
]
EmptyRule = Literal["both", "modality", "none"]
VideoTarget = Literal["union", "original"]


def _require(holds: bool, option: str, expected: str, found: object) -> None:
    if not holds:
        raise RlldError(f"denoiser reinforced: {option} must {expected}, found {found}")


@dataclass(frozen=True)
class InterRewardOptions:
    """The soft inter-reward (Eq. 9): how much the revised labels still resemble the original ones.

    Attributes:
        alpha1: Weight of R1, the exponential of minus half the Jeffreys divergence. The ablation
            without inter-reward (Table 2) sets both weights to 0.
        alpha2: Weight of R2, the cosine.
        smoothing: s in (1 - s) y + s u, in (0, 1); the divergence is undefined at 0.
        spread: u is 1/2 (``half``, the smoothing of HAN and JoMoLD) or 1/C (``classes``).
        revised: Revised labels are ``smoothed`` as the original ones, or ``clipped`` at 1e-7.
        normalised: Whether both vectors are divided by their sums, which makes them distributions.
    """

    alpha1: Weight = 0.6
    alpha2: Weight = 0.4
    smoothing: float = 0.1
    spread: Literal["half", "classes"] = "half"
    revised: Literal["smoothed", "clipped"] = "smoothed"
    normalised: bool = True

    def __post_init__(self) -> None:
        _require(0 < self.smoothing < 1, "inter.smoothing", "lie in (0, 1)", self.smoothing)


@dataclass(frozen=True)
class TerminalRewardOptions:
    """The validation-based reward (Eq. 10; section 4.1): one number per branch.

    Attributes:
        audio: Score that rewards the audio branch.
        visual: Score that rewards the visual branch.
        scale: Factor of the scores.
        unit: Whether a score counts as ``percent`` (0 to 100) or ``fraction`` (0 to 1).
    """

    audio: Score = "segment_audio"
    visual: Score = "event_visual"
    scale: Weight = 0.1
    unit: Literal["percent", "fraction"] = "percent"


@dataclass(frozen=True)
class CounterfactualOptions:
    """Credit by comparing several action samples of the same step.

    Attributes:
        samples: Action samples per step, at least 2; each takes a task step of its own.
        reward: One number per modality ``branch``, or one per ``class`` of it.
    """

    samples: int = 4
    reward: Annotated[Literal["branch", "class"], EXPERT] = "branch"

    def __post_init__(self) -> None:
        _require(self.samples >= 2, "counterfactual.samples", "be 2 or more", self.samples)


@dataclass(frozen=True)
class FirstOrderOptions:
    """Credit by the gradient of the validation loss.

    Attributes:
        form: Whether the policy ascends the ``expected`` credit, or that of ``sampled`` actions
            (REINFORCE).
        step: Length of the move in weight space that reads the credit.
        videos: Annotated videos per step; all where there are fewer.
        clip: Largest credit, in units of its moving mean size.
        warm_up: Task steps on the unrevised labels before the policy starts to act and to learn.
    """

    form: Literal["expected", "sampled"] = "expected"
    step: float = 0.01
    videos: int = 128
    clip: float = 3.0
    warm_up: int = 64

    def __post_init__(self) -> None:
        for name in ("step", "videos", "clip"):
            value = getattr(self, name)
            _require(value > 0, f"first_order.{name}", "be positive", value)
        _require(self.warm_up >= 0, "first_order.warm_up", "not be negative", self.warm_up)


@dataclass(frozen=True)
class LabelwiseOptions:
    """Credit per label, on annotated videos.

    Attributes:
        folds: Networks trained on the bare tags; each label is judged by one that did not see it.
        state_share: Length of their training in each round, as a share of the run's updates.
        rounds: How often networks are trained and labels cleaned; after the first round, networks
            are trained on the labels that the round before left.
        judge: Whether in the first round policies that read ``features`` join the one that reads
            the evidence of the networks alone (``evidence``); ``auto`` decides by cross-validation
            on the annotated videos.
        cross_validation: Folds of that decision.
        least_videos: With fewer annotated videos ``auto`` leaves features out.
        judges: Policies that read features; their logits are averaged.
        learning: ``reinforce`` rewards sampled actions, ``supervised`` is cross-entropy.
        steps: Policy updates of ``reinforce``.
        supervised_steps: Policy updates of ``supervised``.
        batch_size: Annotated videos per update.
        lr: Learning rate of the policies (AdamW).
        weight_decay: Its weight decay.
        noise: Gaussian noise on the features, in units of their standard deviation.
        ridge: How strongly offsets of classes are drawn to the common one, without features.
        evidence: What the networks that give evidence have other than the recipe's: ``network``,
            ``objective`` or dotted settings. A small network judges labels as well as a large one.
    """

    folds: Count = 4
    state_share: float = 1.0
    rounds: int = 2
    judge: Literal["auto", "features", "evidence"] = "auto"
    cross_validation: Annotated[int, EXPERT] = 3
    least_videos: Annotated[int, Within(0), EXPERT] = 150
    judges: Annotated[Count, EXPERT] = 3
    learning: Literal["reinforce", "supervised"] = "reinforce"
    steps: int = 300
    supervised_steps: Annotated[int, EXPERT] = 100
    batch_size: Width = 128
    lr: float = 2e-3
    weight_decay: Weight = 1e-3
    noise: Annotated[Weight, EXPERT] = 0.3
    ridge: Annotated[float, Within(0, 1_000_000)] = 0.3
    evidence: Annotated[Mapping[str, Any] | None, EXPERT] = field(default=None, metadata=YOUNG)

    def __post_init__(self) -> None:
        counts = ("rounds", "steps", "supervised_steps", "batch_size")
        for name in (*counts, "lr", "ridge"):
            value = getattr(self, name)
            _require(value > 0, f"labelwise.{name}", "be positive", value)
        _require(0 < self.state_share <= 1, "state_share", "lie in (0, 1]", self.state_share)
        _require(
            self.cross_validation > 1, "cross_validation", "be 2 or more", self.cross_validation
        )

    @property
    def length(self) -> int:
        """Policy updates."""
        return self.steps if self.learning == "reinforce" else self.supervised_steps


@dataclass(frozen=True)
class TopKOptions:
    """Options of the selection.

    Attributes:
        reading: ``all`` selects from a distribution over all classes and intersects with the
            video's labels; ``restricted`` normalises over the video's labels first. With at most
            three labels per video, as in LLP, the latter always keeps exactly one.
        cap: Largest sum of the selected probabilities, in (0, 1].
        temperature: Of the softmax over the teacher's scores (``all`` only).
        minimum: Classes that are selected even if they exceed the cap.
        cross: Whether the class whose probability crosses the cap is selected too, as is usual in
            label enhancement.

    Raises:
        RlldError: If a value is out of range.
    """

    reading: Literal["all", "restricted"] = "all"
    cap: float = 0.5
    temperature: float = 1.0
    minimum: int = 1
    cross: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.cap <= 1 or self.temperature <= 0 or self.minimum < 0:
            raise RlldError(
                "top-k selection: cap must lie in (0, 1], temperature be positive, minimum not "
                f"negative; found {self.cap}, {self.temperature}, {self.minimum}"
            )


@dataclass(frozen=True)
class SegmentOptions:
    """Targets of segments, for an objective that has segment losses (section 4.3, VALOR).

    A segment is given the classes that a teacher's scores select there and the policy keeps.

    Attributes:
        scores: The set of scores of the data set that selects; without it there are no segment
            targets.
        source: Whether the ``teacher`` selects in every segment, or the ``policy``'s keep
            probabilities select once per video.
        select: How classes are selected; the policy's are selected among the video's labels.
    """

    scores: str | None = None
    source: Annotated[Literal["teacher", "policy"], EXPERT] = "teacher"
    select: TopKOptions = field(default_factory=TopKOptions)


@dataclass(frozen=True)
class Options:
    """Options of RLLD.

    Attributes:
        credit: How the policy is taught; ``paper`` is REINFORCE on the rewards of section 3,
            ``counterfactual`` compares action samples of one step by the validation loss,
            ``first_order`` credits every label by the gradient of that loss, ``labelwise``
            rewards every action on annotated videos by itself.
        mode: ``joint`` keeps one task network through the run (Table 1); ``one_epoch`` starts a
            fresh one each episode (section 4.5).
        update: The policy moves after every ``step`` (Algorithm 1) or once per ``episode``, by the
            mean gradient of its steps (Eq. 15).
        lr: Learning rate of the policy (Adam; section 4.1).
        hidden: Width of the policy network.
        dropout: Dropout inside the policy's attention layer, in [0, 1).
        pooling: How segments become one decision: ``attentive`` as in HAN, or ``mean``.
        initial_labels: Whether the weak labels are part of the state (Eq. 1; Table 2 without).
        initial_bias: Bias of the output layer at the start; 2 keeps a label with probability 0.88.
        audio: The audio branch is to ``learn``, or to ``keep`` all its labels.
        empty_rule: When a removal is undone because nothing would be left: in ``both`` modalities
            together, in a ``modality`` alone, or never (``none``).
        empty_reward: Reward of an undone removal (section 4.1).
        empty_replaces: Whether that reward replaces the others or is added to them.
        video_target: Target of the fused probability: ``union`` of the revised labels (Eq. 6), or
            the ``original`` weak labels.
        baseline: What is subtracted from the reward: nothing (``none``), or a moving ``average``.
        baseline_decay: Decay of that average per step, in [0, 1); also of the mean size by which
            ``counterfactual`` and ``first_order`` divide.
        entropy: Weight of an entropy bonus, in nats per video.
        inter: The soft inter-reward.
        terminal: The validation-based reward.
        labelwise: Options of that credit.
        counterfactual: Options of that credit.
        first_order: Options of that credit.
        segments: Targets of segments.
        source: Another denoiser, ``{name: valor}`` and its options: the policy then judges what
            that one claims, instead of the bare tags.

    Raises:
        RlldError: If a value is out of range, or there is no such source.
    """

    credit: Literal["paper", "labelwise", "counterfactual", "first_order"] = "paper"
    mode: Literal["joint", "one_epoch"] = "joint"
    update: Literal["step", "episode"] = "step"
    lr: float = 1e-4
    hidden: int = 512
    dropout: Share = 0.0
    pooling: Literal["attentive", "mean"] = "attentive"
    initial_labels: bool = True
    initial_bias: float = 2.0
    audio: Literal["learn", "keep"] = "learn"
    empty_rule: EmptyRule = "both"
    empty_reward: float = -1.0
    empty_replaces: bool = True
    video_target: VideoTarget = "union"
    baseline: Literal["none", "average"] = "none"
    baseline_decay: float = 0.9
    entropy: float = 0.0
    inter: InterRewardOptions = field(default_factory=InterRewardOptions)
    terminal: TerminalRewardOptions = field(default_factory=TerminalRewardOptions)
    labelwise: LabelwiseOptions = field(default_factory=LabelwiseOptions)
    counterfactual: CounterfactualOptions = field(default_factory=CounterfactualOptions)
    first_order: FirstOrderOptions = field(default_factory=FirstOrderOptions)
    segments: SegmentOptions = field(default_factory=SegmentOptions)
    source: Mapping[str, Any] | None = field(default=None, metadata=YOUNG)

    @property
    def variations(self) -> tuple[Mapping[str, Any], ...]:
        """Settings of the recipe with which networks are trained for the denoiser."""
        evidence = self.labelwise.evidence
        return () if evidence is None or self.credit != "labelwise" else (evidence,)

    def __post_init__(self) -> None:
        _require(self.lr > 0, "lr", "be positive", self.lr)
        _require(self.hidden > 0, "hidden", "be positive", self.hidden)
        _require(0 <= self.dropout < 1, "dropout", "lie in [0, 1)", self.dropout)
        decay = self.baseline_decay
        _require(0 <= decay < 1, "baseline_decay", "lie in [0, 1)", decay)
        _require(self.entropy >= 0, "entropy", "not be negative", self.entropy)
        # The other two try steps, whose labels are those of videos.
        fits = self.segments.scores is None or self.credit in ("paper", "labelwise")
        _require(fits, "segments.scores", "go with credit paper or labelwise", self.credit)
        self.source_config()

    def source_config(self) -> Any:
        """Returns the options of the source, None where the policy judges the bare tags.

        Raises:
            RlldError: If there is no such denoiser, or one of its options is wrong.
        """
        if self.source is None:
            return None
        name = self.source.get("name")
        _require(name != "reinforced", "source", "be another denoiser, such as valor", name)
        return DENOISERS.config(self.source, "denoiser reinforced: source")
