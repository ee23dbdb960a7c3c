"""Trainings in the background: what they say, what they leave, how they end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from rlld.comparing.compare import compare_sources
from rlld.data.dataset import load_data
from rlld.evaluation.scoring import evaluate
from rlld.studio.jobs import CLEANING, doing, progress_of
from rlld.studio.training import OUTCOME, outcome
from rlld.training.run_folder import load_run
from tiny import CLASSES, COUNTS, quick_labelwise

MINUTES = 2


def ended(page) -> dict[str, object]:
    """Waits for a training and returns what it came to."""
    until = time.monotonic() + 60 * MINUTES
    seen = 0.0
    while (job := page.get("/api/train"))["state"] == "running":
        assert job["progress"] >= seen
        seen = job["progress"]
        assert time.monotonic() < until, job
        time.sleep(0.1)
    return job


def test_progress_is_read_from_the_lines_of_a_training():
    assert progress_of("training rlld-best 0 of 1,000") == 0
    cleaning = "training rlld-best 0 of 250 > cleaning labels 1 of 2, 25 s left > policies 1 of 4"
    assert progress_of(cleaning) == pytest.approx(CLEANING * (1 + 1 / 4) / 2)
    half = "training rlld-best 125 of 250, 82 s left, type 99.7 / 98.6"
    assert progress_of(half) == pytest.approx(CLEANING + (1 - CLEANING) / 2)
    assert progress_of("training rlld-best 250 of 250") == 1
    assert progress_of("note: 3 of 4 labels go") is None
    assert progress_of("") is None


def test_only_the_last_step_tells_the_time_that_is_left():
    inner = "cleaning labels 1 of 2, 25 s left > training a network 42 of 100, 1 s left"
    first = "training rlld-best 0 of 300"
    assert doing(f"{first} > {inner}") == "cleaning labels 1 of 2, training a network 42 of 100"
    assert doing(first) == first
    last = "training rlld-best 12 of 300, 4 min left"
    assert doing(last) == last
    assert doing(f"{last} > judging 1 of 2, 9 s left") == last


def test_a_run_tells_beliefs_doubts_and_suspicion(data: Path, trained: Path, opened):
    studio, page = opened(data, str(trained))
    assert page.get("/api/state")["run"] == {"name": "quick", "recipe": "rlld-labelwise"}
    question = page.get("/api/questions?person=Ada&count=1")[0]
    assert 0 <= question["audio"] <= 1
    assert (question["at"], question["end"]) == (0, None)  # a moment of 3 s is all of the clip
    clip = page.get("/api/clips/train_000")
    shape = [len(clip["probabilities"]), len(clip["probabilities"][0])]
    assert [*shape, len(clip["probabilities"][0][0])] == [2, 4, 6]
    assert clip["events"] == clip["parsed"]
    assert {event["m"] for event in clip["parsed"]} <= {"audio", "visual"}
    assert {event["c"] for event in clip["parsed"]} <= set(clip["tags"])
    for doubt in clip["doubts"]:
        assert abs(doubt["p"] - 0.5) <= 0.15
        assert 0 <= doubt["start"] < doubt["end"] <= 3.0
    keep = studio.beliefs.judge()
    rows = {row[0]: row for row in page.get("/api/clips")["rows"]}
    low = min(keep["train_000"][m][tag] for m in (0, 1) for tag in clip["tags"])
    assert rows["train_000"][4] == pytest.approx(1 - low, abs=1e-4)
    page.post(
        "/api/answers",
        person="Ada",
        **{"class": question["class"]},
        video=question["video"],
        audio=True,
        visual=True,
    )
    assert studio.store.answers()[0].run == "quick"


def test_a_training_shows_scores_and_labels_that_changed(data: Path, trained: Path, opened):
    studio, page = opened(data, str(trained))
    for question in page.get("/api/questions?person=Ada&count=12"):
        heard, seen = question["audio"] < 0.5, question["visual"] < 0.5  # the contrary
        about = {"video": question["video"], "class": question["class"]}
        page.post("/api/answers", person="Ada", **about, audio=heard, visual=seen)
    job = page.post("/api/train")
    assert job["state"] == "running"
    refused = page.refused(400, "POST", "/api/train", {})
    assert "a training is running" in refused["error"]
    job = ended(page)
    assert job["state"] == "done", job
    new = data / "studio" / "runs" / "1"
    assert job["before"] == pytest.approx(
        evaluate(load_run(trained), "test", data).scores.as_dict()
    )
    assert job["after"] == pytest.approx(evaluate(load_run(new), "test", data).scores.as_dict())
    assert job["on"] == f"{COUNTS['test']} test clips, which taught nothing"
    assert load_run(new).recipe == load_run(trained).recipe
    sides = [f"before={trained}", f"after={new}"]
    against = compare_sources(sides, "test", data, load_run(new).device).compared.others[0]
    for name, figure in against.scores["published"].items():
        gain, known = job["gains"][name], figure.difference
        assert (gain["low"], gain["high"]) == pytest.approx((known.low, known.high), abs=1e-6)
        assert gain["clear"] == known.clear
    # Every label that was answered against the run before changed its mind.
    changed = {(each["video"], each["class"], each["modality"]): each for each in job["changed"]}
    for answer in studio.store.answers():
        for modality in ("audio", "visual"):
            row = changed[answer.video, answer.label, modality]
            assert row["after"] == getattr(answer, modality) != row["before"]
    assert page.get("/api/state")["run"] == {"name": "studio 1", "recipe": "rlld-labelwise"}
    studio.close()
    studio, page = opened(data)  # the last run is taken, and what it came to still known
    assert page.get("/api/state")["run"]["name"] == "studio 1"
    assert page.get("/api/train")["after"] == job["after"]
    assert page.get("/api/train")["state"] == "done"


def test_a_run_of_other_classes_is_not_compared_and_told(data: Path, trained: Path):
    for file in (data / "dataset.yaml", *(data / "annotations").iterdir()):
        text = file.read_text().replace(CLASSES[0], "Whistle")
        file.unlink()  # which has a name in the template too
        file.write_text(text)
    new = quick_labelwise(data, data / "new")
    found = outcome(load_run(trained), new, load_data(data))
    assert found["before"] is None
    assert found["after"] == pytest.approx(evaluate(new, "test", data).scores.as_dict())
    assert found["changed"] is None
    said, _, why = found["on"].partition("; the run of before is not compared: ")
    assert said == f"{COUNTS['test']} test clips, which taught nothing"
    assert why.startswith(f"{data}: its classes differ from those that {trained}")


def test_a_run_that_fits_no_more_is_left_out_and_told(data: Path, trained: Path, opened):
    shutil.copytree(trained, data / "studio" / "runs" / "7")
    studio, page = opened(data)
    assert page.get("/api/state")["run"]["name"] == "studio 7"
    studio.close()
    (data / "features" / "train.safetensors").unlink()
    _, page = opened(data)
    state = page.get("/api/state")
    assert state["run"] is None
    (note,) = state["notes"]
    assert "the last run of the studio is not used" in note
    assert page.get("/api/questions?person=Ada&count=1")[0]["audio"] is None


def test_a_training_is_cancelled_and_gone_on_with(data: Path, trained: Path, opened):
    studio, page = opened(data, str(trained))
    assert page.get("/api/train") is None
    assert page.remove("/api/train") is None
    page.post("/api/train")
    job = page.remove("/api/train")
    assert job["state"] == "cancelled"
    assert "goes on where it was" in job["text"]
    studio.close()
    studio, page = opened(data, str(trained))
    assert page.get("/api/train")["state"] == "cancelled"
    assert page.post("/api/train")["run"] == 1
    page.remove("/api/train")
    question = page.get("/api/questions?person=Ada&count=1")[0]
    about = {"video": question["video"], "class": question["class"]}
    page.post("/api/answers", person="Ada", **about, audio=True, visual=True)
    assert page.post("/api/train")["run"] == 2  # it learns from something else now
    page.remove("/api/train")
    store = data / "features" / "train.safetensors"
    other = re.sub(rb'("sha256\.\w+": ?")[0-9a-f]{4}', rb"\1beef", store.read_bytes())
    store.unlink()  # which has a name in the template too
    store.write_bytes(other)
    assert page.post("/api/train")["run"] == 3  # and with other features
    page.remove("/api/train")


def test_a_cancelled_training_leaves_the_scores_of_the_one_before(
    data: Path, trained: Path, opened
):
    runs = data / "studio" / "runs"
    shutil.copytree(trained, runs / "1")
    came_to = {"before": {"segment_type": 40.0}, "after": {"segment_type": 50.0}}
    outcome_of_old = {**came_to, "on": "12 test clips", "changed": []}
    (runs / "1" / OUTCOME).write_text(json.dumps(outcome_of_old))
    studio, page = opened(data)
    assert page.get("/api/train")["state"] == "done"
    running = page.post("/api/train")
    cancelled = page.remove("/api/train")
    studio.close()
    _, page = opened(data)
    for job, state in (running, "running"), (cancelled, "cancelled"), (None, "cancelled"):
        job = job or page.get("/api/train")
        assert (job["state"], job["run"], job["scored"]) == (state, 2, 1)
        assert {key: job[key] for key in outcome_of_old} == outcome_of_old
        assert job["gains"] is None  # it was written before they were


def test_a_training_that_cannot_be_is_told_in_a_sentence(data: Path, trained: Path, opened):
    studio, page = opened(data, str(trained))
    page.get("/api/questions?person=Ada&count=1")
    store = data / "features" / "train.safetensors"
    store.unlink()
    page.post("/api/train")
    job = ended(page)
    assert job["state"] == "failed"
    assert "train.safetensors" in job["error"]
    assert "\n" not in job["error"]
    assert page.get("/api/state")["run"]["name"] == "quick"
    studio.close()
    _, page = opened(data)
    assert page.get("/api/train")["error"] == job["error"]


def test_a_training_whose_state_is_damaged_is_begun_anew(data: Path, trained: Path, opened):
    _, page = opened(data, str(trained))
    run = page.post("/api/train")["run"]
    page.remove("/api/train")
    state = data / "studio" / "runs" / str(run) / "resume" / "state.pt"
    state.parent.mkdir(exist_ok=True)
    state.write_bytes(b"PK" + bytes(100))
    assert page.post("/api/train")["run"] == run
    assert "state.pt" in ended(page)["error"]
    assert page.post("/api/train")["run"] == run + 1
    page.remove("/api/train")


def test_a_training_that_is_killed_is_told_and_gone_on_with(data: Path, trained: Path, opened):
    studio, page = opened(data, str(trained))
    page.post("/api/train")
    process = studio.jobs._process
    assert process is not None
    process.kill()
    job = ended(page)
    assert job["state"] == "failed"
    assert job["error"].startswith("the training was killed (signal 9), perhaps for want of memory")
    assert page.post("/api/train")["run"] == 1
    page.remove("/api/train")


def test_a_training_ends_with_its_studio(data: Path, trained: Path, opened):
    studio, page = opened(data, str(trained))
    page.post("/api/train")
    process = studio.jobs._process
    assert process is not None
    studio.close()
    assert process.poll() is not None
    assert page.get("/api/train")["state"] == "cancelled"


def test_a_training_ends_when_its_studio_is_killed(data: Path, trained: Path):
    from rlld.studio.session import Studio

    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        studio = Studio(data, str(trained))
        studio.train()
        process = studio.jobs._process
        os.write(writer, json.dumps(process.pid if process else 0).encode())
        time.sleep(60)
        os._exit(0)
    training = json.loads(os.read(reader, 100))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(training, 0)
        except ProcessLookupError:
            return
        state = Path(f"/proc/{training}/stat")
        if state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return  # ended, and nobody has looked yet
        time.sleep(0.1)
    pytest.fail("the training goes on without its studio")
