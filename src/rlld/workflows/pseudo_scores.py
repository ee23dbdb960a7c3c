"""Scores of segments from CLIP and CLAP, from which VALOR, LSLD and VAPLAN make pseudo labels.

Clips are embedded once, into ``embeddings/`` of the data set, and scored against the prompts of the
method; another method's prompts for the same models then cost next to nothing.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlld.data.annotations import WeakAnnotations, read_splits
from rlld.data.similarities import ScoreSpec, combinations, scores_path
from rlld.data.spec import (
    ANNOTATIONS,
    VIDEOS,
    DataSpec,
    StreamSpec,
    read_spec,
)
from rlld.data.store import StoreWriter, read_store
from rlld.denoisers._pseudo import LabelPrompts, Teacher
from rlld.errors import RlldError, nearest
from rlld.features import extractor_configs, load_extractor
from rlld.features.extractors._language import Language, cosines
from rlld.features.job import JobReport, Where
from rlld.features.to_stores import Wanted, fill_stores
from rlld.media.files import clips_of_videos
from rlld.media.tracks import AS_PLAYED, TrackChoice
from rlld.open_classes.named import ENCODERS, prompts
from rlld.types import MODALITIES
from rlld.utils.files import written_aside
from rlld.utils.registry import DENOISERS
from rlld.workflows.zero_shot_scores import calibrated_scores

Array = NDArray[np.float32]

EMBEDDINGS = "embeddings"
"""Folder of embeddings inside a data-set folder."""
TEXT = "text.npy"
"""File of text vectors beside the scores that were made with them."""

STREAM = {"audio": "audio", "visual": "visual_2d"}
EXTRACTOR = {"audio": "clap", "visual": "clip"}
MOST_LABELS = 10
"""Labels of a video whose combinations are all prompted, 2**10 of them."""


ZERO_SHOT = Teacher(ENCODERS, "zero-shot", prompts, calibrated=True)
"""The teacher that is no method: what ``rlld parse --zero-shot`` believes of every segment."""


def teachers() -> dict[str, Teacher]:
    """Returns how each method that brings a teacher scores segments, by name of its denoiser."""
    modules = {
        name: sys.modules[DENOISERS.config_type(name).__module__] for name in DENOISERS.names()
    }
    return {name: module.TEACHER for name, module in modules.items() if hasattr(module, "TEACHER")}


def make_scores(
    folder: Path,
    teacher: str,
    report: Callable[[str, str, int], None],
    *,
    name: str = "",
    videos: Path | None = None,
    where: Where | None = None,
    skip_failed: bool = False,
    tracks: TrackChoice = AS_PLAYED,
) -> JobReport:
    """Scores the clips of a data set, for all splits.

    A call that was interrupted goes on when it is repeated.

    Args:
        folder: The data-set folder.
        teacher: A denoiser whose module has a ``TEACHER``, such as ``valor``, or ``zero-shot``.
        report: Is told the set, the split and the number of its videos when one is scored.
        name: The set to write, that of the method's recipe when empty.
        videos: Folder of the clips, that of the data set when not given.
        where: Where to compute.
        skip_failed: Let nothing resemble clips that cannot be read, instead of raising.
        tracks: Which of several tracks of a clip are scored; those of a player when not given.

    Returns:
        What was done about the clips.

    Raises:
        RlldError: If the teacher is unknown, weights or clips are missing, or the set holds scores
            of another origin.
    """
    known = {**teachers(), ZERO_SHOT.scores: ZERO_SHOT}
    if teacher not in known:
        raise RlldError(f"unknown teacher {teacher!r}{nearest(teacher, known)}")
    method = known[teacher]
    spec = read_spec(folder)
    name = name or method.scores
    where = where or Where()
    labels = read_splits(folder / ANNOTATIONS, spec)
    for split in labels:
        _check_free(scores_path(folder, name, split), teacher)
    clips = clips_of_videos(videos or folder / VIDEOS)
    # Weights and words are looked at before hours go into the clips.
    scorer = _scorer(method, spec, list(labels.values()), where)
    extractor = load_extractor(method.features)
    wanted = Wanted.of(extractor, method.features, spec, tracks)
    place = embeddings_path(folder, method)
    done = fill_stores(folder, wanted, place, clips, where, skip_failed)
    makers = [extractor.version, *scorer.prompts, *([str(tracks)] if tracks.chosen else [])]
    made_by = hashlib.sha256("\n".join(makers).encode()).hexdigest()
    scored: Mapping[str, Iterable[dict[str, Array]]] = {
        split: _scored(weak, scorer, place(split)) for split, weak in labels.items()
    }
    if method.calibrated:
        scored = calibrated_scores(folder, spec, labels, scored)
    for split, weak in labels.items():
        provenance = f"{_origin(teacher)} {made_by[:16]}"
        path = scores_path(folder, name, split)
        _write(path, split, provenance, weak.ids, scorer.widths, place(split), scored[split])
        report(name, split, len(weak.ids))
    if isinstance(scorer, ClassScorer):
        with written_aside(text_vectors_path(folder, name)) as aside, aside.open("wb") as file:
            np.save(file, scorer.vectors)
    return done


def text_vectors_path(folder: Path, name: str) -> Path:
    """Returns where a data-set folder keeps the text vectors of the classes of a set of scores."""
    return scores_path(folder, name, "train").with_name(TEXT)


def class_vectors(teacher: str, classes: Sequence[str], where: Where | None = None) -> Array:
    """Returns the text vectors of any classes, as those that scores of a data set are made with.

    Args:
        teacher: A method with one prompt per class: ``valor``, ``vaplan``.
        classes: Class names.
        where: Where to compute.

    Returns:
        (C, D): those of the sound model, then those of the picture model.

    Raises:
        RlldError: If there is no such teacher, or weights are missing.
    """
    known = {name: each for name, each in teachers().items() if each.class_prompts is not None}
    if teacher not in known:
        raise RlldError(f"unknown teacher {teacher!r} of text vectors{nearest(teacher, known)}")
    prompts = known[teacher].class_prompts
    assert prompts is not None  # noqa: S101  left out above
    return ClassScorer(prompts(classes), _languages(known[teacher], where or Where())).vectors


def embeddings_path(folder: Path, method: Teacher) -> Callable[[str], Path]:
    """Returns where the embeddings of a split lie."""
    configs = extractor_configs(method.features)
    models = f"{configs['clip'].model}+{Path(configs['clap'].weights).stem}"
    return lambda split: folder / EMBEDDINGS / models / f"{split}.safetensors"


def _origin(teacher: str) -> str:
    return f"rlld data scores: {teacher}"


def _check_free(path: Path, teacher: str) -> None:
    if not path.is_file():
        return
    provenance = read_store(path).provenance
    if not provenance.startswith(f"{_origin(teacher)} "):
        raise RlldError(
            f"{path}: holds scores of another origin ({provenance or 'unknown'}); delete "
            f"{path.parent}, or choose another set with --name and name it in denoiser.scores"
        )


def _scored(
    weak: WeakAnnotations, scorer: ClassScorer | CombinationScorer, embedded: Path
) -> Iterator[dict[str, Array]]:
    """Scores the embeddings of a split, video after video."""
    store = read_store(embedded)
    for number in range(len(weak.ids)):
        # Copied: the arrays of a store are mapped from its file.
        embeddings = store.video(number)
        seen = {m: embeddings[STREAM[m]].numpy().copy() for m in MODALITIES}
        tags = [int(label) for label in weak.labels[number].nonzero()[0]]
        yield scorer.scores(seen, tags)


def _write(
    path: Path,
    split: str,
    provenance: str,
    videos: Sequence[str],
    widths: Mapping[str, int],
    embedded: Path,
    scored: Iterable[dict[str, Array]],
) -> None:
    """Writes the scores of a split."""
    store = read_store(embedded)
    streams = {name: StreamSpec(width) for name, width in widths.items()}
    segments = next(iter(store.streams.values())).shape[1] if store.lengths is None else 0
    rows = ScoreSpec(segments, streams, any_length=store.lengths is not None)
    with StoreWriter(path, split, rows, provenance=provenance) as writer:
        for video, scores in zip(videos, scored, strict=True):
            writer.add(video, scores)
        writer.finish(videos)


class ClassScorer:
    """Logits of segments with one prompt per class.

    Args:
        prompts: By modality, in class order.
        languages: Embeds the prompts of each modality.

    Attributes:
        prompts: All of them.
        widths: Number of scores by tensor name.
        vectors: Embeddings of the prompts, those of both modalities side by side (C, D).
    """

    def __init__(
        self, prompts: Mapping[str, Sequence[str]], languages: Callable[[str], Language]
    ) -> None:
        self.prompts = [text for modality in MODALITIES for text in prompts[modality]]
        self.widths = {modality: len(prompts[modality]) for modality in MODALITIES}
        self._embedded = {}
        for modality in MODALITIES:
            language = languages(modality)
            scaled = language.embeddings(prompts[modality]), np.float32(language.scale)
            self._embedded[modality] = scaled
        self.vectors = np.concatenate([rows for rows, _ in self._embedded.values()], axis=1)

    def scores(self, seen: Mapping[str, Array], labels: Sequence[int]) -> dict[str, Array]:
        """Returns the scores (T, C) of a video by tensor name."""
        return {
            modality: scale * cosines(seen[modality], rows)
            for modality, (rows, scale) in self._embedded.items()
        }


class CombinationScorer:
    """Cosines of segments with one prompt for every combination of the labels of their video.

    Args:
        prompts: Returns the audio and the visual prompts of labels of a video.
        classes: The classes.
        labels: Labels of every video.
        languages: Embeds the prompts of each modality.

    Attributes:
        prompts: All of them.
        widths: Number of scores by tensor name.

    Raises:
        RlldError: If a video has too many labels.
    """

    def __init__(
        self,
        prompts: LabelPrompts,
        classes: Sequence[str],
        labels: Sequence[Sequence[int]],
        languages: Callable[[str], Language],
    ) -> None:
        most = max(map(len, labels), default=0)
        if most > MOST_LABELS:
            raise RlldError(
                f"a video has {most} labels and so {2**most} combinations of them; up to "
                f"{MOST_LABELS} labels are scored"
            )
        self._prompts = prompts
        pairs = [prompts(tags, classes) for tags in sorted(set(map(tuple, labels)))]
        audio = _once(chain.from_iterable(pair[0] for pair in pairs))
        visual = _once(chain(chain.from_iterable(pair[1] for pair in pairs), classes))
        self.prompts = [*audio, *visual]
        self.widths = {"audio": 2**most, "visual": 2**most, "visual_classes": len(classes)}
        self._classes = list(classes)
        self._embedded = {
            modality: dict(zip(texts, languages(modality).embeddings(texts), strict=True))
            for modality, texts in (("audio", audio), ("visual", visual))
        }

    def scores(self, seen: Mapping[str, Array], labels: Sequence[int]) -> dict[str, Array]:
        """Returns the scores (T, P) of a video by tensor name."""
        result = {}
        texts = dict(zip(MODALITIES, self._prompts(labels, self._classes), strict=True))
        for modality in MODALITIES:
            alike = self._cosines(seen, modality, texts[modality])
            # A segment without sound or picture resembles the prompt of nothing, the last one.
            alike[~seen[modality].any(1), len(combinations(labels)) - 1] = 1.0
            result[modality] = np.pad(alike, ((0, 0), (0, self.widths[modality] - alike.shape[1])))
        result["visual_classes"] = self._cosines(seen, "visual", self._classes)
        return result

    def _cosines(self, seen: Mapping[str, Array], modality: str, texts: Sequence[str]) -> Array:
        return cosines(seen[modality], np.stack([self._embedded[modality][t] for t in texts]))


def _once(texts: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _scorer(
    method: Teacher, spec: DataSpec, labels: Sequence[WeakAnnotations], where: Where
) -> ClassScorer | CombinationScorer:
    languages = _languages(method, where)
    if method.class_prompts is not None:
        return ClassScorer(method.class_prompts(spec.classes), languages)
    tags = [[int(label) for label in row.nonzero()[0]] for weak in labels for row in weak.labels]
    assert method.label_prompts is not None  # noqa: S101  a Teacher has one of both
    return CombinationScorer(method.label_prompts, spec.classes, tags, languages)


def _languages(method: Teacher, where: Where) -> Callable[[str], Language]:
    """Returns what loads the language model of a modality."""
    configs = extractor_configs(method.features)

    def languages(modality: str) -> Language:
        made: Language = configs[EXTRACTOR[modality]].language(where.torch_device)
        return made

    return languages
