"""Files that claim more than they hold, or hold something else: one sentence, and no memory."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from rlld.errors import RlldError
from rlld.utils.foreign.arrays import open_array, open_arrays
from rlld.utils.foreign.damage import Told
from rlld.utils.foreign.saved import read_saved
from rlld.utils.foreign.tensors import read_tensors
from rlld.utils.foreign.weights import read_weights

TOLD = Told("cannot be read", "take another")
MOST = 150 << 10
"""Kilobytes by which the peak may grow; every file here asks for gigabytes."""


@pytest.fixture(autouse=True)
def small():
    """Fails where reading took memory; the process has read good files of every kind before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST


def zipped(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def saved(
    size: tuple[int, ...],
    stride: tuple[int, ...],
    count: int,
    offset: int = 0,
    content: bytes = bytes(48),
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """A file of ``torch.save`` with a tensor ``a`` whose storage claims ``count`` floats."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    pickled = (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + number(count)
        + b"tQ"
        + number(offset)
        + numbers(size)
        + numbers(stride)
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )
    return zipped({"x/data.pkl": pickled, "x/data/0": content, "x/version": b"3\n"}, method)


def test_the_files_of_these_tests_are_read_when_they_claim_what_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(saved((3, 4), (4, 1), 12, content=np.arange(12, dtype="<f4").tobytes()))
    assert read_saved(path, TOLD)["a"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    path.write_bytes(saved((2, 2), (1, 4), 12, 2, np.arange(12, dtype="<f4").tobytes()))
    assert read_saved(path, TOLD, mapped=True)["a"].tolist() == [[2, 6], [3, 7]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (saved((2 * 10**9,), (0,), 12), "a tensor of shape (2000000000,) in a storage of 12"),
        (saved((2**40, 2**40), (0, 0), 12), "in a storage of 12 values"),
        (saved((3, 4), (4, 1), 12, 1), "in a storage of 12 values"),
        (saved((3, 4), (2**62, 1), 12), "in a storage of 12 values"),
        (saved((-3,), (1,), 12), "whose size is no size"),
        (saved((3,), (-1,), 12), "whose size is no size"),
        (saved((1,) * 65, (1,) * 65, 12), "65 dimensions"),
        (saved((3,), (1,), 10**10), "claims 10000000000 values, the file holds 48 bytes"),
        (saved((3,), (1,), -1), "of no size"),
        (
            saved((3,), (1,), 10**8, content=bytes(10**6), method=zipfile.ZIP_DEFLATED),
            "compressed, which PyTorch never does",
        ),
        (b"\x80\x02Nr\xff\xff\xff\x7f0.", "pop from empty list"),
        (b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"x.", "expected 1099511627776 bytes"),
        (b"\x80\x05\x96" + (2**34).to_bytes(8, "little") + b"x.", "expected 17179869184 bytes"),
        (b"\x80\x02" + b"}" * 2_000_001 + b".", "more than 2,000,000 instructions"),
        (b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns.", "a dictionary key that is no text"),
        (b"I" + b"9" * 5_000 + b"\n.", "cannot be read"),
        (b"\x80\x02\x82\x01.", "instruction EXT1 has no place here"),
        (b"\x80\x02cbuiltins\neval\n(S'1'\ntR.", "would run builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "would run os.system"),
        (b"PK\x03\x04 and no archive", "not a zip file"),
        (b"", "it is empty"),
    ],
)
def test_hostile_checkpoints(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(RlldError) as caught:
        read_saved(path, TOLD)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value)) < 500


def test_a_memo_of_two_thousand_million_entries_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    assert read_saved(tmp_path / "a.pkl", TOLD) is None


@pytest.mark.parametrize("old", [False, True])
def test_cut_off_files(tmp_path: Path, old: bool) -> None:
    path = tmp_path / "a.pt"
    torch.save({"a": torch.zeros(500)}, path, _use_new_zipfile_serialization=not old)
    data = path.read_bytes()
    for size in range(0, len(data) - 1, 97):
        path.write_bytes(data[:size])
        with pytest.raises(RlldError, match="cannot be read"):
            read_saved(path, TOLD)


def npy(header: str, body: bytes = bytes(64)) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def header(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


HEADERS = [
    header("(2147483648, 40)"),
    header("(9223372036854775807,)"),
    header("(-1, 4)"),
    header("(True, 4)"),
    header("(1e3,)"),
    header("None"),
    header("(" * 300 + ")" * 300),
    header("(2,)", "'|O'"),
    header("(2,)", "'<U9999999'"),
    header("(2,)", "[('a', '<f4')]"),
    header("(2,)", "'f4,(99999999,)f4'"),
    header("(2,)", "''"),
    header("(17,)"),
    "{'descr': '<f4'",
    "\x00" * 20,
]


@pytest.mark.parametrize("text", HEADERS)
def test_hostile_headers_of_arrays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy(text))
    with pytest.raises(RlldError, match="cannot be read"):
        open_array(path, TOLD).read()
    path.write_bytes(zipped({"a.npy": npy(text)}, zipfile.ZIP_DEFLATED))
    with pytest.raises(RlldError, match="cannot be read"):
        open_arrays(path, TOLD, ["a"])["a"].read()


def test_a_deflated_array_is_only_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,  # piece by piece: this process stays small
    ):
        member.write(npy(header("(50000000,)"), b""))
        for _ in range(200):
            member.write(bytes(1_000_000))
    assert path.stat().st_size < 10**6
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert open_arrays(path, TOLD, ["a"])["a"].shape == (50_000_000,)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10 << 10


GOOD = {
    "new.pt": lambda f: torch.save({"model": {"a": torch.ones(3, 4)}, "epoch": 1}, f),
    "old.pt": lambda f: torch.save({"a": torch.ones(3)}, f, _use_new_zipfile_serialization=False),
    "rows.pkl": lambda f: pickle.dump([[torch.tensor(1), 2]], f),
    "a.npy": lambda f: np.save(f, np.ones((3, 4), np.float32)),
    "a.npz": lambda f: np.savez_compressed(f, a=np.ones(3, bool)),
    "a.safetensors": lambda f: f.write(save({"a": torch.ones(3)})),
}


@pytest.mark.parametrize("name", GOOD)
@given(data=st.data())
def test_changed_bytes_give_a_value_or_a_sentence(tmp_path_factory, name, data) -> None:
    out = io.BytesIO()
    GOOD[name](out)
    content = bytearray(out.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = data.draw(st.binary(max_size=6))
        content = content or bytearray(b"\0")
    path = tmp_path_factory.mktemp("changed") / name
    path.write_bytes(bytes(content))
    try:
        if name.endswith(".npy"):
            assert open_array(path, TOLD).read().size < 1000
        elif name.endswith(".npz"):
            array = open_arrays(path, TOLD, ["a"])["a"]
            assert array.shape != (3,) or array.read().shape == (3,)
        elif name.endswith(".safetensors"):
            read_tensors(path, TOLD)
        else:
            read_saved(path, TOLD)
            read_weights(path, TOLD, mapped=True)
    except RlldError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
