"""Videos that lack a track: what is in it is neither learned, nor judged, nor found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import rlld
from rlld.data.dataset import load_data, load_split
from rlld.data.spec import Priors
from rlld.data.store import read_store, store_path
from rlld.data.tracks import tracks_of
from rlld.denoisers.reinforced.labelwise.judge import examples_of
from rlld.denoisers.reinforced.labelwise.priors import prior_keep, prior_rates
from rlld.evaluation.decisions import decisions
from rlld.recipes.recipe import load_recipe
from rlld.training.fitted import fitted_recipe
from rlld.training.predict import predict_split
from rlld.training.step import Part, take_step
from rlld.training.trainer import Trainer
from rlld.types import AUDIO, VISUAL, ModalityLabels, Prediction
from rlld.utils.compute import Compute

COMPUTE = Compute(device="cpu", threads=1)
ALL = {f"gate.{name}_threshold": 0.0 for name in ("audio", "visual", "segment")}
"""A gate that lets all pass."""
SILENT, DARK = range(8), range(8, 12)


def rewritten(folder: Path, split: str, change) -> None:
    """Changes the features of a store in place, as an extraction of such clips leaves them."""
    path = store_path(folder, split)
    streams = {name: value.clone() for name, value in read_store(path).streams.items()}
    change(streams)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(streams, path, metadata)


def lose(streams: dict[str, torch.Tensor]) -> None:
    for name, value in streams.items():
        value[list(SILENT if name == "audio" else DARK)] = 0


@pytest.fixture(scope="module")
def folder(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set, of whose videos eight lack sound and four lack pictures."""
    copy = tmp_path_factory.mktemp("tracks") / "data"
    shutil.copytree(tiny_data, copy)
    for split in ("train", "validation", "test"):
        rewritten(copy, split, lose)
    return copy


def expected(count: int) -> torch.Tensor:
    there = torch.ones(count, 2, dtype=torch.bool)
    there[list(SILENT), AUDIO] = False
    there[list(DARK), VISUAL] = False
    return there


def test_a_split_says_which_tracks_its_videos_have(folder, tiny_data):
    assert load_split(tiny_data, "train").tracks is None
    split = load_split(folder, "train")
    assert torch.equal(split.tracks, expected(len(split)))
    index = torch.tensor([9, 2, 40])
    for part in (split.batch(index), split.subset(index), split.packed().subset(index)):
        assert part.tracks.tolist() == [[True, False], [False, True], [True, True]]
    packed = split.packed()
    assert torch.equal(tracks_of(packed.streams, packed.lengths), split.tracks)
    claims = split.claims
    assert torch.equal(claims[:, AUDIO], split.labels.bool() & split.tracks[:, :1])
    assert torch.equal(claims[:, VISUAL], split.labels.bool() & split.tracks[:, 1:])


def test_a_track_that_no_video_has_is_one_whose_features_are_missing(tiny_data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(tiny_data, copy)
    rewritten(copy, "train", lambda streams: streams["audio"].zero_())
    assert load_split(copy, "train").tracks is None
    told = [
        line for line in fitted_recipe("han", load_data(copy))[1] if "no training video" in line
    ]
    assert len(told) == 1 and "has sound (features that are all zeros): what is heard" in told[0]
    rewritten(copy, "train", lambda streams: streams["audio"][-1, -1].fill_(1))
    lines = fitted_recipe("han", load_data(copy))[1]
    assert not any("no training video has" in line for line in lines)


def test_the_videos_that_lack_a_track_are_counted(folder, tiny_data):
    _, lines = fitted_recipe("han", load_data(folder))
    told = "of 48 training videos 8 without sound and 4 without pictures (features that are all"
    assert any(line.startswith(told) for line in lines)
    assert not any("without" in line for line in fitted_recipe("han", load_data(tiny_data))[1])


def test_silence_at_the_beginning_is_no_lack():
    audio, pictures = torch.zeros(3, 4, 2), torch.ones(3, 4, 5)
    audio[0, 3, 1] = 1.0
    found = tracks_of({"audio": audio, "visual_2d": pictures}, None)
    assert found.tolist() == [[True, True], [False, True], [False, True]]


def test_targets_and_predictions_lose_what_is_in_no_track():
    tracks = torch.tensor([[True, False], [False, True]])
    ones = torch.ones(2, 3)
    target = ModalityLabels(ones, ones, ones, torch.ones(2, 4, 2, 3)).of(tracks)
    assert target.audio.tolist() == [[1] * 3, [0] * 3]
    assert target.visual.tolist() == [[0] * 3, [1] * 3]
    assert target.video.all()  # the tag is of the video, whichever track it has
    assert torch.equal(target.segment.amax((1, 3)).bool(), tracks)
    found = Prediction(torch.ones(2, 4, 2, 3), ones, ones, ones).of(tracks)
    assert torch.equal(found.segment.amin((1, 3)).bool(), tracks)
    assert torch.equal(torch.stack([found.audio, found.visual], 1).bool().all(2), tracks)


@pytest.mark.parametrize("recipe", ["weak", "valor", "rlld-best"])
def test_a_step_teaches_nothing_of_a_track_that_is_not_there(folder, recipe):
    """Whatever the labels come from; the networks that take the step say what they were given."""
    data = load_data(folder)
    settings = {"denoiser.labelwise.state_share": 0.05} if recipe == "rlld-best" else {}
    if recipe == "valor":
        settings = {"denoiser.audio_thresholds": [0.0] * 4, "denoiser.visual_thresholds": [0.0] * 4}
    loaded = load_recipe(recipe, {"schedule.updates": 4, **settings}, data.spec.overrides)
    run = Trainer(loaded, data.train, data.validation, 3, COMPUTE)
    next(run.steps())
    given: list[ModalityLabels] = []

    class Networks:
        def look(self, parts):
            return [None] * len(parts), [None] * len(parts)

        def take(self, parts, labels, predictions):
            given.extend(labels)
            return [{"loss": torch.zeros(())}]

        def gradient_norms(self):
            return [torch.zeros(())]

        def rewards(self):
            return [{}]

    part = run.part(torch.arange(12))
    take_step([Part(run.denoiser, part.task, part.batch)], Networks())
    (labels,) = given
    tags = data.train.labels[:12]
    if run.recipe.supervision.mixing == 0:
        assert not labels.audio[:8].any() and not labels.visual[8:].any()
        assert torch.equal(labels.video[:8], tags[:8]) or recipe != "weak"
        assert labels.visual[:8].any() and labels.audio[8:].any()


def test_the_policy_judges_no_label_of_a_track_that_is_not_there(folder):
    data = load_data(folder)
    recipe = load_recipe("rlld-best", {"schedule.updates": 4}, data.spec.overrides)
    run = Trainer(recipe, data.train, data.validation, 3, COMPUTE)
    next(run.steps())
    keep = run.denoiser.training_keep()
    assert not keep[list(SILENT), AUDIO].any() and not keep[list(DARK), VISUAL].any()
    assert bool((keep[12:] > 0).all())
    shown = examples_of(data.validation, torch.zeros(len(data.validation), 2, 4))
    by_id = dict(zip(shown.videos.ids, shown.known, strict=True))
    assert all(not by_id[name][AUDIO].any() for name in data.validation.ids[:8] if name in by_id)


def test_what_is_supposed_of_a_track_follows_from_the_videos_that_have_it(folder):
    split = load_split(folder, "train")
    logits = torch.randn(len(split), 2, 4, generator=torch.Generator().manual_seed(0))
    logits[list(SILENT), AUDIO] = -9.0
    heard = split.tracks[:, AUDIO]
    spec = replace(split.spec, priors=Priors(audio={"Rain": 0.5}, visual={}, borrow=True))
    rates = prior_rates(logits, split.labels, spec, split.tracks).rates
    alone = prior_rates(logits[heard], split.labels[heard], spec).rates
    assert torch.equal(rates[AUDIO], alone[AUDIO])
    cutoffs = prior_keep(logits, split.claims, rates)
    tagged = split.labels[:, 3].bool() & heard
    assert int((logits[tagged, AUDIO, 3] < cutoffs[AUDIO, 3]).sum()) == int(tagged.sum() // 2)


@pytest.mark.parametrize("tags", [False, True])
def test_no_event_is_found_in_a_track_that_is_not_there(folder, tmp_path, tags):
    run = rlld.train(
        "han", folder, tmp_path / "run", compute=COMPUTE, overrides={"schedule.updates": 6, **ALL}
    )
    videos = load_split(folder, "test")
    found = decisions(rlld.load_run(tmp_path / "run"), videos, by_tags=tags)
    classes = videos.labels.bool() if tags else torch.ones_like(videos.labels, dtype=torch.bool)
    everything = classes[:, None, None] & videos.tracks[:, None, :, None]
    assert torch.equal(found.active, everything.expand_as(found.active))
    network = rlld.load_run(run.path).network
    for split in (videos, videos.packed()):
        assert torch.equal(predict_split(network, split).segment.amax((1, 3)) > 0, split.tracks)
