"""TensorBoard and Weights & Biases beside ``metrics.jsonl``: what ``--log`` asks for.

Both are imported when they are asked for, and only then.
"""

from __future__ import annotations

from rlld.tracking.base import Results
from rlld.tracking.session import Tracking, track_results, tracker_names

__all__ = ["Results", "Tracking", "track_results", "tracker_names"]
