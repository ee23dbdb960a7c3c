"""Weights are found, fetched when asked for, and never half there."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from rlld.errors import RlldError
from rlld.features import default_features, load_extractor
from rlld.features.base import files_of
from rlld.features.job import Task, extract_task
from rlld.features.weights import PublishedWeights, fetch, find, is_published, weights_folder
from rlld.utils.registry import EXTRACTORS

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


ODD = {
    "/closed": b"",
    "/nonsense": b"\x16\x03\x01 no HTTP\r\n\r\n",
    "/version": b"HTTP/9.9 200 OK\r\n\r\n",
    "/lines": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "/long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc",
    "/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nabc",
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\nweights",
    "/slow": b"HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\nweights",
    "/silent": b"",
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: http://[bad/\r\nContent-Length: 0\r\n\r\n",
}
"""What a server, or whoever stands between, may answer instead."""


class Handler(BaseHTTPRequestHandler):
    """Gives the content, the first half of it, or nothing."""

    def do_GET(self):
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/whole")
            self.end_headers()
            return
        if self.path in ODD:
            self.wfile.write(ODD[self.path])
            if self.path in ("/slow", "/silent"):
                time.sleep(1)
            self.close_connection = True
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if self.path != "/none":
            self.wfile.write(CONTENT[: len(CONTENT) // (2 if self.path == "/half" else 1)])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RLLD_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_a_missing_file_is_told_in_one_sentence(folder):
    published = PublishedWeights("net/a.pth", "https://example.org/a.pth")
    with pytest.raises(RlldError) as refused:
        find(published, "net")
    for part in (str(folder / "net/a.pth"), "rlld weights net", "https://example.org/a.pth"):
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("features", "command"),
    [
        ("vggish(pca=true)", 'rlld weights "vggish(pca=true)"'),
        ("resnet152(weights=IMAGENET1K_V2)", 'rlld weights "resnet152(weights=IMAGENET1K_V2)"'),
        ("r2plus1d", "rlld weights r2plus1d"),
    ],
)
def test_the_command_that_fetches_them_has_the_settings(features, command):
    with pytest.raises(RlldError) as refused:
        load_extractor(features)
    assert f"fetch it with '{command}'" in str(refused.value)


def test_the_folder_is_the_users_own_by_default(monkeypatch):
    monkeypatch.delenv("RLLD_WEIGHTS")
    assert weights_folder().parts[-3:] == (".cache", "rlld", "weights")


def test_fetching_once(server, folder):
    published = PublishedWeights("net/a.pth", f"{server}/whole", DIGEST[:8])
    assert fetch(published) == folder / "net/a.pth"
    assert (folder / "net/a.pth").read_bytes() == CONTENT
    assert find(published, "net") == folder / "net/a.pth"
    gone = PublishedWeights("net/a.pth", f"{server}/none")
    assert fetch(gone).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "digest", "message"),
    [
        ("none", "", "404"),
        ("whole", "12345678", "begins with"),
        ("half", DIGEST[:8], "cut off"),
    ],
)
def test_nothing_is_left_of_what_could_not_be_fetched(server, folder, path, digest, message):
    with pytest.raises(RlldError, match=message):
        fetch(PublishedWeights("a.pth", f"{server}/{path}", digest))
    assert not list(folder.rglob("*.pth")) and not list(folder.rglob("*.part"))


@pytest.mark.parametrize("path", ODD)
def test_whatever_answers_it_is_one_sentence(server, folder, monkeypatch, path):
    monkeypatch.setattr("rlld.features.weights.SECONDS", 0.3)
    with pytest.raises(RlldError) as caught:
        fetch(PublishedWeights("a.pth", f"{server}{path}"))
    told = str(caught.value)
    assert re.match(rf"{server}{path}: (cannot be fetched \(|cut off after 7 of 7000 bytes)", told)
    assert "()" not in told
    assert told.isprintable()
    assert len(told) < 600
    assert not list(folder.rglob("*.*"))


def test_a_full_disk_is_not_the_network(server, folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RlldError, match=r"a\.pth: cannot be written \(No space left"):
        fetch(PublishedWeights("a.pth", f"{server}/whole", DIGEST))


def test_no_network(folder):
    with pytest.raises(RlldError, match=r"cannot be fetched .* put it at"):
        fetch(PublishedWeights("a.pth", "http://127.0.0.1:9/a.pth"))


def test_published_files_are_told_from_others():
    assert is_published(PublishedWeights("a", "u", DIGEST[:8]), DIGEST)
    assert is_published(PublishedWeights("a", "u"), "whatever")
    assert not is_published(PublishedWeights("a", "u", "00000000"), DIGEST)


def test_a_file_is_trusted_when_it_comes_and_must_stay_the_same(server, folder, capsys):
    published = PublishedWeights("net/a.pth", f"{server}/whole", DIGEST[:8])
    path = fetch(published)
    assert "trusted as it came" in capsys.readouterr().err
    assert (folder / "net/a.pth.sha256").read_text() == f"{DIGEST}  a.pth\n"
    path.write_bytes(CONTENT[:-1] + b"x")
    for again in (lambda: find(published, "net"), lambda: fetch(published)):
        with pytest.raises(RlldError, match="is not the file that came"):
            again()


def test_a_file_whose_digest_is_published_needs_no_record(server, folder, capsys):
    fetch(PublishedWeights("a.pth", f"{server}/whole", DIGEST))
    assert not list(folder.rglob("*.sha256"))
    assert "trusted" not in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://example.org/a.pth", "ftp://example.org/a", "file:///a"])
def test_only_https_is_fetched(folder, url):
    with pytest.raises(RlldError, match="only https is fetched"):
        fetch(PublishedWeights("a.pth", url))


def test_no_redirection_to_another_scheme_is_followed(server, folder):
    with pytest.raises(RlldError, match="redirected from http to ftp"):
        fetch(PublishedWeights("a.pth", f"{server}/elsewhere"))
    assert not list(folder.rglob("*"))


def test_nothing_endless_is_taken(server, folder, monkeypatch):
    monkeypatch.setattr("rlld.features.weights.LARGEST", 1000)
    with pytest.raises(RlldError, match="longer than"):
        fetch(PublishedWeights("a.pth", f"{server}/whole"))
    assert not list(folder.rglob("*.p*"))


@pytest.mark.parametrize(("there", "expected"), [(True, "starter"), (False, "light")])
def test_features_by_default_are_the_best_that_are_installed(monkeypatch, there, expected):
    found = object() if there else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    assert default_features() == expected


def test_an_extractor_that_names_no_weights_needs_none():
    @dataclass(frozen=True)
    class Config:
        bands: int = 4

    assert files_of(Config()) == ()
    assert files_of(EXTRACTORS.config_type("vggish")())


def test_the_weights_of_another_folder_are_another_extractor(monkeypatch, tmp_path):
    def built(name: str) -> SimpleNamespace:
        found = weights_folder()
        return SimpleNamespace(extract=lambda *_: found)

    monkeypatch.setattr("rlld.features.job.load_extractor", built)
    task = Task("a", tmp_path / "a.mp4", "vggish", 1.0)
    first = extract_task(task)
    monkeypatch.setenv("RLLD_WEIGHTS", str(tmp_path / "others"))
    assert extract_task(task) != first
