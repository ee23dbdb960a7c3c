"""What makes features differ from others, told from their statistics: two tables of faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rlld.data.checks.comparison import Compared, Likeness
from rlld.data.checks.statistics import StreamStatistics

SAME = 0.999
"""Likeness of features of one video, above which they differ in rounding or decoding alone."""
ALIKE = 0.9
"""Likeness above which they are the same features after slightly different preparation."""

Kind = Literal["layout", "values", "rows"]


@dataclass(frozen=True)
class VideoFault:
    """A way in which features of the same videos differ although the statistics agree.

    Attributes:
        name: Its name.
        found: Whether it is seen.
        text: What is said then.
    """

    name: str
    found: Callable[[Likeness], bool]
    text: Callable[[Likeness], str]


@dataclass(frozen=True)
class Fault:
    """A way in which features go wrong.

    Attributes:
        name: Its name.
        kind: ``layout`` faults hide all others, of the ``values`` faults the first one counts and
            hides those of videos in common, all ``rows`` faults count.
        found: Whether it is seen in a pair.
        text: What is said then.
    """

    name: str
    kind: Kind
    found: Callable[[Compared], bool]
    text: Callable[[Compared], str]


def faults(pair: Compared) -> list[tuple[str, str]]:
    """Returns the name and a description of what is wrong; empty when all agrees."""
    if layout := _found(pair, "layout"):
        return layout
    values = _found(pair, "values")[:1]
    if not pair.enough and pair.likeness is None:
        values = [
            (
                "unknown",
                f"{pair.ours.videos} videos here and {pair.reference.videos} in the reference, "
                "none of them the same: too few to compare (8 on each side, or one in common)",
            )
        ]
    like = None if values else pair.likeness
    same = [(f.name, f.text(like)) for f in VIDEO_FAULTS if f.found(like)] if like else []
    return [*values, *_found(pair, "rows"), *same]


def _found(pair: Compared, kind: Kind) -> list[tuple[str, str]]:
    return [
        (fault.name, fault.text(pair))
        for fault in FAULTS
        if fault.kind == kind and fault.found(pair)
    ]


def _whole(of: StreamStatistics) -> bool:
    """Says whether values are whole numbers of 8 bits."""
    return of.value("integers") > 0.99 and of.least >= 0 and 4 < of.largest <= 255


def _normalised(of: StreamStatistics) -> bool:
    """Says whether all rows are equally long, or, being means of such rows, none is longer."""
    if of.value("norm_std") < 0.01 * of.value("norm_mean"):
        return True
    return 0.99 < of.longest <= 1.001


def _signed(of: StreamStatistics) -> bool:
    return of.value("negatives") > 0.01


def _unsigned(of: StreamStatistics) -> bool:
    return of.value("negatives") < 1e-6


def _rectified(pair: Compared) -> bool:
    """Says whether ours agree when their negative values are made zero."""
    return pair.distance("positive_means", "dimension_means")[2]


def _unrectified(pair: Compared) -> bool:
    return pair.distance("dimension_means", "positive_means")[2]


def _permuted(pair: Compared) -> bool:
    if pair.likeness is not None and pair.likeness.sorted > SAME:
        return pair.likeness.typical < ALIKE
    return not pair.agree() and pair.agree(ordered=False) and pair.enough


def _scaled(pair: Compared) -> bool:
    if pair.likeness is not None and pair.likeness.whole > SAME:
        return abs(pair.likeness.ratio - 1) > 0.01
    size = pair.reference.value("norm_mean")
    return pair.differs("norm_mean", 0.03 * size) and pair.agree(scale=pair.scale)


def _factor(pair: Compared) -> float:
    like = pair.likeness
    return like.ratio if like is not None and like.whole > SAME else pair.scale


def _rows_per_video(of: StreamStatistics) -> str:
    low, high = of.segments
    if of.frames is None or of.frames == 1:
        return f"{low}" if low == high else f"{low} to {high}"
    return f"{low * of.frames} ({low} segments of {of.frames})"


def _lengths_differ(pair: Compared) -> bool:
    ours, theirs = pair.ours.segments, pair.reference.segments
    return ours[0] == ours[1] and theirs[0] == theirs[1] and ours != theirs


def _shares(pair: Compared, name: str) -> str:
    ours, theirs = pair.ours.value(name), pair.reference.value(name)
    return f"{ours:.1%} here, {theirs:.1%} in the reference"


def _agrees(pair: Compared) -> bool:
    return pair.agree() if pair.enough else True


FAULTS = (
    Fault(
        "dimensions",
        "layout",
        lambda p: p.ours.dim != p.reference.dim,
        lambda p: (
            f"{p.ours.dim} dimensions, the reference has {p.reference.dim}: another network "
            "or another layer"
        ),
    ),
    Fault(
        "frames per segment",
        "rows",
        lambda p: (
            None not in (p.ours.frames, p.reference.frames) and p.ours.frames != p.reference.frames
        ),
        lambda p: (
            f"{p.ours.frames} rows per segment, the reference has {p.reference.frames}: "
            "pictures were taken at another rate"
        ),
    ),
    Fault(
        "rows per video",
        "rows",
        _lengths_differ,
        lambda p: (
            f"{_rows_per_video(p.ours)} rows per video, the reference has "
            f"{_rows_per_video(p.reference)}: another length of segments, another "
            "rate of pictures, or clips of another length"
        ),
    ),
    Fault(
        "8 bits",
        "values",
        lambda p: _whole(p.ours) and not _whole(p.reference),
        lambda p: (
            f"whole numbers from {p.ours.least:.0f} to {p.ours.largest:.0f}: quantised to 8 "
            "bits, which the reference is not (vggish: quantised, and pca with it, must be false)"
        ),
    ),
    Fault(
        "not 8 bits",
        "values",
        lambda p: _whole(p.reference) and not _whole(p.ours),
        lambda p: (
            "the reference is quantised to 8 bits, these are not (vggish: pca and quantised "
            "must be true)"
        ),
    ),
    Fault(
        "normalised",
        "values",
        lambda p: _normalised(p.ours) and not _normalised(p.reference),
        lambda p: (
            f"all rows have a length of {p.ours.longest:.4g} at most, in the reference "
            f"{p.reference.value('norm_mean'):.4g} on average: L2-normalised, which the "
            "reference is not"
        ),
    ),
    Fault(
        "not normalised",
        "values",
        lambda p: _normalised(p.reference) and not _normalised(p.ours),
        lambda p: "the rows of the reference are L2-normalised, these are not",
    ),
    Fault(
        "activation missing",
        "values",
        lambda p: _signed(p.ours) and _unsigned(p.reference) and _rectified(p),
        lambda p: (
            f"{p.ours.value('negatives'):.0%} of the values are negative, and without them "
            "these would agree: the last ReLU is missing (vggish: activation must be true)"
        ),
    ),
    Fault(
        "activation",
        "values",
        lambda p: _unsigned(p.ours) and _signed(p.reference) and _unrectified(p),
        lambda p: (
            "no value is negative, and those of the reference would agree without theirs: a "
            "last ReLU that the reference does not have (vggish: activation must be false)"
        ),
    ),
    Fault(
        "transformed",
        "values",
        lambda p: _signed(p.ours) and _unsigned(p.reference),
        lambda p: (
            f"{p.ours.value('negatives'):.0%} of the values are negative, none in the "
            "reference: transformed by PCA or standardised (vggish: pca must be false), or another "
            "layer"
        ),
    ),
    Fault(
        "not transformed",
        "values",
        lambda p: _unsigned(p.ours) and _signed(p.reference),
        lambda p: (
            f"{p.reference.value('negatives'):.0%} of the reference are negative, none "
            "here: the reference is transformed by PCA or standardised (vggish: pca must be "
            "true), or comes from another layer"
        ),
    ),
    Fault(
        "scale",
        "values",
        _scaled,
        lambda p: (
            f"the numbers are {_factor(p):.4g} times those of the reference and agree "
            "otherwise: a wrong factor"
        ),
    ),
    Fault(
        "order of dimensions",
        "values",
        _permuted,
        lambda p: (
            "the numbers of every row are those of the reference in another order"
            if p.likeness is not None
            else "the dimensions agree in another order: permuted, or another network of the same "
            "kind (other weights); videos in common would tell"
        ),
    ),
    Fault(
        "values",
        "values",
        lambda p: p.enough and not p.agree(),
        lambda p: (
            "mean and spread of the dimensions differ by "
            f"{max(p.distance(name)[0] for name in ('dimension_means', 'dimension_stds')):.2g} "
            "standard deviations on average: other weights, another layer, or other preparation of "
            "sound or pictures"
        ),
    ),
    Fault(
        "zero rows",
        "rows",
        lambda p: p.differs("zero_rows", 0.02),
        lambda p: (
            f"segments that are zero throughout: {_shares(p, 'zero_rows')}; tracks that are "
            "missing or were not decoded, or clips shorter than the segments"
        ),
    ),
    Fault(
        "repeated rows",
        "rows",
        lambda p: p.differs("duplicates", 0.02),
        lambda p: (
            f"segments that equal the one before: {_shares(p, 'duplicates')}; stuck "
            "pictures, or segments that were made longer by repeating"
        ),
    ),
    Fault(
        "neighbours",
        "rows",
        lambda p: _agrees(p) and p.differs("neighbours", 0.05),
        lambda p: (
            f"neighbouring segments correlate by {p.ours.value('neighbours'):.2f}, in the "
            f"reference by {p.reference.value('neighbours'):.2f}: another hop, another length of "
            "segments, segments that overlap or are in another order"
        ),
    ),
)
"""Faults in the order in which they are looked for."""

VIDEO_FAULTS = (
    VideoFault(
        "shift",
        lambda like: like.shifted,
        lambda like: (
            f"the same videos agree best ({like.typical:.4f}, {like.unshifted:.4f} as they are) "
            f"when these are moved by {-like.shift:+d} segments: a shift in time"
        ),
    ),
    VideoFault(
        "preparation",
        lambda like: not like.shifted and ALIKE <= like.unshifted < SAME,
        lambda like: (
            f"the same videos agree by {like.unshifted:.4f}, not entirely: slightly other "
            "preparation (resizing, cropping, resampling, pictures taken at other times, JPEG)"
        ),
    ),
    VideoFault(
        "pictures or sounds",
        lambda like: not like.shifted and like.unshifted < ALIKE,
        lambda like: (
            f"the same videos agree by {like.unshifted:.2f} only, and their statistics do not say "
            "why: blue for red, another crop, another part of the video, or other weights"
        ),
    ),
    VideoFault(
        "some videos",
        lambda like: like.unshifted >= SAME and like.least < ALIKE,
        lambda like: f"of the same videos one agrees by {like.least:.2f} only: not the same clip",
    ),
)
