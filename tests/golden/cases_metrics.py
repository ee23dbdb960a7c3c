"""Golden cases of the metrics: maps are rebuilt from a case's inputs and notes, then scored."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

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
from fill import tensor

Array = np.ndarray
RELATIVE = 1e-5
EXACT_PERCENT = 1e-11
FIXED, DAMAGED = "AVVP_eval_audio.csv", "AVVP_eval_audio_corrupt.csv"
METHODS = ("han", "jomold", "valor", "mmcse", "cmpae", "coleaf", "nrep")


def run(case: Mapping[str, Any], arrays: Mapping[str, Array], llp: Path) -> None:
    """Runs one case and raises AssertionError where an output differs.

    Args:
        case: The case's JSON.
        arrays: Its expected outputs.
        llp: Folder of the real LLP annotation files.
    """
    inputs = {
        each["name"]: tensor(each["name"], tuple(each["shape"]), case["seed"], each["dist"])
        for each in case["inputs"]
    }
    compute = _gated if any(name.startswith("frame_prob") for name in inputs) else _mapped
    lookup = compute(case, inputs, llp)
    skipped = [
        name for name in arrays if not _compare(name, lookup(name, arrays[name]), case, arrays)
    ]
    assert len(skipped) < len(arrays), f"{case['case']}: no output could be compared"
    if skipped:
        warnings.warn(f"{case['case']}: not compared: {', '.join(skipped)}", stacklevel=1)


RUNNERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Array], Path], None]] = {
    "metrics_": run
}


def _compare(
    name: str, found: Array | None, case: Mapping[str, Any], arrays: Mapping[str, Array]
) -> bool:
    if found is None:
        return False
    where = f"{case['case']}: {name}"
    expected = arrays[name]
    if found.dtype.kind in "bi":
        np.testing.assert_array_equal(found, expected, err_msg=where)
    else:
        np.testing.assert_allclose(found, expected, rtol=RELATIVE, atol=1e-7, err_msg=where)
    if f"{name}_exact" in case:
        exact = np.array(case[f"{name}_exact"])
        np.testing.assert_allclose(found, exact, rtol=0, atol=EXACT_PERCENT, err_msg=where)
    return True


Lookup = Callable[[str, Array], "Array | None"]


def _mapped(case: Mapping[str, Any], inputs: dict[str, Array], llp: Path) -> Lookup:
    """Cases whose inputs are binary maps, drawn or made of the real ground truth."""
    notes = case["notes"]
    drawn = any(name.startswith("gt_") for name in inputs)
    if drawn:
        truth = _maps(*(_drawn(f"gt_{m}", inputs, notes) for m in ("audio", "visual")))
        damaged = truth
    else:
        split = _split(case)
        truth, damaged = real_truth(llp, split), real_truth(llp, split, DAMAGED)
    if any(name.startswith("pred_") for name in inputs):
        predicted = _maps(*(_drawn(f"pred_{m}", inputs, notes) for m in ("audio", "visual")))
    else:
        predicted = _perturbed(truth, inputs)

    def lookup(name: str, expected: Array) -> Array | None:
        stem, iou = _iou_of(name)
        stem, old = _without(stem, ("damaged", "corrupt", "corrupted", "old", "134360"))
        stem, _ = _without(stem, ("fixed", "new", "134355"))
        return _score(stem, predicted, damaged if old else truth, iou, expected)

    return lookup


def _score(
    name: str, predicted: Tensor, truth: Tensor, iou: float, expected: Array
) -> Array | None:
    known: dict[str, Callable[[], Tensor]] = {
        "per_video": lambda: per_video(predicted, truth, iou),
        "mean": lambda: _row(scores(predicted, truth, iou), expected),
        "event_counts": lambda: event_counts(predicted, truth, iou),
        "only_per_video": lambda: Scorer(truth, iou, exclusive=True).per_video(predicted),
        "only_mean": lambda: _row(exclusive_scores(predicted, truth, iou), expected),
        "classwise": lambda: classwise_f(predicted, truth),
        "error_rates": lambda: torch.tensor(astuple(error_rates(predicted, truth))),
        "class_micro_f": lambda: classwise_micro_f(predicted, truth),
    }
    return known[name]().numpy() if name in known else None


def _row(values: Scores, expected: Array) -> Tensor:
    """The ten scores, and their mean where the case has eleven values."""
    row = [*values.as_dict().values(), values.mean]
    return torch.tensor(row[: len(expected)], dtype=torch.float64)


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


def real_truth(llp: Path, split: str, audio_file: str = FIXED) -> Tensor:
    """The dense annotation (N, T, 2, C) of ``val`` or ``test``."""
    ids = read_weak(llp / f"AVVP_{split}_pd.csv", LLP_SPEC.taxonomy).ids
    files = (audio_file, "AVVP_eval_visual.csv")
    rows = (read_dense(llp / name, LLP_SPEC.taxonomy) for name in files)
    maps = [rasterise(each, ids, LLP_SPEC) for each in rows]
    return torch.from_numpy(np.stack(maps, 2))


def _split(case: Mapping[str, Any]) -> str:
    found = re.search(r"AVVP_(val|test)_pd", case["notes"])
    if found:
        return found[1]
    return "test" if "test" in case["case"] else "val"


def _gated(case: Mapping[str, Any], inputs: dict[str, Array], llp: Path) -> Lookup:
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
    truth = real_truth(llp, _split(case))[: len(plain.video)]
    thresholds = next((v for n, v in inputs.items() if "thr" in n and v.shape[-1] == 25), None)

    def lookup(name: str, expected: Array) -> Array | None:
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
            return maps[:, :, int(rest == "visual")].transpose(1, 2).numpy()
        return _score(rest, maps, truth, 0.5, expected)

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
