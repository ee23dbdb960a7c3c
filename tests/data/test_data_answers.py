"""Bare answers: reading, painting, packing, adding and checking them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.add_answers import add_answers
from rlld.data.answers import Answer, answered, chances, read_answers, write_answers
from rlld.data.checks.check import check
from rlld.data.dataset import load_split
from rlld.data.spec import read_spec
from rlld.errors import RlldError
from rlld.taxonomy import Taxonomy
from tiny import CLASSES, SPEC, make_tiny

TAXONOMY = Taxonomy(CLASSES)
TABS = "video\tclass\tmodality\tpresent\n"


@pytest.fixture
def write(tmp_path: Path):
    def it(text: str) -> Path:
        path = tmp_path / "answers.csv"
        path.write_bytes(text.encode())
        return path

    return it


def test_every_spelling_of_a_file_reads_alike(write):
    wanted = [("a", "Bell", "audio", True), ("b", "Rain", "visual", False)]
    files = [
        TABS + "a\tBell\taudio\tyes\nb\tRain\tvisual\tno\n",
        "video,class,modality,present\na,Bell,audio,1\nb,Rain,visual,0\n",
        "\ufeffVideo;Class;Modality;Present\r\na;Bell;audio;True\r\nb;Rain;visual;FALSE\r\n",
        'who,present,modality,class,video\nAnn,Y,audio,"Bell",a\n"Bob, too",n,visual,Rain,b\n\n',
        TABS + "a\tBell\taudio\tyes\na\tBell\tvisual\t\nb\tRain\tvisual\tno\n",
    ]
    for text in files:
        assert [answer[:4] for answer in read_answers(write(text), TAXONOMY)] == wanted


def test_what_is_written_is_read(tmp_path):
    rows = [Answer("a", "Bell", "audio", True), Answer("b", "Rain", "visual", False)]
    write_answers(tmp_path / "x.csv", rows)
    assert [row[:4] for row in read_answers(tmp_path / "x.csv", TAXONOMY)] == [
        row[:4] for row in rows
    ]


def test_probabilities_are_kept_where_there_are_some(tmp_path, write):
    path = write(
        "video,class,modality,present,Probability\na,Bell,audio,yes,0.25\n"
        "b,Rain,visual,no,\nc,Rain,visual,,0.5\n"
    )
    rows = read_answers(path, TAXONOMY)
    assert [row.probability for row in rows] == [0.25, None]
    write_answers(path, rows)
    assert path.read_text() == TABS.replace("\n", "\tprobability\n") + (
        "a\tBell\taudio\tyes\t0.25\nb\tRain\tvisual\tno\t\n"
    )
    found = chances(rows, ["b", "a"], SPEC)
    assert found[1, 0, 0] == 0.25
    assert (found > 0).sum() == 1
    # Without any the file is the one that it always was.
    write_answers(path, [row._replace(probability=None) for row in rows])
    assert path.read_text() == TABS + "a\tBell\taudio\tyes\nb\tRain\tvisual\tno\n"
    assert chances(read_answers(path, TAXONOMY), ["a", "b"], SPEC) is None


NAMES = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=8)
NAMES = NAMES.map(str.strip).filter(bool)
CHANCES = st.none() | st.floats(1e-6, 1).map(lambda value: float(f"{value:.6g}"))


@given(
    st.lists(
        st.builds(
            Answer,
            NAMES,
            st.sampled_from(CLASSES),
            st.sampled_from(["audio", "visual"]),
            st.booleans(),
            st.just(0),
            CHANCES,
        ),
        unique_by=lambda answer: answer.question,
    )
)
def test_any_answers_come_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("answers") / "answers.csv"
    write_answers(path, rows)
    assert [row._replace(line=0) for row in read_answers(path, TAXONOMY)] == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: expected a header line with the columns video, class, modality, present"),
        ("video\tclass\tpresent\n", "without modality"),
        (
            TABS + "a\tBel\taudio\tyes\n",
            ":2: class is 'Bel', which is unknown; did you mean 'Bell'",
        ),
        (TABS + "a\tBell\tsound\tyes\n", ":2: modality is 'sound', expected audio or visual"),
        (TABS + "\n\na\tBell\taudio\tmaybe\n", ":4: present is 'maybe', expected yes or no"),
        (TABS + "\tBell\taudio\tyes\n", ":2: video is empty"),
        *(
            (
                f"video,class,modality,present,probability\na,Bell,audio,yes,{chance}\n",
                f":2: probability is '{chance}', expected a number above 0",
            )
            for chance in ("0", "-1", "1.5", "nan", "often")
        ),
        (TABS + "a\tBell\taudio\n", ":2: expected 4 fields .* separated by tabs, found 3"),
        (TABS + "a\tBell\taudio\tyes\na\tBell\taudio\tno\n", ":3: present is 'no' .* line 2"),
    ],
)
def test_errors_name_file_line_field_and_what_was_expected(write, text, message):
    with pytest.raises(
        RlldError, match=r"answers\.csv" + message if message[0] == ":" else message
    ):
        read_answers(write(text), TAXONOMY)


def test_answers_are_painted_and_the_rest_is_unknown():
    rows = [Answer("b", "Drum", "visual", False), Answer("x", "Bell", "audio", True)]
    rows.append(Answer("a", "Rain", "audio", True))
    found = answered(rows, ["a", "b"], SPEC)
    assert found.shape == (2, 2, 4)
    assert found[1, 1, 1] == 0
    assert found[0, 0, 3] == 1
    assert (found == -1).sum() == 14


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_tiny(tmp_path / "D")


def tag(folder: Path, split: str, video: int) -> str:
    """A class that a video is tagged with."""
    return CLASSES[int(load_split(folder, split).labels[video].argmax())]


def test_answers_are_added_to_a_data_set_and_replace_older_ones(data, tmp_path):
    first, second = tag(data, "train", 0), tag(data, "validation", 3)
    file = tmp_path / "mine.csv"
    file.write_text(
        "video,class,modality,present\n"
        f"train_000,{first},audio,yes\nvalidation_003,{second},visual,no\nnobody,{first},audio,no\n"
    )
    added = add_answers(data, file)
    assert (added.used, added.unused, added.total) == (2, 1, 2)
    assert read_spec(data).annotations.answers == "answers.csv"
    train, validation = load_split(data, "train"), load_split(data, "validation")
    assert train.answers[0, 0, CLASSES.index(first)] == 1
    assert int((train.answers >= 0).sum()) == 1
    assert validation.answers[3, 1, CLASSES.index(second)] == 0
    assert load_split(data, "test").answers is None
    file.write_text(f"video,class,modality,present\ntrain_000,{first},audio,no\n")
    assert add_answers(data, file).total == 2
    assert load_split(data, "train").answers[0, 0, CLASSES.index(first)] == 0


def test_answers_on_nothing_that_is_known_are_refused(data, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("video,class,modality,present\ntest_000,Bell,audio,yes\n")
    with pytest.raises(RlldError, match="none of its 1 answers is about a tag"):
        add_answers(data, file)
    assert not (data / "annotations" / "answers.csv").exists()
    assert read_spec(data).annotations.answers == ""


def test_presence_joins_annotation_and_answers(data):
    from dataclasses import replace

    split = load_split(data, "validation")
    events = split.require_dense().any(1)
    assert torch.equal(split.presence, events.to(torch.int8))
    contrary = torch.full_like(split.presence, -1)
    contrary[2, 1, 3] = 1 - int(events[2, 1, 3])
    changed = replace(split, answers=contrary).presence
    assert changed[2, 1, 3] != events[2, 1, 3]
    assert int((changed != split.presence).sum()) == 1
    bare = replace(split, dense=None, answers=contrary)
    assert torch.equal(bare.presence, contrary)
    tagged = split.labels[:, 3].bool()
    assert bare.annotated.tolist() == [i == 2 and bool(tagged[2]) for i in range(20)]


def test_the_check_counts_answers_and_says_which_are_not_used(data, tmp_path):
    label = tag(data, "validation", 0)
    split = load_split(data, "validation")
    truth = bool(split.require_dense()[0, :, 0, CLASSES.index(label)].any())
    untagged = CLASSES[int(split.labels[1].argmin())]
    (data / "annotations" / "answers.csv").write_text(
        TABS
        + f"validation_000\t{label}\taudio\t{'no' if truth else 'yes'}\n"
        + f"validation_001\t{untagged}\taudio\tno\n"
        + "test_000\tBell\taudio\tno\nnobody\tBell\taudio\tno\n"
        + "validation_001\tBell\taudio\tperhaps\n"
    )
    text = (data / "dataset.yaml").read_text().replace("answers: ''", "answers: answers.csv")
    (data / "dataset.yaml").write_text(text)
    report = check(data)
    found = [str(problem).partition("answers.csv:")[2] for problem in report.problems]
    found = [text for text in found if text]
    assert "the dense annotation says the contrary; the answer counts" in found[0]
    assert found[1].startswith("3: 'validation_001' is not tagged with")
    assert "is a test video" in found[2]
    assert "in none of the splits" in found[3]
    assert found[4].startswith("6: present is 'perhaps'")
    assert {split.name: split.answers for split in report.splits} == {
        "train": 0,
        "validation": 1,
        "test": None,
    }
