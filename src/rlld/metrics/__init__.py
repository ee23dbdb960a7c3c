"""The ten F-scores of audio-visual video parsing, and what turns probabilities into maps."""

from rlld.metrics.averages import class_macro_scores, micro_scores
from rlld.metrics.classwise import (
    ErrorRates,
    classwise_f,
    classwise_micro_f,
    classwise_totals,
    error_rates,
    video_f,
)
from rlld.metrics.gates import (
    GLOBAL,
    PER_MODALITY,
    Gate,
    fuse,
    published_gate,
    search_thresholds,
)
from rlld.metrics.scores import (
    NAMES,
    Scorer,
    Scores,
    event_counts,
    exclusive_scores,
    named_score,
    per_video,
    scores,
)

__all__ = [
    "GLOBAL",
    "NAMES",
    "PER_MODALITY",
    "ErrorRates",
    "Gate",
    "Scorer",
    "Scores",
    "class_macro_scores",
    "classwise_f",
    "classwise_micro_f",
    "classwise_totals",
    "error_rates",
    "event_counts",
    "exclusive_scores",
    "fuse",
    "micro_scores",
    "named_score",
    "per_video",
    "published_gate",
    "scores",
    "search_thresholds",
    "video_f",
]
