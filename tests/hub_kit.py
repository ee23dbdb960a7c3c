"""A stand-in for the hub: what ``huggingface_hub`` calls of its HTTP interface, kept in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

WRITER, READER = "hf_writer", "hf_reader"
"""Tokens: of ``owner``, who may write there, and of somebody who may only read."""
API = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree|preupload|commit)/([^/]+))?")
BATCH = re.compile(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
FRONT = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)


@dataclass
class Repo:
    """A repository: its commits, each with all files."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def add(self, files: dict[str, bytes], message: str) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()  # noqa: S324
        self.commits[sha] = files
        self.messages.append(message)
        return sha

    def at(self, revision: str) -> str | None:
        if revision == "main":
            return self.head
        return next((sha for sha in self.commits if sha == revision), None)


@dataclass
class Hub:
    """The server and what it holds.

    Attributes:
        url: Where it listens.
        repos: Repositories by name.
        requests: What was asked, ``METHOD path``.
        large: Contents of large files (``.safetensors``) that were uploaded, by SHA-256.
        cut: Files that are cut off in the middle when they are fetched.
        failing: Status of every answer instead of what was asked for.
    """

    url: str
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    failing: int | None = None

    def put(self, name: str, files: dict[str, bytes], **options: bool) -> Repo:
        """Makes a repository."""
        repo = Repo(**options)
        repo.add(files, "initial commit")
        self.repos[name] = repo
        return repo

    def put_folder(self, name: str, folder: Path, **options: bool) -> Repo:
        return self.put(
            name, {file.name: file.read_bytes() for file in folder.iterdir()}, **options
        )


@contextmanager
def serving() -> Iterator[Hub]:
    """Starts a hub on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def use(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch, token: str | None = WRITER) -> None:
    """Points ``huggingface_hub`` in this process at a hub, as its variables do at its start."""
    constants = pytest.importorskip("huggingface_hub.constants")
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url, 1)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    if token is None:
        monkeypatch.delenv("HF_TOKEN", raising=False)
    else:
        monkeypatch.setenv("HF_TOKEN", token)


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub does, with the same headers and error codes."""

    server: Any

    def log_message(self, *args: object) -> None:
        """Keeps quiet."""

    @property
    def hub(self) -> Hub:
        return self.server.hub

    @property
    def token(self) -> str | None:
        value = self.headers.get("Authorization", "")
        return value.removeprefix("Bearer ") or None

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if not self._begin():
            return
        if match := RESOLVE.fullmatch(self.path_only):
            self._resolve(*match.groups())
        elif match := API.fullmatch(self.path_only):
            name, what, revision = match.groups()
            repo = self._repo(name)
            sha = repo and self._commit(repo, revision or "main")
            if repo and sha and what == "tree":
                self._json([{"type": "file", **entry} for entry in listing(repo.commits[sha])])
            elif repo and sha:
                self._json(info(name, repo, sha))
        else:
            self._error(404, "EntryNotFound", "no such page")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._begin():
            return
        if self.path_only == "/api/validate-yaml":
            errors = faults(json.loads(body)["content"])
            self._json({"errors": errors, "warnings": []}, 400 if errors else 200)
        elif self.path_only == "/api/repos/create":
            self._create(json.loads(body))
        elif match := BATCH.fullmatch(self.path_only):
            self._offer(match[1], json.loads(body))
        elif (match := API.fullmatch(self.path_only)) and self._writable(match[1]):
            if match[2] == "preupload":
                self._preupload(match[1], json.loads(body))
            else:
                self._take(match[1], [json.loads(line) for line in body.splitlines()])

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.large[hashlib.sha256(data).hexdigest()] = data
        self._send(b"", "text/plain")

    def _offer(self, name: str, asked: dict[str, Any]) -> None:
        """Says where large files are to be put, those that are not here."""
        if not self._writable(name):
            return
        objects = []
        for each in asked["objects"]:
            action = {"upload": {"href": f"{self.hub.url}/large/{each['oid']}"}}
            known = each["oid"] in self.hub.large
            objects.append({**each, **({} if known else {"actions": action})})
        self._json({"transfer": "basic", "objects": objects})

    def _begin(self) -> bool:
        parts = urlsplit(self.path)
        self.path_only, self.query = unquote(parts.path), parse_qs(parts.query)
        self.hub.requests.append(f"{self.command} {self.path_only}")
        if self.hub.failing is not None:
            self._error(self.hub.failing, "", "the stand-in fails")
        elif self.token not in (None, WRITER, READER):
            self._error(401, "", "Invalid credentials in Authorization header")
        else:
            return True
        return False

    def _repo(self, name: str) -> Repo | None:
        repo = self.hub.repos.get(name)
        owner = name.startswith("owner/") and self.token == WRITER
        if repo is None or (repo.private and not owner):
            if self.token is None:
                # The hub leaves out the code; the library knows why by its address, by https alone.
                self._error(401, "RepoNotFound", "Invalid username or password.")
            else:
                self._error(404, "RepoNotFound", "Repository not found")
            return None
        if repo.gated and not owner:
            self._error(403, "GatedRepo", "Access to this model is restricted")
            return None
        return repo

    def _commit(self, repo: Repo, revision: str) -> str | None:
        sha = repo.at(revision)
        if sha is None:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def _writable(self, name: str) -> bool:
        if self.token is None:
            self._error(401, "", "Invalid username or password.")
        elif self.token != WRITER or not name.startswith("owner/"):
            self._error(403, "", "You don't have the rights to write here")
        else:
            return True
        return False

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if not self._writable(name):
            return
        if name in self.hub.repos:
            self._error(409, "", "You already created this model repo")
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.put(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, private=private)
        self._json({"url": f"{self.hub.url}/{name}", "name": name})

    def _preupload(self, name: str, asked: dict[str, Any]) -> None:
        held = self.hub.repos[name].files
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
                "oid": object_id(file["path"], held) if file["path"] in held else None,
            }
            for file in asked["files"]
        ]
        self._json({"files": files})

    def _take(self, name: str, lines: list[dict[str, Any]]) -> None:
        repo, header = self.hub.repos[name], lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.head):
            self._error(412, "", "A commit has happened since. Please refresh and try again.")
            return
        files = dict(repo.files)
        for line in lines[1:]:
            path = line["value"]["path"]
            if line["key"] == "deletedFile":
                del files[path]
            elif line["key"] == "lfsFile":
                files[path] = self.hub.large[line["value"]["oid"]]
            else:
                files[path] = base64.b64decode(line["value"]["content"])
        sha = repo.add(files, header["summary"])
        self._json({"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self._repo(name)
        sha = repo and self._commit(repo, revision)
        if not repo or not sha:
            return
        if path not in repo.commits[sha]:
            self._error(404, "EntryNotFound", "Entry not found")
            return
        data = repo.commits[sha][path]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{blob(data)}"', "Accept-Ranges": "bytes"}
        self._send(data, "application/octet-stream", headers=headers, cut=path in self.hub.cut)

    def _json(self, value: object, status: int = 200) -> None:
        self._send(json.dumps(value).encode(), "application/json", status)

    def _error(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        text = json.dumps({"error": message}).encode()
        self._send(
            text, "application/json", status, headers={k: v for k, v in headers.items() if v}
        )

    def _send(
        self,
        data: bytes,
        kind: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}
        for key, value in sent.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut:
            data = data[: len(data) // 2]
        self.wfile.write(data)


def info(name: str, repo: Repo, sha: str) -> dict[str, Any]:
    """Returns what the hub says of a repository."""
    siblings = [
        {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
        for entry in listing(repo.commits[sha])
    ]
    return {"id": name, "sha": sha, "private": repo.private, "siblings": siblings, "tags": []}


def listing(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """Returns path, size and git's id of files."""
    return [
        {"path": path, "size": len(data), "oid": blob(data)} for path, data in sorted(files.items())
    ]


def blob(data: bytes) -> str:
    """Returns the id that git gives a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324


def object_id(path: str, files: dict[str, bytes]) -> str:
    """Returns the id that the hub gives a file, large or not."""
    data = files[path]
    return hashlib.sha256(data).hexdigest() if path.endswith(".safetensors") else blob(data)


def faults(card: str) -> list[dict[str, str]]:
    """Returns what the hub has against the front matter of a model card."""
    match = FRONT.match(card)
    data = yaml.safe_load(match[1]) if match else None
    if not isinstance(data, dict):
        return [{"message": "no metadata"}]
    found = [key for key in ("license", "library_name", "pipeline_tag") if key in data]
    wrong = [key for key in found if not isinstance(data[key], str)]
    if not isinstance(data.get("tags", []), list):
        wrong.append("tags")
    return [{"message": f'"{key}" is of the wrong type'} for key in wrong]
