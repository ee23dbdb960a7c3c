"""A parser whose classes are text is asked for others; one whose classes are not is not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rlld
from cli_kit import called
from live_kit import make_stream
from rlld.data.dataset import load_data
from rlld.data.spec import FILE_NAME, DataSpec, spec_text
from rlld.data.store import store_path
from rlld.errors import RlldError
from rlld.features import load_extractor
from rlld.networks.leap import NOTE
from rlld.recipes.recipe import load_recipe
from rlld.training.other_classes import with_classes
from rlld.training.run_folder import save_run
from rlld.utils.compute import Compute
from tiny import CLASSES

COMPUTE = Compute(device="cpu", threads=1)
SMALL = {"schedule.updates": 3, "network.levels": 1, "network.text_dim": 4}
PARTS = ("segment", "audio", "visual", "video")


@pytest.fixture(scope="module")
def asked(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set that names its table, and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("asked")
    data = Path(shutil.copytree(tiny_data, folder / "data"))
    words = {name: np.random.default_rng(n).normal(size=4) for n, name in enumerate(CLASSES)}
    words |= {"glass": np.ones(4), "breaking": np.zeros(4)}
    lines = [" ".join([word, *map(str, vector)]) for word, vector in words.items()]
    (data / "words.txt").write_text("\n".join(lines) + "\n")
    spec = load_data(data).spec
    given = spec.overrides | {"network.vectors": "words.txt"}
    (data / FILE_NAME).write_text(spec_text(replace(spec, overrides=given)))
    run = rlld.train("leap", data, folder / "run", overrides=SMALL, compute=COMPUTE)
    assert run.facts["notes"] == []
    wanted = torch.from_numpy(np.stack([words[name] for name in CLASSES])).float()
    torch.testing.assert_close(run.network.vectors, wanted)
    return folder


def predicted(run):
    batch = load_data(run.facts["data"]).test.batch(torch.arange(3))
    return run.predict(batch.streams)


def test_trained_classes_are_said_as_before_in_any_order_and_company(asked):
    run = rlld.load_run(asked / "run")
    others = with_classes(run, ["Rain", "glass breaking", "Bell"])
    assert others.spec.classes == ("Rain", "glass breaking", "Bell")
    usual, found = predicted(run), predicted(others)
    for part in PARTS:
        value, wanted = getattr(found, part), getattr(usual, part)
        torch.testing.assert_close(value[..., [2, 0]], wanted[..., [0, 3]])
        assert value.shape[-1] == 3
    assert (found.segment[..., 1] - usual.segment[..., 0]).abs().max() > 1e-4
    # The run itself is left as it was.
    torch.testing.assert_close(predicted(run).segment, usual.segment)


def test_vectors_may_come_from_another_table(asked, tmp_path):
    run = rlld.load_run(asked / "run")
    np.save(tmp_path / "rows.npy", run.network.vectors[[1]].numpy())
    found = with_classes(run, ["thing"], tmp_path / "rows.npy")
    torch.testing.assert_close(predicted(found).segment[..., 0], predicted(run).segment[..., 1])
    with pytest.raises(RlldError, match=r"shape \(1, 4\), expected \(2, 4\)"):
        with_classes(run, ["thing", "other"], tmp_path / "rows.npy")


def test_the_command_finds_them(asked, tmp_path):
    words = ("parse", asked / "run", "--features", store_path(asked / "data", "test"))
    words += ("--id", "test_000", "--classes", "glass breaking, Bell")
    made = called(*words, "--format", "json")
    assert json.loads(made.stdout)["classes"] == ["glass breaking", "Bell"]
    assert made.returncode == 0
    missing = called(*words[:-1], "Bell,slurping")
    assert missing.returncode == 2
    assert "has no word 'slurping' of class 'slurping'" in missing.stderr
    alone = called(*words[:-2], "--vectors", tmp_path)
    assert "--classes is missing" in alone.stderr


def test_a_source_that_goes_on_is_asked_for_them_too(tmp_path):
    """A run on features of clips, whose classes are text, finds live what it finds in the clip."""
    (tmp_path / "words.txt").write_text("bell 1 0 2 1\ndog 0 1 0 3\nrain 1 1 1 0\nglass 3 0 1 1\n")
    torch.manual_seed(0)
    spec = DataSpec(
        *("made", ("Bell", "Dog"), 4),
        streams=load_extractor("light").streams(1.0),
        features="light",
    )
    recipe = load_recipe(
        "leap",
        {
            "network.levels": 1,
            "network.text_dim": 4,
            "network.vectors": str(tmp_path / "words.txt"),
        },
    )
    network = recipe.build_network(spec)
    network.prepare(tmp_path)
    save_run(tmp_path / "run", network.eval(), recipe, spec, {})
    clip = make_stream(tmp_path / "clip.ts", 7.4)
    words = ("parse", tmp_path / "run", "--classes", "glass,Rain,Dog")
    whole = called(*words, clip, "--format", "json")
    wanted = json.loads(whole.stdout)["events"]
    live = called(*words, "--live", clip, "--patience", "0.3")
    assert live.returncode == 0, live.stderr
    lines = [json.loads(line) for line in live.stdout.splitlines()]
    ended = [line for line in lines if line["state"] == "end"]
    keys = ("label", "modality", "start", "end")
    assert sorted([e[k] for k in keys] for e in ended) == sorted(
        [e[k] for k in keys] for e in wanted
    )
    assert {event["label"] for event in wanted} & {"glass", "Rain"}
    table = called(*words[:2], "--vectors", tmp_path / "words.txt", "--live", clip)
    assert table.returncode == 2 and "--classes is missing" in table.stderr


def test_classes_that_are_no_text_cannot_be_exchanged(tiny_data, tmp_path):
    learned = rlld.train("leap", tiny_data, tmp_path / "a", overrides=SMALL, compute=COMPUTE)
    assert learned.facts["notes"] == [NOTE]
    with pytest.raises(RlldError, match="its classes learned their vectors"):
        with_classes(learned, ["Dog"])
    weak = rlld.train(
        "han", tiny_data, tmp_path / "b", overrides={"schedule.updates": 1}, compute=COMPUTE
    )
    with pytest.raises(RlldError, match="network han knows the classes that it was trained on"):
        with_classes(weak, ["Dog"])
