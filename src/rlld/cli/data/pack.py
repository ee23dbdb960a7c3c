"""Import annotations and per-video feature files into one packed data-set folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Args:
    """Options of ``rlld data pack``."""

    annotations: Path
    """Folder of the annotation files."""
    features: Path
    """Folder with one folder of .npy files per stream (for LLP: vggish, res152, r2plus1d_18)."""
    out: Path
    """Data-set folder to be made."""
    spec: Path | None = None
    """A dataset.yaml that describes the data; LLP with the published features when not given."""
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """Element type of the stores; float32 is exact, the others take half the space."""
    audio_file: str | None = None
    """Another name for the file of audible events (LLP's AVVP_eval_audio.csv has two versions)."""
    answers: Path | None = None
    """A file of bare answers: columns video, class, modality, present (yes or no)."""
    skip_missing: bool = False
    """Leave out videos whose features are missing or damaged, and list them in skipped.txt."""


def run(args: Args) -> None:
    """Packs the data set and says what it holds."""
    from rlld.data.pack import SKIPPED_FILE, pack
    from rlld.data.spec import LLP_SPEC, spec_from
    from rlld.utils.config import read_yaml
    from rlld.utils.console import OUT

    spec = spec_from(read_yaml(args.spec), str(args.spec)) if args.spec else LLP_SPEC
    report = pack(
        args.annotations,
        args.features,
        args.out,
        spec,
        dtype=args.dtype,
        audio_file=args.audio_file,
        skip_missing=args.skip_missing,
        answers=args.answers,
    )
    counts = ", ".join(f"{count} {split}" for split, count in report.videos.items())
    OUT.print(f"packed {counts} videos into {args.out}")
    if report.answers:
        OUT.print(f"answers: {report.answers}")
    if report.skipped:
        OUT.print(f"left out {report.skipped}: {args.out / SKIPPED_FILE}")
    if report.audio_version:
        OUT.print(f"audio annotation: {report.audio_version}")
