"""Steps that a GPU can record: nothing in them waits for the host, and replaying changes nothing.

The first part holds without a GPU: the operations of a step are looked at as they are dispatched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from rlld.data.dataset import load_data
from rlld.recipes.recipe import load_recipe, recipe_names
from rlld.training.speed.cuda_graphs import WARM_UP, Captured, Recording, WatchWaits
from rlld.training.trainer import Trainer
from rlld.utils.compute import Compute

CPU = Compute(device="cpu", threads=1)
NO_DROPOUT = {"network.visual_dropout": 0.0, "network.attention_dropout": 0.0}
LAUNCHED = ("rlld-counterfactual", "rlld-first-order")
RECORDED = [name for name in recipe_names() if name not in LAUNCHED]
CASES = [(name, True) for name in RECORDED]
CASES += [(name, False) for name in ("han", "jomold", "jomold+cl", "rlld", "rlld-labelwise")]
SEVERAL = [f"{name}, several" for name in ("jomold", "rlld", "rlld-best")]
"""Recipes that train three networks side by side."""
CASES += [(name, True) for name in SEVERAL]
needs_gpu = pytest.mark.gpu


def trainer(folder, recipe: str, compute: Compute = CPU, **settings: object) -> Trainer:
    data = load_data(folder, with_truth=True)
    recipe, _, several = recipe.partition(", ")
    short: dict[str, object] = {"schedule.rounds": 3, "schedule.ensemble": 3 if several else 1}
    if getattr(load_recipe(recipe).denoiser, "credit", None) == "labelwise":
        short |= {"denoiser.labelwise.steps": 2, "denoiser.labelwise.judges": 1}
    loaded = load_recipe(recipe, {**short, **settings}, data.spec.overrides)
    return Trainer(loaded, data.train, data.validation, 3, compute)


def waits_of(work: Callable[[], object]) -> list[str]:
    """Runs some work and returns the operations in it that make the host wait."""
    with WatchWaits() as watch:
        work()
        found: list[str] = watch.found
    return found


WAITING: dict[str, Callable[[Tensor], object]] = {
    "_local_scalar_dense": lambda x: x.sum().item(),
    "is_nonzero": lambda x: 1 if x.sum() > 0 else 0,
    "nonzero": lambda x: x.nonzero(),
    "masked_select": lambda x: x.masked_select(x > 0),
    "_unique2": lambda x: x.unique(),
    "index": lambda x: x[x > 0],
    "index_put_": lambda x: x.clone().index_put_((x > 0,), torch.ones(())),
    "equal": lambda x: torch.equal(x, x),
    "lift_fresh": lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", WAITING)
def test_the_watch_finds_what_waits(name):
    value = torch.tensor([1.0, 0.0, 2.0])
    found = waits_of(lambda: WAITING[name](value))
    assert name in found or (name == "is_nonzero" and "_local_scalar_dense" in found)
    with pytest.raises(RuntimeError, match="the host waits"), WatchWaits(refuse=True):
        WAITING[name](value)


def test_the_watch_finds_what_waits_in_a_backward_pass():
    class Waits(torch.autograd.Function):
        @staticmethod
        def forward(context, value):
            return value * 2

        @staticmethod
        def backward(context, gradient):
            return gradient * gradient.sum().item()

    value = torch.ones(3, requires_grad=True)
    assert "_local_scalar_dense" in waits_of(lambda: Waits.apply(value).sum().backward())


def test_the_watch_lets_fixed_shapes_pass():
    value, index = torch.rand(4, 3), torch.tensor([2, 0])

    def work() -> None:
        torch.where(value > 0.5, value, 1.0)[index].masked_fill(value[index] > 0.7, 0).sum()
        value.sort(stable=True).values.cumsum(0).clamp(min=0.1).log()

    assert waits_of(work) == []


@pytest.mark.parametrize("recipe", [*RECORDED, *SEVERAL])
def test_no_step_waits_for_the_host_and_none_has_shapes_that_depend_on_values(tiny_data, recipe):
    trained = trainer(tiny_data, recipe)
    assert trained.denoiser.replayable
    steps = trained.steps()
    for _ in range(WARM_UP):
        next(steps)
    inputs = trained._inputs(1, 0)[0]
    with WatchWaits(refuse=True):
        trained._take(*inputs)
        trained._selected_scores()


def test_learners_that_are_not_recorded_say_so(tiny_data):
    for recipe in LAUNCHED:
        assert not trainer(tiny_data, recipe).denoiser.replayable
    episodes = {"denoiser.update": "episode"}
    assert not trainer(tiny_data, "rlld", **episodes).denoiser.replayable


@pytest.mark.parametrize("recipe", ["supervised", "jomold", "rlld-tuned"])
def test_what_a_step_changes_stays_where_it_is(tiny_data, recipe):
    """A replay reads and writes the addresses of the recording."""
    trained = trainer(tiny_data, recipe)
    steps = trained.steps()
    for _ in range(WARM_UP):
        next(steps)

    def places() -> list[int]:
        state = trained.state_dict()
        optimizers = [trained.optimizer]
        values = [*trained.network.state_dict().values()]
        if recipe == "rlld-tuned":
            denoiser = trained.denoiser
            optimizers.append(denoiser.optimizer)
            values += [denoiser._average, *denoiser.policy.state_dict().values()]
        if recipe == "jomold":
            values += [trained.denoiser._removed, trained.denoiser._share]
        for optimizer in optimizers:
            values += [v for entry in optimizer.state.values() for v in entry.values()]
        assert state
        return [value.data_ptr() for value in values]

    before = places()
    for _ in range(4):
        next(steps)
    assert places() == before


def test_without_recording_the_function_is_just_called():
    calls = []

    def double(value: Tensor) -> Tensor:
        calls.append(value)
        return 2 * value

    captured = Captured(double, "doubling", enabled=False)
    value = torch.ones(2)
    for _ in range(WARM_UP + 2):
        assert captured(value).tolist() == [2.0, 2.0]
    assert all(call is value for call in calls)
    assert not captured.recorded


class _Graph:
    """Stands in for a CUDA graph: a replay is the function on the recorded inputs."""

    def pool(self) -> None:
        return None

    def replay(self) -> None:
        self.again()


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets ``Captured`` record without a GPU."""
    stream = type("Stream", (), {"wait_stream": lambda self, other: None})
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "Stream", stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda each: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", _Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, pool: contextlib.nullcontext())
    monkeypatch.setattr(Tensor, "record_stream", lambda self, each: None)
    record = Captured._record

    def recorded(self: Captured, inputs: tuple[Tensor, ...]) -> Recording:
        made = record(self, inputs)
        made.graph.again = lambda: made.output.copy_(self.function(*made.inputs))
        return made

    monkeypatch.setattr(Captured, "_record", recorded)


def test_the_fourth_call_is_recorded_and_inputs_are_copied_to_where_it_reads(recording):
    captured = Captured(lambda a, b: a + 2 * b, "adding", enabled=True)
    kept = []
    for number in range(WARM_UP + 3):
        assert captured.recorded == (number > WARM_UP)
        kept.append(captured(torch.tensor([float(number)]), torch.tensor([1.0])))
    assert [value.item() for value in kept] == [number + 2.0 for number in range(WARM_UP + 3)]


def test_what_waits_is_found_in_the_last_call_before_the_recording(recording, capsys):
    captured = Captured(lambda x: x * x.sum().item(), "squaring two numbers", enabled=True)
    for _ in range(WARM_UP + 2):
        assert captured(torch.ones(2)).tolist() == [2.0, 2.0]
    assert not captured.recorded
    line = "squaring two numbers: not recorded as a CUDA graph, the host waits in "
    assert line + "_local_scalar_dense" in capsys.readouterr().err


def test_figures_of_a_round_are_means_over_its_steps(tiny_data):
    """Summed on the device as one tensor, against the plain sum of what each step returned."""
    trained = trainer(tiny_data, "rlld")
    rows, take = [], trained._take

    def noted(*inputs: Tensor) -> Tensor:
        values = take(*inputs)
        rows.append(dict(zip(trained._names, values.tolist(), strict=True)))
        return values

    trained._take = noted
    trained._full_step = noted
    report = next(each for each in trained.steps() if each is not None)
    for name in ("loss", "reward_visual", "keep_audio", "policy_loss", "gradient"):
        mean = sum(row[name] for row in rows) / len(rows)
        assert report[name] == pytest.approx(mean, rel=1e-12)


@needs_gpu
@pytest.mark.parametrize(("recipe", "dropout"), CASES)
def test_replayed_runs_give_the_numbers_of_launched_ones(tiny_data, recipe, dropout):
    settings = {"schedule.rounds": 6, **({} if dropout else NO_DROPOUT)}
    runs = []
    for graphs in (True, False):
        trained = trainer(tiny_data, recipe, Compute(device="cuda", graphs=graphs), **settings)
        reports = [report for report in trained.steps() if report is not None]
        assert trained._full_step.recorded == graphs
        runs.append((trained.network.state_dict(), reports))
    (weights, reports), (plain_weights, plain_reports) = runs
    for name, value in plain_weights.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5)
    for report, plain in zip(reports, plain_reports, strict=True):
        assert report["loss"] == pytest.approx(plain["loss"], rel=1e-4)
        assert report["validation"] == pytest.approx(plain["validation"], abs=1.0)


@needs_gpu
def test_a_recorded_run_resumes_to_the_same_numbers(tiny_data):
    cuda = Compute(device="cuda")
    whole = trainer(tiny_data, "rlld", cuda, **{"schedule.rounds": 6})
    state, steps = {}, whole.steps()
    for number, _ in enumerate(steps):
        if number == 7:
            state = {k: v for k, v in torch_copy(whole.state_dict()).items()}
    again = trainer(tiny_data, "rlld", cuda, **{"schedule.rounds": 6})
    again.load_state_dict(state)
    list(again.steps())
    for name, value in whole.network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)


@needs_gpu
def test_a_function_that_waits_is_not_recorded():
    captured = Captured(lambda x: x * x.sum().item(), "squaring", enabled=True)
    value = torch.ones(2, device="cuda")
    for _ in range(WARM_UP + 2):
        assert captured(value).tolist() == [2.0, 2.0]
    assert not captured.recorded


def torch_copy(state):
    """A deep copy through a file's bytes, as a resumed run would read it."""
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
