"""Damage to the binary formats that are read: zip, npy, pickles, checkpoints, safetensors."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from campaign.mutations import mutated, reshaped

SHAPES = (
    *("(10, 40)", "(400,)", "(2147483648, 40)", "(9223372036854775807,)", "(-1, 40)", "()"),
    *("(0, 40)", "(10, 0)", "(10, 40, 1)", "(1e3,)", "None", "(True, 40)", "(10L, 40)"),
    "(" * 300 + ")" * 300,
)
DTYPES = (
    *("'<f4'", "'|O'", "'<f8'", "'|b1'", "'<U9999999'", "'|V40'", "[('a', '<f4')]", "'<c16'"),
    *("'<M8[s]'", "'|S0'", "'<i8'", "''", "'O8'", "[('a', '|O')]", "'f4,(99999999,)f4'"),
)
METADATA = ("", "0", "9" * 5000, "\u0661", "x", "nan", "a\nb", "-1", "[1]", '{"a":1}', "[" * 5000)
HUGE = (10**5, 2**20, 2**30, 2**40, 2**62, -1, 0)


class Canary:
    """An object whose pickle makes a file when something is foolish enough to run it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.system, (f"touch '{self.path}'",))


def rezip(rng: random.Random, data: bytes) -> bytes:
    """Changes a member of a zip, so that the damage is inside and the checksums are right."""
    source = zipfile.ZipFile(io.BytesIO(data))
    names, out = source.namelist(), io.BytesIO()
    victim, how = rng.choice(names), rng.randrange(7)
    with zipfile.ZipFile(out, "w") as target:
        for name in names:
            content, method = source.read(name), zipfile.ZIP_STORED
            if name == victim:
                if how == 3:
                    continue
                if how <= 2:
                    content = mutated(rng, content)
                elif how == 4:
                    packed = (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
                    method = rng.choice(packed)
                elif how == 5:  # a bomb
                    content, method = content + bytes(50_000_000), zipfile.ZIP_DEFLATED
                elif how == 6:  # the same name twice
                    target.writestr(zipfile.ZipInfo(name), content)
            target.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return out.getvalue()


def npy_case(rng: random.Random, good: bytes) -> bytes:
    """Returns an .npy file with other bytes, or with a header that claims what it likes."""
    if rng.random() < 0.5:
        return mutated(rng, good)
    order = rng.choice(("False", "True", "1", "None"))
    fields = f"'descr': {rng.choice(DTYPES)}, 'fortran_order': {order}"
    text = f"{{{fields}, 'shape': {rng.choice(SHAPES)}, }}\n".encode()
    version = rng.choice(((1, 0), (2, 0), (3, 0), (9, 9)))
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    body = rng.choice((good[128:], b"", bytes(64)))
    return b"\x93NUMPY" + bytes(version) + size + text + body


def hostile_pickles(canary: Path) -> list[bytes]:
    """Returns pickles by hand: globals, recursion, memory, references, protocols."""
    shared = b"]q\x01(" + b"K\x01" * 1000 + b"e"
    return [
        *(pickle.dumps(Canary(canary), protocol=number) for number in range(5)),
        b"\x80\x04cbuiltins\neval\n(S'1'\ntR.",
        b"\x80\x04cos\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(tR.",
        b"\x80\x02ccollections\nOrderedDict\n)R}(X\x01\x00\x00\x00aK\x01ub.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\n(B\x05\x00\x00\x00helloetR.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo of 2^31 entries
        b"\x80\x02Nr\xff\xff\xff\x03.",
        b"\x80\x04\x8d" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x04\x8e" + (2**33).to_bytes(8, "little") + b"x.",
        b"\x80\x05\x96" + (2**34).to_bytes(8, "little") + b"x.",
        b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.",
        b"(" * 200000 + b"t.",
        b"\x80\x02" + b"]" * 100000 + b"a" * 99999 + b".",
        b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
        b"\x80\x02]q\x00(h\x00h\x00e.",
        b"I" + b"9" * 100000 + b"\n.",
        b"\x80\x02\x8b" + (10**6).to_bytes(4, "little") + bytes(10**6) + b".",
        b"\x80\x02Pxyz\n.",
        b"\x80\x02K\x01Q.",
        b"\x80\x04K\x01\x93.",
        b"\x80\x04\x82\x01.",
        b".",
        b"",
        # Lists that are shared: a small file, many numbers.
        b"\x80\x02](](" + shared + b"h\x01h\x01e](h\x01h\x01h\x01ee.",
    ]


def torch_zip(pickled: bytes, records: dict[str, bytes], packed: bool = False) -> bytes:
    """Returns a checkpoint as torch.save lays it out, of a pickle and storages of our own."""
    out, method = io.BytesIO(), zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w") as target:
        target.writestr(zipfile.ZipInfo("archive/data.pkl"), pickled)
        target.writestr(zipfile.ZipInfo("archive/byteorder"), b"little")
        for name, content in records.items():
            target.writestr(zipfile.ZipInfo(f"archive/data/{name}"), content, compress_type=method)
        target.writestr(zipfile.ZipInfo("archive/version"), b"3\n")
    return out.getvalue()


def tensor_pickle(
    size: tuple[int, ...], stride: tuple[int, ...], numel: int, offset: int = 0
) -> bytes:
    """Returns the pickle of {"a.weight": tensor} as torch.save writes it, sizes of our own."""

    def number(value: int) -> bytes:
        return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    return (
        b"\x80\x02}X\x08\x00\x00\x00a.weightctorch._utils\n_rebuild_tensor_v2\n(("
        b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + number(numel)
        + b"tQ"
        + number(offset)
        + numbers(size)
        + numbers(stride)
        + b"\x89ccollections\nOrderedDict\n)RtRs."
    )


def checkpoint_case(rng: random.Random, good: tuple[bytes, ...], hostile: list[bytes]) -> bytes:
    """Returns a damaged or hostile .pt file."""
    kind = rng.randrange(10)
    if kind < 2:
        return mutated(rng, rng.choice(good))
    if kind < 5:
        return rezip(rng, rng.choice(good[:2]))
    if kind < 7:
        return torch_zip(rng.choice(hostile), {"0": bytes(48)})
    if kind == 7:
        data = rng.choice(hostile)
        return data if data.startswith(b"\x80") else b"\x80\x02" + data
    return _claims(rng)


@cache
def bomb() -> bytes:
    """Returns a checkpoint of 400 KB that are 400 MB; making it takes seconds, so once for all."""
    return torch_zip(tensor_pickle((3,), (1,), 10**8), {"0": bytes(4 * 10**8)}, packed=True)


def _claims(rng: random.Random) -> bytes:
    """Returns a checkpoint whose tensor claims other sizes than its storage has."""
    big = rng.choice(HUGE)
    sizes = (
        *(((3, 4), (4, 1)), ((big, 4), (0, 0)), ((big, big), (0, 0)), ((big,), (1,))),
        *(((3, 4), (big, 1)), ((-3, 4), (4, 1)), ((3, 4), (-4, 1)), ((0, big), (1, 1))),
        ((1,) * 70, (1,) * 70),
    )
    size, stride = rng.choice(sizes)
    if rng.random() < 0.06:
        return bomb()
    if rng.random() < 0.6:
        return torch_zip(tensor_pickle(size, stride, 12), {"0": bytes(48)})
    numel, offset = rng.choice((12, big, 10**10, 2**40, -1)), rng.choice((0, -1, big))
    record = rng.choice((bytes(48), b"", bytes(12)))
    return torch_zip(tensor_pickle(size, stride, numel, offset), {"0": record})


def safetensors_case(rng: random.Random, data: bytes) -> bytes:
    """Returns a safetensors file with another header, other values or other bytes."""
    kind = rng.randrange(4)
    if kind == 0 or len(data) < 8:
        return mutated(rng, data)
    size = int.from_bytes(data[:8], "little")
    head, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    if kind == 1:
        head = reshaped(rng, head)
    elif kind == 2 and isinstance(head, dict):
        meta = head.get("__metadata__", {})
        if meta:
            key = rng.choice(list(meta))
            meta[key] = rng.choice((*METADATA, meta[key] * 3, "null"))
    elif isinstance(head, dict):
        body = _retensored(rng, head, body)
    text = json.dumps(head).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + body


def _retensored(rng: random.Random, head: dict[str, Any], body: bytes) -> bytes:
    names = [name for name in head if name != "__metadata__"]
    if not names:
        return body
    name = rng.choice(names)
    match rng.randrange(5):
        case 0:
            kinds = ("F64", "F16", "I64", "BOOL", "U8", "BF16", "F8_E4M3", "X")
            head[name]["dtype"] = rng.choice(kinds)
        case 1:
            shapes = ([], [1], [2**40, 2**40], [0], head[name]["shape"][::-1], [1] * 70)
            head[name]["shape"] = rng.choice(shapes)
        case 2:
            head[rng.choice(("x", "", "../x", "input.x"))] = head.pop(name)
        case 3:
            cut = rng.choice((16, 4096))
            body = bytes(byte ^ 0xFF for byte in body[:cut]) + body[cut:]
        case 4:
            value = rng.choice((float("nan"), float("inf"), 1e38))
            body = struct.pack("<f", value) * (len(body) // 4)
    return body
