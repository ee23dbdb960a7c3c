"""From compared clips to parses that every writer takes, and from features to comparisons."""

from __future__ import annotations

import numpy as np
import pytest

from rlld.errors import RlldError
from rlld.export import format_names, json_events, load_format
from rlld.open_classes.calibrated import Calibrated, CalibratedRule
from rlld.open_classes.named import Namer, prompts, read_classes
from rlld.open_classes.published import Published
from rlld.open_classes.similarities import Found, Similarities
from rlld.parsing.parse import ABSENT
from rlld.parsing.zero_shot import Compared, decide
from rlld.report.page import render_page

NAMES = ("glass breaking", "applause", "Dog_bark")


def namer() -> Namer:
    """One whose words are known: three axes of sound, three others of pictures."""
    made = object.__new__(Namer)
    made._texts = [np.eye(6, dtype=np.float32)[:3], np.eye(6, dtype=np.float32)[3:]]
    return made


def features(segments: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    rows = {
        name: random.normal(size=(segments, 6)).astype(np.float32)
        for name in ("audio", "visual_2d")
    }
    rows["audio"][2] = rows["visual_2d"][4] = 0
    return rows


class Fixed:
    """A rule that finds the same in every clip."""

    def __call__(self, clips):
        active = np.zeros((3, 4, 3), bool)
        active[0, 1:3, 0] = active[1, 2:, 2] = active[2, 2:3, 1] = True
        return [Found(active, np.where(active, 0.75, 0.25)) for _ in clips]


def compared(segments: int = 4, seconds: float = 3.5) -> Compared:
    rows = np.zeros((segments, 3))
    return Compared("clip.mp4", seconds, Similarities(rows, rows, np.ones(segments - 1)), ("odd",))


def test_the_three_maps_become_events():
    (parse,) = decide([compared()], NAMES, Fixed(), "m")
    assert [(e.label, e.modality, e.start, e.end, e.confidence) for e in parse.events] == [
        ("glass breaking", "audio", 1.0, 3.0, 0.75),
        ("Dog_bark", "visual", 2.0, 3.5, 0.75),
        ("applause", "audio_visual", 2.0, 3.0, 0.75),
    ]
    assert parse.gates == ((0.75, 0.25, 0.25), (0.25, 0.25, 0.75))
    assert parse.notes == ("odd",) and parse.model == "m"


@pytest.mark.parametrize("form", format_names())
def test_every_format_writes_it(form):
    (parse,) = decide([compared()], NAMES, Fixed(), "m")
    assert load_format(form).dumps(parse)


def test_json_and_page_hold_all_of_it():
    (parse,) = decide([compared()], NAMES, Fixed(), "m")
    assert json_events.loads(json_events.dumps(parse), "json") == parse
    page = render_page(parse)
    assert all(name in page for name in NAMES)


def test_a_clip_in_chunks_is_the_whole_clip():
    rows = features(23)
    whole = namer().similarities([rows])
    cuts = [slice(start, start + 10) for start in range(0, 23, 10)]
    chunks = ({name: value[cut] for name, value in rows.items()} for cut in cuts)
    parts = namer().similarities(chunks)
    for name in ("audio", "visual", "steady"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-6)
    unit = rows["visual_2d"] / np.linalg.norm(rows["visual_2d"], axis=1, keepdims=True).clip(1e-9)
    np.testing.assert_allclose(whole.visual[:4], unit[:4, 3:], atol=1e-6)
    assert np.isnan(whole.audio[2]).all() and np.isnan(whole.visual[4]).all()
    np.testing.assert_allclose(whole.steady, (unit[:-1] * unit[1:]).sum(1), atol=1e-6)


def test_a_clip_without_a_track_says_so():
    rows = features(5)
    rows["audio"][:] = 0
    clip = Compared("clip.mp4", 5.0, namer().similarities([rows]))
    for rule in (Published(), CalibratedRule(Calibrated(), NAMES)):
        (parse,) = decide([clip], NAMES, rule, "m")
        assert parse.notes == (ABSENT[0],)
        assert {event.modality for event in parse.events} <= {"visual"}


def test_a_clip_without_segments_is_refused():
    with pytest.raises(RlldError, match="no segment"):
        namer().similarities([])


def test_names_become_prompts():
    assert read_classes(" glass breaking , Dog_bark") == ("glass breaking", "Dog_bark")
    assert prompts(("Frying_(food)", "glass  breaking")) == {
        "audio": ["This is a sound of frying (food)", "This is a sound of glass breaking"],
        "visual": ["A frying (food)", "A glass breaking"],
    }
