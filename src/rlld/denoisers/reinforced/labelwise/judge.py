"""The policy of the labelwise learner: evidence, and features where there is enough to learn from.

``logit keep = h_m(c) + u_m s_m(c) + w_m s_o(c) + b_m(c)``: h is the paper's policy network on
features and labels, s the logits of the states for the modality and for the other one, b an offset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlld.data.spec import DataSpec
from rlld.data.split import Split
from rlld.denoisers.reinforced.options import Options
from rlld.denoisers.reinforced.policy import Policy
from rlld.errors import RlldError
from rlld.utils.stopping import repeatable

FEATURE_SCALE = 0.3
"""Factor of the first output weights of h, so that evidence speaks first."""


class Judge(nn.Module):
    """One policy.

    Args:
        config: Options of the policy network.
        spec: The data set.
        features: Whether it has the network h.
    """

    def __init__(self, config: Options, spec: DataSpec, features: bool) -> None:
        super().__init__()
        classes = len(spec.classes)
        self.features = Policy(config, spec) if features else None
        if self.features is not None:
            with torch.no_grad():
                self.features.head.weight.mul_(FEATURE_SCALE)
                self.features.head.bias.zero_()
        self.own = nn.Parameter(torch.full((2, 1), 0.5))
        self.other = nn.Parameter(torch.zeros(2, 1))
        self.offset = nn.Parameter(torch.full((2, classes), config.initial_bias))

    def forward(
        self,
        streams: Mapping[str, Tensor],
        labels: Tensor,
        states: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Judges every label.

        Args:
            streams: Features by stream name, each (B, T, D of that stream).
            labels: Weak labels (B, C).
            states: Logits of the states (B, 2, C).
            mask: Which segments belong to their video (B, T), bool; all when None.

        Returns:
            Logits of keeping (B, 2, C); those of absent labels have no meaning.
        """
        logits = self.own * states + self.other * states.flip(1) + self.offset
        if self.features is None:
            return logits
        features: Tensor = self.features(streams, labels, mask)
        return logits + features


@dataclass(frozen=True)
class Examples:
    """Annotated videos to learn from.

    Attributes:
        videos: The videos.
        states: Logits of the states (n, 2, C).
        present: Whether an event is perceived in a modality (n, 2, C), bool.
        known: Where that is known (n, 2, C), bool; the other labels reward nothing.
        weights: How many labels of their class each stands for, relative to the others (n, 2, C);
            None where no question was drawn.
    """

    videos: Split
    states: Tensor
    present: Tensor
    known: Tensor
    weights: Tensor | None = None

    def at(self, index: Tensor) -> Examples:
        """Returns some of the videos."""
        videos = self.videos.subset(index)
        weights = None if self.weights is None else self.weights[index]
        return Examples(videos, self.states[index], self.present[index], self.known[index], weights)

    @property
    def labelled(self) -> Tensor:
        """Which (video, modality, class) carry a label that can reward (n, 2, C), bool."""
        return self.videos.labels.bool().unsqueeze(1) & self.known

    @property
    def taught(self) -> Tensor:
        """Which (modality, class) some video teaches (2, C), bool."""
        return self.labelled.any(0)


def examples_of(split: Split, states: Tensor) -> Examples:
    """Returns the videos of a split that can teach: those with a label of which something is known.

    Args:
        split: The videos, with dense annotation, bare answers, both or neither.
        states: Logits of the states (N, 2, C).
    """
    presence = split.presence
    index = split.annotated.nonzero()[:, 0]
    known = presence >= 0 if split.tracks is None else (presence >= 0) & split.tracks[..., None]
    return Examples(split, states, presence > 0, known, _weights(split)).at(index)


HEAVIEST = 10.0
"""Most that one answer counts for: rare chances must not drown what the others say."""


def _weights(split: Split) -> Tensor | None:
    """Returns the inverse of the probabilities that answers were asked with, 1 on the mean."""
    if split.chances is None:
        return None
    drawn = (split.chances > 0) & split.labels.bool()[:, None]
    inverse = torch.where(drawn, 1 / split.chances.clamp(min=1e-12), 0.0)
    count, total = drawn.sum(0), inverse.sum(0).clamp(min=1e-12)
    weights = (inverse * count / total).clamp(1 / HEAVIEST, HEAVIEST)
    return torch.where(drawn, weights, 1.0)


def joined(first: Examples, second: Examples) -> Examples:
    """Returns the videos of two sets of examples as one."""
    if not len(first.videos) or not len(second.videos):
        return first if len(first.videos) else second
    one, two = first.videos, second.videos
    # A split of a data set of any length may have videos of one length all the same.
    if one.lengths is not None or two.lengths is not None:
        one, two = one.packed(), two.packed()
    videos = replace(
        one,
        ids=one.ids + two.ids,
        streams={
            name: torch.cat([value, two.streams[name]]) for name, value in one.streams.items()
        },
        labels=torch.cat([one.labels, two.labels]),
        lengths=None
        if one.lengths is None or two.lengths is None
        else torch.cat([one.lengths, two.lengths]),
        dense=None,
        truth=None,
        answers=None,
        chances=None,
        tracks=None,  # what is known says it
    )
    weights = None
    if first.weights is not None or second.weights is not None:
        own = (each.weights for each in (first, second))
        weights = torch.cat(
            [
                torch.ones_like(each.states) if weight is None else weight
                for each, weight in zip((first, second), own, strict=True)
            ]
        )
    return Examples(
        videos,
        torch.cat([first.states, second.states]),
        torch.cat([first.present, second.present]),
        torch.cat([first.known, second.known]),
        weights,
    )


def teach_features(judge: Judge, examples: Examples, config: Options, seed: int) -> None:
    """Teaches a judge that reads features, by reinforcement or supervised, in small batches.

    By reinforcement an action on a label is rewarded 1 if it agrees with the annotation of that
    modality and -1 if not, and compared with the moving average of its class and modality: credit
    per label, not per split.

    Args:
        judge: The judge, on the device of the examples; changed in place.
        examples: The annotated videos.
        config: Options.
        seed: Seed of batches, actions and feature noise.
    """
    options = config.labelwise
    device = examples.states.device
    generator = torch.Generator(device).manual_seed(seed)
    optimizer = torch.optim.AdamW(
        judge.parameters(), lr=options.lr, weight_decay=options.weight_decay
    )
    average = torch.zeros(examples.states.shape[1:], device=device)
    count, size = len(examples.videos), min(options.batch_size, len(examples.videos))
    spread = {name: float(value.float().std()) for name, value in examples.videos.streams.items()}
    judge.train()
    for _ in repeatable("teaching a policy", range(options.length), options.length):
        index = torch.randperm(count, generator=generator, device=device)[:size]
        batch = examples.videos.batch(index)
        streams = {
            name: value + options.noise * spread[name] * _normal(value, generator)
            for name, value in batch.streams.items()
        }
        logits = judge(streams, batch.labels, examples.states[index], batch.mask)
        present, labelled = examples.present[index], examples.labelled[index]
        if options.learning == "supervised":
            losses = _cross_entropy(logits, present)
        else:
            losses, average = _reinforce(logits, present, labelled, average, generator)
        loss = losses[labelled].mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    judge.eval()


def _cross_entropy(logits: Tensor, present: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, present.float(), reduction="none")


BASELINE_DECAY = 0.9


def _reinforce(
    logits: Tensor,
    present: Tensor,
    labelled: Tensor,
    average: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Returns minus log pi times advantage (n, 2, C), and the moved baseline (2, C)."""
    draws = torch.rand(logits.shape, generator=generator, device=logits.device)
    keep = draws < logits.detach().sigmoid()
    reward = torch.where(keep == present, 1.0, -1.0)
    log_pi = -functional.binary_cross_entropy_with_logits(logits, keep.float(), reduction="none")
    losses = -(reward - average) * log_pi
    seen = labelled.sum(0)
    mean = (reward * labelled).sum(0) / seen.clamp(min=1)
    moved = BASELINE_DECAY * average + (1 - BASELINE_DECAY) * mean
    return losses, torch.where(seen > 0, moved, average)


def _normal(value: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(value.shape, generator=generator, device=value.device)


def teach_offsets(judge: Judge, examples: Examples, ridge: float, steps: int = 100) -> None:
    """Fits a judge without features to few videos: logistic regression, offsets shrunk.

    Offsets of the classes are drawn to the offset of their modality by a ridge, so that a class
    seen twice follows the others and a class seen often goes its own way.

    Args:
        judge: The judge; changed in place.
        examples: The annotated videos.
        ridge: Weight of the squared distance of a class's offset to the common one, per label.
        steps: Most iterations of L-BFGS.
    """
    common = torch.zeros(2, 1, device=examples.states.device, requires_grad=True)
    own = torch.zeros_like(judge.offset, requires_grad=True)
    free = [judge.own, judge.other, common, own]
    labelled, target = examples.labelled, examples.present

    def loss() -> Tensor:
        logits = judge.own * examples.states + judge.other * examples.states.flip(1) + common + own
        losses = _cross_entropy(logits, target)[labelled]
        weights = ridge * (own.square().sum() + judge.other.square().sum())
        return losses.sum() + weights + 0.1 * (judge.own - 0.5).square().sum()

    minimise(loss, free, steps)
    with torch.no_grad():
        judge.offset.copy_(common + own)
    judge.eval()


def minimise(loss: Callable[[], Tensor], free: Sequence[Tensor], steps: int) -> None:
    """Fits a policy that is logistic in its inputs, by L-BFGS.

    Args:
        loss: What is to be small.
        free: What is free, with gradient; changed in place.
        steps: Most iterations.

    Raises:
        RlldError: If it cannot be fitted, as to numbers that are none.
    """
    optimizer = torch.optim.LBFGS(free, max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = loss()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    try:
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise RlldError(
            f"denoiser reinforced: its policy cannot be fitted to what the networks say ({error}); "
            "look at the features ('rlld data check')"
        ) from None


def mixed(
    rich: Sequence[Judge],
    plain: Judge,
    streams: Mapping[str, Tensor],
    labels: Tensor,
    states: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Returns the mean of the logits with features (their own mean) and without (B, 2, C).

    Args:
        rich: Judges that read features; none leaves the evidence alone.
        plain: The judge of the evidence alone.
        streams: Features by stream name, each (B, T, D of that stream).
        labels: Weak labels (B, C).
        states: Logits of the states (B, 2, C).
        mask: Which segments belong to their video (B, T), bool; all when None.
    """
    logits: Tensor = plain(streams, labels, states)
    if not rich:
        return logits
    others = torch.stack([judge(streams, labels, states, mask) for judge in rich]).mean(0)
    return (logits + others) / 2


def right(examples: Examples, logits: Tensor) -> Tensor:
    """Returns which decisions on annotated labels agree with the annotation, 1 or 0, in order."""
    return ((logits >= 0) == examples.present)[examples.labelled].float()
