"""Pushing runs: one commit of what is needed, a card that tells the truth, nothing overwritten."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import rlld
from hub_kit import READER, Handler, faults, info, use
from parse_kit import make_clip, make_run
from rlld.training.run_folder import FILES, load_run
from rlld.workflows.push import LICENCES

NAME = "owner/parser"
PUSH = (NAME, "--license", "apache-2.0")


def front(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_what_is_pushed_comes_back(hub, finished, tiny_data, call):
    status, out, err = call("push", finished, *PUSH)
    repo = hub.repos[NAME]
    assert (status, err) == (0, "")
    assert f"pushed: {hub.url}/{NAME}/commit/{repo.head}" in out
    assert repo.messages == ["initial commit", "Run of recipe rlld-labelwise"]
    assert set(repo.files) == {".gitattributes", "README.md", *FILES}
    for name in FILES[1:]:
        assert repo.files[name] == (finished / name).read_bytes()
    here, there = (
        json.loads((finished / "config.json").read_text()),
        json.loads(repo.files["config.json"]),
    )
    assert here["facts"].pop("data") == str(tiny_data)
    assert there == here
    ours = rlld.evaluate(finished, "test", tiny_data)
    assert rlld.evaluate(f"hub:{NAME}", "test", tiny_data).as_dict() == ours.as_dict()


def test_no_place_of_this_machine_is_told(hub, finished, tiny_data, call):
    assert call("push", finished, *PUSH)[0] == 0
    for name, data in hub.repos[NAME].files.items():
        assert str(tiny_data).encode() not in data, name
        assert b"/home/" not in data
        assert str(finished).encode() not in data, name


def test_resume_state_and_hidden_files_stay_here(hub, finished, tmp_path, call):
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    (copy / "resume").mkdir()
    for name in ("resume/state.pt", ".secret", ".config.json.lock", "notes.txt", "model.pt"):
        (copy / name).write_bytes(b"x")
    assert call("push", copy, *PUSH)[0] == 0
    assert set(hub.repos[NAME].files) == {".gitattributes", "README.md", *FILES}


def test_a_second_push_replaces_the_run_in_one_commit(hub, finished, tmp_path, call):
    call("push", finished, *PUSH)
    hub.repos[NAME].files["LICENSE"] = b"of the owner"
    first = hub.repos[NAME].head
    assert call("push", make_run(tmp_path / "other"), *PUSH)[0] == 0
    repo = hub.repos[NAME]
    assert len(repo.commits) == 3
    assert "denoiser.safetensors" not in repo.files
    assert "held_out.safetensors" not in repo.files
    assert repo.files["LICENSE"] == b"of the owner"
    assert load_run(f"hub:{NAME}").recipe.name == "han"
    assert load_run(f"hub:{NAME}@{first}").recipe.name == "rlld-labelwise"


def test_the_same_run_again_makes_no_commit(hub, finished, call):
    call("push", finished, *PUSH)
    assert call("push", finished, *PUSH)[0] == 0
    assert len(hub.repos[NAME].commits) == 2


def test_private_repositories(hub, finished, call):
    assert call("push", finished, *PUSH, "--private")[0] == 0
    assert hub.repos[NAME].private
    hub.put_folder("owner/public", finished)
    status, _, err = call("push", finished, "owner/public", "--license", "mit", "--private")
    assert status == 2
    assert "exists already and is public" in err
    assert len(hub.repos["owner/public"].commits) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": b"my other model", "model.safetensors": b"weights"},
        {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"weights"},
        {"config.json": b"no JSON"},
    ],
)
def test_something_else_is_never_overwritten(hub, finished, call, files):
    repo = hub.put(NAME, dict(files))
    status, _, err = call("push", finished, *PUSH)
    assert status == 2
    assert "holds something else than a run of rlld" in err
    assert repo.files == files
    assert len(repo.commits) == 1


def test_a_change_meanwhile_is_not_overwritten(hub, finished, monkeypatch, call):
    repo = hub.put_folder(NAME, finished)
    head = repo.head
    repo.add({**repo.files, "mine": b"x"}, "by somebody else")
    shown = info(NAME, repo, head)
    monkeypatch.setattr("hub_kit.info", lambda *_: shown)  # as it was when the push began
    status, _, err = call("push", finished, *PUSH)
    assert status == 2
    assert "status 412" in err
    assert "mine" in repo.files


def test_a_licence_has_to_be_given(hub, finished, call):
    for arguments, words in (
        ([], "--license: nobody may use a run without one"),
        (["--license", "apache2"], "unknown licence 'apache2'; did you mean 'apache-2.0'"),
    ):
        status, _, err = call("push", finished, NAME, *arguments)
        assert (status, err.count("\n")) == (2, 1)
        assert words in err
    assert not hub.requests
    assert {"apache-2.0", "mit", "cc-by-nc-4.0", "openrail++"} < LICENCES


def test_another_licence_needs_its_text(hub, tmp_path, call):
    status, _, err = call("push", make_run(tmp_path / "run"), NAME, "--license", "other")
    assert status == 0
    assert "note: --license other: add a file LICENSE with the terms to the repository\n" in err
    card = hub.repos[NAME].files["README.md"].decode()
    assert front(card)["license"] == "other"
    assert "`other` (see the file `LICENSE` of this repository), chosen by" in card
    assert not faults(card)


def test_tokens_that_may_not_write(hub, finished, tmp_path, monkeypatch, call):
    for token, words in (
        (None, "needs a token that may write"),
        (READER, r"status 403"),
        ("hf_expired", "status 401"),
    ):
        use(hub, tmp_path / "cache", monkeypatch, token)
        status, _, err = call("push", finished, *PUSH)
        assert status == 2
        assert words in err
        assert "hf auth login" in err
    assert not hub.repos


def test_without_a_hub_nothing_is_pushed(hub, finished, call):
    hub.failing = 503
    status, _, err = call("push", finished, *PUSH)
    assert status == 2
    assert "status 503" in err
    hub.failing = None
    assert not hub.repos


def test_an_upload_that_fails_leaves_no_commit(hub, finished, monkeypatch, call):
    monkeypatch.setattr(Handler, "do_PUT", lambda self: self._error(403, "", "storage is full"))
    status, _, err = call("push", finished, *PUSH)
    assert status == 2
    assert err.count("\n") == 1
    assert "the exchange with" in err
    assert hub.repos[NAME].messages == ["initial commit"]


def test_a_changed_run_is_not_pushed(hub, finished, tmp_path, call):
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    path = copy / "denoiser.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    status, _, err = call("push", copy, *PUSH)
    assert status == 2
    assert "SHA-256 differs" in err
    assert not hub.requests


def test_a_branch_is_refused(hub, finished, call):
    status, _, err = call("push", finished, f"{NAME}@v1", "--license", "mit")
    assert status == 2
    assert "leave out the @" in err


def test_the_card_says_what_was_measured(hub, finished, tiny_data, tmp_path, call):
    status, out, _ = call("push", finished, *PUSH, "--card", tmp_path / "card.md")
    assert status == 0
    assert "nothing was pushed" in out
    assert not hub.requests
    card = (tmp_path / "card.md").read_text()
    assert not faults(card)
    data = front(card)
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "rlld"
    scores = rlld.evaluate(finished, "test", tiny_data).scores
    values = [each["value"] for each in data["model-index"][0]["results"][0]["metrics"]]
    assert values == [round(value, 2) for value in scores.as_dict().values()]
    row = " | ".join(f"{value:.1f}" for value in list(scores.as_dict().values())[:5])
    assert f"| segment | {row} |" in card
    assert "rlld evaluate hub:owner/parser --split test --data DATA" in card
    assert "48 training videos of 6 segments of 0.5 s" in card
    assert "`Bell`, `Drum`, `Horse`, `Rain`" in card
    assert "- 13 annotated videos;" in card
    assert "the denoiser was fitted to validation labels" in card
    labels = tmp_path / "labels.csv"
    assert call("denoise", finished, "--out", labels)[0] == 0
    rows = [line.split("\t") for line in labels.read_text().splitlines()[1:]]
    for modality in ("audio", "visual"):
        mine = [row for row in rows if row[2] == modality]
        removed = sum(row[4] == "remove" for row in mine)
        share = f"{100 * removed / len(mine):.1f}"
        assert f"| {modality} | {len(mine)} | {removed} | {share} |" in card


def test_without_the_data_the_card_says_so(hub, tmp_path, call):
    run = make_run(tmp_path / "run")
    status, _, err = call("push", run, *PUSH)
    assert status == 0
    assert "note: The data set of the training was not at hand" in err
    card = hub.repos[NAME].files["README.md"].decode()
    assert "The data set of the training was not at hand" in card
    assert "model-index" not in front(card)
    assert "Test split" not in card
    assert "removed, %" not in card


def test_the_lines_of_the_card_work_word_for_word(hub, tmp_path, call, monkeypatch, capsys):
    call("push", make_run(tmp_path / "run"), *PUSH)
    make_clip(tmp_path / "clip.mp4", seconds=3)
    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(
        r"```python\n(.*?)```", hub.repos[NAME].files["README.md"].decode(), re.DOTALL
    )
    assert lines.count("\n") == 3
    capsys.readouterr()
    exec(compile(lines, "card", "exec"), {})  # noqa: S102
    assert "Event(label='Bell'" in capsys.readouterr().out


def test_the_extra_is_named_when_it_is_missing(finished, monkeypatch, call):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    status, _, err = call("push", finished, *PUSH)
    assert status == 2
    assert "pip install 'rlld[hub]'" in err
