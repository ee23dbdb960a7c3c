"""Runs of the hub: loaded as folders are, from the cache without a network, and never trusted."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import rlld
from hub_kit import READER, WRITER, serving, use
from rlld.errors import RlldError
from rlld.training.run_folder import FILES, load_denoiser, load_held_out, load_run
from rlld.utils.hub import Repository, named

NAME = "hub:owner/parser"


def changed(folder: Path, to: Path, **changes: object) -> Path:
    """Copies a run with other sections of its configuration."""
    copy = Path(shutil.copytree(folder, to))
    path = copy / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return copy


def config(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def test_a_run_of_the_hub_is_the_run(hub, finished):
    hub.put_folder("owner/parser", finished)
    here, there = load_run(finished), load_run(NAME)
    assert all(
        torch.equal(value, here.network.state_dict()[key])
        for key, value in there.network.state_dict().items()
    )
    for name in FILES:
        assert (there.path / name).read_bytes() == (finished / name).read_bytes()
    assert there.name == f"owner/parser@{hub.repos['owner/parser'].head[:7]}"
    assert load_denoiser(there).networks().keys() == load_denoiser(here).networks().keys()


def test_nothing_but_the_files_of_a_run_is_fetched(hub, finished):
    files = {file.name: file.read_bytes() for file in finished.iterdir()}
    hub.put("owner/parser", {**files, "big.bin": b"x", "sub/config.json": b"{}", "README.md": b"x"})
    folder = load_run(NAME).path
    assert sorted(str(f.relative_to(folder)) for f in folder.rglob("*")) == sorted(FILES)


def test_scores_are_those_of_the_folder(hub, finished, tiny_data):
    hub.put_folder("owner/parser", finished)
    ours = rlld.evaluate(finished, "test", tiny_data)
    theirs = rlld.evaluate(NAME, "test", tiny_data)
    assert theirs.as_dict() == ours.as_dict()


def without_warnings(text: str) -> str:
    """Takes off what is said of a poor run, which one of two rounds is."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("warning: "))


def test_every_verb_takes_it(hub, finished, tiny_data, tmp_path, call, monkeypatch):
    hub.put_folder("owner/parser", finished)
    monkeypatch.chdir(tmp_path)
    status, _, err = call("evaluate", NAME, "--data", tiny_data, "--json", "scores.json")
    assert status == 0, err
    assert without_warnings(err) == f"{NAME}: 5 files, 0.1 MB\n"
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["segment"] == rlld.evaluate(finished).as_dict()["segment"]
    assert call("denoise", NAME, "--out", "labels.csv", "--data", tiny_data)[0] == 0
    assert (tmp_path / "labels.csv").is_file()
    assert call("suggest", NAME, "--data", tiny_data)[0] == 0
    assert (tmp_path / "suggest-train.csv").is_file()
    store = tiny_data / "features" / "test.safetensors"
    parsed = call("parse", NAME, "--features", store, "--id", "test_000", "--out", "parse.json")
    assert parsed[0] == 0, parsed[2]
    model = json.loads((tmp_path / "parse.json").read_text())["model"]
    assert model.startswith(f"owner/parser@{hub.repos['owner/parser'].head[:7]}: han ")


def test_the_data_of_the_training_machine_are_not_looked_for(hub, finished, call):
    hub.put_folder("owner/parser", finished)
    status, _, err = call("evaluate", NAME)
    assert status == 2
    assert "names no data set; give one with --data" in err


def test_a_revision_is_chosen_by_its_commit(hub, finished, tmp_path):
    repo = hub.put_folder("owner/parser", finished)
    first = repo.head
    repo.add({**repo.files, "config.json": b"{}"}, "spoilt")
    assert load_run(f"{NAME}@{first}").path.name == first
    with pytest.raises(RlldError, match="no run of rlld"):
        load_run(NAME)
    with pytest.raises(RlldError, match="no such revision"):
        load_run(f"{NAME}@v9")


def test_offline_the_cache_is_enough(hub, finished, monkeypatch):
    hub.put_folder("owner/parser", finished)
    load_run(NAME)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert load_run(NAME).path.name == hub.repos["owner/parser"].head
    assert len(hub.requests) == asked
    with pytest.raises(RlldError, match="hub:owner/other: not in the cache, and HF_HUB_OFFLINE"):
        load_run("hub:owner/other")


def test_without_a_network_the_cache_is_used_and_said(finished, tmp_path, monkeypatch, capsys):
    with serving() as hub:
        use(hub, tmp_path / "cache", monkeypatch)
        hub.put_folder("owner/parser", finished)
        load_run(NAME)
    capsys.readouterr()
    assert load_run(NAME).path.is_dir()
    assert "cannot be reached" in capsys.readouterr().err
    with pytest.raises(RlldError, match=r"not in the cache, and http://127.* cannot be reached"):
        load_run("hub:owner/other")


@pytest.mark.parametrize("token", [None, READER])
def test_private_and_missing_repositories(hub, finished, tmp_path, monkeypatch, token):
    hub.put_folder("owner/parser", finished, private=True)
    use(hub, tmp_path / "cache", monkeypatch, token)
    for name in (NAME, "hub:owner/none"):
        with pytest.raises(RlldError, match=r"no such repository, or a private one .* HF_TOKEN"):
            load_run(name)
    use(hub, tmp_path / "cache", monkeypatch, WRITER)
    assert load_run(NAME).path.is_dir()


def test_gated_and_refused(hub, finished, tmp_path, monkeypatch):
    hub.put_folder("owner/parser", finished, gated=True)
    use(hub, tmp_path / "cache", monkeypatch, READER)
    with pytest.raises(RlldError, match="grants access on request"):
        load_run(NAME)
    use(hub, tmp_path / "cache", monkeypatch, "hf_expired")
    with pytest.raises(RlldError, match=r"status 401 \(Invalid credentials.*log in"):
        load_run(NAME)


def test_a_failing_hub(hub, finished):
    hub.put_folder("owner/parser", finished)
    hub.failing = 500
    with pytest.raises(RlldError, match=r"status 500 \(the stand-in fails\); try again later"):
        load_run(NAME)


def test_a_cut_connection_leaves_nothing_half_read(hub, finished, monkeypatch):
    hub.put_folder("owner/parser", finished)
    hub.cut.add("model.safetensors")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the library waits before it retries
    with pytest.raises(RlldError, match=r"the exchange with http://127.* failed"):
        load_run(NAME)
    hub.cut.clear()
    assert load_run(NAME).path.is_dir()


@pytest.mark.parametrize(
    "name",
    [f"hub:{bad}" for bad in ("", "parser", "a/b/c", "../x", "a/b@", "a/b@../../x", "a/b.git")]
    + [f"hub:{bad}" for bad in ("a b/c", "a/b@x y", "a/b--c", "-a/b", "a/\x1b[31m")],
)
def test_bad_names(name):
    with pytest.raises(RlldError, match="not the name of a repository") as found:
        load_run(name)
    assert str(found.value).isprintable()


def test_good_names():
    assert named("hub:a/b") == Repository("a/b")
    assert named("hub:A-1/b_2.c@refs/pr/1") == Repository("A-1/b_2.c", "refs/pr/1")
    assert str(named("a/b@v1")) == "hub:a/b@v1"


def test_a_repository_without_a_run(hub):
    hub.put("owner/parser", {"README.md": b"hello", "pytorch_model.bin": b"x"})
    with pytest.raises(RlldError, match=r"holds no run of rlld \(there is no config.json among"):
        load_run(NAME)
    hub.put("owner/other", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"})
    with pytest.raises(RlldError, match="no run of rlld"):
        load_run("hub:owner/other")
    assert not any("resolve" in asked and "model.s" in asked for asked in hub.requests)


def test_a_run_of_a_newer_version(hub, finished, tmp_path):
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", format_version=9))
    with pytest.raises(RlldError, match=r"format 9 .* update rlld"):
        load_run(NAME)


def test_too_large_files_are_not_fetched(hub, finished, monkeypatch):
    hub.put_folder("owner/parser", finished)
    monkeypatch.setattr("rlld.utils.hub.LIMIT", 1000)
    with pytest.raises(RlldError, match="more than the 0 MB that a run may"):
        load_run(NAME)
    assert not any("resolve" in asked for asked in hub.requests)


def test_the_extra_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "huggingface_hub.errors", raising=False)
    with pytest.raises(RlldError, match=r"huggingface_hub.*pip install 'rlld\[hub\]'"):
        load_run(NAME)


def test_a_pickle_is_refused_unread(hub, finished, tmp_path):
    trap = tmp_path / "trap"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (trap,))

    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    for name in FILES[1:]:
        original = (copy / name).read_bytes()
        (copy / name).write_bytes(pickle.dumps(Trap()))
        hub.put_folder("owner/parser", copy)
        hub.repos["owner/parser"].add(dict(hub.repos["owner/parser"].files), name)
        with pytest.raises(RlldError, match=name):
            use_all(NAME)
        (copy / name).write_bytes(original)
    assert not trap.exists()


def use_all(name: str) -> None:
    run = load_run(name)
    load_denoiser(run)
    load_held_out(run)


def test_settings_that_would_take_all_memory_are_refused(hub, finished, tmp_path):
    recipe = config(finished)["recipe"]
    recipe["network"]["hidden"] = 4_000_000
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", recipe=recipe))
    with pytest.raises(RlldError, match=r"has .* parameters, expected at most"):
        load_run(NAME)


def test_a_denoiser_that_would_take_all_memory_is_refused_before_it_is_built(
    hub, finished, tmp_path
):
    recipe = config(finished)["recipe"]
    recipe["denoiser"] = {"name": "reinforced", "hidden": 1_000_000}
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", recipe=recipe))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RlldError, match=r"has [0-9,]+ parameters, expected at most"):
        load_denoiser(load_run(NAME))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 300_000  # kilobytes


@pytest.mark.parametrize("option", ["folds", "judges"])
def test_a_denoiser_of_a_billion_networks_is_refused(hub, finished, tmp_path, option):
    recipe = config(finished)["recipe"]
    recipe["denoiser"]["labelwise"][option] = 10**9
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", recipe=recipe))
    with pytest.raises(RlldError, match=rf"labelwise: {option}: expected 1 to 100, found 10"):
        load_run(NAME)


@pytest.mark.parametrize("file", ["../../secret.csv", "/etc/passwd", "a/../../b", "C:\\x", "..\\x"])
def test_file_names_that_lead_elsewhere_are_refused(hub, finished, tmp_path, file):
    dataset = config(finished)["dataset"]
    dataset["annotations"]["audio"] = file
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", dataset=dataset))
    with pytest.raises(RlldError, match=r"annotations.audio: .*expected the plain name"):
        load_run(NAME)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"notes": ["\x1b[2Jgone"]}, "control characters"),
        ({"notes": [1]}, "expected text"),
        ({"notes": "text"}, "facts.notes is 'text', expected list"),
        ({"seed": "0"}, "facts.seed is '0', expected int"),
    ],
)
def test_facts_that_are_none_are_refused(hub, finished, tmp_path, facts, message):
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", facts=facts))
    with pytest.raises(RlldError, match=message):
        load_run(NAME)


def test_markup_in_texts_is_shown_as_it_is(hub, finished, tiny_data, tmp_path, call):
    changes = config(finished)
    changes["facts"]["notes"] = ["[/red] a note"]
    changes["recipe"]["name"] = "[/red] a recipe"
    hub.put_folder("owner/parser", changed(finished, tmp_path / "run", **changes))
    status, out, _ = call("evaluate", NAME, "--split", "validation", "--data", tiny_data)
    assert status == 0
    assert "[/red] a note" in out
    assert "[/red] a recipe" in out


@pytest.mark.parametrize("change", ["key", "shape", "output"])
def test_a_changed_small_batch_is_refused(hub, finished, tmp_path, change):
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    golden = load_file(copy / "golden.safetensors")
    if change == "key":
        del golden["output.video"]
    elif change == "output":
        golden["output.video"] = golden["output.video"][:1].clone()
    else:
        golden["input.audio"] = torch.zeros(2, 1, 5)
    save_file(golden, copy / "golden.safetensors")
    hub.put_folder("owner/parser", copy)
    with pytest.raises(RlldError, match=r"golden.safetensors: "):
        load_run(NAME)


def test_json_nested_without_end_is_refused(hub, finished, tmp_path):
    copy = Path(shutil.copytree(finished, tmp_path / "run"))
    (copy / "config.json").write_text("[" * 200_000)
    hub.put_folder("owner/parser", copy)
    with pytest.raises(RlldError, match="cannot be read as JSON"):
        load_run(NAME)


def test_the_variables_of_the_environment_hold(finished, tiny_data, tmp_path):
    with serving() as hub:
        hub.put_folder("owner/parser", finished)
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
        code = "from rlld.cli import main; main()"
        command = [sys.executable, "-c", code, "evaluate", NAME, "--data", str(tiny_data)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert without_warnings(result.stderr) == f"{NAME}: 5 files, 0.1 MB\n"
    assert (tmp_path / "home" / "hub" / "models--owner--parser").is_dir()
