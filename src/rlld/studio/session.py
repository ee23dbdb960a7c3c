"""The studio of a data set: what its page asks for and tells, without the page and the network."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.errors import RlldError
from rlld.evaluation.questions import UNIT
from rlld.studio.agreement import agreement, disagreements, votes_of
from rlld.studio.beliefs import RUNS, Beliefs, last_run
from rlld.studio.clips import Catalogue
from rlld.studio.imported import IMPORTER
from rlld.studio.into_data import Written, write
from rlld.studio.jobs import Jobs
from rlld.studio.marks import Lanes, lanes_apart, lanes_of, marks_of
from rlld.studio.media import Media
from rlld.studio.people import person_of
from rlld.studio.queue import Queue
from rlld.studio.store import FOLDER, Answered, Store
from rlld.types import MODALITIES
from rlld.utils.files import owned

if TYPE_CHECKING:
    from rlld.training.run_folder import Run

CACHE = "cache"
"""Folder inside the studio's own of what is made of clips."""


class Studio:
    """A data set that people answer and correct.

    Args:
        folder: The data-set folder.
        run: A run whose doubts are asked and whose events are corrected; the last one that the
            studio trained when None, and none where it trained none.
        person: Who sits at this machine, where they said it.

    Attributes:
        folder: The data-set folder.
        person: Who sits at this machine; None where they did not say it.
        catalogue: Its videos.
        media: Their clips, for a browser.
        store: What people said.
        beliefs: What the run thinks; None without one.
        queue: What is asked next.
        jobs: The trainings.
        exporting: Held by the one export that is made at a time.

    Raises:
        RlldError: If the data set, the run or what people said cannot be read, or another process
            has the studio open.
    """

    def __init__(self, folder: Path, run: str | None = None, person: str | None = None) -> None:
        self.folder = folder
        self.person = None if person is None else person_of(person)
        self.catalogue = Catalogue(folder)
        self._writing, self.exporting = threading.Lock(), threading.Lock()
        self._looking: list[threading.Thread] = []
        self._left_out: tuple[str, ...] = ()
        with ExitStack() as opened:
            opened.enter_context(owned(folder / FOLDER))
            self.media = Media(folder / FOLDER / CACHE)
            self.store = Store(folder)
            opened.callback(self.store.close)
            self.beliefs: Beliefs | None = None
            self.queue = self._queue(None)
            self._noted = self.store.notes
            if run is not None:
                self.believe(run)
            elif (last := last_run(self.runs)) is not None:
                self._believe_again(last)
            self.jobs = Jobs(folder, self.runs, self.believe)
            opened.callback(self.jobs.cancel)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Closes everything that is open; a training that runs saves its state and ends."""
        self._opened.close()
        for thread in self._looking:  # torch does not bear that a process ends over its threads
            thread.join()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know of the start, of the run, and of what was written last."""
        return (*self._noted, *self._left_out)

    @property
    def runs(self) -> Path:
        """The folder of the runs that the studio trains."""
        return self.folder / FOLDER / RUNS

    def believe(self, run: str | Path) -> None:
        """Takes a run; what it thinks of all labels is computed behind the back of who waits."""
        beliefs = Beliefs(run, self.catalogue)
        self._begin(beliefs.judge)
        self.beliefs, self.queue = beliefs, self._queue(beliefs.run)

    def write(self) -> Written:
        """Writes what people said into the files of the data set, and reads these again.

        A run that does not fit the data set any more is not used from then on, which a note says.

        Raises:
            RlldError: If a file is wrong, or cannot be written.
        """
        with self._writing:
            written = write(self.folder, self.store)
            self._left_out = written.left_out
            self.catalogue = Catalogue(self.folder)
            if self.beliefs is not None:
                self._look_again(self.beliefs)
            self.queue = self._queue(None if self.beliefs is None else self.beliefs.run)
            return written

    def _look_again(self, beliefs: Beliefs) -> None:
        """Goes on with a run, unless the data set has become another one since."""
        try:
            beliefs.look_at(self.catalogue)
        except RlldError as error:
            self.beliefs = None
            self._noted += (f"the run {beliefs.name} is not used any more: {error}",)

    def train(self) -> dict[str, Any]:
        """Writes what people said into the data set and trains on it, in the background.

        Raises:
            RlldError: If a training is running, or the files cannot be written.
        """
        self.jobs.require_free()
        self.write()
        return self.jobs.start(None if self.beliefs is None else self.beliefs.source)

    def _queue(self, run: Run | None) -> Queue:
        """Returns questions that are made ready before anybody asks for them."""
        queue = Queue(self.folder, run)
        self._begin(queue.pool)
        return queue

    def _begin(self, work: Callable[[], object]) -> None:
        def begun() -> None:
            with suppress(RlldError):  # whoever asks for it is told
                work()

        self._looking.append(threading.Thread(target=begun))
        self._looking[-1].start()

    def _believe_again(self, run: Path) -> None:
        """Takes the last run of the studio, unless the data set has become another one since."""
        try:
            self.believe(run)
        except RlldError as error:
            self._noted += (f"the last run of the studio is not used: {error}",)

    def state(self) -> dict[str, Any]:
        """Returns where the work stands."""
        spec, videos = self.catalogue.spec, self.catalogue.videos.values()
        answers = self.store.answers()
        by_person = Counter(answer.person for answer in answers if not answer.unsure)
        outlook = self.queue.outlook(answers)
        run = None
        if self.beliefs is not None:
            run = {"name": self.beliefs.name, "recipe": self.beliefs.run.recipe.name}
        return {
            "data": {
                "name": spec.name,
                "clips": len(videos),
                "classes": list(spec.classes),
                "splits": {split: len(ids) for split, ids in self.catalogue.splits.items()},
                "tags": sum(len(video.tags) for video in videos),
                "dense": len(self.catalogue.truth),
            },
            "run": run,
            "person": self.person,
            "people": self.store.people(),
            "answered": sum(by_person.values()),
            "corrected": self.store.count_corrected(),
            "by_person": dict(by_person),
            "counted": len({*by_person, *self.store.corrected_by()}),
            "gain": outlook and outlook.gain,
            "unit": outlook and UNIT,
            "stop": outlook and outlook.stop,
            "notes": list(self.notes),
            "jobs": self.jobs.state(),
        }

    def questions(self, person: str, count: int) -> list[dict[str, Any]]:
        """Returns the next questions for a person, each as its clip allows."""
        found = self.queue.following(person, self.store.answers(), count)
        return [self._fitted(question) for question in found]

    def _fitted(self, question: dict[str, Any]) -> dict[str, Any]:
        """Returns a question with the modality that its clip lacks, and an end that it has.

        The end is None where no segment of the clip lies outside the moment.
        """
        spec = self.catalogue.spec
        try:
            video = self.catalogue[question["video"]]
            present, seconds = self.media.tracks(video), self.media.seconds(video)
        except RlldError:  # what is wrong with the clip is told where it is played
            present, seconds = (True, True), spec.duration
        lacks = next((name for name, has in zip(MODALITIES, present, strict=True) if not has), None)
        start, end = question["at"], min(question["end"], seconds)
        whole = start == 0 and end + spec.segment_seconds > seconds
        return {**question, "lacks": lacks, "end": None if whole else end}

    def answer(self, given: Answered, *, unsure: bool) -> tuple[int, int]:
        """Keeps an answer; returns its number, and how many of this person stand and count.

        Who says something of one track alone, and is not unsure, leaves what they said of the
        other one as it was.

        Raises:
            RlldError: If it is about no tag of a video, or says nothing.
        """
        video = self.catalogue[given.video]
        if self.catalogue.spec.taxonomy.index(given.label) not in video.tags:
            raise RlldError(
                f"{given.video}: is not tagged with {given.label!r}; answer a question on one of "
                "its tags"
            )
        if given.probability is not None and not 0 < given.probability <= 1:
            raise RlldError(
                f"probability: found {given.probability:g}, expected a number above 0 and up to 1, "
                "or null where the question was not drawn"
            )
        if unsure:
            given = replace(given, audio=None, visual=None)
        elif given.unsure:
            raise RlldError(
                f"{given.video}: the answer says nothing of {given.label!r}; say whether it is "
                "heard or seen, or that you are unsure"
            )
        else:
            given = self._completed(given)
        if self.beliefs is not None:
            given = replace(given, run=self.beliefs.name)
        number = self.store.answer(given)
        standing = [each for each in self.store.answers() if each.person == given.person]
        return number, sum(not each.unsure for each in standing)

    def _completed(self, given: Answered) -> Answered:
        """Returns an answer with what this person said before of a track that it leaves out."""
        for before in self.store.answers():
            if before.person == given.person and (before.video, before.label) == (
                given.video,
                given.label,
            ):
                audio = before.audio if given.audio is None else given.audio
                visual = before.visual if given.visual is None else given.visual
                return replace(given, audio=audio, visual=visual)
        return given

    def agreement(self) -> dict[str, Any]:
        """Returns how far people agree: in answers, and in the segments of each track."""
        lanes = self._lanes()
        marks = marks_of(lanes, self.catalogue.spec.segment_seconds, self.seconds)
        events = {
            modality: agreement({mark: said for mark, said in marks.items() if mark[2] == modality})
            for modality in MODALITIES
        }
        answers = agreement(votes_of(self.store.answers()))
        return {**answers, "events": events, "corrected": self.store.corrected_by()}

    def _lanes(self, video: str | None = None) -> Lanes:
        """Returns what people marked in clips that several of them corrected, or in one of these.

        An import is nobody's view: it may be that of one of them.
        """
        classes, videos = self.catalogue.spec.classes, self.catalogue.videos
        shared = [
            version
            for version in self.store.shared()
            if version.video in (videos if video is None else (video,))
            and version.person != IMPORTER
        ]
        return lanes_of(shared, lambda video: [classes[tag] for tag in videos[video].tags])

    def seconds(self, video: str) -> float:
        """Returns how long a clip is; where it cannot be read, as long as its segments."""
        try:
            return self.media.seconds(self.catalogue[video])
        except RlldError:  # what is wrong with the clip is among its notes
            return self.catalogue.spec.duration

    def events_apart(self, video: str | None = None) -> list[dict[str, Any]]:
        """Returns the lanes of clips, or of one clip, in which people marked different segments."""
        step, lanes = self.catalogue.spec.segment_seconds, self._lanes(video)
        return lanes_apart(lanes, marks_of(lanes, step, self.seconds), step)

    def disagreements(self) -> list[dict[str, Any]]:
        """Returns what people say different things of, and the moment to look at."""
        found = []
        for row in disagreements(votes_of(self.store.answers())):
            start, end = self.queue.moment(row["video"], row["class"]) or (0.0, None)
            found.append({**row, "at": start, "end": end})
        return found + self.events_apart()

    def undo(self, person: str, number: int | None = None) -> dict[str, Any]:
        """Takes an answer of a person back, the last one or that of a number, and asks it again."""
        taken = self.store.undo(person, number)
        if taken is None:
            return {"undone": None, "question": None}
        undone = {"video": taken.video, "class": taken.label}
        question = self.queue.again(taken, "taken back")
        return {"undone": undone, "question": question and self._fitted(question)}
