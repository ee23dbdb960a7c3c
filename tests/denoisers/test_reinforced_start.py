"""The policy that starts from what is supposed: by few videos, or questions drawn by lot."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_data, load_split
from rlld.data.spec import Priors
from rlld.denoisers.reinforced.labelwise.evidence import LEAST
from rlld.denoisers.reinforced.labelwise.judge import (
    HEAVIEST,
    Judge,
    examples_of,
    joined,
    teach_offsets,
)
from rlld.denoisers.reinforced.labelwise.lending import LENT, told_margin
from rlld.denoisers.reinforced.labelwise.priors import told as told_of
from rlld.denoisers.reinforced.labelwise.start import AGAINST, start_of, starts, teach_from_start
from rlld.denoisers.reinforced.labelwise.worlds import Fit, nothing
from rlld.denoisers.reinforced.options import Options
from rlld.recipes.recipe import load_recipe
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

NUMBERS = Priors(
    audio=dict.fromkeys(("Bell", "Drum", "Horse", "Rain"), 0.1),
    visual={"Bell": 0.1, "Drum": 0.5, "Horse": 0.3, "Rain": 0.8},
)


def evidence(split, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(split), 2, 4, generator=generator)


def drawn(split, which: torch.Tensor, chances: torch.Tensor | float | None):
    """A split with the answers of the truth where ``which`` is true (N, 2, C)."""
    shown = torch.where(which, split.truth.any(1).to(torch.int8), -1)
    if chances is not None:
        chances = torch.where(which, torch.as_tensor(chances, dtype=torch.float32), 0.0)
    return replace(split, answers=shown, chances=chances)


@pytest.fixture
def train(tiny_data):
    return load_split(tiny_data, "train", with_truth=True)


def some(count: int) -> torch.Tensor:
    which = torch.zeros(48, 2, 4, dtype=torch.bool)
    which[:count] = True
    return which


def of(numbers: Priors) -> Fit:
    """What a person's numbers suppose."""
    classes = ("Bell", "Drum", "Horse", "Rain")
    shares = [[own[label] for label in classes] for own in (numbers.audio, numbers.visual)]
    return Fit(torch.tensor(shares), torch.zeros(2, 3))


def judge(spec) -> Judge:
    return Judge(Options(credit="labelwise", hidden=8), spec, features=False)


def test_answers_count_by_the_inverse_of_their_probability(train):
    which = some(8)
    chances = torch.full((48, 2, 4), 0.01)
    chances[0] = 0.04
    found = examples_of(drawn(train, which, chances), evidence(train))
    tagged = train.labels[:8].bool()
    for label in range(4):
        own = [0.25 if video == 0 else 1.0 for video in range(8) if tagged[video, label]]
        weights = found.weights[:, 0, label][tagged[:, label]].tolist()
        assert weights == pytest.approx([value * len(own) / sum(own) for value in own])
    chances[0] = 1e-6
    heavy = examples_of(drawn(train, which, chances), evidence(train)).weights
    assert heavy.max() <= HEAVIEST
    assert examples_of(drawn(train, which, None), evidence(train)).weights is None


def test_those_that_nobody_drew_count_once(train):
    first = examples_of(drawn(train, some(5), 0.1), evidence(train))
    bare = examples_of(drawn(train, some(3), None), evidence(train))
    both = joined(first, bare)
    assert torch.equal(both.weights, torch.cat([first.weights, torch.ones(3, 2, 4)]))
    assert joined(bare, bare).weights is None
    assert torch.equal(both.at(torch.tensor([1, 6])).weights, both.weights[[1, 6]])


def test_nothing_supposed_and_even_chances_are_plain_offsets(train):
    logits = evidence(train)
    which = some(24)
    plain, even = judge(train.spec), judge(train.spec)
    teach_offsets(plain, examples_of(drawn(train, which, None), logits), 0.3)
    spec = replace(train.spec, priors=Priors(borrow=False))
    found = examples_of(drawn(train, which, 0.02), logits)
    start = start_of(spec, train.claims, logits, found, nothing(logits))
    assert not start.known.any()
    assert torch.equal(start.taught, found.taught.float())
    teach_from_start(even, found, start, 0.3)
    for one, other in zip(plain.parameters(), even.parameters(), strict=True):
        assert torch.allclose(one, other, atol=2e-3)


def test_twice_the_weight_is_twice_the_answer(train):
    logits = evidence(train)
    found = examples_of(drawn(train, some(24), 0.02), logits)
    start = start_of(train.spec, train.claims, logits, found, of(NUMBERS))
    doubled = replace(found, weights=torch.where(torch.arange(24)[:, None, None] < 5, 2.0, 1.0))
    repeated = joined(found, found.at(torch.arange(5)))
    one, two = judge(train.spec), judge(train.spec)
    teach_from_start(one, doubled, start, 0.3)
    teach_from_start(two, replace(repeated, weights=torch.ones(29, 2, 4)), start, 0.3)
    assert torch.allclose(one.offset, two.offset, atol=2e-3)


def test_without_answers_to_speak_of_as_many_go_as_are_supposed(train):
    """The start, before any answer moves it: the mean label is right with the supposed rate."""
    spec = replace(train.spec, priors=NUMBERS)
    logits = 2 * evidence(train) - 1
    found = examples_of(drawn(train, some(1), 0.02), logits)
    start = start_of(spec, train.claims, logits, found, of(NUMBERS))
    assert start.known.all()
    keep = (logits - start.middle + start.offsets).sigmoid()
    for modality, rates in enumerate((NUMBERS.audio, NUMBERS.visual)):
        for label, name in enumerate(spec.classes):
            mean = keep[train.labels[:, label] > 0, modality, label].mean()
            assert float(mean) == pytest.approx(1 - rates[name], abs=1e-3)
    assert set(start.taught.unique().tolist()) == {LENT, 1.0}


def test_what_answers_contradict_is_dropped(train):
    told, tags = [0.9, 0.9, 0.1, 0.1], [20.0] * 4
    assert told_margin(told, tags, [18, 18, 2, 2]) > 0
    assert told_margin(told, tags, [2, 2, 18, 18]) < -AGAINST
    assert told_margin(told, [4.0] * 4, [1] * 4) is None
    tagged = train.labels.bool()[:, None]
    wrong = (tagged & ~train.truth.any(1)).sum(0) / tagged.sum(0)
    true = [dict(zip(train.spec.classes, row, strict=True)) for row in wrong.tolist()]
    turned = [{name: 1 - rate for name, rate in row.items()} for row in true]
    logits = evidence(train)
    found = examples_of(drawn(train, some(48), 0.02), logits)
    half = [true[0], turned[1]]
    held = ([True, True], [False, False], [True, False])
    for rates, holds in zip((true, turned, half), held, strict=True):
        spec = replace(train.spec, priors=Priors(*rates))
        start = start_of(spec, train.claims, logits, found, of(spec.priors))
        assert start.known[:, 0].tolist() == holds
    track, *classes = told_of(spec, train.labels, of(spec.priors).within(start.known))
    assert track.startswith("visual track: annotated labels contradict what is supposed of it")
    assert classes
    assert all("not heard (dataset.yaml)" in line and "seen" not in line for line in classes)


def test_a_run_learns_from_drawn_answers_and_from_few_others(tiny_data):
    def learned(chances: float | None, numbers: Priors) -> Trainer:
        data = load_data(tiny_data, with_truth=True)
        spec = replace(data.spec, priors=numbers)
        shown = replace(data.validation, dense=None, spec=spec)
        data.__dict__["validation"] = shown
        which = some(12)
        which[:, :, 3] = False
        split = drawn(replace(data.train, spec=spec), which, chances)
        settings = {
            "fit": False,
            "schedule.rounds": 3,
            "denoiser.labelwise.folds": 2,
            "denoiser.labelwise.judges": 1,
            "denoiser.labelwise.steps": 4,
        }
        recipe = load_recipe("rlld-labelwise", settings, data.spec.overrides)
        run = Trainer(recipe, split, shown, 0, Compute(device="cpu", threads=1))
        next(run.steps())
        return run

    bare, lot = learned(None, Priors(borrow=False)), learned(0.05, NUMBERS)
    keep, other = bare.denoiser.training_keep(), lot.denoiser.training_keep()
    known = lot.train.answers >= 0
    assert torch.equal(keep[known], other[known])
    tagged = lot.train.labels.bool()
    # Rain was not asked about: it is spared without a number, and judged by it with one.
    assert (keep[tagged[:, 3], 1, 3] >= 0.5).all()
    assert (other[tagged[:, 3], 1, 3] < 0.5).any()
    (note,) = [text for text in lot.denoiser.notes() if "visual labels of Rain" in text]
    assert "the least credible went" in note
    # Twelve videos are few: they start from the same numbers without probabilities, too.
    few = learned(None, NUMBERS)
    assert (few.denoiser.training_keep()[tagged[:, 3], 1, 3] < 0.5).any()
    # Who borrows nothing, or gives some of the numbers alone, has no start, and is told of none.
    unsupposed = learned(None, Priors(visual={"Rain": 0.8}, borrow=False))
    for run, said in ((bare, False), (unsupposed, False), (lot, True), (few, True)):
        notes = run.denoiser.notes()
        assert any(text.startswith("few annotated videos") for text in notes) == said
        assert any("80% not seen (dataset.yaml)" in text for text in notes) == said
        # What answers contradict in one track is not told of as if it were supposed.
        assert not any("not heard (dataset.yaml)" in text for text in notes)
        assert any(text.startswith("audio track: annotated labels contr") for text in notes) == said


def test_few_videos_and_drawn_questions_start_from_what_is_supposed(train):
    logits = evidence(train)
    drawn_so = examples_of(drawn(train, some(48), 0.1), logits)
    many = examples_of(drawn(train, some(48), None), logits)
    assert len(many.videos) == 48 and starts(drawn_so) and not starts(many)
    few = many.at(torch.arange(LEAST - 1))
    assert starts(few) and not starts(many.at(torch.arange(LEAST)))
    nobody = replace(train.spec, priors=Priors(borrow=False))
    assert start_of(nobody, train.claims, logits, few, nothing(logits)) is None
    assert start_of(nobody, train.claims, logits, drawn_so, nothing(logits)) is not None


def test_unequal_chances_are_put_right(train):
    """One of eight right labels and one of two wrong ones is asked; the weights take it back."""
    number = torch.arange(48)[:, None, None].expand(48, 2, 4)
    present = number % 2 == 0
    which = (number % 16 == 0) | (number % 4 == 1)
    labels = torch.ones(48, 4)
    split = replace(train, labels=labels, spec=replace(train.spec, priors=Priors(borrow=False)))
    shown = replace(
        split,
        answers=torch.where(which, present.to(torch.int8), -1),
        chances=torch.where(which, torch.where(present, 0.01, 0.04), 0.0),
    )
    logits = torch.zeros(48, 2, 4)
    drawn_so = examples_of(shown, logits)
    rates = []
    for weights in (drawn_so.weights, torch.ones_like(drawn_so.states)):
        own, found = judge(split.spec), replace(drawn_so, weights=weights)
        teach_from_start(
            own, found, start_of(split.spec, split.claims, logits, found, nothing(logits)), 0.3
        )
        rates.append(own.offset.sigmoid().flatten().tolist())
    assert rates[0] == pytest.approx([0.5] * 8, abs=0.01)
    assert rates[1] == pytest.approx([3 / 15] * 8, abs=0.01)
