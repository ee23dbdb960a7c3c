"""Golden cases of the metrics: maps are rebuilt from a case's inputs and notes, then scored.

Two cases are of LLP's real events. Where its annotation files are missing, events are drawn in
their place, and what the case says of them is counted by plain loops instead.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlld.data.annotations import rasterise, read_dense, read_weak
from rlld.data.spec import LLP_SPEC
from rlld.metrics import (
    Gate,
    Scores,
    classwise_f,
    classwise_micro_f,
    error_rates,
    event_counts,
    exclusive_scores,
    fuse,
    per_video,
    published_gate,
    scores,
)
from rlld.metrics.scores import Scorer
from rlld.types import Prediction

sys.path.insert(0, str(Path(__file__).parent))
import plain_metrics
from fill import tensor

Array = np.ndarray
RELATIVE = 1e-5
EXACT_PERCENT = 1e-11
LOST_ROWS = {
    ("JfZEqeLZqWk_30_40", 0.0, 4.0),
    ("JfZEqeLZqWk_30_40", 7.0, 10.0),
    ("KvIjsmANkxI_10_20", 0.0, 1.0),
}
"""Audio rows whose video the damaged audio file does not name."""
METHODS = ("han", "jomold", "valor", "mmcse", "cmpae", "coleaf", "nrep")
DRAWN_VIDEOS = 40


class Found(NamedTuple):
    """An output of ours.

    Attributes:
        value: The output.
        plain: What plain loops count; None where the stored output is to be met.
    """

    value: Array
    plain: Array | None = None


@dataclass(frozen=True)
class Truth:
    """The true events of a case.

    Attributes:
        maps: (N, T, 2, C).
        damaged: The same by the damaged audio file.
        drawn: Whether they stand in for LLP's, so that no published score is theirs.
    """

    maps: Tensor
    damaged: Tensor
    drawn: bool = False


def needs_llp(case: Mapping[str, Any]) -> bool:
    """Says whether the true events of a case are those of LLP."""
    return not any(each["name"].startswith("gt_") for each in case["inputs"])


def run(case: Mapping[str, Any], arrays: Mapping[str, Array], llp: Path | None) -> None:
    """Runs one case and raises AssertionError where an output differs.

    Args:
        case: The case's JSON.
        arrays: Its expected outputs.
        llp: Folder of the real LLP annotation files; None draws events in their place.
    """
    inputs = {
        each["name"]: tensor(each["name"], tuple(each["shape"]), case["seed"], each["dist"])
        for each in case["inputs"]
    }
    compute = _gated if any(name.startswith("frame_prob") for name in inputs) else _mapped
    lookup = compute(case, inputs, llp)
    skipped = [name for name in arrays if not _compare(name, lookup(name), case, arrays)]
    assert len(skipped) < len(arrays), f"{case['case']}: no output could be compared"
    if skipped:
        warnings.warn(f"{case['case']}: not compared: {', '.join(skipped)}", stacklevel=1)


RUNNERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Array], Path | None], None]] = {
    "metrics_": run
}


def _compare(
    name: str, found: Found | None, case: Mapping[str, Any], arrays: Mapping[str, Array]
) -> bool:
    if found is None:
        return False
    where = f"{case['case']}: {name}"
    value, plain = found
    expected = arrays[name] if plain is None else plain
    if value.dtype.kind in "bi":
        np.testing.assert_array_equal(value, expected, err_msg=where)
    else:
        np.testing.assert_allclose(value, expected, rtol=RELATIVE, atol=1e-7, err_msg=where)
    if f"{name}_exact" in case and plain is None:
        exact = np.array(case[f"{name}_exact"])
        np.testing.assert_allclose(value, exact, rtol=0, atol=EXACT_PERCENT, err_msg=where)
    return True


Lookup = Callable[[str], "Found | None"]


def _mapped(case: Mapping[str, Any], inputs: dict[str, Array], llp: Path | None) -> Lookup:
    """Cases whose inputs are binary maps, drawn or made of the real ground truth."""
    notes = case["notes"]
    if needs_llp(case):
        truth = _truth(case, llp, DRAWN_VIDEOS)
        inputs = {name: value[: len(truth.maps)] for name, value in inputs.items()}
    else:
        drawn = _maps(*(_drawn(f"gt_{m}", inputs, notes) for m in ("audio", "visual")))
        truth = Truth(drawn, drawn)
    if any(name.startswith("pred_") for name in inputs):
        predicted = _maps(*(_drawn(f"pred_{m}", inputs, notes) for m in ("audio", "visual")))
    else:
        predicted = _perturbed(truth.maps, inputs)

    def lookup(name: str) -> Found | None:
        stem, iou = _iou_of(name)
        stem, old = _without(stem, ("damaged", "corrupt", "corrupted", "old", "134360"))
        stem, _ = _without(stem, ("fixed", "new", "134355"))
        return _score(stem, predicted, truth, iou, _rows(case, name), old=old)

    return lookup


def _rows(case: Mapping[str, Any], name: str) -> int:
    """The length of an output."""
    return next(each["shape"][0] for each in case["outputs"] if each["name"] == name)


def _score(
    name: str, predicted: Tensor, of: Truth, iou: float, length: int, *, old: bool = False
) -> Found | None:
    truth = of.damaged if old else of.maps
    known: dict[str, Callable[[], Tensor]] = {
        "per_video": lambda: per_video(predicted, truth, iou),
        "mean": lambda: _row(scores(predicted, truth, iou), length),
        "event_counts": lambda: event_counts(predicted, truth, iou),
        "only_per_video": lambda: Scorer(truth, iou, exclusive=True).per_video(predicted),
        "only_mean": lambda: _row(exclusive_scores(predicted, truth, iou), length),
        "classwise": lambda: classwise_f(predicted, truth),
        "error_rates": lambda: torch.tensor(astuple(error_rates(predicted, truth))),
        "class_micro_f": lambda: classwise_micro_f(predicted, truth),
    }
    if name not in known:
        return None
    plain = plain_metrics.output(name, predicted, truth, iou, length) if of.drawn else None
    return Found(known[name]().numpy(), plain)


def _row(values: Scores, length: int) -> Tensor:
    """The ten scores, and their mean where the case has eleven values."""
    row = [*values.as_dict().values(), values.mean]
    return torch.tensor(row[:length], dtype=torch.float64)


def _iou_of(name: str) -> tuple[str, float]:
    """Splits ``mean_iou_0.3``, ``per_video_iou03`` or ``iou03_mean`` into name and threshold."""
    found = re.search(r"(?:^|_)(?:at_?)?(?:iou|t|th|thr|m)?_?(0[._p]?\d+|[1-9]0?)(?=_|$)", name)
    if not found:
        return name, 0.5
    digits = re.sub(r"\D", "", found[1])
    value = float(f"0.{digits[1:]}") if digits[0] == "0" else float(f"0.{digits}")
    return (name[: found.start()] + name[found.end() :]).removeprefix("_"), value


def _without(name: str, words: tuple[str, ...]) -> tuple[str, bool]:
    parts = name.split("_")
    kept = [part for part in parts if part not in words]
    return "_".join(kept), len(kept) < len(parts)


def _drawn(name: str, inputs: Mapping[str, Array], notes: str) -> Array:
    """The product of all inputs of that name; those called raw are dilated if the notes say so."""
    parts = {key: value for key, value in inputs.items() if re.match(rf"{name}(_|$)", key)}
    assert parts, f"no input makes {name}"
    result = np.ones((1, 1, 1), np.float32)
    for key, value in parts.items():
        assert set(np.unique(value)) <= {0, 1}, f"input {key} is not binary; rule unknown"
        dilated = key.endswith("_raw") and "dilate" in notes
        result = result * (_dilate(value) if dilated else value)
    return result > 0


def _dilate(values: Array) -> Array:
    padded = np.pad(values, ((0, 0), (0, 0), (1, 1)))
    return np.maximum(np.maximum(padded[..., :-2], padded[..., 2:]), values)


def _perturbed(truth: Tensor, inputs: Mapping[str, Array]) -> Tensor:
    """Shifts, drops, adds and flips the true maps, as the notes of ``metrics_val`` say."""
    result = []
    for index, modality in enumerate(("audio", "visual")):
        real = truth[:, :, index].transpose(1, 2).numpy().astype(np.float32)
        late = np.pad(real, ((0, 0), (0, 0), (1, 0)))[..., :-1]
        part = np.where(inputs[f"shift_{modality}"] == 1, late, real)
        part = inputs[f"keep_{modality}"] * part
        extra = inputs[f"extra_gate_{modality}"] * _dilate(inputs[f"extra_raw_{modality}"])
        result.append((np.maximum(part, extra) > 0) ^ (inputs[f"flip_{modality}"] > 0))
    return _maps(*result)


def _maps(audio: Array, visual: Array) -> Tensor:
    """Published maps (n, C, T) of both modalities as (n, T, 2, C)."""
    return torch.from_numpy(np.stack([audio, visual], 1) > 0).permute(0, 3, 1, 2).contiguous()


def real_truth(llp: Path, split: str, *, damaged: bool = False) -> Tensor:
    """The dense annotation (N, T, 2, C) of ``val`` or ``test``, by either audio file."""
    ids = read_weak(llp / f"AVVP_{split}_pd.csv", LLP_SPEC.taxonomy).ids
    audio, visual = (
        read_dense(llp / f"AVVP_eval_{name}.csv", LLP_SPEC.taxonomy) for name in ("audio", "visual")
    )
    if damaged:
        audio = [row for row in audio if row[:3] not in LOST_ROWS]
    maps = [rasterise(rows, ids, LLP_SPEC) for rows in (audio, visual)]
    return torch.from_numpy(np.stack(maps, 2))


def _truth(case: Mapping[str, Any], llp: Path | None, videos: int) -> Truth:
    """The events of a split of LLP, or drawn ones of some videos."""
    if llp is not None:
        split = _split(case)
        return Truth(real_truth(llp, split), real_truth(llp, split, damaged=True))
    shape = (videos, len(LLP_SPEC.classes), LLP_SPEC.segments)
    gates = [tensor(f"gate_{m}", (*shape[:2], 1), case["seed"], "bernoulli:0.1") for m in "av"]
    runs = [tensor(f"raw_{m}", shape, case["seed"], "bernoulli:0.3") for m in "av"]
    maps = _maps(*(gate * _dilate(raw) for gate, raw in zip(gates, runs, strict=True)))
    return Truth(maps, maps, drawn=True)


def _split(case: Mapping[str, Any]) -> str:
    found = re.search(r"AVVP_(val|test)_pd", case["notes"])
    if found:
        return found[1]
    return "test" if "test" in case["case"] else "val"


def _gated(case: Mapping[str, Any], inputs: dict[str, Array], llp: Path | None) -> Lookup:
    """Cases whose inputs are probabilities: threshold, gate, and score on real ground truth."""
    notes = case["notes"]
    levels = re.search(r"floor\((\d+)\s*\*\s*u\)\s*/\s*(\d+)", notes)
    if levels:
        steps = np.float32(levels[1])
        inputs = {
            name: np.floor(steps * u) / steps if "thr" not in name else u
            for name, u in inputs.items()
        }
    passes = _passes(inputs)
    plain = passes[0]
    fused = fuse(passes[0], passes[1], _ratio(notes)) if len(passes) > 1 else plain
    videos = len(plain.video)
    truth = _truth(case, llp, videos)
    truth = replace(truth, maps=truth.maps[:videos], damaged=truth.damaged[:videos])
    thresholds = next((v for n, v in inputs.items() if "thr" in n and v.shape[-1] == 25), None)

    def lookup(name: str) -> Found | None:
        method, _, rest = name.partition("_")
        if method not in METHODS:
            return None
        gate: Gate = published_gate(method.replace("mmcse", "mm_cse"), plain.video.shape[-1])
        rest, per_class = _without(rest, ("test", "class", "perclass", "thresholds"))
        if per_class and thresholds is None:
            return None
        if per_class:
            gate = replace(gate, visual_threshold=tuple(thresholds.ravel().tolist()))
        maps = gate.apply(fused if method in ("cmpae", "coleaf") else plain)
        if rest in ("audio", "visual"):
            return Found(maps[:, :, int(rest == "visual")].transpose(1, 2).numpy())
        return _score(rest, maps, truth, 0.5, _rows(case, name))

    return lookup


def _passes(inputs: Mapping[str, Array]) -> list[Prediction]:
    """The predictions with and, where given, without cross-modal attention."""
    suffixes = [name.removeprefix("frame_prob") for name in inputs if name.startswith("frame_prob")]
    suffixes.sort(key=lambda suffix: bool(re.search(r"no|without|wo|2|plain|self|uni", suffix)))

    def video(suffix: str) -> Array:
        # Rules that gate each modality by itself need no fused probability.
        names = ("output", "global_prob", "a_prob")
        return next(inputs[name + suffix] for name in names if name + suffix in inputs)

    return [
        Prediction(
            *(
                torch.from_numpy(inputs[f"{stem}{suffix}"])
                for stem in ("frame_prob", "a_prob", "v_prob")
            ),
            torch.from_numpy(video(suffix)),
        )
        for suffix in suffixes
    ]


def _ratio(notes: str) -> float:
    found = re.search(r"(0\.\d+)\s*[*·]?\s*with\b", notes)
    return float(found[1]) if found else 0.7
