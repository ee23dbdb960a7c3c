"""Tag files as people have them, against what they mean."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.tags.classes import look_alike, one_spelling, said
from rlld.data.tags.folders import folder_tags
from rlld.data.tags.names import ClipNames
from rlld.data.tags.read import ClipTags, read_tags
from rlld.errors import RlldError

CLIPS = ClipNames({"a": "day1/a.mp4", "day1_b": "day1/b.mov", "day2_b": "day2/b.mp4", "c": "c.MP4"})


def tags_of(tmp_path, content: bytes | str, columns=None, name="tags.csv", clips=CLIPS) -> ClipTags:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_tags(path, clips, columns)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("a.mp4", ("a",)),
        ("A", ("a",)),
        ("DAY1\\A.MP4", ("a",)),
        (r"C:\Users\me\day2\b.mp4", ("day2_b",)),
        ("./day1/b", ("day1_b",)),
        ("b.mov", ("day1_b",)),
        ("b", ("day1_b", "day2_b")),
        ("day2_b", ("day2_b",)),
        ("c.avi", ("c",)),
        ("", ()),
        ("../..", ()),
        ("d.mp4", ()),
    ],
)
def test_a_clip_is_found_by_whatever_names_it(name, ids):
    assert CLIPS.find(name).ids == ids


def test_a_complete_path_means_its_clip_though_others_end_like_it():
    clips = ClipNames({"x": "x.mp4", "day_x": "day/x.mp4", "old_day_x": "old/day/x.mov"})
    found = {name: clips.find(name).ids for name in ("x", "x.mp4", "day/x", "DAY/X.MP4", "x.mov")}
    assert found == {
        "x": ("x",), "x.mp4": ("x",), "day/x": ("day_x",), "DAY/X.MP4": ("day_x",),
        "x.mov": ("old_day_x",),
    }  # fmt: skip


def test_capital_letters_tell_clips_apart_where_nothing_else_does():
    clips = ClipNames({"x": "x.mp4", "X_2": "X.mp4"})
    assert [clips.find(name).ids for name in ("x.mp4", "X.mp4", "x")] == [("x",), ("X_2",), ("x",)]
    folders = ClipNames({"a": "day/x.mp4", "b": "Day/x.mp4"})
    names = ("day/x.mp4", "Day/x.mp4", "Day/x", "old/day/x.mp4", "DAY/x")
    assert [folders.find(name).ids for name in names] == [
        ("a",), ("b",), ("b",), ("a",), ("a", "b")]  # fmt: skip


def test_a_name_may_begin_with_the_folder_of_the_clips():
    clips = ClipNames({"x": "x.mp4", "day_x": "day/x.mp4"}, root="/home/Me/phone")
    for before in ("/home/Me/phone/", "phone/", "me/phone/", "./phone/"):
        assert clips.find(f"{before}x.mp4").ids == ("x",)
        assert clips.find(f"{before}day/x.mp4").ids == ("day_x",)
    assert clips.find("other/x.mp4").ids == ("x", "day_x")


def test_a_name_that_is_known_to_mean_none_means_none():
    clips = ClipNames({"day_x": "day/x.mp4"}, gone=["X.mp4"])
    assert clips.find("x.mp4").ids == () and clips.find("day/x.mp4").ids == ("day_x",)


def test_a_clip_belongs_to_the_rows_that_tell_most_of_its_path(tmp_path):
    """The other row means a clip of that name that is not here any more."""
    clips = ClipNames({"day_x": "day/x.mp4", "y": "y.mp4"})
    text = "file,tags\nx.mp4,cat\nday/x.mp4,dog\nday/x,owl\ny,bee\n"
    found = tags_of(tmp_path, text, clips=clips)
    assert found.of == {"day_x": ("dog", "owl"), "y": ("bee",)} and found.strangers == ("x.mp4",)
    # Ids, which everything of a data set writes, and paths may stand in one table.
    found = tags_of(tmp_path, "file,tags\nday_x,cat\nday/x.mp4,dog\n", clips=clips)
    assert found.of == {"day_x": ("cat", "dog")}


def test_clips_that_are_parsed_are_told_apart_by_the_rows_of_each(tmp_path):
    clips = ClipNames({"x": "/m/phone/x.mp4", "day_x": "/m/phone/day/x.mp4"})
    text = "file,tags\nx.mp4,cat\nday/x.mp4,dog\n"
    assert tags_of(tmp_path, text, clips=clips).of == {"x": ("cat",), "day_x": ("dog",)}


def test_quotes_around_a_class_are_none_of_its_letters(tmp_path):
    text = 'file,tags\na,"""dog"""\nc,"""owl, bee"" ; 5"" gun; ""so"" said"\n'
    found = tags_of(tmp_path, text)
    assert found.of == {"a": ("dog",), "c": ("owl", "bee", '5" gun', '"so" said')}


def test_a_name_of_several_clips_is_refused_with_them(tmp_path):
    with pytest.raises(RlldError, match=r"tags.csv:2: 'b' may be 'day1/b.mov', 'day2/b.mp4'; wr"):
        tags_of(tmp_path, "file,tags\nb,dog\n")


def test_a_row_that_names_a_clip_by_its_folder_wins_over_one_of_another_folder(tmp_path):
    found = tags_of(tmp_path, "file,tags\nday1/a.mp4,dog\nold/a.mp4,cat\n")
    assert found.of == {"a": ("dog",)} and found.strangers == ("old/a.mp4",)


WANTED = {"a": ("dog", "cat"), "c": ("owl",)}


@pytest.mark.parametrize(
    "text",
    [
        "file,tags\na.mp4,dog;cat\nc,owl\n",
        'file,tags\na.mp4,"dog, cat"\nc,owl\n',
        "file;tags\na.mp4;dog,cat\nc;owl\n",
        "file\ttags\r\na.mp4\tdog|cat\r\nc\towl\r\n",
        "a.mp4,dog;cat\nc.mp4,owl\n",
        "a.mp4,dog,cat\nc.mp4,owl\n",
        "file,tags\na.mp4,dog,cat\nc.mp4,owl\n",
        "sep=;\nfile;tags\na;dog,cat\nc;owl",
        "what,when,file\n'dog,2020,a\n",
        "tags,file\ndog;cat,a\nowl,c\n",
        "file,who,tags\na,me,dog;cat\nc,you,owl\n",
        "file,tag1,tag2\na,dog,cat\nc,owl,\n",
        "file,dog,cat,owl\na,1,x,0\nc,0,,yes\n",
        "file,tags\na,dog\nc,owl\na,cat\n",
        "file,tags\na, dog ;; cat ;\n\n,,\nc,owl\n",
    ],
)
def test_a_table_is_read_however_it_is_written(tmp_path, text):
    if "when" in text:
        with pytest.raises(RlldError, match=r"--columns what=tags,file=clip$"):
            tags_of(tmp_path, text)
        return
    assert tags_of(tmp_path, text).of == WANTED


@pytest.mark.parametrize("above", ["Summer 2025\n", "Summer 2025,,\n\n", "My clips\nby me,\n"])
def test_lines_above_the_header_are_taken_for_a_title_and_told(tmp_path, above):
    found = tags_of(tmp_path, f"{above}file,tags,seen by\na.mp4,Dog;Owl,me\nc,Cat,me\n")
    assert found.of == {"a": ("Dog", "Owl"), "c": ("Cat",)}
    assert any("a title above the table: line 1" in note for note in found.notes)


@pytest.mark.parametrize("first", ["file,\n", "a.mp4,\n", "gone.mp4,\n", ""])
def test_a_row_without_tags_is_no_title(tmp_path, first):
    found = tags_of(tmp_path, f"{first}c,Cat\na,Dog\n")
    assert found.of == {"a": ("Dog",), "c": ("Cat",)}
    assert not any("title" in note for note in found.notes)


def test_columns_can_be_told_by_name_and_by_number(tmp_path):
    text = "what,when,file\ndog,2020,a\nowl,2021,c\n"
    for columns in ("what=tags,file=clip", "1=tags,3=clip", "WHAT=tags", "1=tags"):
        assert tags_of(tmp_path, text, columns).of == {"a": ("dog",), "c": ("owl",)}
    for columns, told in (
        ("what", "expected COLUMN=ROLE pairs"),
        ("what=tag", "expected COLUMN=ROLE pairs"),
        ("wat=tags", "has no column 'wat'; did you mean 'what'"),
        ("what=clip,file=clip", "two columns are to name the clips"),
    ):
        with pytest.raises(RlldError, match=told):
            tags_of(tmp_path, text, columns)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"],
)
def test_encodings_are_found_out(tmp_path, encoding):
    text = "file;tags\na;Hündchen, Vögel\nc;Straßenlärm\n"
    found = tags_of(tmp_path, text.encode(encoding))
    assert found.of == {"a": ("Hündchen", "Vögel"), "c": ("Straßenlärm",)}
    guessed = encoding in ("cp1252", "latin-1") or encoding.endswith("e")
    assert any("if that looks wrong, save it as UTF-8" in note for note in found.notes) == guessed


def test_bytes_that_are_no_text_are_refused(tmp_path):
    for content in (b"\x00\x01\x02\x03", b"PK\x03\x04\x00\x00", b"\xff\xfe\x00\xd8\x00"):
        with pytest.raises(RlldError, match="save"):
            tags_of(tmp_path, content)


def test_empty_is_said_and_silence_is_unknown(tmp_path):
    found = tags_of(tmp_path, "file,tags\na,none\nc,\nday1/b,?\n")
    assert found.of == {"a": ()} and found.unknown == ("c", "day1_b")
    ticks = tags_of(tmp_path, "file,dog,cat\na,0,0\nc,,\n")
    assert ticks.of == {"a": ()} and ticks.unknown == ("c",)
    assert said(["dog", "none"]) == ("dog",)


def test_a_cell_that_is_neither_yes_nor_no_is_refused_where_it_was_said_to_be(tmp_path):
    with pytest.raises(RlldError, match=r"tags.csv:3: dog is 'maybe', expected 1 or 0"):
        tags_of(tmp_path, "file,dog\na,1\nc,maybe\n", "dog=class")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no rows"),
        ("file,tags\n", "none of its 1 rows names one of the 4 clips"),
        ("file,tags\nz,dog\n", "clips are called 'day1/a.mp4', its first column holds 'file', 'z'"),
        ("file\na\nc\n", "a column of clips \\('file'\\) and none of tags"),
        ('file,tags\na,"dog\n', "quote"),
    ],
)
def test_what_is_no_table_of_tags_is_refused_in_a_sentence(tmp_path, text, told):
    with pytest.raises(RlldError, match=told):
        tags_of(tmp_path, text)


def test_one_spelling_of_each_class():
    spelling, notes = one_spelling({"a": ("Dog", "cat"), "b": ("dog",), "c": ("Dog",)})
    assert spelling == {"Dog": "Dog", "dog": "Dog", "cat": "cat"}
    assert notes == ["'dog' and 'Dog' are one class, 'Dog'"]
    assert look_alike(["violin", "Violins", "guitar", "gutiar"]) == [
        "'violin' and 'Violins' are two classes",
    ]
    assert look_alike(["motorcycle", "motorcyle"]) == [
        "'motorcycle' and 'motorcyle' are two classes"
    ]


def test_folders_are_tags():
    found = folder_tags({"a": "dog/rain/a.mp4", "b": "b.mp4", "c": "none/c.mp4"})
    assert found.of == {"a": ("dog", "rain"), "c": ()} and found.unknown == ("b",)


words = st.text(st.characters(codec="utf-8", categories=("L", "N")), min_size=2, max_size=8)


@given(
    rows=st.dictionaries(
        st.sampled_from(["clip one", "Clip,2", "ü3", "4;x", "a|b"]),
        st.lists(words, min_size=1, max_size=3, unique_by=str.casefold),
        min_size=2,
    ),
    separator=st.sampled_from("\t,;|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_any_dialect_of_csv_gives_what_was_written(
    tmp_path_factory, rows, separator, quoting, end, encoding
):
    from rlld.data.tags.classes import cleaned

    text = io.StringIO()
    table = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    table.writerow(["my file", "tags"])
    table.writerows((f"{name}.mp4", "; ".join(tags)) for name, tags in rows.items())
    clips = ClipNames({name: f"{name}.mp4" for name in rows})
    found = tags_of(tmp_path_factory.mktemp("t"), text.getvalue().encode(encoding), clips=clips)
    wanted = {name: said([cleaned(tag) for tag in tags]) for name, tags in rows.items()}
    assert found.of == {name: tags for name, tags in wanted.items() if tags is not None}
