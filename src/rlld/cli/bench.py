"""Make the tables and figures of the paper, and compare methods: see rlld bench --help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rlld.cli._bench import (
    AblationArgs,
    AnnotationsArgs,
    BenchArgs,
    CurveArgs,
    DenoisingArgs,
    EnhanceArgs,
    FigureArgs,
    OpenClassesArgs,
    PublishedArgs,
    QuestionsArgs,
    RatesArgs,
    RegimesArgs,
    SignalArgs,
    TableArgs,
)
from rlld.cli._verb import Verb
from rlld.errors import RlldError

if TYPE_CHECKING:
    from rlld.bench.grid import Grid
    from rlld.data.spec import Priors

INTRODUCTION = "recipes x data sets x seeds, cached and resumable, beside what was published."


def paper_table(number: int, args: TableArgs) -> None:
    """Trains what the cache does not hold, prints a table, draws and writes it."""
    from rlld.bench.page import show
    from rlld.bench.studies.paper import draw_table, table
    from rlld.bench.tables import page_of

    settings = args.settings
    comparison = table(
        number,
        settings,
        _names(args.recipes),
        conditions=args.terms,
        baseline=args.baseline,
    )
    stem = f"table{number}"
    figures = _told(draw_table(comparison, args.out / stem))
    show(page_of(comparison), args.out, stem, figures, settings.log)


def paper_costs(args: FigureArgs) -> None:
    """Trains what the cache does not hold, one run at a time; prints Table 3 and writes it."""
    from rlld.bench.page import show
    from rlld.bench.studies.costs import costs, page

    settings = args.settings
    found, terms = costs(settings, conditions=args.terms)
    show(page(found, terms, settings, args.terms), args.out, "table3", log=settings.log)


def paper_figure(number: int, args: FigureArgs) -> None:
    """Trains what the cache does not hold, draws a figure and writes its numbers."""
    from rlld.bench.page import show
    from rlld.bench.studies.paper import draw_figure, figure
    from rlld.bench.tables import page_of

    settings = args.settings
    comparison = figure(number, settings, conditions=args.terms)
    stem = f"figure{number}"
    figures = _told(draw_figure(number, comparison, args.out / stem))
    show(page_of(comparison), args.out, stem, figures, settings.log)


def curves(numbers: Iterable[int], args: CurveArgs, *, keeping: bool = False) -> None:
    """Trains what the cache does not hold and draws figures over the episodes.

    Args:
        numbers: Numbers of the paper.
        args: Options.
        keeping: Whether to draw the keep probabilities too.
    """
    from rlld.bench.studies.curves import FIGURES, KEPT, SMOOTHING, draw, record
    from rlld.utils.console import OUT

    recorded, terms = record(args.settings, args.episodes)
    paths = []
    for number in numbers:
        name = FIGURES[number]
        level, kind = name.replace("_event", "_Event").split("_")
        title = f"Figure {number}: {level}-level {kind}"
        paths += draw(recorded, name, args.out / f"figure{number}", title)
    for name, labels in KEPT.items() if keeping else ():
        paths += draw(recorded, name, args.out / name.replace("_", "-"), f"Kept: {labels}")
    OUT.print(
        f"{terms}; validation videos that rewarded nothing; mean and standard deviation of "
        f"{args.seeds * len(args.data)} runs, exponentially smoothed ({SMOOTHING}).",
    )
    stem = "curves" if keeping else f"figure{number}"
    episodes = f"--episodes {args.episodes}"
    _track(args, stem, f"rlld bench {stem} {args.settings.command} {episodes}", paths)
    OUT.print(f"written: {', '.join(map(str, paths))}")


def compare_denoisers(args: DenoisingArgs) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    from rlld.bench.page import show
    from rlld.bench.studies.denoisers import denoising
    from rlld.bench.tables import page_of

    settings = args.settings
    comparison = denoising(
        settings, _names(args.recipes), selection=args.selection, baseline=args.baseline
    )
    show(page_of(comparison), args.out, "denoising", log=settings.log)


def take_apart(args: AblationArgs) -> None:
    """Trains what the cache does not hold, prints the table and writes it."""
    from rlld.bench.page import show
    from rlld.bench.studies.ablation import ablation
    from rlld.bench.tables import page_of

    settings = args.settings
    comparison = ablation(settings, args.learner, selection=args.selection)
    show(page_of(comparison), args.out, f"ablation-{args.learner}", log=settings.log)


def worth_of_annotations(args: AnnotationsArgs) -> None:
    """Trains what the cache does not hold, prints the table, writes it and the figures."""
    from rlld.bench.page import show
    from rlld.bench.studies.annotations import COUNTS, learning_curves
    from rlld.bench.studies.answers import COUNTS as ANSWERS
    from rlld.bench.studies.answers import worth_of_answers
    from rlld.bench.tables import page_of
    from rlld.utils.console import OUT

    settings, ways = args.settings, _names(args.select)
    counts = None if args.counts is None else _counts(args.counts)
    if ways is None:
        found = learning_curves(settings, counts=counts or COUNTS, priors=_priors(args))
    else:
        found = worth_of_answers(settings, ways, counts or ANSWERS)
    comparison, figures = found
    OUT.print(f"figures: {', '.join(map(str, figures))}")
    stem = "annotations" if ways is None else "answers"
    show(page_of(comparison), args.out, stem, figures, settings.log)


def enhance_all(args: EnhanceArgs) -> None:
    """Trains what the cache does not hold, prints the tables, writes and draws them."""
    from rlld.bench.studies.enhance import enhance

    _show_grid(enhance(args.settings, _names(args.recipes), selection=args.selection), args)


def vary_regimes(args: RegimesArgs) -> None:
    """Simulates and trains what is not there yet, prints the tables, writes and draws them."""
    from rlld.bench.studies.regimes import AXES, Choice, regimes

    axes = tuple(_names(args.axes) or AXES)
    choice = Choice(args.recipe, args.preset, args.simulations, axes)
    _show_grid(regimes(args.settings, choice), args)


def _show_grid(grid: Grid, args: BenchArgs) -> None:
    from rlld.bench.grid import draw_grid, page_of_grid
    from rlld.bench.page import show

    figures = _told(draw_grid(grid, args.out / grid.stem))
    show(page_of_grid(grid), args.out, grid.stem, figures, args.settings.log)


def measure_signal(args: SignalArgs) -> None:
    """Measures, prints the tables and writes them."""
    from rlld.bench.page import show
    from rlld.bench.studies.signal import page, signal
    from rlld.bench.typed import typed

    given = ("--data", args.data, "--out", args.out, "--after", *args.after)
    sizes = ("--batches", args.batches, "--repeats", args.repeats)
    command = typed("rlld", "bench", "signal", *given, *sizes)
    found = signal(
        args.data, after=args.after, batches=args.batches, repeats=args.repeats, command=command
    )
    show(page(found), args.out, "signal")


def compare_rates(args: RatesArgs) -> None:
    """Measures, prints the tables and writes them."""
    from rlld.bench.page import show
    from rlld.bench.studies.rates import measure, page, targets
    from rlld.bench.typed import typed

    places = {"lfav": args.lfav, "llp": args.llp, "vggsounder": args.vggsounder}
    given = [w for name, path in places.items() if path is not None for w in (f"--{name}", path)]
    command = typed("rlld", "bench", "rates", *given, "--out", args.out)
    show(page(measure(targets(**places)), command), args.out, "rates")


def find_open_classes(args: OpenClassesArgs) -> None:
    """Measures, prints the tables and writes them."""
    from rlld.bench.page import show
    from rlld.bench.studies.open_classes import measure, page
    from rlld.bench.typed import typed

    given = ("--data", *args.data, "--scores", args.scores, "--out", args.out)
    command = typed("rlld", "bench", "open-classes", *given)
    show(page(measure(args.data, args.scores), command), args.out, "open-classes")


def show_published(args: PublishedArgs) -> None:
    """Prints what is published, and writes it."""
    from rlld.bench.page import show
    from rlld.bench.studies.published import published_page

    show(published_page(args.out), args.out, "published")


def compare_questions(args: QuestionsArgs) -> None:
    """Measures, prints the tables and writes them."""
    from rlld.bench.page import show
    from rlld.bench.studies.questions import measure, page, tables
    from rlld.bench.typed import typed

    if args.draws < 1:
        raise RlldError(f"--draws must be 1 or more, found {args.draws}")
    places = {"llp": args.llp, "lfav": args.lfav}
    given = [w for name, path in places.items() if path is not None for w in (f"--{name}", path)]
    given += ["--data", *args.data] if args.data else []
    rest = ("--draws", args.draws, "--out", args.out)
    command = typed("rlld", "bench", "questions", *given, *rest)
    points = measure(tables(args.llp, args.lfav, args.data), args.draws)
    show(page(points, command, args.draws), args.out, "questions")


def _names(joined: str | None) -> list[str] | None:
    return None if joined is None else [name.strip() for name in joined.split(",")]


def _counts(text: str) -> list[int]:

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RlldError(f"--counts: expected numbers joined by commas, found {text!r}") from None


def _priors(args: AnnotationsArgs) -> Priors | None:
    from rlld.data.spec import Priors, read_spec

    if args.priors is None:
        return None
    rates = {}
    for part in args.priors.split(","):
        name, _, rate = part.partition("=")
        for folder in args.data:
            read_spec(folder).taxonomy.index(name)
        try:
            rates[name] = float(rate)
        except ValueError:
            rates[name] = -1.0
        if not 0 <= rates[name] <= 1:
            raise RlldError(f"--priors: expected CLASS=RATE with a rate in [0, 1], found {part!r}")
    return Priors(visual=rates)


def _told(paths: list[Path]) -> list[Path]:
    from rlld.utils.console import OUT

    OUT.print(f"drawn: {', '.join(map(str, paths))}")
    return paths


def _track(args: BenchArgs, stem: str, command: str, files: Sequence[Path]) -> None:
    """Gives the trackers of a benchmark the files that it wrote."""
    from rlld.tracking import Results, track_results, tracker_names

    results = Results({}, tuple(files))
    track_results(tracker_names(args.log), args.out, stem, {"command": command}, results)


BENCHMARKS = {
    "table 1": Verb(
        "Table 1 of the paper: every system beside its published scores.",
        TableArgs,
        partial(paper_table, 1),
    ),
    "table 2": Verb(
        "Table 2 of the paper: RLLD without one of its parts.", TableArgs, partial(paper_table, 2)
    ),
    "table 3": Verb(
        "Table 3 of the paper: parameters trained and measured training time, relative to MMIL.",
        FigureArgs,
        paper_costs,
    ),
    **{
        f"figure {number}": Verb(
            f"Figure {number} of the paper: {name} without and with RLLD, {level}-level scores.",
            FigureArgs,
            partial(paper_figure, number),
        )
        for number, name, level in (
            (2, "VALOR", "segment"),
            (3, "CPSP", "segment"),
            (4, "VALOR", "event"),
            (5, "CPSP", "event"),
        )
    },
    **{
        f"figure {number}": Verb(
            f"Figure {number} of the paper: the {score} F-score on validation over the episodes.",
            CurveArgs,
            partial(curves, [number]),
        )
        for number, score in (
            (6, "segment-level audio"),
            (7, "segment-level visual"),
            (8, "segment-level Event"),
            (9, "event-level Event"),
            (10, "event-level audio"),
            (11, "event-level visual"),
        )
    },
    "curves": Verb(
        "Figures 6 to 11 of the paper from the same runs, and how many labels the policy keeps.",
        CurveArgs,
        partial(curves, range(6, 12), keeping=True),
    ),
    "denoising": Verb(
        "Compare label denoisers on equal terms: recipes x data sets x seeds.",
        DenoisingArgs,
        compare_denoisers,
    ),
    "ablation": Verb(
        "Take a learner apart: the rows of Table 2, or the parts of the labelwise learner.",
        AblationArgs,
        take_apart,
    ),
    "annotations": Verb(
        "Draw what annotated videos are worth: scores over how many there are, beside baselines.",
        AnnotationsArgs,
        worth_of_annotations,
    ),
    "enhance": Verb(
        "Put the learners on top of every network and label source, beside their own labels.",
        EnhanceArgs,
        enhance_all,
    ),
    "regimes": Verb(
        "Try the recommended recipe on other data: sizes, annotation, noise, classes, streams.",
        RegimesArgs,
        vary_regimes,
    ),
    "signal": Verb(
        "Measure what the labels of one step do to the reward, beside its noise (simulated data).",
        SignalArgs,
        measure_signal,
    ),
    "rates": Verb(
        "Compare ways to know how many tags are wrong without annotation, on published labels.",
        RatesArgs,
        compare_rates,
    ),
    "open-classes": Verb(
        "Compare ways to find events by the names of classes alone; nothing is trained.",
        OpenClassesArgs,
        find_open_classes,
    ),
    "questions": Verb(
        "Compare which questions to ask about tags, on published labels; nothing is trained.",
        QuestionsArgs,
        compare_questions,
    ),
    "published": Verb(
        "Print what papers report on LLP, also of methods that are no recipe, with the sources.",
        PublishedArgs,
        show_published,
    ),
}
"""The benchmarks in the order of their page; ``table1`` and ``figure6`` are words for them too."""
