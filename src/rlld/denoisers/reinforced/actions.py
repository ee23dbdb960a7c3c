"""Actions of the policy: sampling them, their probability, and the labels they leave (Eq. 4-6)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rlld.denoisers.reinforced.options import EmptyRule, VideoTarget
from rlld.types import MODALITIES, ModalityLabels


class Revision(NamedTuple):
    """What actions did to the labels.

    Attributes:
        labels: Revised labels (B, 2, C), in the dtype of the weak labels.
        undone: Where the empty rule gave all labels back (B, 2), bool.
    """

    labels: Tensor
    undone: Tensor


class Decision(NamedTuple):
    """Actions on the labels of a step.

    Attributes:
        labels: Weak labels (B, C).
        logits: Logits of keeping (B, 2, C), with their graph.
        taken: Actions (B, 2, C), bool.
        revision: What they did.
    """

    labels: Tensor
    logits: Tensor
    taken: Tensor
    revision: Revision


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draws keep (True) or remove (False) for every label (Eq. 4).

    Args:
        logits: Logits of keeping, any shape.
        generator: On the device of the logits.

    Returns:
        Actions, bool, of the same shape.
    """
    probability = logits.detach().sigmoid()
    draws = torch.rand(
        probability.shape, generator=generator, device=logits.device, dtype=probability.dtype
    )
    return draws < probability


def log_probabilities(logits: Tensor, actions: Tensor, labels: Tensor) -> Tensor:
    """Returns log pi of the action on each label.

    Only present labels count: an action on an absent one changes nothing, so that its term would
    be noise alone.

    Args:
        logits: Logits of keeping (B, 2, C).
        actions: Actions (B, 2, C), bool.
        labels: Weak labels (B, C), 0 or 1.

    Returns:
        (B, 2, C), not above 0, and 0 where a label is absent.
    """
    terms = functional.logsigmoid(torch.where(actions, logits, -logits))
    return terms * labels.to(terms.dtype).unsqueeze(1)


def log_probability(logits: Tensor, actions: Tensor, labels: Tensor) -> Tensor:
    """Returns log pi of the actions per video and modality (B, 2); see ``log_probabilities``."""
    return log_probabilities(logits, actions, labels).sum(-1)


def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns the entropy of the policy per video and modality, in nats, over present labels.

    Args:
        logits: Logits of keeping (B, 2, C).
        labels: Weak labels (B, C), 0 or 1.

    Returns:
        (B, 2), not below 0.
    """
    # H = -p log p - q log q, and log p = logit + log q.
    terms = functional.softplus(logits) - logits * logits.sigmoid()
    return (terms * labels.to(terms.dtype).unsqueeze(1)).sum(-1)


def revise(labels: Tensor, actions: Tensor, empty_rule: EmptyRule) -> Revision:
    """Removes labels (Eq. 5), and gives them back where nothing would be left (section 4.1).

    Args:
        labels: Weak labels (B, C), 0 or 1.
        actions: Actions (B, 2, C), bool, True keeps.
        empty_rule: ``both`` gives all labels of a video back when both modalities would be empty,
            ``modality`` those of a modality that would be, ``none`` never does.
    """
    weak = labels.unsqueeze(1).expand_as(actions)
    revised = weak * actions.to(weak.dtype)
    # A video without any label has lost nothing.
    emptied = (weak > 0).any(-1) & ~(revised > 0).any(-1)
    if empty_rule == "none":
        return Revision(revised, torch.zeros_like(emptied))
    undone = emptied.all(1, keepdim=True).expand_as(emptied) if empty_rule == "both" else emptied
    return Revision(torch.where(undone.unsqueeze(-1), weak, revised), undone)


def targets(revised: Tensor, labels: Tensor, video_target: VideoTarget) -> ModalityLabels:
    """Returns what the task network is trained on (Eq. 6).

    Args:
        revised: Revised labels (B, 2, C).
        labels: Weak labels (B, C).
        video_target: What the fused probability shall be: the ``union`` of the revised labels or
            the ``original`` ones.
    """
    audio, visual = revised.unbind(1)
    video = torch.maximum(audio, visual) if video_target == "union" else labels
    return ModalityLabels(audio, visual, video)


def figures(decision: Decision, **own: Tensor) -> dict[str, Tensor]:
    """Returns figures for the log, ``NAME_audio`` and ``NAME_visual`` each, without their graph.

    They say what the policy thought and what its actions did; docs/methods/rlld.md explains each.

    Args:
        decision: The actions of a step.
        own: Figures of the learner, (2,) each.
    """
    labels, logits, revision = decision.labels, decision.logits.detach(), decision.revision
    present = labels.sum().clamp(min=1)
    values = {
        **own,
        "keep": (logits.sigmoid() * labels.unsqueeze(1)).sum((0, 2)) / present,
        "removed": 1 - revision.labels.sum((0, 2)) / present,
        "undone": revision.undone.to(logits.dtype).mean(0),
        "entropy": entropy(logits, labels).sum(0) / present,
    }
    return {
        f"{name}_{modality}": value[index].detach()
        for name, value in values.items()
        for index, modality in enumerate(MODALITIES)
    }
