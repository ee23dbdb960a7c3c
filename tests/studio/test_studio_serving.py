"""The command: its server as a browser meets it, killed, closed, refused."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from cli_kit import Forked, called
from rlld.studio.serving import listening
from tiny import COUNTS

KILLS = 5


class Served:
    """``rlld studio`` in a process of its own, and a client of it."""

    opened: ClassVar[list[Served]] = []

    def __init__(self, data: Path, log: Path, *args: object) -> None:
        log.unlink(missing_ok=True)
        self.process = Forked("studio", data, "--port", 0, "--no-browser", *args, log=log)
        self.opened.append(self)
        until = time.monotonic() + 60
        while not (
            found := re.search(r"open at (http://\S+?);", log.read_text() if log.is_file() else "")
        ):
            assert time.monotonic() < until
            assert not self.process.ended(), log.read_text()
            time.sleep(0.02)
        self.url = found[1].partition("?")[0].rstrip("/")
        self.token = found[1].partition("token=")[2]
        self.client = httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=30)

    def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        self.process.end()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Kills what a test that failed left open: the tests would wait for it at their end."""
    yield
    while Served.opened:
        Served.opened.pop().kill()


def test_it_serves_until_interrupted_and_says_where_all_is(data: Path, tmp_path: Path):
    served = Served(data, tmp_path / "log", "--person", "Ada")
    client = served.client
    state = client.get("/api/state").json()
    assert state["person"] == "Ada"
    assert state["data"]["clips"] == sum(COUNTS.values())
    assert client.get("/").text.startswith("<!doctype html>")
    part = client.get("/media/train_000", headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    assert client.get("/media/..%2F..%2Fdataset.yaml").status_code == 404
    assert client.get("/api/state", headers={"Host": "evil.example"}).status_code == 403
    question = client.get("/api/questions", params={"person": "Ada", "count": 1}).json()[0]
    about = {"person": "Ada", "video": question["video"], "class": question["class"]}
    said = client.post("/api/answers", json={**about, "audio": True, "visual": False})
    assert said.json()["answered"] == 1
    stranger = client.post("/api/answers", json={}, headers={"Origin": "http://evil.example"})
    assert stranger.status_code == 403
    second = called("studio", data, "--port", 0, "--no-browser")
    assert second.returncode == 2
    assert "another process" in second.stderr
    served.process.send(signal.SIGINT)
    assert served.process.end() == 0
    log = served.process.log.read_text()
    assert "everything that was stored is in" in log
    assert "Traceback" not in log


def test_answers_over_http_outlive_kills(data: Path, tmp_path: Path):
    told = set()
    for number in range(KILLS):
        served = Served(data, tmp_path / f"log{number}")
        state = served.client.get("/api/state").json()
        assert state["answered"] == len(told)
        asked = served.client.get("/api/questions", params={"person": "Ada", "count": 4}).json()
        for question in asked:
            assert question["id"] not in told
            about = {"person": "Ada", "video": question["video"], "class": question["class"]}
            said = {**about, "audio": True, "visual": False}
            answer = served.client.post("/api/answers", json=said)
            assert answer.status_code == 200
            told.add(question["id"])
        served.kill()
    assert len(told) == 4 * KILLS


def test_another_address_needs_the_token(data: Path, tmp_path: Path):
    served = Served(data, tmp_path / "log", "--host", "0.0.0.0")  # noqa: S104
    port = served.url.rpartition(":")[2]
    home = f"http://127.0.0.1:{port}"
    assert len(served.token) >= 32
    with httpx.Client(base_url=home, headers={"Origin": home}) as client:
        assert client.get("/api/state").status_code == 401
        assert client.get("/", params={"token": served.token}).status_code == 303
        assert client.get("/api/state").status_code == 200
    served.kill()


def test_a_port_in_use_is_told(data: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = called("studio", data, "--port", port, "--no-browser")
    assert refused.returncode == 2
    assert f"port {port} is in use" in refused.stderr
    assert not (data / "studio").exists()
    refused = called("studio", data, "--port", 70_000, "--no-browser")
    assert refused.returncode == 2
    refused = called("studio", data, "--host", "no.such.host.invalid", "--no-browser")
    assert refused.returncode == 2
    assert "give an address of this machine" in refused.stderr


def test_what_is_no_data_set_of_clips_is_told(data: Path, tmp_path: Path):
    refused = called("studio", tmp_path / "nothing", "--port", 0, "--no-browser")
    assert refused.returncode == 2
    assert "no such folder" in refused.stderr
    assert not (tmp_path / "nothing").exists()
    refused = called("studio", data, "--run", tmp_path, "--port", 0, "--no-browser")
    assert refused.returncode == 2
    assert "no run folder" in refused.stderr
    for file in (data / "videos").iterdir():
        file.unlink()
    refused = called("studio", data, "--port", 0, "--no-browser")
    assert refused.returncode == 2
    assert "no clips in it" in refused.stderr


def test_the_address_of_the_page_may_name_who_sits_there():
    from rlld.studio.serving import _opened

    with listening("127.0.0.1", 0) as (_, place):
        assert _opened(place, None) == place.url
        assert _opened(place, "Ada L") == f"{place.url}?person=Ada%20L"
        assert place.token == ""


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_other_names_of_this_machine_need_no_token(host: str):
    try:
        with listening(host, 0) as (_, place):
            assert place.token == ""
            name = place.url.removeprefix("http://").rstrip("/")
            assert place.is_ours(name)
    except Exception as error:
        if host == "::1" and "address" in str(error).lower():
            pytest.skip("this machine has no IPv6")
        raise


def test_the_page_waits_for_no_network_library(data: Path):
    """Without a run nothing at the start imports torch, which takes seconds."""
    begin = (
        "import sys; from pathlib import Path; import rlld.cli.studio, rlld.studio.serving; "
        "from rlld.studio.session import Studio; studio = Studio(Path(sys.argv[1])); "
        "studio.state(); studio.questions('Ada', 8); studio.close(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", begin, str(data)], check=False).returncode == 0
