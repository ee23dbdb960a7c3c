"""Answers and corrections in the files of a data set, by the page and by the command."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_kit import called
from rlld.data.annotations import read_dense
from rlld.data.answers import read_answers
from rlld.data.dataset import load_data
from rlld.data.spec import read_spec
from rlld.media.files import stamp_of
from rlld.media.listing import Listed, read_listing, write_listing
from tiny import CLASSES, COUNTS, SPEC


@pytest.fixture
def own(data: Path) -> Path:
    """The data set as if 'rlld data new' had made it."""
    listing = {}
    for split, count in COUNTS.items():
        for number in range(count):
            file = data / "videos" / f"{split}_{number:03d}.mp4"
            listing[file.stem] = Listed(str(file), split, 3.0, stamp_of(file))
    write_listing(data, listing)
    shutil.rmtree(data / "scores")  # which it does not make
    return data


def answers_of(folder: Path) -> dict[tuple[str, str, str], bool]:
    path = folder / "annotations" / "answers.csv"
    return {answer.question: answer.present for answer in read_answers(path, SPEC.taxonomy)}


def tag_of(page, video: str) -> tuple[int, str]:
    tag = page.get(f"/api/clips/{video}")["tags"][0]
    return tag, CLASSES[tag]


def say(page, video: str, person: str = "Ada", audio=True, visual=False, **more) -> None:
    label = {"class": tag_of(page, video)[1]}
    page.post(
        "/api/answers", person=person, video=video, audio=audio, visual=visual, **label, **more
    )


def correct(page, video: str, base: int = 0, **event) -> None:
    tag = tag_of(page, video)[0]
    events = [{"c": tag, "m": "audio", "s": 0.5, "e": 2.0, "p": None, **event}]
    page.put(f"/api/clips/{video}/events", person="Ada", base=base, events=events)


def require_checked(folder: Path) -> None:
    checked = called("data", "check", folder)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "the contrary" not in checked.stdout


def test_answers_are_written_with_their_probabilities(data: Path, page):
    say(page, "train_000", probability=0.125)
    say(page, "train_001", audio=None, visual=True)
    say(page, "train_002", audio=None, visual=None, unsure=True)
    say(page, "train_003", audio=True, visual=True)
    say(page, "train_003", "Bo", audio=False, visual=True)
    written = page.post("/api/write")
    assert written["answers"] == 4
    assert "4 answers (one for each class and track) and 0 corrected clips" in written["text"]
    labels = {n: tag_of(page, f"train_00{n}")[1] for n in range(4)}
    assert answers_of(data) == {
        ("train_000", labels[0], "audio"): True,
        ("train_000", labels[0], "visual"): False,
        ("train_001", labels[1], "visual"): True,
        ("train_003", labels[3], "visual"): True,
    }
    text = (data / "annotations" / "answers.csv").read_text()
    assert text.splitlines()[0].split("\t") == [
        *("video", "class", "modality", "present", "probability")
    ]
    assert "\tyes\t0.125" in text
    require_checked(data)
    presence = load_data(data).train.presence
    assert presence[0, :, CLASSES.index(labels[0])].tolist() == [1, 0]
    # What is known is not drawn again, but asked of others so that agreement is known.
    asked = page.get("/api/questions?person=Cy&count=50")
    (again,) = (each for each in asked if each["id"] == f"train_000/{labels[0]}")
    assert again["why"] == "asked of Ada too"
    assert again["tracks"] == []


def test_what_is_taken_back_is_taken_out_again(data: Path, page):
    say(page, "train_000", probability=0.5)
    say(page, "train_001")
    say(page, "train_002")
    page.post("/api/write")
    assert len(answers_of(data)) == 6
    page.post("/api/answers/undo", person="Ada")
    say(page, "train_001", "Bo", audio=False, visual=False)  # apart on the sound
    say(page, "train_000", audio=False, visual=False)
    page.post("/api/write")
    labels = [tag_of(page, f"train_00{n}")[1] for n in range(2)]
    assert answers_of(data) == {
        ("train_000", labels[0], "audio"): False,
        ("train_000", labels[0], "visual"): False,
        ("train_001", labels[1], "visual"): False,
    }
    for _ in range(3):
        page.post("/api/answers/undo", person="Ada")
    page.post("/api/answers/undo", person="Bo")
    page.post("/api/write")
    assert answers_of(data) == {}
    require_checked(data)


def test_a_corrected_clip_of_ones_own_is_for_validation(own: Path, page):
    say(page, "train_000", audio=False, visual=True)
    page.post("/api/write")  # the answer is there before the correction says else
    correct(page, "train_000")
    correct(page, "validation_001")
    written = page.post("/api/write")
    assert written["corrected"] == 2
    assert "1 clip for validation from now on" in written["text"]
    tag, label = tag_of(page, "train_000")
    assert read_listing(own)["train_000"].split == "validation"
    state = page.get("/api/state")["data"]["splits"]
    assert state == {"train": 47, "validation": 21, "test": 12}
    clip = page.get("/api/clips/train_000")
    assert clip["split"] == "validation"
    assert [(each["c"], each["m"], each["s"], each["e"]) for each in clip["truth"]] == [
        (tag, "audio", 0.5, 2.0)
    ]
    assert answers_of(own)["train_000", label, "audio"] is True
    assert answers_of(own)["train_000", label, "visual"] is False
    require_checked(own)
    validation = load_data(own).validation
    dense = validation.dense[validation.ids.index("train_000")]
    assert dense.nonzero().tolist() == [[t, 0, tag] for t in (1, 2, 3)]
    again = page.post("/api/write")
    assert again["corrected"] == 2
    require_checked(own)


def test_a_corrected_test_clip_is_truth_and_teaches_nothing(own: Path, page):
    correct(page, "test_000", m="audio_visual")
    written = page.post("/api/write")
    assert written["answers"] == 0
    assert "1 test clip as truth alone, which teaches nothing" in written["text"]
    assert read_listing(own)["test_000"].split == "test"
    assert not read_spec(own).annotations.answers
    for file in ("audio.csv", "visual.csv"):
        rows = read_dense(own / "annotations" / file, SPEC.taxonomy)
        assert [(row.onset, row.offset) for row in rows if row.id == "test_000"] == [(0.5, 2.0)]
    require_checked(own)


def test_a_corrected_training_clip_elsewhere_answers_its_questions(data: Path, page):
    before = {file.name: file.read_bytes() for file in (data / "annotations").iterdir()}
    correct(page, "train_000")
    written = page.post("/api/write")
    assert "1 training clip as answers to the questions about its tags" in written["text"]
    tags = page.get("/api/clips/train_000")["tags"]
    first = CLASSES[tags[0]]
    expected = {
        ("train_000", CLASSES[tag], modality): (CLASSES[tag], modality) == (first, "audio")
        for tag in tags
        for modality in ("audio", "visual")
    }
    assert answers_of(data) == expected
    assert {name: (data / "annotations" / name).read_bytes() for name in before} == before
    require_checked(data)


def test_the_command_takes_what_the_studio_holds(data: Path, opened: Callable[..., object]):
    refused = called("data", "answers", data)
    assert refused.returncode == 2
    assert "holds no answers of a studio" in refused.stderr
    studio, page = opened(data)
    say(page, "train_000")
    told = called("data", "answers", data)  # beside the open studio
    assert told.returncode == 0, told.stderr
    assert "2 answers (one for each class and track) and 0 corrected clips written" in told.stdout
    studio.close()
    assert len(answers_of(data)) == 2
    assert called("data", "answers", data).returncode == 0
    assert len(answers_of(data)) == 2


def test_a_data_set_that_lost_a_class_keeps_the_rest(data: Path, opened: Callable[..., object]):
    studio, page = opened(data)
    correct(page, "train_000")
    say(page, "train_001")
    studio.close()
    for file in ((data / "annotations").glob("*.csv"), [data / "dataset.yaml"]):
        for path in file:
            text = path.read_text()
            for name in CLASSES:
                text = text.replace(name, f"new {name}")
            path.unlink()
            path.write_text(text)
    _, page = opened(data)
    clip = page.get("/api/clips/train_000")
    assert clip["revision"] == 1
    assert clip["events"] == []
    written = page.post("/api/write")
    assert written["answers"] == 2 * len(clip["tags"])
    require_checked(data)


def test_what_another_program_corrected_is_not_written_over(
    own: Path, opened: Callable[..., object], tmp_path: Path
):
    studio, page = opened(own)
    label = tag_of(page, "train_000")[1]
    correct(page, "train_000")
    page.post("/api/write")
    file = tmp_path / "train_000.txt"
    file.write_text(f"0\t3\taudio: {label}\n0\t1\tvisual: {label}\n")
    refused = called("data", "import", own, file)
    assert refused.returncode == 2
    assert "its studio is open and would write over what is imported" in refused.stderr
    studio.close()
    for name in ("train_000", "train_001"):  # one that the studio knows, one that it does not
        file.rename(tmp_path / f"{name}.txt")
        file = tmp_path / f"{name}.txt"
        assert called("data", "import", own, file).returncode == 0
    _, page = opened(own)
    history = page.get("/api/clips/train_000/history")
    assert [(each["person"], each["events"]) for each in history] == [
        ("Ada", 1),
        ("data import", 2),
    ]
    assert page.get("/api/clips/train_001")["revision"] == 0
    assert page.get("/api/disagreements") == []  # nobody knows whose view an import is
    assert page.post("/api/write")["corrected"] == 1
    rows = {
        (row.id, modality, row.onset, row.offset)
        for modality in ("audio", "visual")
        for row in read_dense(own / "annotations" / f"{modality}.csv", SPEC.taxonomy)
        if row.id in ("train_000", "train_001")
    }
    assert rows == {
        (name, *span)
        for name in ("train_000", "train_001")
        for span in (("audio", 0, 3), ("visual", 0, 1))
    }
