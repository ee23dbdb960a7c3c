"""Device, precision and matrix products."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch

from rlld.errors import RlldError
from rlld.utils import compute
from rlld.utils.compute import Compute


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    Compute("cpu").setup()


def test_record_tells_what_took_effect() -> None:
    record = Compute("cpu", threads=1).setup()
    assert torch.get_num_threads() == record["threads"] == 1
    assert record["device"] == "cpu"
    assert record["gemm_error"] < 2e-4
    json.dumps(record)


def test_onednn_is_float32_or_refused() -> None:
    try:
        record = Compute("cpu", gemm="onednn").setup()
    except RlldError as error:
        assert "precision" in str(error) or "newer" in str(error)
        return
    assert record["gemm_error"] < compute.GEMM_TOLERANCE
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    Compute("cpu").setup()
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"


def test_lost_precision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "gemm_error", lambda device: 0.4)
    with pytest.raises(RlldError, match="loses precision"):
        Compute("cpu", gemm="onednn").setup()
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"


def test_bound_tells_float32_from_bfloat16() -> None:
    left, right = torch.randn(2, 512, 512)
    coarse = (left.bfloat16() @ right.bfloat16()).double()
    error = (coarse - left.double() @ right.double()).abs().max()
    assert error > 10 * compute.GEMM_TOLERANCE
    assert compute.gemm_error(torch.device("cpu")) < compute.GEMM_TOLERANCE / 10


def test_autocast_follows_the_precision() -> None:
    layer, value = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with Compute("cpu").autocast():
        assert layer(value).dtype == torch.float32
    half = Compute("cpu", "bfloat16")
    assert half.dtype == torch.bfloat16
    with half.autocast():
        assert layer(value).dtype == torch.bfloat16
    assert layer(value).dtype == torch.float32


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_missing_cuda_is_said() -> None:
    assert Compute("auto").torch_device.type == "cpu"
    with pytest.raises(RlldError, match="torch finds none"):
        Compute("cuda").setup()
    with pytest.raises(RlldError, match="threads must be 0 or more"):
        Compute(threads=-1)
