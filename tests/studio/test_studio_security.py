"""Who may talk to the studio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from rlld.studio.app import made
from rlld.studio.security import Guard, Place

ANSWER = {"person": "Ada", "video": "train_000", "class": "Bell", "unsure": True}


def client(studio, place: Place, base: str) -> TestClient:
    return TestClient(Guard(made(studio), place), base_url=base, follow_redirects=False)


@pytest.fixture
def local(studio) -> TestClient:
    return client(studio, Place("127.0.0.1", 8765), "http://127.0.0.1:8765")


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8765", True),
        ("localhost:8765", True),
        ("LOCALHOST:8765", True),
        ("[::1]:8765", True),
        ("127.0.0.1", False),
        ("127.0.0.1:80", False),
        ("127.0.0.1:8765.evil.example", False),
        ("evil.example:8765", False),
        ("localhost.evil.example:8765", False),
        ("evil@127.0.0.1:8765", False),
        ("127.0.0.1:8765/", False),
        (" 127.0.0.1:8765", False),
        ("", False),
    ],
)
def test_the_host_is_ours(host: str, ours: bool):
    assert Place("127.0.0.1", 8765).is_ours(host) == ours


def test_everywhere_takes_addresses_and_its_own_name_but_no_strangers():
    place = Place("0.0.0.0", 8765, "token")  # noqa: S104
    assert place.is_ours("192.168.1.7:8765")
    assert place.is_ours("localhost:8765")
    assert not place.is_ours("evil.example:8765")
    assert not Place("192.168.1.7", 8765, "token").is_ours("192.168.1.8:8765")


def test_another_host_gets_nothing(local: TestClient):
    for path in ("/", "/api/state", "/media/train_000"):
        answer = local.get(path, headers={"Host": "evil.example:8765"})
        assert answer.status_code == 403
        assert "host is 'evil.example:8765'" in answer.json()["error"]


def test_another_origin_changes_nothing(local: TestClient, studio):
    own = "http://127.0.0.1:8765"
    for origin in (None, "null", "http://evil.example", "https://127.0.0.1:8765", f"{own}0"):
        headers = {} if origin is None else {"Origin": origin}
        assert local.post("/api/answers", json=ANSWER, headers=headers).status_code == 403
        path = "/api/clips/train_000/events"
        assert local.put(path, json={}, headers=headers).status_code == 403
        assert local.request("DELETE", "/api/train", headers=headers).status_code == 403
        if origin is not None:
            assert local.get("/api/state", headers=headers).status_code == 403
    assert studio.store.people() == []
    for method in ("OPTIONS", "POST"):
        answer = local.request(method, "/api/answers", headers={"Origin": "http://evil.example"})
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_page_elsewhere_may_not_embed_what_is_here(local: TestClient):
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert local.get("/thumb/train_000.jpg", headers=elsewhere).status_code == 403
    assert local.get("/", headers=elsewhere).status_code == 403
    visit = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert local.get("/", headers=visit).status_code == 200
    assert local.get("/api/state", headers=visit).status_code == 403
    frame = {**visit, "Sec-Fetch-Dest": "iframe"}
    assert local.get("/", headers=frame).status_code == 403


def test_every_answer_carries_the_policy(local: TestClient):
    for path in ("/", "/api/state", "/assets/app.js", "/nothing", "/media/train_000"):
        headers = local.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_token_is_needed_from_elsewhere(studio):
    place = Place("0.0.0.0", 8765, "s3cret")  # noqa: S104
    home = "http://192.168.1.7:8765"
    visitor = client(studio, place, home)
    assert "?token=s3cret" in place.url
    for path in ("/", "/api/state", "/?token=", "/?token=s3cre", "/media/train_000"):
        assert visitor.get(path).status_code == 401
    cookie = {"Cookie": "rlld-studio-8765=guess"}
    assert visitor.get("/api/state", headers=cookie).status_code == 401
    own = {"Origin": home}
    assert visitor.post("/?token=s3cret", json={}, headers=own).status_code == 401
    entered = visitor.get("/?token=s3cret&person=Ada")
    assert entered.status_code == 303
    assert entered.headers["location"] == "/?person=Ada"
    given = entered.headers["set-cookie"].lower()
    assert "httponly" in given
    assert "samesite=strict" in given
    assert visitor.get("/api/state").status_code == 200  # the client keeps the cookie
    answered = visitor.post("/api/answers/undo", json={"person": "Ada"}, headers=own)
    assert answered.status_code == 200


def test_only_json_of_some_size_is_read(page):
    sent = page.client.post("/api/answers", data={"person": "Ada"})
    assert sent.status_code == 415
    text = page.client.post("/api/answers", content="{}", headers={"Content-Type": "text/plain"})
    assert text.status_code == 415
    kind = {"Content-Type": "application/json"}
    assert page.client.post("/api/answers", content="{", headers=kind).status_code == 400
    assert page.client.post("/api/answers", content="[" * 9000, headers=kind).status_code == 400
    large = b'{"person": "' + b"x" * (9 << 20) + b'"}'
    assert page.client.post("/api/answers", content=large, headers=kind).status_code == 413
    assert page.client.get("/nothing").json()["error"]
    assert page.client.post("/api/state", json={}).status_code == 405


def test_the_unexpected_is_told_here_and_not_there(
    page, studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(studio.store, "answers", broken)
    told = page.refused(500, "GET", "/api/agreement")["error"]
    assert "ZeroDivisionError" in told
    assert "secret" not in told
    assert "secret" in capsys.readouterr().err


def test_ids_of_any_letters(data: Path, opened: Callable[..., object]):
    names = {
        "train_000": "a b",
        "train_001": "50%25",
        "train_002": "ö?&#+",
        "train_003": "<img src=x>",
    }
    for file in (*(data / "annotations").glob("*.csv"),):
        text = file.read_text()
        for old, new in names.items():
            text = text.replace(f"{old}\t", f"{new}\t")
        file.unlink()
        file.write_text(text)
    for old, new in names.items():
        (data / "videos" / f"{old}.mp4").rename(data / "videos" / f"{new}.mp4")
    from urllib.parse import quote

    _, page = opened(data)
    for name in names.values():
        path = quote(name, safe="")
        assert page.get(f"/api/clips/{path}")["id"] == name
        assert page.client.get(f"/media/{path}").status_code == 200
        assert page.client.get(f"/thumb/{path}.jpg").status_code == 200
        assert (
            page.put(f"/api/clips/{path}/events", person="Ada", base=0, events=[])["revision"] == 1
        )
