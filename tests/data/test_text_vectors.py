"""Tables of text vectors: what is taken of each kind, and what is refused."""

from __future__ import annotations

import collections
import pickle

import numpy as np
import pytest
import torch

from rlld.data.text_vectors import read_text_vectors
from rlld.errors import RlldError

CLASSES = ("Dog", "Frying_(food)", "Baby cry")
WORDS = {
    "the": (9, 9),
    "dog": (1, 2),
    "frying": (3, 0),
    "food": (1, 4),
    "Dog": (5, 6),
    "Baby_cry": (-1, 0.5),
    "dogs": (7, 7),
}


def table(path, words=WORDS, first=""):
    lines = [" ".join([word, *map(str, values)]) for word, values in words.items()]
    path.write_text(first + "\n".join(lines) + "\n")
    return path


def test_a_text_table_gives_a_line_of_a_class_or_the_mean_of_its_words(tmp_path):
    found = read_text_vectors(table(tmp_path / "glove.txt"), CLASSES, 2)
    # "Dog" and "Baby_cry" have lines of their own, "Frying_(food)" has two words.
    assert found.tolist() == [[5, 6], [2, 2], [-1, 0.5]]
    small = {word: values for word, values in WORDS.items() if word not in ("Dog", "Baby_cry")}
    small |= {"baby": (4, 4), "cry": (0, 2), "cry ": (8, 8)}
    found = read_text_vectors(table(tmp_path / "g.txt", small, "400000 2\n"), CLASSES, 2)
    assert found.tolist() == [[1, 2], [2, 2], [2, 3]]


def test_an_array_has_a_row_for_each_class(tmp_path):
    rows = np.random.default_rng(0).normal(size=(3, 4))
    np.save(tmp_path / "rows.npy", rows)
    found = read_text_vectors(tmp_path / "rows.npy", CLASSES, 4)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), torch.from_numpy(rows), rtol=1e-6, atol=0)


def test_saved_tensors_are_matched_by_position(tmp_path):
    named = collections.OrderedDict(
        {"Zebra": torch.ones(2), "Fry food": torch.zeros(2), "Aardvark": torch.full((2,), 3.0)}
    )
    torch.save(named, tmp_path / "words.pt")
    assert read_text_vectors(tmp_path / "words.pt", CLASSES, 2)[:, 0].tolist() == [1, 0, 3]


class Trap:
    def __reduce__(self):
        return print, ("ran",)


def saved(path, content):
    with path.open("wb") as file:
        pickle.dump(content, file)


def refusals():
    yield "rows.npy", lambda p: np.save(p, np.zeros((2, 2))), r"shape \(2, 2\), expected \(3, 2\)"
    yield "rows.npy", lambda p: np.save(p, np.zeros((3, 5))), "network.text_dim as wide"
    nan = np.array([[1, 1], [1, np.nan], [0, 0]])
    yield "rows.npy", lambda p: np.save(p, nan), "the vector of 'Frying_.food.' holds NaN"
    yield "rows.npy", lambda p: p.write_bytes(b"nothing"), "no table of text vectors"
    yield "glove.txt", lambda p: table(p, {"Dog": (1, 2), "food": (1, 2)}), "no word 'frying' of"
    yield "glove.txt", lambda p: table(p, {"Dog": (1, 2, 3)}), "line 1: 3 numbers, expected network"
    yield "glove.txt", lambda p: table(p, {"Dog": (1, "x")}), "could not convert"
    yield "glove.txt", lambda p: p.write_bytes(b"a" * 3_000_000), "a line of more than"
    yield "glove.txt", lambda p: p.write_bytes(b""), "it is empty"
    two = {"a": torch.ones(2), "b": torch.ones(2)}
    yield "words.pt", lambda p: torch.save(two, p), r"shape \(2, 2\), expected \(3, 2\)"
    mixed = {"a": torch.ones(2), "b": torch.ones(2), "c": torch.ones(3)}
    yield "words.pt", lambda p: torch.save(mixed, p), r"shape \(3, 3\), expected"
    yield "words.pt", lambda p: saved(p, {"a": Trap()}), "reading it would run"


@pytest.mark.parametrize(
    ("name", "write", "message"), list(refusals()), ids=[row[2][:30] for row in refusals()]
)
def test_other_files_are_refused_in_a_sentence(name, write, message, tmp_path, capsys):
    write(tmp_path / name)
    with pytest.raises(RlldError, match=message) as refusal:
        read_text_vectors(tmp_path / name, CLASSES, 2)
    assert str(tmp_path / name) in str(refusal.value)
    assert not capsys.readouterr().out


def test_a_class_without_words_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(RlldError, match="has no word of class '!'"):
        read_text_vectors(table(tmp_path / "glove.txt"), ("!",), 2)
    with pytest.raises(RlldError, match="not there"):
        read_text_vectors(tmp_path / "none.txt", CLASSES, 2)
