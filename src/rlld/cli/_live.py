"""``rlld parse --live``: a line for every event that begins, and one when it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlld.errors import RlldError

if TYPE_CHECKING:
    import torch

    from rlld.media.tracks import TrackChoice


def tell_live(
    run: str, source: str, patience: float, device: torch.device, tracks: TrackChoice
) -> None:
    """Parses a source until it ends, or nothing more comes.

    Args:
        run: The run by its name.
        source: A file that grows, ``-`` or another pipe, or an address.
        patience: Seconds without anything new after which it counts as ended.
        device: Where to compute.
        tracks: Which of several tracks are parsed.

    Raises:
        RlldError: If it cannot be read, or is no file and nothing more came.
    """
    from rlld.media.live import LiveClip
    from rlld.parsing.parse import parse_live
    from rlld.parsing.sources import open_live
    from rlld.parsing.windows import window_of
    from rlld.training.run_folder import load_run
    from rlld.utils.console import ERR, OUT
    from rlld.utils.plain import json_text

    if not 0 < patience < float("inf"):
        raise RlldError(f"--patience: expected seconds above 0, found {patience:g}")
    loaded = load_run(run, device)
    clip = LiveClip(source, patience, tracks)
    found = open_live(clip, loaded.spec, soon=loaded.causal)
    # Behind the window one segment, and the neighbour that is mixed in.
    window = 0 if loaded.causal else window_of(loaded.spec)[0] + 1
    delay = (window + found.at_once + 1) * loaded.spec.segment_seconds
    ERR.print(f"{clip.name}: an event is told {delay:g} s after it ended, or before")
    try:
        for line in parse_live(loaded, clip, found):
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
