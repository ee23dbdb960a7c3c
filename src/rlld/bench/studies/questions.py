"""Which questions to ask, and what to make of the answers: on labels that say which are wrong.

No network is trained. Evidence is drawn, as good as that of networks, and everything else is what a
training does: the questions are drawn, the policy without features is taught, answers are obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import NormalDist, fmean, stdev

import numpy as np
import torch
from torch import Tensor

from rlld.bench.page import Block, Page
from rlld.bench.studies.rates import EVIDENCE
from rlld.bench.titles import titled
from rlld.data.answers import UNKNOWN, Answer
from rlld.data.dataset import load_data, with_answers
from rlld.data.rates.annotated import KnownTag, read_lfav, read_llp
from rlld.data.spec import DataSpec, Priors, StreamSpec
from rlld.data.split import Split
from rlld.denoisers.reinforced.labelwise.judge import Judge, examples_of, teach_offsets
from rlld.denoisers.reinforced.labelwise.priors import prior_keep
from rlld.denoisers.reinforced.labelwise.start import start_of, teach_from_start
from rlld.denoisers.reinforced.labelwise.worlds import nothing
from rlld.denoisers.reinforced.options import Options
from rlld.errors import RlldError
from rlld.evaluation.pool import Pool, label_pool, supposed_shares
from rlld.evaluation.questions import By, ask
from rlld.evaluation.wrong import wrong_rates
from rlld.types import MODALITIES
from rlld.utils.sheets import sheet_text
from rlld.utils.stopping import repeatable

COUNTS = (10, 25, 50, 100, 200)
BEFORE, NOW = "before", "now"
"""The learner that is told of no probability, and the one that is."""
KEEP, BORROW, TRUTH = "keep all", "borrowed rates, nobody asked", "true rates"
COVERED = "question"
ROUNDED = 1e-6


@dataclass(frozen=True)
class Table:
    """Labels of which is known which are wrong.

    Attributes:
        title: How tables call it.
        split: Its videos, without features; all that a learner is told.
        present: What is perceived (N, 2, C), bool.
    """

    title: str
    split: Split
    present: Tensor

    @property
    def tagged(self) -> Tensor:
        """Which labels there are to decide (N, 2, C), bool."""
        return self.split.labels.bool()[:, None].expand_as(self.present)


@dataclass(frozen=True)
class Point:
    """What one way comes to.

    Attributes:
        table: Title of the labels.
        way: How questions were chosen.
        learner: ``before`` or ``now``; empty where nobody was asked.
        answers: How many.
        wrong: Percent of the labels, in both tracks, that are decided wrongly, mean over draws.
        error: Standard error of that mean; None of a single draw.
        covered: Percent of the 95 percent intervals of rates that hold the true one, by tags.
    """

    table: str
    way: str
    learner: str
    answers: int
    wrong: float
    error: float | None
    covered: float | None = None


def tables(llp: Path | None, lfav: Path | None, data: Sequence[Path]) -> list[Table]:
    """Reads what is there.

    Args:
        llp: Folder of LLP's annotation files.
        lfav: ``LFAV_dataset``.
        data: Simulated data sets.

    Raises:
        RlldError: If nothing is given, or files are missing or damaged.
    """
    found = []
    if llp is not None:
        found.append(_published("LLP", read_llp(llp), "heard"))
    if lfav is not None:
        found.append(_published("LFAV", read_lfav(lfav), "unknown"))
    for title, folder in titled(data).items():
        train = load_data(folder, with_truth=True).train
        if train.truth is None:
            raise RlldError(f"{folder}: the true events of its training videos are not known")
        bare = replace(train, streams={}, truth=None, answers=None, chances=None, lengths=None)
        found.append(Table(title, bare, train.truth.any(1)))
    if not found:
        raise RlldError("bench questions: nothing to measure on; give --llp, --lfav or --data")
    return found


def _published(name: str, tags: Sequence[KnownTag], origin: str) -> Table:
    ids = tuple(dict.fromkeys(tag.video for tag in tags))
    classes = tuple(sorted({tag.label for tag in tags}))
    priors = Priors(tags="heard" if origin == "heard" else "unknown")
    streams = {"audio": StreamSpec(1), "visual_2d": StreamSpec(1)}
    spec = DataSpec(name, classes, 10, streams=streams, priors=priors)
    video = {name: number for number, name in enumerate(ids)}
    label = {name: number for number, name in enumerate(classes)}
    labels, present = torch.zeros(len(ids), len(classes)), torch.zeros(len(ids), 2, len(classes))
    for tag in tags:
        place = video[tag.video], label[tag.label]
        labels[place] = 1
        present[place[0], :, place[1]] = torch.tensor([tag.heard, tag.seen], dtype=torch.float32)
    return Table(name, Split("train", spec, ids, {}, labels), present.bool())


def measure(found: Iterable[Table], draws: int = 10, counts: Sequence[int] = COUNTS) -> list[Point]:
    """Returns what every way comes to.

    Args:
        found: The labels.
        draws: Draws of evidence and of questions.
        counts: Answers.
    """
    points = []
    for table in found:
        values: dict[tuple[str, str, int], list[float]] = {}
        covered: dict[int, list[float]] = {}
        for number in repeatable(f"asking on {table.title}", range(draws), draws):
            evidence = _evidence(table, number)
            for key, keep in _unasked(table, evidence).items():
                values.setdefault((key, "", 0), []).append(_wrong(table, keep))
            for way, learner in WAYS:
                pool = _pool(table, evidence if way in BELIEVING else None)
                for count, rows in _questions(table, pool, way, counts, number).items():
                    told = rows if learner == NOW else [_bare(row) for row in rows]
                    keep = _taught(table, evidence, told)
                    values.setdefault((way, learner, count), []).append(_wrong(table, keep))
                    if (way, learner) == (COVERED, NOW):
                        covered.setdefault(count, []).append(_coverage(table, pool.told(rows)))
        points += [
            Point(
                table.title,
                way,
                learner,
                count,
                fmean(each),
                stdev(each) / draws**0.5 if draws > 1 else None,
                fmean(covered[count]) if (way, learner) == (COVERED, NOW) else None,
            )
            for (way, learner, count), each in values.items()
        ]
    return points


def _evidence(table: Table, seed: int) -> Tensor:
    """Draws logits (N, 2, C) that are calibrated over all labels of a track, not by class."""
    generator = torch.Generator().manual_seed(seed)
    apart = 2**0.5 * NormalDist().inv_cdf(EVIDENCE)
    drawn = torch.randn(table.present.shape, generator=generator) + apart * table.present
    tagged = table.tagged
    right = (table.present & tagged).sum((0, 2)) / tagged.sum((0, 2))
    return apart * (drawn - apart / 2) + right.clamp(0.01, 0.99).logit()[:, None]


def _unasked(table: Table, evidence: Tensor) -> dict[str, Tensor]:
    claims = table.split.claims
    borrowed = _borrowed(table.split.spec)
    tagged = table.tagged
    true = (tagged & ~table.present).sum(0) / tagged.sum(0).clamp(min=1)
    return {
        KEEP: torch.ones_like(table.present),
        BORROW: evidence >= prior_keep(evidence, claims, borrowed),
        TRUTH: evidence >= prior_keep(evidence, claims, true),
    }


def _taught(table: Table, evidence: Tensor, answers: Sequence[Answer]) -> Tensor:
    """Teaches the policy without features; returns which labels are kept (N, 2, C), bool."""
    split = with_answers(table.split, answers)
    judge = Judge(Options(credit="labelwise", hidden=8), split.spec, features=False)
    ridge = Options().labelwise.ridge
    examples = examples_of(split, evidence)
    # Evidence is drawn here, so that how well it predicts a class says nothing of other data sets.
    fit = replace(nothing(evidence), rates=_borrowed(split.spec))
    start = (
        None
        if examples.weights is None
        else start_of(split.spec, split.claims, evidence, examples, fit)
    )
    if start is None:
        teach_offsets(judge, examples, ridge)
        taught = examples.taught
    else:
        teach_from_start(judge, examples, start, ridge)
        taught = start.taught > 0
    with torch.no_grad():
        keep = (judge({}, split.labels, evidence) >= 0) | ~taught
    known = split.presence
    return torch.where(known == UNKNOWN, keep, known > 0)


def _borrowed(spec: DataSpec) -> Tensor:
    return torch.from_numpy(supposed_shares(spec)).float()


def _wrong(table: Table, keep: Tensor) -> float:
    return 100 * float((keep != table.present)[table.tagged].float().mean())


def _coverage(table: Table, pool: Pool) -> float:
    tags, held = 0, 0
    true = (table.tagged & ~table.present).sum(0) / table.tagged.sum(0).clamp(min=1)
    for row, shares in zip(wrong_rates(pool), true.tolist(), strict=True):
        for rate, share in zip(row, shares, strict=True):
            low, high = rate.interval
            tags += rate.tags
            held += rate.tags * (low - ROUNDED <= share <= high + ROUNDED)
    return 100 * held / tags


def _pool(table: Table, evidence: Tensor | None) -> Pool:
    """Returns the pool of a table, with what a run would believe where there is evidence."""
    split = table.split
    pool = label_pool(split.spec, "train", split.ids, split.labels.bool().numpy())
    if evidence is None:
        return pool
    return replace(pool, wrong=1 - evidence.sigmoid().double().numpy(), believed=True)


def _bare(answer: Answer) -> Answer:
    return answer._replace(probability=None)


Answers = dict[int, list[Answer]]


def _questions(table: Table, pool: Pool, way: str, counts: Sequence[int], seed: int) -> Answers:
    if way in CHOSEN:
        labels = CHOSEN[way](pool, max(counts), np.random.default_rng(seed))
        rows = [answer for place in labels for answer in _pair(table, *place)]
        return {count: rows[:count] for count in counts}
    found: Answers = {}
    rows = []
    by: By = "question" if way == "question" else "sample" if way == "sample" else "doubt"
    for count in sorted(counts):
        told = rows if by == "question" else []
        asked = ask(pool, -(-(count - len(told)) // 2), told, by=by, seed=seed)
        fresh = [
            answer._replace(probability=q.probability)
            for q in asked
            for answer in _pair(table, pool.rows[q.video], pool.columns[q.label])
            if answer.modality in q.tracks
        ]
        rows = [*told, *fresh]
        found[count] = rows if by == "sample" else rows[:count]
    return found


def _pair(table: Table, video: int, label: int) -> list[Answer]:
    split = table.split
    return [
        Answer(split.ids[video], split.spec.classes[label], name, bool(present))
        for name, present in zip(MODALITIES, table.present[video, :, label].tolist(), strict=True)
    ]


Places = list[tuple[int, int]]


def _random_videos(pool: Pool, count: int, rng: np.random.Generator) -> Places:
    order = rng.permutation(len(pool)).tolist()
    return [
        (video, label) for video in order for label in np.flatnonzero(pool.tags[video]).tolist()
    ][:count]


def _random_questions(pool: Pool, count: int, rng: np.random.Generator) -> Places:
    videos, labels = pool.tags.nonzero()
    order = rng.permutation(len(videos))[:count]
    return list(zip(videos[order].tolist(), labels[order].tolist(), strict=True))


def _greedy_doubt(pool: Pool, count: int, rng: np.random.Generator) -> Places:
    """Videos of most entropy, the k-th of a class counting 1 / k: the rule of earlier releases."""
    keep = np.clip(pool.wrong, 1e-9, 1 - 1e-9)
    bits = -(keep * np.log2(keep) + (1 - keep) * np.log2(1 - keep)).sum(1) * pool.tags
    before, left = np.zeros(pool.tags.shape[1]), np.ones(len(pool), bool)
    found: Places = []
    while len(found) < count and left.any():
        best = int(np.where(left, bits @ (1 / (1 + before)), -1.0).argmax())
        found += [(best, int(label)) for label in np.flatnonzero(pool.tags[best])]
        left[best] = False
        before += pool.tags[best]
    return found


GREEDY = "doubtful videos, greedily"
CHOSEN: dict[str, Callable[[Pool, int, np.random.Generator], Places]] = {
    GREEDY: _greedy_doubt,
    "random videos": _random_videos,
    "random questions": _random_questions,
}
BELIEVING = (GREEDY, "doubt")
WAYS = (
    *((way, BEFORE) for way in CHOSEN),
    ("question", BEFORE),
    *((way, NOW) for way in ("sample", "question", "doubt")),
)


def _blocks(points: Sequence[Point]) -> list[Block]:
    """Returns the points as a table for each set of labels."""
    found = []
    for table in dict.fromkeys(point.table for point in points):
        own = [point for point in points if point.table == table]
        counts = sorted({point.answers for point in own if point.learner})
        rows = []
        for way, learner in dict.fromkeys((point.way, point.learner) for point in own):
            line = {p.answers: p for p in own if (p.way, p.learner) == (way, learner)}
            cells = [_cell(line.get(count, line.get(0))) for count in counts]
            rows.append((way, learner, *cells))
        covered = {p.answers: p.covered for p in own if p.covered is not None}
        rows.append(
            (
                "intervals that hold the true rate",
                "",
                *(f"{covered[count]:.0f}" if count in covered else "-" for count in counts),
            )
        )
        heads = ("questions", "learner", *(f"{count} answers" for count in counts))
        found.append(Block(table, heads, tuple(rows)))
    return found


def _cell(point: Point | None) -> str:
    if point is None:
        return "-"
    return f"{point.wrong:.1f}" + ("" if point.error is None else f" ± {point.error:.1f}")


def _told(draws: int) -> str:
    return f"mean and standard error of {draws} draws" if draws > 1 else "in one draw"


def page(points: Sequence[Point], command: str, draws: int) -> Page:
    """Returns the points as tables for the terminal and for files."""
    rows = [asdict(point) for point in points]
    cells = [["" if cell is None else cell for cell in row.values()] for row in rows]
    return Page(
        title="Which questions to ask",
        command=command,
        blocks=tuple(_blocks(points)),
        remarks=(
            f"Percent of all labels, in both tracks, that are decided wrongly, {_told(draws)}; "
            "answered labels are decided as answered.",
            "Evidence is drawn, normal, ranking a right label above a wrong one with chance "
            f"{EVIDENCE}, calibrated over all labels of a track but not by class; no network is "
            "trained.",
            "learner: the policy without features, before: told of no probability; now: each "
            "answer weighed by its probability, on the start that borrowed rates give. A data set "
            "borrows nothing of itself.",
            "An answer is about a class of a video in one track; random, sample and question ask "
            "about both tracks of a tag at once. Samples of whole videos have about so many "
            "answers.",
            "intervals: percent of the 95 % intervals by which `rlld suggest` says what is open, "
            "weighted by tags, for `question` without a run.",
        ),
        sheet=sheet_text([list(rows[0]), *cells], ","),
        report={"command": command, "draws": draws, "points": rows},
    )
