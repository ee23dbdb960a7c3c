"""Golden cases of CoLeaF: the references, what they teach, and whole steps of the training."""

from __future__ import annotations

from pathlib import Path

import cases_cmpae
import cases_jomold
import common
import torch
from common import Case, Expected, Runner
from torch import Tensor

from rlld.data.spec import LLP_SPEC
from rlld.networks._reference import Said
from rlld.objectives.coleaf import CoLeaFObjective, Config, asymmetric_loss
from rlld.training.step import Alone, NetworkStep, Part, take_step
from rlld.types import MODALITIES, Batch, ModalityLabels
from rlld.utils.compute import Compute
from rlld.workflows.convert import convert_state

EPOCHS = {"first": (0, 0), "second": (1, 1), "fourth": (3, 0)}
"""Round and step of the calls of a case."""


def part(case: Case, name: str) -> dict[str, Tensor]:
    """Returns the published parameters of one of the networks of a case."""
    found = common.state(case).items()
    return {key.removeprefix(f"{name}."): v for key, v in found if key.startswith(f"{name}.")}


def objective(case: Case) -> CoLeaFObjective:
    """The objective with the references of a case, which lack two norms that are never used."""
    made = Config().build(LLP_SPEC)
    for name, reference in made.references.items():
        published = part(case, name)
        dead = {key for key in published if key.startswith("hat_encoder.norm")}
        reference.load_state_dict({k: v for k, v in published.items() if k not in dead})
    return made


def references(case: Case, expected: Expected, _: Path) -> None:
    """What the references say, and the gradients of their losses."""
    made, values = objective(case).eval(), common.inputs(case)
    for name, reference in made.references.items():
        letter, target = name[0], values[f"P{name[0]}"]
        said = reference(common.streams(values))
        rows = torch.nn.functional.normalize(said.rows, dim=-1)
        outputs = {
            "prob": said.video,
            "cls": said.tokens,
            "frame_prob": said.segment,
            "sims": rows @ rows.transpose(1, 2),
            "loss": asymmetric_loss(said.video, target)
            + 1.2 * asymmetric_loss(said.tokens, target),
        }
        for output, value in outputs.items():
            common.close(output, value, expected[f"{letter}_{output}"])
        outputs["loss"].backward()
        for key, parameter in reference.named_parameters():
            full = f"gradnorm/{name}.{key}"
            if key in common.VANISHING:
                assert parameter.grad.norm() < 1e-4, full
                expected[full]
            elif "cm_attn" in key:
                assert parameter.grad is None, full
            else:
                norm = parameter.grad.double().norm()
                common.close(full, norm, expected[full], common.GRADIENT_TOLERANCE)


def losses(case: Case, expected: Expected, _: Path) -> None:
    """The losses of given probabilities and embeddings in three epochs, and their gradients."""
    values = common.inputs(case)
    leaves = ("global_prob", "a_prob", "v_prob", "a_uct", "v_uct", "f_a", "f_v", "s_a", "s_v")
    for name in leaves:
        values[name].requires_grad_()
    label = values["target"]
    audio, visual = label.clone(), 0.9 * label + 0.05
    audio[0] = 0
    visual[1, ::3] = 0
    labels, batch = ModalityLabels(audio, visual, label), common.batch(label)
    extras = {f"{name}_after": values[f"f_{name[0]}"] for name in MODALITIES}
    extras |= {
        f"{ours}_uncertainty": values[name]
        for name, ours in cases_cmpae.UNCERTAINTIES.items()
        if name in values
    }
    given = common.prediction(values, **extras)
    made = Config(hidden=4).build(LLP_SPEC)
    for name in MODALITIES:
        letter = name[0]
        said = Said(values[f"s_{letter}"], values[f"cls_{letter}"], label, values[f"r_{letter}"])
        made.references[name].forward = lambda *_, said=said: said
    for epoch, (number, step) in EPOCHS.items():
        made.start_round(number)
        made.step.fill_(step)
        first = made.leading(given, labels, batch)
        for name in MODALITIES:
            found = first[f"{name}_reference"]
            common.close(name, found, expected[f"{epoch}_{name}"])
            letter = name[0]
            (gradient,) = torch.autograd.grad(found, [values[f"s_{letter}"]])
            stored = expected[f"{epoch}_grad_s_{letter}"]
            common.close(f"s_{letter}", gradient, stored, common.GRADIENT_TOLERANCE)
        found = made(given, labels, batch)["loss"]
        common.close("total", found, expected[f"{epoch}_total"])
        gradients = torch.autograd.grad(found, [values[name] for name in leaves[:7]])
        for name, gradient in zip(leaves, gradients, strict=False):
            stored = expected[f"{epoch}_grad_{name}"]
            common.close(name, gradient, stored, common.GRADIENT_TOLERANCE)


def quiet(*modules: torch.nn.Module) -> None:
    """Switches every dropout off."""
    for each in (each for module in modules for each in module.modules()):
        if hasattr(each, "p"):
            each.p = 0


def steps(case: Case, expected: Expected, _: Path) -> None:
    """Four whole steps without dropout: what is removed, and who learns when from whom."""
    values, options = common.inputs(case), case["constructor"]
    values = {name: value.double() for name, value in values.items()}
    batches = []
    for number in ("_0", "_1"):
        own = {k.removesuffix(number): v for k, v in values.items() if k.endswith(number)}
        labels = own["label"]
        batches.append(Batch(common.streams(own), labels, torch.arange(len(labels))))
    values |= {f"noise_ratio_{name}": values[f"ratio_{name}"] for name in MODALITIES}
    denoiser = cases_jomold.prepared({**values, "label": labels}, 2 * len(labels))
    network = convert_state(part(case, "anchor"), "cmpae").network.double().train()
    made = objective(case).double()
    quiet(network, made)
    learners = [*network.parameters(), *made.parameters()]
    optimizer = torch.optim.Adam(learners, options["lr"])
    task = NetworkStep(network, made, optimizer, Compute(device="cpu", threads=1))
    removed = []
    for epoch in options["epochs"]:
        made.start_round(epoch - 1)
        denoiser.load_state_dict({**denoiser.state_dict(), "step": 2 * (epoch - 1)})
        for batch in batches:
            denoiser.advance(len(labels))
            take_step([Part(denoiser, task, batch)], Alone(network, dict))
            counts = denoiser.end_of_round()
            removed.append([int(counts[f"removed_{name}"]) for name in MODALITIES])
    common.close("removed", torch.tensor(removed).view(-1, 2, 2), expected["removed"])
    network.eval()
    streams = batches[0].streams
    found = network.predict(network.embed(streams))
    outputs = {"global_prob": found.video, "a_prob": found.audio, "v_prob": found.visual}
    for name, reference in made.eval().references.items():
        said = reference(streams)
        outputs |= {f"s_{name[0]}": said.video, f"cls_{name[0]}": said.tokens}
    for name, value in outputs.items():
        common.close(name, value, expected[name])


RUNNERS: dict[str, Runner] = {
    "coleaf_forward": cases_cmpae.forward,
    "coleaf_references": references,
    "coleaf_losses": losses,
    "coleaf_steps": steps,
}
