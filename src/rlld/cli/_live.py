"""``rlld parse --live``: a line for every event that begins, and one when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlld.errors import RlldError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlld.cli._parsing import Args
    from rlld.media.live import LiveClip
    from rlld.media.tracks import TrackChoice
    from rlld.open_classes.calibrated import CalibratedRule
    from rlld.open_classes.named import Namer
    from rlld.parsing.live import Told
    from rlld.training.run_folder import Run


def require_alone(args: Args) -> None:
    """Raises ``RlldError`` if an option says something of clips, or of results as a whole."""
    for name in ("clips", "features", "out", "format", "tags", "annotations"):
        if getattr(args, name):
            raise RlldError(f"--live: goes without {name}: it prints JSON lines of one source")


def tell_run(run: Run, source: str, patience: float, tracks: TrackChoice) -> None:
    """Parses a source by a run until it ends, or nothing more comes.

    Args:
        run: The run.
        source: A file that grows, ``-`` or another pipe, or an address.
        patience: Seconds without anything new after which it counts as ended.
        tracks: Which of several tracks are parsed.

    Raises:
        RlldError: If it cannot be read, or is no file and nothing more came.
    """
    from rlld.parsing.parse import parse_live
    from rlld.parsing.sources import open_live
    from rlld.parsing.windows import window_of

    clip = _opened(source, patience, tracks)
    found = open_live(clip, run.spec, soon=run.causal)
    # Behind the window one segment, and the neighbour that is mixed in.
    window = 0 if run.causal else window_of(run.spec)[0] + 1
    delay = (window + found.at_once + 1) * run.spec.segment_seconds
    _tell(clip, parse_live(run, clip, found), delay, patience)


def tell_named(
    namer: Namer, rule: CalibratedRule, source: str, patience: float, tracks: TrackChoice
) -> None:
    """Finds named classes in a source until it ends, or nothing more comes.

    Args:
        namer: Knows the names.
        rule: The rule, taught of every name.
        source: See ``tell_run``.
        patience: See ``tell_run``.
        tracks: See ``tell_run``.

    Raises:
        RlldError: See ``tell_run``.
    """
    from rlld.parsing.sources import described_live
    from rlld.parsing.zero_shot import SECONDS
    from rlld.parsing.zero_shot_live import LATEST, name_live

    clip = _opened(source, patience, tracks)
    found = described_live(clip, namer.extractor, SECONDS, soon=True)
    _tell(clip, name_live(namer, rule, found), (LATEST + found.at_once) * SECONDS, patience)


def _opened(source: str, patience: float, tracks: TrackChoice) -> LiveClip:
    from rlld.media.live import LiveClip

    if not 0 < patience < float("inf"):
        raise RlldError(f"--patience: expected seconds above 0, found {patience:g}")
    return LiveClip(source, patience, tracks)


def _tell(clip: LiveClip, told: Iterator[Told], delay: float, patience: float) -> None:
    """Prints what is told, and how the source ended."""
    from rlld.utils.console import ERR, OUT
    from rlld.utils.plain import json_text

    ERR.print(f"{clip.name}: an event is told {delay:g} s after it ended, or before")
    try:
        for line in told:
            OUT.content(json_text(line.as_dict(), clip.name, ensure_ascii=False) + "\n")
    finally:
        clip.close()
    seconds, notes = clip.outcome()
    for note in notes:
        ERR.print(f"note: {note}")
    if clip.stalled and not clip.grows:
        raise RlldError(
            f"{clip.name}: nothing more came for {patience:g} s, after {seconds:.1f} s; what it "
            "held is told, start again when it goes on"
        )
    why = f", as nothing more came for {patience:g} s" if clip.stalled else ""
    ERR.print(f"{clip.name}: ended after {seconds:.1f} s{why}")
