"""The labelwise learner: what it learns from, what it decides, what a run keeps of it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import rlld
from rlld.data.dataset import load_data, load_split
from rlld.data.spec import Priors
from rlld.denoisers.reinforced.labelwise import denoiser
from rlld.denoisers.reinforced.labelwise.judge import (
    Examples,
    Judge,
    examples_of,
    joined,
    mixed,
    right,
    teach_features,
    teach_offsets,
)
from rlld.denoisers.reinforced.labelwise.priors import predictability_rates, prior_keep, prior_rates
from rlld.denoisers.reinforced.labelwise.worlds import Fit
from rlld.denoisers.reinforced.options import LabelwiseOptions, Options
from rlld.errors import RlldError
from rlld.evaluation.labels import teachers
from rlld.evaluation.scoring import keep_probabilities
from rlld.recipes.recipe import load_recipe
from rlld.training.run_folder import load_denoiser, load_run
from rlld.training.trainer import Trainer
from rlld.training.validation import partition
from rlld.utils.compute import Compute
from scipy_free import slow_auc, slow_logistic

COMPUTE = Compute(device="cpu", threads=1)
QUICK = {
    "fit": False,
    "schedule.rounds": 3,
    "denoiser.labelwise.folds": 2,
    "denoiser.labelwise.judges": 2,
    "denoiser.labelwise.steps": 12,
}

NOBODY = {
    "selection.annotated": 0,
    "selection.score": "last",
    "selection.reward_share": 1.0,
}


def trainer(folder, **more) -> Trainer:
    data = load_data(folder)
    recipe = load_recipe("rlld-labelwise", {**QUICK, **more}, data.spec.overrides)
    return Trainer(recipe, data.train, data.validation, 0, COMPUTE)


def test_fewer_training_videos_than_networks_are_refused(tiny_data):
    learner = trainer(tiny_data, **{"denoiser.labelwise.folds": 49})
    with pytest.raises(RlldError, match=r"labelwise\.folds is 49, more than the 48 training"):
        next(learner.steps())


def examples(folder, seed: int = 0) -> Examples:
    """Annotated videos whose evidence tells presence, but with an offset of each class."""
    split = load_split(folder, "validation")
    present = split.require_dense().any(1)
    generator = torch.Generator().manual_seed(seed)
    states = 2.0 * present.float() - 1 + torch.randn(present.shape, generator=generator)
    return Examples(split, states, present, torch.ones_like(present))


def test_every_training_label_is_judged_by_a_network_that_did_not_see_it(tiny_data, monkeypatch):
    run = trainer(tiny_data)
    seen, given, judged, started, trained = [], [], [], [], []
    fit, judge = run.fit, run.denoiser._judged

    def watched(labels, **options):
        seen.append(set(options["videos"].tolist()))
        given.append(torch.stack([labels.audio, labels.visual], 1))
        assert options["unimodal"]
        start = options["start"]
        started.append(start and copy.deepcopy(start.state_dict()))
        network = fit(labels, **options)
        trained.append(copy.deepcopy(network.state_dict()))
        return network

    def remembered(*inputs):
        judged.append(judge(*inputs))
        return judged[-1]

    object.__setattr__(run.denoiser._context, "fit", watched)
    monkeypatch.setattr(run.denoiser, "_judged", remembered)
    next(run.steps())
    assert len(seen) == 4
    for first, second in (seen[:2], seen[2:]):
        assert first | second == set(range(48))
        assert not first & second
    # The second round goes on from the networks of the first one, on what that left.
    assert started[:2] == [None, None]
    for start, network in zip(started[2:], trained[:2], strict=True):
        assert all(torch.equal(value, network[name]) for name, value in start.items())
    tags = run.train.labels[:, None].expand(-1, 2, -1)
    assert torch.equal(given[0], tags)
    assert torch.equal(given[1], tags)
    cleaned = tags * (judged[0] >= 0.5)
    assert not torch.equal(cleaned, tags)
    assert torch.equal(given[2], cleaned)
    assert torch.equal(given[3], cleaned)
    assert torch.equal(run.denoiser.training_keep(), judged[1])


def test_labels_are_removed_by_the_kept_probabilities_alone(tiny_data):
    run = trainer(tiny_data)
    next(run.steps())
    keep = run.denoiser.training_keep()
    batch = run.train.batch(torch.arange(48))
    labels = run.denoiser.revise(batch, None)
    expected = batch.labels[:, None] * (keep >= 0.5)
    assert torch.equal(torch.stack([labels.audio, labels.visual], 1), expected)
    assert torch.equal(labels.video, expected.amax(1))


def test_a_run_keeps_what_judged_its_labels(tiny_data, tmp_path):
    out = tmp_path / "run"
    rlld.train("rlld-labelwise", tiny_data, out, compute=COMPUTE, overrides=QUICK)
    run = load_run(out)
    fresh = trainer(tiny_data)
    next(fresh.steps())
    kept = keep_probabilities(run, load_split(tiny_data, "train"))
    assert torch.equal(kept, fresh.denoiser.training_keep())
    test = load_split(tiny_data, "test")
    first, second = keep_probabilities(run, test), keep_probabilities(load_run(out), test)
    assert torch.equal(first, second)
    assert first.shape == (12, 2, 4)


def test_a_run_knows_which_videos_taught_it(tiny_data, tmp_path):
    out = tmp_path / "run"
    rlld.train("rlld-labelwise", tiny_data, out, compute=COMPUTE, overrides=QUICK)
    run = load_run(out)
    validation = load_split(tiny_data, "validation")
    reward, selection = partition(validation, run.recipe.selection.reward_share, 0)
    assert teachers(run, validation) == list(reward.ids)
    assert not set(teachers(run, validation)) & set(selection.ids)
    assert teachers(run, load_split(tiny_data, "test")) == []


def test_resuming_does_not_learn_again(tiny_data, tmp_path, monkeypatch):
    whole = trainer(tiny_data)
    for _ in whole.steps():
        pass
    first = trainer(tiny_data)
    next(first.steps())
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = trainer(tiny_data)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    monkeypatch.setattr(second.denoiser, "_learn", None)
    for _ in second.steps():
        pass
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name]), name


@pytest.mark.parametrize("learning", ["reinforce", "supervised"])
def test_reward_per_label_teaches_to_use_the_evidence(tiny_data, learning):
    taught = examples(tiny_data)
    options = LabelwiseOptions(learning=learning, steps=400, supervised_steps=150, noise=0.1)
    config = Options(credit="labelwise", hidden=8, labelwise=options)
    torch.manual_seed(0)
    judge = Judge(config, taught.videos.spec, features=True)

    def agreement() -> float:
        videos = taught.videos
        logits = judge(videos.streams, videos.labels, taught.states)
        return float(right(taught, logits).mean())

    before = agreement()
    teach_features(judge, taught, config, 0)
    assert agreement() > max(0.85, before + 0.1)


def test_the_small_form_is_ridge_logistic_regression(tiny_data):
    taught = examples(tiny_data)
    judge = Judge(Options(credit="labelwise"), taught.videos.spec, features=False)
    teach_offsets(judge, taught, ridge=0.5, steps=500)
    own, other, offset = slow_logistic(
        taught.states.double().numpy(),
        taught.labelled.numpy(),
        taught.present.numpy(),
        ridge=0.5,
    )
    assert judge.own[:, 0].tolist() == pytest.approx(own, abs=2e-3)
    assert judge.other[:, 0].tolist() == pytest.approx(other, abs=2e-3)
    np.testing.assert_allclose(judge.offset.detach().numpy(), offset, atol=5e-3)


def test_both_kinds_of_policy_weigh_the_same(tiny_data):
    taught = examples(tiny_data)
    streams, labels = taught.videos.streams, taught.videos.labels
    config = Options(credit="labelwise", hidden=8)
    judges = [Judge(config, taught.videos.spec, features) for features in (True, True, False)]
    first, second, plain = (judge(streams, labels, taught.states) for judge in judges)
    expected = plain / 2 + first / 4 + second / 4
    found = mixed(judges[:2], judges[2], streams, labels, taught.states)
    assert torch.allclose(found, expected, atol=1e-6)
    alone = mixed([], judges[2], streams, labels, taught.states)
    assert torch.equal(alone, plain)


@pytest.mark.parametrize(
    ("least", "judge", "rounds", "used"),
    [
        (0, "features", 1, True),
        (150, "auto", 1, False),
        (0, "evidence", 1, False),
        (0, "features", 2, False),
    ],
)
def test_few_videos_and_later_rounds_leave_features_out(tiny_data, least, judge, rounds, used):
    settings = {"least_videos": least, "judge": judge, "rounds": rounds}
    run = trainer(tiny_data, **{f"denoiser.labelwise.{k}": v for k, v in settings.items()})
    next(run.steps())
    assert bool(run.denoiser.networks()["labelwise"].uses_features) == used


def test_a_strong_ridge_gives_every_class_the_common_offset(tiny_data):
    taught = examples(tiny_data)
    judge = Judge(Options(credit="labelwise"), taught.videos.spec, features=False)
    teach_offsets(judge, taught, ridge=1e5, steps=500)
    assert float(judge.offset.detach().std(1).max()) < 1e-3


def test_priors_remove_the_least_credible_share(tiny_data):
    split = load_split(tiny_data, "train")
    given = Priors(visual={"Drum": 0.5}, audio={"Rain": 0.25}, borrow=False)
    spec = replace(split.spec, priors=given)
    logits = torch.randn(48, 2, 4, generator=torch.Generator().manual_seed(0))
    rates = prior_rates(logits, split.labels, spec).rates
    keep = logits >= prior_keep(logits, split.claims, rates)
    removed = (split.labels.bool()[:, None] & ~keep).sum(0)
    tagged = split.labels.sum(0)
    assert removed[1].tolist() == [0, int(tagged[1] * 0.5), 0, 0]
    assert removed[0].tolist() == [0, 0, 0, int(tagged[3] * 0.25)]
    drums = logits[split.labels[:, 1] > 0, 1, 1]
    gone = drums[~keep[split.labels[:, 1] > 0, 1, 1]]
    assert gone.max() < drums[keep[split.labels[:, 1] > 0, 1, 1]].min()


def test_without_priors_tags_that_a_track_cannot_predict_are_doubted():
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(400, 5, generator=generator) < 0.4).float()
    strength = torch.tensor([3.0, 3.0, 2.0, 1.0, 0.0])
    logits = labels * strength + torch.randn(400, 5, generator=generator)
    areas = [slow_auc(logits[:, c].numpy(), labels[:, c].bool().numpy()) for c in range(5)]
    easy = np.quantile(areas, 0.9)
    expected = np.clip((easy - np.array(areas)) / (easy - 0.5), 0, 1)
    np.testing.assert_allclose(predictability_rates(logits, labels).numpy(), expected, atol=1e-6)


def test_predictability_leaves_audio_and_rare_classes_alone(tiny_data):
    split = load_split(tiny_data, "train")
    logits = torch.randn(48, 2, 4, generator=torch.Generator().manual_seed(0))
    spec = replace(split.spec, priors=Priors(borrow=False))
    rates = prior_rates(logits, split.labels, spec).rates
    assert rates[0].tolist() == [0, 0, 0, 0]


def test_no_annotated_video_falls_back_to_priors_and_says_so(tiny_data, capsys):
    run = trainer(tiny_data, **NOBODY)
    for _ in run.steps():
        pass
    note, *tracks_and_rates = run.denoiser.notes()
    assert note.startswith("no annotated video: labels were cleaned by rates that other data sets")
    tracks, rates = tracks_and_rates[:2], tracks_and_rates[2:]
    assert [line.split(":")[0] for line in tracks] == ["audio track", "visual track"]
    assert [line.split(":")[0] for line in rates] == list(run.train.spec.classes)
    said = capsys.readouterr().err.replace("\n", " ")
    assert all(line in said for line in (note, *tracks))
    assert not any(line in said for line in rates)  # the run's end lists them


def test_who_borrows_nothing_and_gives_no_number_is_told_what_stands_in(tiny_data):
    run = trainer(tiny_data, **NOBODY)
    run.denoiser.spec = replace(run.denoiser.spec, priors=Priors(borrow=False))
    (note,) = run.denoiser.notes()
    assert note.startswith("no annotated video: labels were cleaned by how well their tags can be")


def test_a_number_that_a_person_gave_counts_before_a_borrowed_one(tiny_data):
    split = load_split(tiny_data, "train")
    logits = torch.randn(48, 2, 4, generator=torch.Generator().manual_seed(0))
    borrowed = prior_rates(logits, split.labels, split.spec).rates
    spec = replace(split.spec, priors=Priors(visual={"Drum": 0.75}))
    rates = prior_rates(logits, split.labels, spec).rates
    assert rates[1, 1] == 0.75 and 0 < borrowed[1, 1] <= 0.5  # nobody says how tags were found
    rates[1, 1] = borrowed[1, 1]
    assert torch.equal(rates, borrowed)


def test_impossible_priors_are_refused(tiny_data):
    spec = load_data(tiny_data).spec
    with pytest.raises(RlldError, match=r"priors\.visual\.Drum must lie in \[0, 1\]"):
        replace(spec, priors=Priors(visual={"Drum": 1.5}))
    with pytest.raises(RlldError, match="did you mean 'Drum'"):
        replace(spec, priors=Priors(audio={"Drums": 0.5}))


def test_the_policy_is_recorded_in_the_configuration(tiny_data, tmp_path):
    out = tmp_path / "run"
    rlld.train("rlld-labelwise", tiny_data, out, compute=COMPUTE, overrides=QUICK)
    config = json.loads((out / "config.json").read_text())
    assert config["recipe"]["denoiser"]["credit"] == "labelwise"
    assert any("validation" in note for note in config["facts"]["notes"])


# Bare answers, partial annotation, and what cross-validation leaves.


def answers_of(split, keep: torch.Tensor) -> torch.Tensor:
    """The answers that the dense annotation gives, where ``keep`` is true (N, 2, C)."""
    return torch.where(keep, split.require_dense().any(1).to(torch.int8), -1)


def data_with(folder, *, dense: bool, validation=None, train=None):
    """The tiny data set with answers, with or without its dense annotation."""
    data = load_data(folder, with_truth=True)
    split = data.validation
    answers = None if validation is None else answers_of(split, validation)
    kept = split.dense if dense else None
    data.__dict__["validation"] = replace(split, dense=kept, answers=answers)
    if train is not None:
        shown = torch.where(train, data.train.truth.any(1).to(torch.int8), -1)
        data.__dict__["train"] = replace(data.train, answers=shown)
    return data


def learned(data, **more) -> Trainer:
    """A run after its first step."""
    recipe = load_recipe("rlld-labelwise", {**QUICK, **more}, data.spec.overrides)
    run = Trainer(recipe, data.train, data.validation, 0, COMPUTE)
    next(run.steps())
    return run


def test_complete_answers_teach_what_dense_annotation_teaches(tiny_data):
    everything = torch.ones(20, 2, 4, dtype=torch.bool)
    share = {"selection.reward_share": 1.0}
    dense = learned(data_with(tiny_data, dense=True), **share)
    bare = learned(data_with(tiny_data, dense=False, validation=everything))
    assert torch.equal(dense.denoiser.training_keep(), bare.denoiser.training_keep())
    assert bare.rule.score == "tags"


def test_labels_without_an_answer_reward_nothing(tiny_data):
    generator = torch.Generator().manual_seed(0)
    some = torch.rand(20, 2, 4, generator=generator) < 0.5
    data = data_with(tiny_data, dense=False, validation=some)
    split = data.validation
    taught = examples_of(split, torch.zeros(20, 2, 4))
    tagged = split.labels.bool()[:, None] & some
    assert int(taught.labelled.sum()) == int(tagged.sum())
    assert list(taught.videos.ids) == [
        v for v, t in zip(split.ids, tagged.any((1, 2)), strict=True) if t
    ]
    keep = learned(data).denoiser.training_keep()
    # What an answer would say of labels that have none changes nothing.
    contrary = torch.where(some, split.answers, -1)
    data.__dict__["validation"] = replace(split, answers=contrary)
    assert torch.equal(learned(data).denoiser.training_keep(), keep)


def test_a_class_without_annotation_keeps_its_labels_and_is_reported(tiny_data):
    some = torch.ones(20, 2, 4, dtype=torch.bool)
    some[:, 1, 2] = False
    strict = {"denoiser.labelwise.judge": "evidence"}
    data = data_with(tiny_data, dense=False, validation=some)
    alone = replace(data.spec, priors=Priors(borrow=False))
    for name in ("train", "validation"):
        data.__dict__[name] = replace(getattr(data, name), spec=alone)
    run = learned(data, **strict)
    keep, tagged = run.denoiser.training_keep(), run.train.labels.bool()
    assert (keep[tagged[:, 2], 1, 2] >= 0.5).all()
    # It still ranks, and the same class is judged in the other modality.
    assert len(keep[tagged[:, 2], 1, 2].unique()) > 1
    assert (keep[tagged[:, 2], 0, 2] < 0.5).any()
    (note,) = run.denoiser.notes()
    assert note.startswith("no annotated video says anything of the visual labels of Horse:")


def test_answers_on_training_videos_teach_and_are_obeyed(tiny_data):
    nobody = torch.zeros(20, 2, 4, dtype=torch.bool)
    some = torch.zeros(48, 2, 4, dtype=torch.bool)
    some[:20] = True
    run = learned(data_with(tiny_data, dense=False, validation=nobody, train=some))
    keep, train = run.denoiser.training_keep(), run.train
    assert torch.equal(keep[:20], train.truth.any(1)[:20].float())
    assert not set(keep[20:].unique().tolist()) <= {0.0, 1.0}
    ids, held_out = run.denoiser.held_out()
    assert list(ids) == list(train.ids[:20])
    assert ((held_out > 0) & (held_out < 1)).all()
    assert "cleaned by" not in " ".join(run.denoiser.notes())


def test_held_out_videos_are_judged_by_policies_that_did_not_see_them(tiny_data):
    """Turning the annotation of one video over does not change what is said of that video."""
    everything = torch.ones(20, 2, 4, dtype=torch.bool)
    features = {"denoiser.labelwise.judge": "features"}
    data = data_with(tiny_data, dense=False, validation=everything)
    ids, before = learned(data, **features).denoiser.held_out()
    split = data.validation
    changed = split.answers.clone()
    changed[7] = 1 - changed[7]
    data.__dict__["validation"] = replace(split, answers=changed)
    again = learned(data, **features).denoiser
    _, after = again.held_out()
    assert ids == split.ids
    assert torch.equal(before[7], after[7])
    others = torch.arange(20) != 7
    assert not torch.equal(before[others], after[others])


def test_examples_of_two_splits_join(tiny_data):
    one, two = examples(tiny_data), examples(tiny_data, seed=1)
    both = joined(one, two)
    assert both.videos.ids == one.videos.ids + two.videos.ids
    assert torch.equal(both.at(torch.arange(20, 40)).states, two.states)
    assert joined(one, two.at(torch.empty(0, dtype=torch.int64))) is one


def test_a_run_keeps_its_held_out_probabilities_also_when_resumed(tiny_data, tmp_path):
    run = trainer(tiny_data)
    next(run.steps())
    torch.save(run.denoiser.state_dict(), tmp_path / "state.pt")
    fresh = trainer(tiny_data)
    fresh.denoiser.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert fresh.denoiser.held_out()[0] == run.denoiser.held_out()[0]
    assert torch.equal(fresh.denoiser.held_out()[1], run.denoiser.held_out()[1])


def test_a_killed_run_does_not_train_finished_state_networks_again(
    tiny_data, tmp_path, monkeypatch
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = {"compute": COMPUTE, "overrides": QUICK}
    rlld.train("rlld-labelwise", tiny_data, whole, **options)
    finish, done = Trainer.finish, []

    def second_never_ends(self):
        if done:
            raise KeyboardInterrupt
        finish(self)
        done.append(1)

    monkeypatch.setattr(Trainer, "finish", second_never_ends)
    with pytest.raises(KeyboardInterrupt):
        rlld.train("rlld-labelwise", tiny_data, killed, **options)
    assert len(list((killed / "resume" / "networks").iterdir())) == 1
    counted = []
    monkeypatch.setattr(Trainer, "finish", lambda self: (counted.append(1), finish(self)))
    rlld.train("rlld-labelwise", tiny_data, killed, resume=True, **options)
    # Three networks of evidence, and one on the bare tags to compare with.
    assert len(counted) == 4
    for name in ("model.safetensors", "denoiser.safetensors", "held_out.safetensors"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    assert not (killed / "resume").exists()


def test_labels_in_another_order_and_other_tags_are_judged_video_by_video(tiny_data, tmp_path):
    out = tmp_path / "run"
    run = rlld.train("rlld-labelwise", tiny_data, out, compute=COMPUTE, overrides=QUICK)
    train = load_split(tiny_data, "train")
    mixed_up = train.subset(torch.randperm(48, generator=torch.Generator().manual_seed(1)))
    tags = train.labels.clone()
    tags[0] = 1 - tags[0]
    place = {video: row for row, video in enumerate(train.ids)}
    rows = torch.tensor([place[video] for video in mixed_up.ids])
    with torch.no_grad():
        afresh = load_denoiser(run).keep_probability(train.all())
        retagged = load_denoiser(run).keep_probability(replace(train, labels=tags).all())
    assert torch.allclose(keep_probabilities(run, mixed_up), afresh[rows], atol=1e-6)
    assert torch.allclose(keep_probabilities(run, replace(train, labels=tags)), retagged, atol=1e-6)
    assert not torch.allclose(keep_probabilities(run, train), afresh, atol=1e-3)


def test_a_run_keeps_all_labels_of_a_track_in_which_none_is_taken_to_be_wrong_and_says_so(
    tiny_data, tmp_path, monkeypatch, capsys
):
    classes = 4
    rates = torch.stack([torch.full((classes,), 0.3), torch.zeros(classes)])
    fit = Fit(rates, torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.25, 0.75]]))
    monkeypatch.setattr(denoiser, "prior_rates", lambda *_: fit)
    out = tmp_path / "run"
    run = rlld.train(
        "rlld-labelwise", tiny_data, out, compute=COMPUTE, overrides={**QUICK, **NOBODY}
    )
    train = load_split(tiny_data, "train")
    keep = keep_probabilities(run, train)
    assert bool((keep[:, 1][train.labels.bool()] >= 0.5).all())
    assert bool((keep[:, 0][train.labels.bool()] < 0.5).any())
    assert "visual track: tags are taken to be right (75% likely" in capsys.readouterr().err
    notes = load_run(out).facts["notes"]
    assert any("audio track: tags are taken to be as often wrong as in other" in n for n in notes)
    assert any("30% not heard (borrowed " in n and "0% not seen (borrowed " in n for n in notes)


def test_what_versions_kept_that_had_no_rates_is_restored(tiny_data):
    run = trainer(tiny_data, **NOBODY)
    for _ in run.steps():
        pass
    state = run.denoiser.state_dict()
    parts = {name: value for name, value in state["parts"].items()}
    assert parts.pop("rates").any() and parts.pop("worlds").any()
    other = trainer(tiny_data, **NOBODY).denoiser
    other.load_state_dict({**state, "parts": parts})
    assert torch.equal(other.training_keep(), run.denoiser.training_keep())


def test_other_networks_may_give_the_evidence(tiny_data, tmp_path):
    out = tmp_path / "run"
    small = {**QUICK, "network.hidden": 8, "schedule.rounds": 1}
    rlld.train("rlld-best", tiny_data, out, compute=COMPUTE, overrides=small)
    run = load_run(out)
    fresh = trainer(tiny_data)
    assert type(run.network).__name__ == "CMPAE"
    judges = load_denoiser(run).networks()["labelwise"].states.networks
    assert {type(each).__name__ for each in judges} == {"HAN"}
    assert {each.config.hidden for each in judges} == {8}
    kept = keep_probabilities(run, load_split(tiny_data, "train"))
    assert kept.shape == (len(fresh.train), 2, len(fresh.train.spec.classes))
