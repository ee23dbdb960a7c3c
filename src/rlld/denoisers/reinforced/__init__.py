"""RLLD: a policy that removes noisy labels per modality and is rewarded by validation.

``policy`` decides, ``actions`` samples and applies decisions, ``rewards`` values them, a
``learner`` (``reinforce`` is the paper's) turns rewards into updates, ``denoiser`` is what the
training loop drives.
"""

from __future__ import annotations

from rlld.denoisers.reinforced.options import Config, InterReward, TerminalReward

__all__ = ["Config", "InterReward", "TerminalReward"]
