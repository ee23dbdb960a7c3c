"""Damage to bytes, text and trees of plain data, drawn from a generator."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import yaml

INTS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
TOKENS = (
    *(b"\t", b"\n", b"\r\n", b"\r", b'"', b"'", b",", b";", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"nan", b"inf", b"-inf", b"1e999", b"-1", b"1e-320", b"999999999999999999999", b"0x10"),
    *(b"1_0", b"../../x", b"/etc/passwd", b"=1+1", b"\x1b[31m", "\u202e".encode(), b" "),
    *("\u0660".encode(), b"\xc2\xa0", b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85", "\u2028".encode()),
    *(b"A" * 70000, b"[/red]", b"$x^{$"),
)
NASTY = (
    *(None, True, False, 0, 1, -1, 2, 3, 10**6, 10**9, 10**12, 10**18, 10**30, 10**400, -(10**30)),
    *(0.5, -0.5, 1e308, 1e-308, float("nan"), float("inf"), -float("inf")),
    *("", " ", "x", "nan", "1e-4", "../../x", "/etc/passwd", "a/b", "a\x00b", "C:x", "a\\b"),
    *("\x1b[31m", "=1+1", "[/red]", "$x^{$", "<script>", "x" * 5000, "\ud800", "CON"),
    *([], {}, [[]], [None], [1, 2], ["a", "a"], {"name": "han"}, {"name": None}, {"name": "../x"}),
    *({"1": 2}, "mean", "last", "light", "published", "dict"),
)
KEYS = ("x", "", "name", "__class__", "\u0000", "0")
ALIASES = b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 9))
    for name in range(ord("b"), ord("i"))
)
YAMLS = (
    b"a: &a [x,x,x,x,x,x,x,x,x]\n" + ALIASES,
    *(b"overrides: &a {b: *a}\n", b"classes: &a [*a]\n", b"name: 2001-99-99\n"),
    *(b"name: 2001-01-01\n", b"name: 2001-01-01 25:61:61\n"),
    b"name: !!python/object/apply:os.system ['touch rlld-pwned']\n",
    *(b"name: !!binary aGk\n", b"name: !!binary '*'\n", b"name: !!set {a, b}\n"),
    *(b"segments: 1:1:1\n", b"segments: 0x_\n", b"segments: " + b"9" * 5000 + b"\n"),
    *(b"segment_seconds: .nan\n", b"segment_seconds: .inf\n", b"segments: 0b\n"),
    *(b"segments: 0o9\n", b"? [a]\n: b\n", b"? {a: b}\n: c\n", b"<<: [1]\n", b"<<: *x\n"),
    *(b"name: !!timestamp x\n", b"name: !!int x\n", b"name: !!float x\n", b"name: !!null x\n"),
    *(b"name: !!bool x\n", b"name: !!omap [a]\n", b"[" * 3000, b"{a: " * 3000, b"- " * 3000),
    *(b"%YAML 9.9\n---\n", b"a: b\n---\nc: d\n", b"\xef\xbb\xbfname: x\n", b"\xff\xfen\x00"),
    *(b'name: "\\ud800"\n', b'name: "\\x00"\n', b"1: 2\n", b"null: 1\n", b"name: a\nname: b\n"),
    *(b"segments: +\n", b"segments: 1__\n", b"x: =\n", b"segment_seconds: 1:60:61.5\n"),
)


def mutated(rng: random.Random, data: bytes, text: bool = False) -> bytes:
    """Returns bytes with one to thirty damages; those to cells and lines only in ``text``."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8, 30))):
        size = len(out)
        # Headers decide most: hit the first kilobyte often.
        at = rng.randrange((min(size, 1024) if rng.random() < 0.4 else size) + 1)
        match rng.randrange(9):
            case 0 if size:
                out[min(at, size - 1)] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:]
            case 2:
                del out[at : at + rng.choice((1, 4, 16, 256, 4096))]
            case 3:
                out[at:at] = out[at : at + rng.choice((1, 8, 64, 1024))] * rng.choice((1, 2, 10))
            case 4:
                out[at:at] = rng.choice(TOKENS)
            case 5:
                width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
                out[at : at + width] = (rng.choice(INTS) % 256**width).to_bytes(width, order)
            case 6:
                out[at : at + rng.choice((1, 16, 512))] = rng.randbytes(16)
            case 7 if text:
                lines = out.split(b"\n")
                i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[i], lines[j] = lines[j], lines[i]
                out = bytearray(b"\n".join(lines))
            case 8 if text:
                cells = out.split(b"\t")
                cells[rng.randrange(len(cells))] = bytearray(rng.choice(TOKENS))
                out = bytearray(b"\t".join(cells))
    return bytes(out)


def overwritten(rng: random.Random, data: bytes) -> bytes:
    """Returns bytes of the same length, so that what follows a damage keeps its place."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 40))):
        at = rng.randrange(min(rng.choice((4096, len(out))), len(out)) - 8)
        width = rng.choice((1, 2, 4, 8))
        out[at : at + width] = (rng.choice(INTS) % 256**width).to_bytes(width, "big")
    return bytes(out)


def reshaped(rng: random.Random, value: Any) -> Any:
    """Returns a tree of plain data, changed at one to three places."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = [path for path in places(value) if path]
        if not paths:
            return rng.choice(NASTY)
        path = rng.choice(paths)
        parent = _at(value, path[:-1])
        match rng.randrange(8):
            case 0 | 1 | 2 | 3:
                parent[path[-1]] = rng.choice(NASTY)
            case 4:
                del parent[path[-1]]
            case 5 if isinstance(parent, dict):
                parent[rng.choice(KEYS)] = parent.pop(path[-1])
            case 6:
                parent[path[-1]] = json.loads(json.dumps(_at(value, rng.choice(paths))))
            case 7:
                parent[path[-1]] = _other(rng, parent[path[-1]])
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the paths of all nodes of a tree; of long lists only the first forty."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = enumerate(value[:40])
    for key, item in items:
        yield from places(item, (*path, key))


def yaml_case(rng: random.Random, plain: Any, text: bytes) -> bytes:
    """Returns a YAML file: other values, other bytes, or a construct made to hurt."""
    kind = rng.randrange(10)
    if kind < 6:
        made = yaml.safe_dump(reshaped(rng, plain), sort_keys=False, allow_unicode=True)
        return made.encode("utf-8", "surrogatepass")
    if kind < 8:
        return mutated(rng, text, text=True)
    piece = rng.choice(YAMLS)
    return rng.choice((piece, piece, text + b"\n" + piece, piece + text))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _other(rng: random.Random, old: Any) -> Any:
    if isinstance(old, int) and abs(old) > 10**300:  # no float is as large
        return str(old)
    if isinstance(old, int | float) and not isinstance(old, bool):
        return rng.choice((-old, old * 1000, old + 1, str(old), float(old), old / 3))
    if isinstance(old, str):
        return rng.choice((old.upper(), old + " ", " " + old, old[:-1], old * 300))
    if isinstance(old, list):
        return rng.choice((old[:-1], old + old, [old], dict(enumerate(map(str, old)))))
    return [old]
