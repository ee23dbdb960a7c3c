"""Tags in workbooks, JSON and small text files."""

from __future__ import annotations

import json
import zipfile

import openpyxl
import pytest

from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import is_tag_file, read_tags
from rlld.data.tags.texts import folder_of_texts, text_tags, texts_beside
from rlld.errors import RlldError

CLIPS = ClipNames({"a": "day1/a.mp4", "b": "b.mov", "0012": "0012.mp4"})
WANTED = {"a": ("dog", "cat"), "b": ("owl",)}


def workbook(path, *sheets, merge="", **formulas):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{number}")
        for row in rows:
            sheet.append(row)
        for cell, text in formulas.items():
            sheet[cell] = text
        if merge:
            sheet.merge_cells(merge)
    book.save(path)
    return path


ROWS = [["file", "tags"], ["a.mp4", "dog, cat"], ["b", "owl"]]


def test_the_sheet_of_a_workbook_that_names_clips_is_read(tmp_path):
    path = workbook(tmp_path / "t.xlsx", [["about", "me"], ["x", "y"]], [[], *ROWS])
    found = read_tags(path, CLIPS)
    assert found.of == WANTED
    assert found.notes[0] == "t.xlsx: sheet 's1' is read, not s0"


def test_values_of_a_workbook_are_read_as_they_are_meant(tmp_path):
    rows = [["file", "dog", "cat"], ["a", True, 1.0], ["b", False, 0], [12, 1, None]]
    assert read_tags(workbook(tmp_path / "t.xlsx", rows), CLIPS).of == {
        "a": ("dog", "cat"),
        "b": (),
        "0012": ("dog",),
    }


def test_merged_cells_are_refused_with_their_place(tmp_path):
    path = workbook(tmp_path / "t.xlsx", ROWS, merge="B2:B3")
    with pytest.raises(RlldError, match=r"sheet 's0' has merged cells \(B2:B3\), and which rows"):
        read_tags(path, CLIPS)


def test_a_formula_counts_by_its_value_and_is_refused_without_one(tmp_path):
    path = workbook(tmp_path / "t.xlsx", ROWS, B3='="o"&"wl"')
    with pytest.raises(RlldError, match="cell B3 of sheet 's0' is a formula whose value"):
        read_tags(path, CLIPS)
    valued = tmp_path / "valued.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(valued, "w") as new:
        for name in old.namelist():
            content = (
                old.read(name)
                .replace(b"</f><v />", b"</f><v>owl</v>")
                .replace(b"</f><v></v>", b"</f><v>owl</v>")
            )
            if name.endswith("sheet1.xml"):
                content = content.replace(b'r="B3"', b'r="B3" t="str"')
            new.writestr(name, content)
    assert read_tags(valued, CLIPS).of == WANTED


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"file,tags\n", b"\xd0\xcf\x11\xe0" * 200])
def test_what_is_no_workbook_is_refused(tmp_path, content):
    path = tmp_path / "t.xlsx"
    path.write_bytes(content)
    with pytest.raises(RlldError, match="is no workbook"):
        read_tags(path, CLIPS)


def test_a_row_of_millions_of_cells_is_refused_before_it_is_built(tmp_path):
    whole, wide = tmp_path / "whole.xlsx", tmp_path / "wide.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["file", "tags"])
    book.save(whole)
    with zipfile.ZipFile(whole) as found, zipfile.ZipFile(wide, "w", zipfile.ZIP_DEFLATED) as made:
        for entry in found.infolist():
            content = found.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                row = b'<row r="3">' + b"<c/>" * 20_000 + b"</row></sheetData>"
                content = content.replace(b"</sheetData>", row)
            made.writestr(entry.filename, content)
    with pytest.raises(RlldError, match=r"wide\.xlsx: sheet 'Sheet' has a row of more than 16,384"):
        read_tags(wide, CLIPS)


def test_a_workbook_that_unpacks_to_gigabytes_is_refused_before(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", bytes(130 << 20))
    with pytest.raises(RlldError, match="holds 130 MB, more than the 128 MB"):
        read_tags(path, CLIPS)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.json", [{"file": "a.mp4", "tags": ["dog", "cat"]}, {"file": "b", "tags": ["owl"]}]),
        ("t.json", [{"file": "a.mp4", "tags": "dog, cat"}, {"tags": "owl", "file": "b.mov"}]),
        ("t.json", {"a.mp4": ["dog", "cat"], "b.mov": ["owl"]}),
        ("t.json", {"a.mp4": "dog;cat", "b.mov": "owl"}),
        ("t.json", {"a": {"dog": 1, "cat": True, "owl": 0}, "b": {"owl": 1}}),
        (
            "t.json",
            {
                "version": 3,
                "videos": [{"id": "a", "tags": ["dog", "cat"]}, {"id": "b", "tags": ["owl"]}],
            },
        ),
        (
            "t.json",
            [
                {"file": "a", "labels": {"dog": True, "cat": True}},
                {"file": "b", "labels": {"owl": True}},
            ],
        ),
        ("t.jsonl", [{"file": "a.mp4", "tags": ["dog", "cat"]}, {"file": "b", "tags": "owl"}]),
    ],
)
def test_json_is_read_however_it_is_laid_out(tmp_path, name, data):
    lines = [json.dumps(row) for row in data] if name.endswith("l") else [json.dumps(data)]
    (tmp_path / name).write_text("\n".join(lines), encoding="utf-8-sig")
    assert read_tags(tmp_path / name, CLIPS).of == WANTED


def test_a_comma_in_a_list_is_part_of_its_tag(tmp_path):
    (tmp_path / "t.json").write_text('{"a": ["Fire engine, siren"], "b": null}')
    found = read_tags(tmp_path / "t.json", CLIPS)
    assert found.of == {"a": ("Fire engine siren",)} and found.unknown == ("b",)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("t.json", "[1", "not valid JSON"),
        ("t.json", "3", "holds int 3, expected a list or mapping"),
        ("t.json", "[1, 2]", "t.json:1: found int 1, expected a mapping"),
        ("t.json", '{"a": [["x"]]}', "t.json:1: found a list in a list"),
        ("t.json", "[]", "holds no rows"),
        ("t.jsonl", '{"file": "a"}\n{', "t.jsonl:2: not valid JSON"),
        ("t.ods", "x", "is no table by its suffix"),
    ],
)
def test_what_is_no_table_in_json_is_refused(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(RlldError, match=told):
        read_tags(tmp_path / name, CLIPS)


def test_a_folder_of_texts_holds_tags_of_clips_or_clips_of_classes(tmp_path):
    by_clip, by_class, other = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    for folder in (by_clip, by_class, other):
        folder.mkdir()
    (by_clip / "a.txt").write_text("dog\ncat\n")
    (by_clip / "b.txt").write_text("owl")
    (by_clip / "z.txt").write_text("owl")
    found = folder_of_texts(by_clip, CLIPS)
    assert found.of == WANTED and found.strangers == ("z.txt",)
    (by_class / "dog.txt").write_text("a.mp4\nz.mp4\n")
    (by_class / "cat.txt").write_text("day1/a\n")
    (by_class / "owl.txt").write_text("b")
    found = folder_of_texts(by_class, CLIPS)
    assert {video: set(tags) for video, tags in found.of.items()} == {
        "a": {"dog", "cat"},
        "b": {"owl"},
    }
    assert found.strangers == ("z.mp4",)
    with pytest.raises(RlldError, match="no text files in it"):
        folder_of_texts(other, CLIPS)
    (other / "dog.txt").write_text("nothing known")
    with pytest.raises(RlldError, match="are not called like clips, and name none"):
        folder_of_texts(other, CLIPS)


def test_texts_beside_clips_are_their_tags(tmp_path):
    (tmp_path / "a.txt").write_text("dog, cat")
    (tmp_path / "b.mov.txt").write_text("none")
    files = texts_beside({name: tmp_path / f"{name}" for name in ("a.mp4", "b.mov", "c.mp4")})
    assert text_tags(files).of == {"a.mp4": ("dog", "cat"), "b.mov": ()}


def test_a_word_is_a_file_by_its_suffix_or_by_being_there(tmp_path):
    assert is_tag_file("gone.xlsx") and is_tag_file(str(workbook(tmp_path / "x.xlsx", ROWS)))
    assert not is_tag_file("Dog,Cat")
