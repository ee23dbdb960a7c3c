"""Where and how a run computes: device, precision, matrix products, threads."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cache
from threading import RLock
from typing import Any, Literal

import torch
from torch import Tensor

from rlld.errors import RlldError

SEEDS = 2**31
"""Seeds that there are: parts of a run multiply them, and the product has to fit 64 bits."""

TURN = RLock()
"""Held by a training: all threads of a process draw from one generator of PyTorch."""

GEMM_SIZE = 512
GEMM_TOLERANCE = 2e-3
"""Largest error of a 512-wide float32 product of standard normal values.

Float32 stays below 2e-4 and bfloat16 reaches 0.4, so that the bound tells them apart safely.
"""


@dataclass(frozen=True)
class Compute:
    """How to compute; everything but the results' last digits is the same for every setting.

    Attributes:
        device: ``auto`` takes CUDA where there is one.
        precision: ``bfloat16`` runs the matrix products in 16 bits by autocast; weights, losses
            and probabilities stay float32.
        gemm: ``onednn`` computes float32 products on a CPU by oneDNN, which is up to twice as
            fast as PyTorch's default on AMD; refused where that would cost precision.
        threads: CPU threads; 0 leaves PyTorch's number.
        graphs: Whether a GPU records steps as CUDA graphs and replays them.
        stacked: Whether networks that a step tries are computed as one stack. ``auto`` does so on
            a GPU, which one of them leaves idle; a CPU gains little.

    Raises:
        RlldError: If ``threads`` is negative.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    gemm: Literal["default", "onednn"] = "default"
    threads: int = 0
    graphs: bool = True
    stacked: Literal["auto", "on", "off"] = "auto"

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise RlldError(f"compute: threads must be 0 or more, found {self.threads}")

    @property
    def torch_device(self) -> torch.device:
        """The device.

        Raises:
            RlldError: If CUDA is asked for and there is none.
        """
        found = torch.cuda.is_available()
        if self.device == "cuda" and not found:
            raise RlldError("compute: device cuda was asked for, but torch finds none; use cpu")
        return torch.device("cuda" if found and self.device != "cpu" else "cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Type in which features are best kept on the device."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    @property
    def records(self) -> bool:
        """Whether steps are recorded as CUDA graphs."""
        return self.graphs and self.torch_device.type == "cuda"

    @property
    def stacks(self) -> bool:
        """Whether networks of one step are computed as one stack."""
        if self.stacked == "auto":
            return self.torch_device.type == "cuda"
        return self.stacked == "on"

    def autocast(self) -> torch.autocast:
        """Returns a new context for forward passes; it does nothing in float32."""
        return torch.autocast(
            self.torch_device.type, torch.bfloat16, enabled=self.precision == "bfloat16"
        )

    def setup(self) -> dict[str, Any]:
        """Applies the settings to the process.

        Returns:
            The settings as they took effect, JSON-ready, for the record of a run.

        Raises:
            RlldError: If the device cannot compute that way, or only at a loss of precision.
        """
        device = self.torch_device
        if self.precision == "bfloat16" and device.type == "cuda":
            _require_bfloat16(device)
        if self.threads:
            torch.set_num_threads(self.threads)
        _choose_gemm(self.gemm, device)
        cpu = torch.backends.cpu.get_cpu_capability()
        return {
            "device": device.type,
            "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu,
            "precision": self.precision,
            "gemm": self.gemm,
            "gemm_error": gemm_error(device),
            "threads": torch.get_num_threads(),
            "graphs": self.records,
            "torch": torch.__version__,
        }


def make_recordable(optimizer: torch.optim.Optimizer) -> None:
    """Keeps all that changes in a fused Adam on the device, where a recorded step reads it.

    That is the learning rate, besides what is there anyway. Nothing changes on a CPU.
    """
    for group in optimizer.param_groups:
        device = group["params"][0].device
        if device.type == "cuda":
            group["capturable"] = True
            group["lr"] = torch.tensor(float(group["lr"]), device=device)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate, in place where a recording reads it.

    Groups of parameters may have a factor of it (``Network.rate_factors``).
    """
    for group in optimizer.param_groups:
        own = rate * group["factor"]
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


def gemm_error(device: torch.device) -> float:
    """Returns the largest error of one float32 matrix product against float64."""
    left, right, exact = _known_product()
    found = (left.to(device) @ right.to(device)).double().cpu()
    return float((found - exact).abs().max())


@cache
def _known_product() -> tuple[Tensor, Tensor, Tensor]:
    """Returns two matrices and their product in float64, which takes longer than all that asks."""
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, GEMM_SIZE, GEMM_SIZE, generator=generator)
    return left, right, left.double() @ right.double()


def _require_bfloat16(device: torch.device) -> None:
    with torch.cuda.device(device):
        if not torch.cuda.is_bf16_supported():
            raise RlldError(
                f"compute: {torch.cuda.get_device_name(device)} has no bfloat16; use precision "
                "float32"
            )


def _choose_gemm(gemm: str, device: torch.device) -> None:
    matmul: Any = getattr(torch.backends.mkldnn, "matmul", None)
    supported = hasattr(matmul, "fp32_precision")
    if gemm == "default":
        if supported:
            matmul.fp32_precision = "none"
        return
    if device.type != "cpu" or not supported:
        raise RlldError(
            f"compute: gemm onednn needs a CPU and torch 2.9 or newer, found {device.type} and "
            f"torch {torch.__version__}; use gemm default"
        )
    # The setting allows bfloat16 products. oneDNN makes use of that on CPUs with AMX and keeps
    # float32 elsewhere, which one product has to prove.
    matmul.fp32_precision = "bf16"
    error = gemm_error(device)
    if error > GEMM_TOLERANCE:
        matmul.fp32_precision = "none"
        raise RlldError(
            f"compute: gemm onednn loses precision on this CPU (error {error:.2g}, float32 stays "
            f"below {GEMM_TOLERANCE:g}); use gemm default, or precision bfloat16"
        )


def require_seed(seed: int) -> int:
    """Returns a seed that every part of a run can draw from, as Python's own whole number.

    Raises:
        RlldError: If it is no whole number, negative or too large.
    """
    try:
        # Of NumPy's numbers products would overflow.
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < SEEDS:
        raise RlldError(f"seed: expected a whole number from 0 to {SEEDS - 1}, found {seed!r}")
    return number
