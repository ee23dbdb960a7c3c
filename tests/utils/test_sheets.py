"""Tables for spreadsheets: no cell acts, every cell comes back, damage is told with its line."""

from __future__ import annotations

import ast
import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rlld
from rlld.bench.comparison import Comparison, MethodRow
from rlld.bench.jobs import Terms
from rlld.bench.studies.curves import Recorded, draw
from rlld.bench.tables import csv_text
from rlld.data.answers import answer_text, read_answers
from rlld.errors import RlldError
from rlld.export import csv_events
from rlld.taxonomy import Taxonomy
from rlld.utils.sheets import SheetError, read_sheet, sheet_text

BEGINNINGS = st.sampled_from(["", "=", "+", "-", "@", "\t", "\r", "'", "''=", '"', "\n"])
CELLS = st.builds(str.__add__, BEGINNINGS, st.text(st.characters(exclude_categories=("Cs",))))
DAMAGED = ('a\tb\n"c\td\n', 'a\tb\n"c"d\te\n', "a\tb\n" + "x" * 131_073 + "\ty\n")


@given(st.lists(st.lists(CELLS.filter(lambda cell: "\x00" not in cell), min_size=2), min_size=1))
def test_every_cell_comes_back_and_none_acts(rows):
    text = sheet_text(rows)
    assert [cells for _, cells in read_sheet(text)] == rows
    for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t"):  # as a spreadsheet does
        assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in row)


def test_what_is_guarded_is_what_a_spreadsheet_would_run():
    assert sheet_text([["-0BRl4Vz3Nk_6_16", "=1+1", "a-b", "'tis", "1"]]) == (
        "'-0BRl4Vz3Nk_6_16\t'=1+1\ta-b\t'tis\t1\n"
    )


def test_numbers_are_numbers_and_text_that_looks_like_one_is_text():
    rows = [["-5", -5, -1.5, 2.0, "+1"]]
    assert sheet_text(rows, ",") == "'-5,-5,-1.5000,2.0000,'+1\n"


def acting(text: str) -> list[str]:
    """Cells of a comma-separated table that a spreadsheet would run."""
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    number = re.compile(r"-?[0-9.]+")
    return [cell for cell in cells if cell[:1] in tuple("=+-@\t\r") and not number.fullmatch(cell)]


def test_tables_of_benchmarks_name_what_anybody_named(tmp_path):
    pair = ("0123", 0)
    rows = [
        MethodRow("=1+1", {"segment_type": {pair: 40.0}}, ("command",)),
        MethodRow("@more", {"segment_type": {pair: 30.0}}, ("command",)),
    ]
    made = Comparison(
        "t", tuple(rows), "=1+1", Terms(6, "last"), {"-data": "0123", "b": "4567"}, (0,), "c"
    )
    text = csv_text(made)
    assert acting(text) == []
    names, difference = zip(*((row[0], row[7]) for _, row in read_sheet(text, ",")), strict=True)
    assert names == ("method", "=1+1", "@more")
    assert difference == ("difference_mean", "", "-10.0000")
    measures = {"segment_audio": np.array([[-1.5, 2.0]])}
    drawn = draw([Recorded("=p", "-l", measures)], "segment_audio", tmp_path / "x", "t")[-1]
    assert acting(drawn.read_text()) == []
    assert "'=p,'-l,1,1,-1.5000,,-1.5000,\n" in drawn.read_text()


def test_nothing_else_writes_tables_by_itself():
    source = Path(rlld.__file__).parent
    users = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if {"csv", "pandas"} & {name.partition(".")[0] for name in names}:
                users.add(file.name)
    # Who writes a table for people hands its cells to sheet_text, which guards them. The others
    # read files as they were published, write the package's own table, or what programs read.
    assert users == {"sheets.py", "annotated.py", "table.py", "_tables.py", "dcase_events.py"}


def test_files_of_before_are_read_as_they_stand():
    assert list(read_sheet("video\n-0BRl4Vz3Nk_6_16\n=x\n")) == [
        (1, ["video"]),
        (2, ["-0BRl4Vz3Nk_6_16"]),
        (3, ["=x"]),
    ]


@pytest.mark.parametrize("text", DAMAGED)
def test_damage_is_told_with_its_line(text):
    with pytest.raises(SheetError, match=r"quote|131,072 characters") as caught:
        list(read_sheet(text))
    assert caught.value.line == 2


LONG = "-a\t" + "x" * 140_000 + "\taudio\tyes\n"


@pytest.mark.parametrize("damage", ['"-a\tDog\taudio\tyes\n', LONG], ids=["quote", "long"])
def test_answers_and_events_say_it_in_a_sentence(tmp_path, damage):
    path = tmp_path / "answers.csv"
    path.write_text(answer_text([("-a", "Dog", "audio", True)]) + damage)
    with pytest.raises(RlldError, match=r"answers.csv:3: a (quote|cell) "):
        read_answers(path, Taxonomy(("Dog",)))
    head = "\t".join(csv_events.HEADER) + "\n"
    with pytest.raises(RlldError, match=r"e.csv:2: a (quote|cell) "):
        csv_events.loads(head + damage, "e.csv")


def test_answers_about_ids_that_look_like_formulas(tmp_path):
    path = tmp_path / "answers.csv"
    questions = [("-0BRl4Vz3Nk_6_16", "Dog", "audio", True), ("=x", "Dog", "visual", False)]
    path.write_text(answer_text(questions))
    assert "'-0BRl" in path.read_text() and "'=x" in path.read_text()
    found = read_answers(path, Taxonomy(("Dog",)))
    assert [answer.video for answer in found] == ["-0BRl4Vz3Nk_6_16", "=x"]
