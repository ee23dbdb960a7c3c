"""Rates that are borrowed: what is counted, which classes are alike, what follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rlld.data.rates import annotated, count
from rlld.data.rates.annotated import KnownTag
from rlld.data.rates.borrow import CAP, Beta, borrowed, fallback
from rlld.data.rates.likes import likes_of
from rlld.data.rates.table import SOURCES, Row, counted, load_table, table_text, taken_for
from rlld.data.spec import LLP_SPEC, Priors, spec_from, spec_text
from rlld.errors import RlldError


@pytest.fixture
def published(tmp_path):
    """A folder with invented files in the layouts of LFAV, VGGSounder and LLP."""
    train = tmp_path / "lfav" / "train"
    train.mkdir(parents=True)
    (train / "train_audio_weakly.csv").write_text(
        "filename\tevent_labels\nv1\tspeech,dog\nv2\tsilent\nv3\tspeech\n"
    )
    (train / "train_visual_weakly.csv").write_text(
        "filename\tevent_labels\nv1\tdog\nv2\tcar, dog\nv3\tspeech\n"
    )
    (tmp_path / "vggsounder.csv").write_text(
        "video_id,label,modality,background_music\n"
        'a_000001,"bird chirping, tweeting",A,True\n'
        'b_000001,"bird chirping, tweeting",AV,False\n'
        "b_000001,people clapping,V,False\n"
    )
    llp = tmp_path / "llp"
    llp.mkdir()
    (llp / "AVVP_val_pd.csv").write_text("filename\tevent_labels\nx\tSpeech,Dog\n")
    (llp / "AVVP_test_pd.csv").write_text("filename\tevent_labels\ny\tSpeech\n")
    (llp / "AVVP_eval_audio.csv").write_text(
        "filename\tonset\toffset\tevent_labels\nx\t0\t4\tSpeech\ny\t0\t10\tSpeech\n"
    )
    (llp / "AVVP_eval_visual.csv").write_text(
        "filename\tonset\toffset\tevent_labels\nx\t2\t10\tDog\ny\t3\t3\tSpeech\n"
    )
    return tmp_path


def test_published_annotation_is_counted_by_class_and_track(published):
    out = published / "rates.csv"
    places = ("lfav", "vggsounder.csv", "llp")
    count.main([*(str(published / place) for place in places), str(out)])
    rows = [line.split(",LFAV")[0] for line in out.read_text().splitlines()]
    mit = SOURCES["LFAV"].licence
    assert rows == [
        "source,class,tags,not_heard,not_seen,licence",
        f'LFAV,car,1,1,0,"{mit}"',
        f'LFAV,dog,2,1,0,"{mit}"',
        f'LFAV,speech,2,0,1,"{mit}"',
        "LLP,Dog,1,1,0,none stated",
        "LLP,Speech,2,0,2,none stated",
        'VGGSounder,"bird chirping, tweeting",2,0,1,Apache-2.0',
        "VGGSounder,people clapping,1,1,0,Apache-2.0",
    ]


@pytest.mark.parametrize(
    ("read", "name", "text", "message"),
    [
        (annotated.read_vggsounder, "v.csv", "a,b\n1,2\n", "no column 'video_id'"),
        (
            annotated.read_vggsounder,
            "v.csv",
            "video_id,label,modality\nx,dog,W\n",
            r"v.csv:2: modality is 'W', expected one of A, V, AV",
        ),
        (annotated.read_vggsounder, "v.csv", "video_id,label,modality\nx,dog\n", "too few cells"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path, read, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RlldError, match=message):
        read(tmp_path / name)
    with pytest.raises(RlldError, match="four arguments"):
        count.main([])


def test_the_packaged_table_has_counts_and_a_licence_for_every_row():
    rows = load_table()
    assert {row.source for row in rows} == set(SOURCES)
    for row in rows:
        assert 0 <= min(row.absent) <= max(row.absent) <= row.tags > 0, row
    assert table_text(rows).count("\n") == len(rows) + 1
    rates = {(row.source, row.label): row for row in rows}
    assert rates["LFAV", "speech"][2:] == (1972, 34, 1346)


@pytest.mark.llp
def test_the_packaged_rows_of_llp_are_those_of_its_files(shared_llp):
    assert counted("LLP", annotated.read_llp(shared_llp)) == [
        row for row in load_table() if row.source == "LLP"
    ]


def labels(name: str, source: str) -> set[str]:
    return {like.row.label for like in likes_of(name, load_table()) if like.row.source == source}


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("Speech", "LFAV", {"speech"}),
        (
            "Speech",
            "VGGSounder",
            {
                "male speech, man speaking",
                "female speech, woman speaking",
                "child speech, kid speaking",
            },
        ),
        ("Chicken_rooster", "LFAV", {"chicken_rooster"}),
        ("Violin_fiddle", "VGGSounder", {"playing violin, fiddle"}),
        ("Motorbike", "LLP", {"Motorcycle"}),
        ("Fire truck", "VGGSounder", {"fire truck siren"}),
        ("woodpecker", "VGGSounder", set()),  # one word of three: too little in common
        ("pecking woodpecker", "VGGSounder", {"woodpecker pecking tree"}),
        ("saxophones", "VGGSounder", {"playing saxophone"}),
        ("quantum annealer", "VGGSounder", set()),
    ],
)
def test_classes_are_matched_by_name(name, source, expected):
    assert labels(name, source) == expected


def test_nothing_is_borrowed_from_a_data_set_by_itself():
    assert [source.name for source in taken_for("mine", LLP_SPEC.classes, load_table())] == ["LLP"]
    assert [source.name for source in taken_for("my-lfav", ("a", "b"), load_table())] == ["LFAV"]
    assert not taken_for("mine", ("Crow", "Owl", "Speech"), load_table())
    found = borrowed(LLP_SPEC.name, LLP_SPEC.classes)
    assert found.left_out == ("LLP",) and found.origin == "heard"
    assert not any(
        "LLP" in because for part in found.beliefs.values() for _, because in part.values()
    )


ROWS = (
    Row("LFAV", "dog", 100, 50, 20),
    Row("LFAV", "cat", 100, 10, 0),
    Row("LFAV", "speech", 100, 0, 80),
    Row("VGGSounder", "dog barking", 50, 0, 20),
)


def test_a_rate_is_between_what_the_sources_say():
    found = borrowed("mine", ("Dog", "Owl"), "heard", ROWS)
    rate = found.rate("visual", "Dog")
    assert 0.2 < rate.share < 0.25  # 20 of 100 for up to 100 tags, 40 of 100 for up to 5
    assert rate.because == "LFAV dog: 20 of 100; VGGSounder dog barking: 20 of 50"
    assert found.rate("audio", "Dog").share == 0
    assert "heard" in found.rate("audio", "Dog").because


def test_the_track_that_tags_came_from_keeps_its_labels():
    seen = borrowed("mine", ("Dog", "Owl"), "seen", ROWS)
    assert seen.rate("visual", "Dog").share == 0 and seen.rate("audio", "Dog").share > 0.1
    unknown = borrowed("mine", ("Speech", "Dog"), table=ROWS)
    assert unknown.rate("visual", "Speech").share == CAP
    assert "nobody says how tags were found" in unknown.rate("visual", "Speech").because
    assert unknown.rate("audio", "Dog").share > 0


def test_a_class_without_likes_falls_back_to_the_distribution_over_classes():
    found = borrowed("mine", ("Owl", "Dog"), "heard", ROWS)
    rate, start = found.rate("visual", "Owl"), fallback(ROWS, 1)
    assert rate.share == pytest.approx(start.median()) and "no counted class" in rate.because


def test_the_fallback_is_the_method_of_moments():
    rows = [Row("LFAV", str(k), 100, k, 0) for k in (5, 10, 30)]
    rates = np.array([0.05, 0.1, 0.3])
    strength = rates.mean() * (1 - rates.mean()) / rates.var() - 1
    found = fallback(rows, 0)
    assert found.wrong == pytest.approx(rates.mean() * strength)
    assert found.right == pytest.approx((1 - rates.mean()) * strength)
    # A source of many classes counts no more than one of few.
    more = [*rows, *(Row("VGGSounder", str(k), 100, k, 0) for k in (5, 10, 30) for _ in range(9))]
    assert fallback(more, 0).wrong == pytest.approx(found.wrong)


@given(st.floats(0.3, 80), st.floats(0.3, 80), st.floats(0.05, 1.0))
def test_the_median_has_half_of_what_lies_below_a_bound_on_either_side(wrong, right, below):
    draws = np.random.default_rng(0).beta(wrong, right, 20_000)
    inside = draws[draws <= below]
    median = Beta(wrong, right).median(below)
    assert 0 <= median <= below
    if len(inside) > 2000:
        assert abs((inside <= median).mean() - 0.5) < 0.03


def test_priors_are_words_or_numbers_and_old_files_keep_their_bytes():
    plain = yaml.safe_load(spec_text(replace(LLP_SPEC, name="mine")))
    assert plain["priors"] == {"audio": {}, "visual": {}}
    assert spec_from({**plain, "priors": "borrow"}, "x").priors == Priors()
    assert spec_from({**plain, "priors": "none"}, "x").priors == Priors(borrow=False)
    given = {"visual": {"Speech": 0.7}, "tags": "seen"}
    spec = spec_from({**plain, "priors": given}, "x")
    assert spec.priors == Priors(visual={"Speech": 0.7}, tags="seen")
    assert spec_from(yaml.safe_load(spec_text(spec)), "x") == spec
    with pytest.raises(RlldError, match="expected one of heard, seen, unknown"):
        spec_from({**plain, "priors": {"tags": "guessed"}}, "x")
    assert spec.priors.only(["Dog"]) == Priors(tags="seen")


def test_counting_counts_each_tag_once():
    tags = [KnownTag("a", "Dog", True, False), KnownTag("b", "Dog", False, False)]
    assert counted("LLP", tags) == [Row("LLP", "Dog", 2, 1, 2)]
