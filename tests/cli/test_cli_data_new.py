"""``rlld data new``: a folder of clips and what is known of them become a data set."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cli_kit import full_disk
from parse_kit import make_clip
from rlld.cli.data.new import _next
from rlld.data.dataset import load_data
from rlld.features import to_stores
from rlld.workflows import new_data


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 2.0)


@pytest.fixture
def phone(tmp_path, clip):
    """A folder of clips, some with the same name."""
    for name in ("day1/a", "day1/b", "day2/b", "c"):
        target = tmp_path / f"phone/{name}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, target)
    return tmp_path / "phone"


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """As on a machine without the extra ``starter``."""
    monkeypatch.setattr(new_data, "default_features", lambda: "light")


def new(run_cli, phone, *args):
    return run_cli("data", "new", "D", "--videos", phone, "--workers", 1, *args, cwd=phone.parent)


def test_too_few_clips_for_the_recommended_recipe_are_told():
    said = _next(Path("D"), 2)
    assert "rlld-best needs 3 training videos at least; or rlld train weak --data D" in said
    assert _next(Path("D"), 3) == "next: rlld train rlld-best --data D --out run"


def test_a_table_of_tags_makes_a_data_set(run_cli, phone):
    tags = phone.parent / "tags.csv"
    tags.write_text("file,tags\nday1/a.mp4,Dog;cat\nday1/b.mp4,dog\nday2/b.mp4,none\nz.mp4,owl\n")
    result = new(run_cli, phone, "--tags", tags)
    assert result.returncode == 0, result.stderr
    for line in (
        "4 clips, 3 of them in D",
        "left out: c.mp4: no tag says what occurs in it",
        "named in tables, but no clip: 1, such as 'z.mp4'",
        "note: 'dog' and 'Dog' are one class, 'Dog'",
        "columns file=clip,tags=tags",
        "of real clips '--features starter' sees far more (pip install 'rlld[starter]')",
        "next: rlld train rlld-best --data D --out run",
    ):
        assert line in result.stdout
    data = load_data(phone.parent / "D")
    assert data.spec.classes == ("cat", "Dog") and data.spec.segments == 2
    assert data.train.ids == ("a", "day1_b", "day2_b")
    assert data.train.labels.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert data.train.streams["audio"].any()
    assert run_cli("data", "check", "D", cwd=phone.parent).returncode == 0


def test_without_a_table_the_folders_are_tags(run_cli, phone):
    assert new(run_cli, phone).returncode == 0
    data = load_data(phone.parent / "D")
    assert data.spec.classes == ("day1", "day2")
    assert data.train.labels.tolist() == [[1, 0], [1, 0], [0, 1]]


def test_clips_that_join_later_change_no_id(run_cli, phone, clip):
    assert new(run_cli, phone).returncode == 0
    (phone / "day3").mkdir()
    shutil.copy(clip, phone / "day3/a.mp4")
    assert new(run_cli, phone).returncode == 0
    assert load_data(phone.parent / "D").train.ids == ("a", "day1_b", "day2_b", "day3_a")


def test_the_same_command_again_extracts_what_is_new_and_moves_what_was_watched(
    run_cli, phone, clip
):
    assert "of 4 clips extracted" in new(run_cli, phone, "--tags", tagged(phone, "abc")).stdout
    shutil.copy(clip, phone / "d.mp4")
    events = phone.parent / "events.csv"
    events.write_text("clip,class,modality,onset,offset\na,Dog,audio,0,1\nc,,,,\n")
    again = ("--tags", tagged(phone, "abcd"), "--events", events)
    result = new(run_cli, phone, *again)
    assert "features of 1 clips extracted, of 4 kept" in result.stdout
    data = load_data(phone.parent / "D")
    assert data.train.ids == ("d", "day1_b", "day2_b")
    assert data.validation.ids == ("a", "c")
    assert data.validation.require_dense().nonzero().tolist() == [[0, 0, 0, 1]]
    (phone / "d.mp4").unlink()
    assert "no segment of 1 s" not in result.stdout
    result = new(run_cli, phone, *again)
    assert "features of 0 clips extracted" in result.stdout
    assert "named in tables, but no clip: 1, such as 'd.mp4'" in result.stdout
    assert load_data(phone.parent / "D").train.ids == ("day1_b", "day2_b")


def test_events_too_short_to_mark_a_segment_are_told(run_cli, phone):
    events = phone.parent / "events.csv"
    rows = ("a,Dog,audio,0.2,0.5", "c,Dog,both,0,0.3", "c,Dog,both,0.3,0.6")
    events.write_text("\n".join(("clip,class,modality,onset,offset", *rows, "")))
    result = new(run_cli, phone, "--tags", tagged(phone, "abc"), "--events", events)
    assert "note: 1 event fills no segment of 1 s by half; it is kept, but" in result.stdout
    dense = load_data(phone.parent / "D").validation.require_dense()
    assert dense.nonzero().tolist() == [[1, 0, 0, 1], [1, 0, 1, 1]]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("", "no tag says what occurs in any of its 4 clips"),
        ("none", "no clip has a tag: of 4, 2 are said to be empty and of the others nothing is"),
    ],
)
def test_a_table_without_any_tag_is_told_from_one_of_empty_clips(
    run_cli, phone, fails_with, cell, told
):
    tags = phone.parent / "tags.csv"
    tags.write_text(f"file,tags\nc.mp4,{cell}\nday1/a.mp4,{cell}\n")
    fails_with(new(run_cli, phone, "--tags", tags), told)
    assert not (phone.parent / "D/dataset.yaml").exists()


def test_answers_come_along_and_join_those_that_are_there(run_cli, phone):
    first, later = phone.parent / "answers.csv", phone.parent / "sheet.csv"
    first.write_text(
        "file;label;where;answer\nday1/a.mp4;dog;heard;yes\nC;DOG;both;no\nc;cat;a;\nz;dog;a;yes\n"
    )
    tags = tagged(phone, "abc")
    result = new(run_cli, phone, "--tags", tags, "--answers", first)
    assert result.returncode == 0, result.stderr
    assert "named in tables, but no clip: 1, such as 'z'" in result.stdout
    file = phone.parent / "D/annotations/answers.csv"
    assert file.read_text().splitlines() == [
        "video\tclass\tmodality\tpresent",
        "a\tDog\taudio\tyes",
        "c\tDog\taudio\tno",
        "c\tDog\tvisual\tno",
    ]
    again = {path: path.read_bytes() for path in (file, phone.parent / "D/dataset.yaml")}
    assert new(run_cli, phone, "--tags", tags, "--answers", first).returncode == 0
    assert again == {path: path.read_bytes() for path in again}
    # What rlld suggest asks is called by ids; a later answer replaces an earlier one.
    later.write_text(
        "video\tclass\tmodality\tpresent\nday1_b\tDog\tvisual\tyes\nc\tDog\taudio\tyes\n"
    )
    assert new(run_cli, phone, "--tags", tags, "--answers", later).returncode == 0
    assert sorted(file.read_text().splitlines()[1:]) == [
        "a\tDog\taudio\tyes",
        "c\tDog\taudio\tyes",
        "c\tDog\tvisual\tno",
        "day1_b\tDog\tvisual\tyes",
    ]
    assert new(run_cli, phone, "--tags", tags).returncode == 0  # they stay
    train = load_data(phone.parent / "D").train
    assert train.answers[train.ids.index("c"), :, 1].tolist() == [1, 0]
    assert run_cli("data", "check", "D", cwd=phone.parent).returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clip,class,modality\na,Dog,audio\n", "has no column present"),
        ("clip,class,modality,present\na,Dog,audio,maybe\n", "answers.csv:2: present is 'maybe'"),
        ("clip,class,modality,present\na,Dog,smell,yes\n", "answers.csv:2: modality is 'smell'"),
        ("clip,class,modality,present\na,Dog;Cat,audio,yes\n", "names several classes"),
        (
            "clip,class,modality,present\na,Dog,audio,yes\nday1/a.mp4,dog,both,no\n",
            "answers.csv:3: says no to audio dog of 'a', and answers.csv:2 says yes; keep one",
        ),
        ("", "holds no rows"),
    ],
)
def test_answers_that_are_none_are_refused(run_cli, phone, fails_with, text, told):
    (phone.parent / "answers.csv").write_text(text)
    tags = tagged(phone, "abc")
    fails_with(new(run_cli, phone, "--tags", tags, "--answers", "answers.csv"), told)
    assert not (phone.parent / "D/dataset.yaml").exists()


def test_an_answer_about_no_tag_of_its_clip_is_not_used_and_told(run_cli, phone):
    (phone.parent / "answers.csv").write_text("clip,class,modality,present\na,owl,audio,yes\n")
    result = new(run_cli, phone, "--tags", tagged(phone, "abc"), "--answers", "answers.csv")
    assert "1 of 1 answers are about classes that the clip is not tagged with" in result.stdout
    assert not (phone.parent / "D/annotations/answers.csv").exists()
    assert "answers: ''" in (phone.parent / "D/dataset.yaml").read_text()


def tagged(phone, stems):
    """Writes the tags of clips whose names are these letters, in every folder."""
    files = sorted(file for file in phone.rglob("*.mp4") if file.stem in stems)
    rows = (
        f"{file.relative_to(phone)},{'Dog;Cat' if n % 2 else 'Dog'}" for n, file in enumerate(files)
    )
    (phone.parent / "tags.csv").write_text("\n".join(["file,tags", *rows]))
    return phone.parent / "tags.csv"


def test_clips_that_cannot_be_read_are_left_out_and_tried_again(run_cli, phone, clip, fails_with):
    whole = clip.read_bytes()
    (phone / "c.mp4").write_bytes(b"no clip")
    # An index without anything behind it: opens, and gives nothing.
    at = whole.index(b"mdat")
    (phone / "d.mp4").write_bytes(whole[: at + 4] + bytes(len(whole) - at - 4))
    tags = tagged(phone, "abcd")
    result = new(run_cli, phone, "--tags", tags)
    assert result.returncode == 0, result.stderr
    assert load_data(phone.parent / "D").train.ids == ("a", "day1_b", "day2_b")
    left = (phone.parent / "D/left_out.tsv").read_text()
    assert re.search(r"^c.mp4\t.*is no audio or video file", left, re.MULTILINE)
    assert re.search(r"^d.mp4\t.*d.mp4: ", left, re.MULTILINE)
    assert "left out: c.mp4: " in result.stdout
    for name in ("c.mp4", "d.mp4"):
        shutil.copy(clip, phone / name)
    result = new(run_cli, phone, "--tags", tags)
    assert "features of 2 clips extracted" in result.stdout
    assert load_data(phone.parent / "D").train.ids == ("a", "c", "d", "day1_b", "day2_b")
    assert not (phone.parent / "D/left_out.tsv").exists()
    for file in phone.rglob("*.mp4"):
        file.write_bytes(b"no clip")
    fails_with(new(run_cli, phone, "--tags", tags), "none of its tagged clips can be read: ")


def test_clips_of_other_lengths_keep_them(run_cli, phone):
    make_clip(phone / "long.mp4", 4.0)
    result = new(run_cli, phone, "--tags", tagged(phone, ["a", "b", "c", "long"]))
    assert result.returncode == 0 and "videos are as long as they are" in result.stdout
    train = load_data(phone.parent / "D").train
    assert train.spec.any_length and train.lengths.tolist() == [2, 2, 2, 2, 4]


@pytest.mark.parametrize("features", ["lite", "vggish", "silence"])
def test_features_that_cannot_be_had_leave_a_data_set_as_it_is(
    run_cli, phone, fails_with, features, monkeypatch
):
    monkeypatch.setenv("RLLD_WEIGHTS", str(phone / "none"))
    table = tagged(phone, ["a", "c"])
    assert new(run_cli, phone, "--tags", table).returncode == 0
    folder = phone.parent / "D"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    fails_with(new(run_cli, phone, "--tags", table, "--features", features), "")
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert load_data(folder).train.ids == ("a", "c")


def test_what_the_owner_wrote_into_the_data_set_stays(run_cli, phone):
    table = tagged(phone, ["a", "c"])
    assert new(run_cli, phone, "--tags", table).returncode == 0
    file = phone.parent / "D/dataset.yaml"
    file.write_text(file.read_text() + "any_length: true\n")
    result = run_cli("extract", phone.parent / "D", "--workers", 1)
    assert "light features of 2 clips" in result.stdout
    assert new(run_cli, phone, "--tags", table).returncode == 0
    assert load_data(phone.parent / "D").spec.any_length


def test_what_was_refused_on_the_way_is_made_by_the_same_command_later(run_cli, phone, fails_with):
    own = phone.parent / "D/videos/day1_b.mp4"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"a file of its owner")
    fails_with(new(run_cli, phone), "day1_b.mp4: is no link of 'rlld data new'; move it")
    own.unlink()
    assert new(run_cli, phone).returncode == 0
    assert load_data(phone.parent / "D").train.ids == ("a", "day1_b", "day2_b")


def test_a_disk_that_is_full_on_the_way_refuses_no_later_call(run_cli, phone):
    events, folder = phone.parent / "events.csv", phone.parent / "D"
    events.write_text("clip,class,modality,onset,offset\na,day1,audio,0,1\n")
    # clips.tsv, three files of validation, dataset.yaml, train.csv, and then the features
    for room in range(7):
        shutil.rmtree(folder, ignore_errors=True)
        with full_disk(room):
            result = new(run_cli, phone, "--events", events)
        assert "make room and run again" in result.stderr
        assert new(run_cli, phone, "--events", events).returncode == 0, room
        assert load_data(folder).validation.ids == ("a",)
        assert load_data(folder).train.ids == ("day1_b", "day2_b")


def during(monkeypatch, module, name, run):
    """Does something else when a function is called first, as another process might."""
    done, original = [], getattr(module, name)

    def both(*args, **more):
        done or done.append(run())
        return original(*args, **more)

    monkeypatch.setattr(module, name, both)
    return done


def test_what_another_process_would_write_meanwhile_is_refused(run_cli, phone, monkeypatch):
    tags, answers = tagged(phone, "abc"), phone.parent / "answers.csv"
    assert new(run_cli, phone, "--tags", tags).returncode == 0
    answers.write_text("video,class,modality,present\na,Dog,audio,yes\n")
    folder = phone.parent / "D"
    found = during(
        monkeypatch, new_data, "_lengths", lambda: run_cli("data", "answers", folder, answers)
    )
    assert new(run_cli, phone, "--tags", tags).returncode == 0
    assert "another process is writing it" in found[0].stderr
    assert run_cli("data", "answers", folder, answers).returncode == 0
    assert load_data(folder).train.answers is not None


def test_what_is_being_extracted_is_made_anew_by_nobody(run_cli, phone, monkeypatch):
    assert new(run_cli, phone, "--tags", tagged(phone, "ab")).returncode == 0
    tags, folder = tagged(phone, "abc"), phone.parent / "D"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = during(
        monkeypatch, to_stores, "read_splits", lambda: new(run_cli, phone, "--tags", tags)
    )
    assert run_cli("extract", folder, "--workers", 1).returncode == 0
    assert "another process is writing it" in found[0].stderr
    assert before == {path: path.read_bytes() for path in before}
    assert new(run_cli, phone, "--tags", tags).returncode == 0
    assert load_data(folder).train.ids == ("a", "c", "day1_b", "day2_b")


def test_another_clip_of_the_name_of_one_that_is_gone_is_another_one(run_cli, phone):
    """Cameras begin to count again: what was known of the old clip is not true of the new one."""
    assert new(run_cli, phone, "--tags", "folders").returncode == 0
    folder, name = phone.parent / "D", phone.parent / "a.txt"
    name.write_text("0\t1\taudio: day1\n")
    assert run_cli("data", "import", folder, name).returncode == 0
    (phone / "day1/a.mp4").unlink()
    make_clip(phone / "day2/a.mp4", 2.0)
    (phone / "day3").mkdir()
    (phone / "day2/b.mp4").rename(phone / "day3/b.mp4")  # this one was moved
    result = new(run_cli, phone, "--tags", "folders")
    assert result.returncode == 0
    listed = (folder / "clips.tsv").read_text().splitlines()[1:]
    assert {Path(row.split("\t")[1]).relative_to(phone): row.split("\t")[0] for row in listed} == {
        Path("day1/b.mp4"): "day1_b", Path("day2/a.mp4"): "day2_a", Path("day3/b.mp4"): "day2_b"
    }  # fmt: skip
    assert "day2_a" in (folder / "annotations/train.csv").read_text()


def test_an_id_waits_for_its_clip_however_often_the_data_set_is_made_meanwhile(run_cli, phone):
    tags = tagged(phone, "abc")
    folder, ours = phone.parent / "D", phone / "day1/a.mp4"

    def ids(*args):
        result = new(run_cli, phone, *args)
        assert result.returncode == 0, result.stderr
        rows = [row.split("\t") for row in (folder / "clips.tsv").read_text().splitlines()[1:]]
        return {Path(file).relative_to(phone).as_posix(): video for video, file, *_ in rows}

    assert ids("--tags", tags)["day1/a.mp4"] == "a"
    kept = ours.rename(phone.parent / "kept.mp4")
    for _ in range(2):
        assert "a" not in ids("--tags", tagged(phone, "bc")).values()
    make_clip(ours, 2.0)  # the camera counts from the beginning again
    assert ids("--tags", tagged(phone, "abc"))["day1/a.mp4"] == "day1_a"
    kept.rename(phone / "day2/old.mp4")
    found = ids("--tags", tagged(phone, ["a", "b", "c", "old"]))
    assert (found["day1/a.mp4"], found["day2/old.mp4"]) == ("day1_a", "a")
    # A clip that is left out for a while is no other one, even if it is replaced.
    assert "c.mp4" not in ids("--tags", tagged(phone, "ab"))
    make_clip(phone / "c.mp4", 2.0)
    assert ids("--tags", tagged(phone, "abc"))["c.mp4"] == "c"


def test_a_clip_that_is_gone_leaves_its_tags_and_answers_to_nobody(run_cli, phone):
    (phone / "b.mp4").write_bytes((phone / "c.mp4").read_bytes())
    table, answers = phone.parent / "tags.csv", phone.parent / "answers.csv"
    table.write_text("file,tags\nb.mp4,dog\nday2/b.mp4,cat\nc.mp4,dog\n")
    answers.write_text("clip,class,modality,present\nb.mp4,dog,audio,no\nc,dog,audio,yes\n")
    assert new(run_cli, phone, "--tags", table, "--answers", answers).returncode == 0
    (phone / "b.mp4").unlink()
    (phone / "day1/b.mp4").unlink()
    result = new(run_cli, phone, "--tags", table, "--answers", answers)
    assert result.returncode == 0
    folder = phone.parent / "D"
    assert (folder / "annotations/train.csv").read_text().splitlines()[1:] == [
        "c\tdog", "day2_b\tcat"]  # fmt: skip
    assert "b.mp4\ta name in the tables" in (folder / "left_out.tsv").read_text()
    assert "day2_b" not in (folder / "annotations/answers.csv").read_text()


def test_what_is_no_folder_of_tagged_clips_is_refused(run_cli, phone, fails_with):
    (phone / "empty").mkdir()
    fails_with(new(run_cli, phone / "empty"), "no clips in it or its sub-folders")
    fails_with(new(run_cli, phone / "nothing"), "no such folder")
    shutil.rmtree(phone / "day1")
    shutil.rmtree(phone / "day2")
    fails_with(new(run_cli, phone), "tell what occurs in the clips; give a table with --tags FILE")
    assert not (phone.parent / "D").exists()
    fails_with(new(run_cli, phone, "--tags", "x.csv"), "x.csv: no such file")
    (phone.parent / "D").mkdir()
    (phone.parent / "D/dataset.yaml").write_text("name: x")
    fails_with(new(run_cli, phone), "'rlld data new' did not make")
