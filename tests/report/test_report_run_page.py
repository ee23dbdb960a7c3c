"""The page of a run: what it says, what it plays, and that it fits phones and loads nothing."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rlld
from any_length_kit import draw_maps, write_set
from parse_kit import make_clip
from rlld.data.dataset import load_data
from rlld.data.spec import SPLITS
from rlld.errors import RlldError
from rlld.media.playable import Clips
from rlld.metrics.reference import video_scores
from rlld.metrics.scores import per_video
from rlld.report.curves import panel, round_numbers
from rlld.report.run_page import RunReport, render_run_page, report_run
from rlld.report.timelines import examples
from rlld.utils.compute import Compute
from tiny import quick_labelwise

COMPUTE = Compute(device="cpu", threads=1)


@pytest.fixture(scope="module")
def folder(tiny_data, tmp_path_factory) -> Path:
    """A data set with a clip for one video in two, and a run on it."""
    home = tmp_path_factory.mktemp("reported")
    shutil.copytree(tiny_data, home / "D")
    quick_labelwise(home / "D", home / "run")
    clip = make_clip(home / "clip.mp4", 1.0)
    (home / "D" / "videos").mkdir()
    data = load_data(home / "D")
    for video in (*data.train.ids[::2], *data.validation.ids):
        shutil.copy(clip, home / "D" / "videos" / f"{video}.mp4")
    return home


@pytest.fixture(scope="module")
def report(folder) -> RunReport:
    data = load_data(folder / "D")
    return report_run(rlld.load_run(folder / "run"), data, folder / "page.html")


def test_the_page_says_what_the_run_came_to(report, folder):
    text = render_run_page(report)
    found = report.outcome
    for name, row in found.evaluation.rows("rlld-labelwise").items():
        cells = [f'<td class="n">{value:.1f}</td>' for value in row.values()]
        assert f'<th scope="row">{name}</th>{"".join(cells[:5])}' in text
        assert f'<th scope="row">{name}</th>{"".join(cells[5:])}' in text
    removed = report.labels.visual.removal
    assert f"{removed.removed} of {removed.labels} labels removed" in text
    assert text.count('id="suspect-') == 12
    for example in (*report.best, *report.worst):
        assert f"<code>{example.video}</code>" in text
    assert "<script" not in text and "Training loss" in text


def test_classes_are_counted_by_hand(report, folder):
    data = load_data(folder / "D")
    index = torch.tensor(
        [data.validation.ids.index(video) for video in selecting_ids(report, data)]
    )
    dense = data.validation.dense[index]
    for row in report.classes:
        place = data.spec.classes.index(row.label)
        assert row.tagged == int(data.train.labels[:, place].sum())
        assert row.heard == sum(bool(video[:, 0, place].any()) for video in dense)
        assert row.seen == sum(bool(video[:, 1, place].any()) for video in dense)
    tags = [row.tagged for row in report.classes]
    assert tags == sorted(tags, reverse=True)


def selecting_ids(report: RunReport, data) -> tuple[str, ...]:
    from rlld.evaluation.scoring import selecting

    return selecting(report.run, data.validation).ids


def test_clips_are_played_once_and_missing_ones_are_told(report):
    text = render_run_page(report)
    videos = [each.verdict.video for each in report.suspects]
    videos += [each.video for each in (*report.best, *report.worst)]
    held = {video for video in videos if not isinstance(report.clips[video], str)}
    assert text.count("<video") == len(held) > 0
    for video in set(videos) - held:
        assert report.clips[video] == "its clip is not there"
        assert int(video[-3:]) % 2
    assert text.count("Its clip is above.") == len(videos) - len(set(videos))


def test_a_data_set_without_clips_has_a_page_without(report, tiny_data):
    text = render_run_page(replace(report, clips={}))
    assert "<video" not in text and "Not played" not in text


def test_what_others_named_is_text(report):
    odd = "<img src=x onerror=alert(1)>_&"
    first, *rest = report.suspects
    suspect = replace(first, verdict=replace(first.verdict, label=odd, video=odd))
    lane = replace(report.best[0].lanes[0], label=odd)
    best = replace(report.best[0], video=odd, tags=[odd], lanes=[lane])
    changed = replace(
        report,
        suspects=[suspect, *rest],
        best=[best],
        classes=[replace(report.classes[0], label=odd)],
        outcome=replace(report.outcome, notes=(odd,)),
        clips={**report.clips, odd: odd},
    )
    text = render_run_page(changed)
    assert "<img" not in text
    assert text.count("&lt;img") >= 8


@pytest.mark.parametrize(("count", "folded"), [(4, False), (17, True)])
def test_many_notes_are_folded(report, count: int, folded: bool):
    notes = tuple(f"note {number}" for number in range(count))
    text = render_run_page(replace(report, outcome=replace(report.outcome, notes=notes)))
    assert text.count("<li>Note ") == count
    assert ("<summary>13 more</summary>" in text) == folded
    assert ("<details" in text) == folded


def test_clips_that_are_too_many_are_linked(tmp_path):
    clip = make_clip(tmp_path / "a #1.mp4", 1.0)
    clips = Clips(tmp_path / "page.html", clip.stat().st_size + 10)
    first, second = clips.take(clip), clips.take(clip)
    assert first.url.startswith("data:video/mp4;base64,") and first.linked is None
    assert second.url == "a%20%231.mp4" and second.linked == clip
    (tmp_path / "bad.mp4").write_bytes(b"bad")
    with pytest.raises(RlldError):
        clips.take(tmp_path / "bad.mp4")


def test_clips_that_browsers_do_not_play_are_converted_if_short(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "a.avi", 1.0, sound="mp3", picture="mpeg4")
    assert Clips(tmp_path / "page.html").take(clip).url.startswith("data:video/mp4;base64,")
    assert Clips(tmp_path / "page.html", 10).take(clip) is None
    monkeypatch.setattr("rlld.media.playable.CONVERTED_SECONDS", 0.5)
    assert Clips(tmp_path / "page.html").take(clip) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi"]


def test_examples_are_the_best_and_the_worst_of_those_with_events(tiny_data):
    videos = load_data(tiny_data).validation
    truth = videos.require_dense()
    predicted = truth & (torch.rand(truth.shape, generator=torch.Generator().manual_seed(2)) < 0.6)
    best, worst = examples(videos, predicted, per_video(predicted, truth))
    scores = {}
    for number, video in enumerate(videos.ids):
        if truth[number].any():
            row = video_scores(predicted[number].numpy(), truth[number].numpy())
            scores[video] = sum(row[:3]) + sum(row[4:7])
    order = sorted(scores, key=scores.__getitem__)
    assert [scores[e.video] for e in worst] == pytest.approx([scores[v] for v in order[:3]])
    assert [scores[e.video] for e in best] == pytest.approx([scores[v] for v in order[:-4:-1]])
    for example in (*best, *worst):
        number = videos.ids.index(example.video)
        drawn = torch.zeros_like(truth[0])
        for lane in example.lanes:
            place = videos.spec.classes.index(lane.label)
            for span in lane.true:
                assert span.left == pytest.approx(100 * span.start / example.duration)
                first, last = round(span.start / 0.5), round(span.end / 0.5)
                drawn[first:last, int(lane.modality == "visual"), place] = True
        assert drawn.equal(truth[number])


def test_videos_of_any_length_are_drawn_to_their_end(tmp_path):
    rng = np.random.default_rng(0)
    lengths = {name: rng.integers(1, 12, 16).tolist() for name in SPLITS}
    data = load_data(write_set(tmp_path / "D", draw_maps(lengths)))
    settings = {"schedule.rounds": 1}
    run = rlld.train("weak", data, tmp_path / "run", compute=COMPUTE, overrides=settings)
    report = report_run(run, data, tmp_path / "page.html")
    shown = [*report.best, *report.worst]
    assert len(shown) == 6
    for example in shown:
        segments = lengths["validation"][data.validation.ids.index(example.video)]
        assert example.duration == segments * 0.5
        spans = [span for lane in example.lanes for span in (*lane.found, *lane.true)]
        assert spans and all(span.end <= example.duration for span in spans)
    assert f"{shown[0].duration:g} s, tags" in render_run_page(report)


def test_lines_lie_where_their_values_are():
    drawn = panel("Loss", [10, 20, 40], {"a": [4.0, 2.0, 1.0]}, {"level": 3.0}, mark=20)
    assert [tick.text for tick in drawn.y] == ["1", "2", "3", "4"]
    assert drawn.lines["a"] == "250.0,0.0 500.0,666.7 1000.0,1000.0"
    assert drawn.levels["level"] == pytest.approx(100 / 3)
    assert drawn.mark == 50
    assert drawn.said == "Loss: a from 4 to 1, at most 4"


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_round_numbers_enclose_and_are_few(low, spread):
    found = round_numbers(low, low + spread)
    tiny = 1e-9 * max(abs(low), spread, 1)
    assert found[0] <= low + tiny and found[-1] >= low + spread - tiny
    assert 2 <= len(found) <= 6


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_fits_and_loads_nothing(report, folder, open_page, width, scheme):
    path = folder / "page.html"
    path.write_text(render_run_page(report))
    page = open_page(path.as_uri(), width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for video in page.locator("video").all():
        page.wait_for_function("clip => clip.readyState >= 1", arg=video.element_handle())
        break
    names = re.findall(r'role="img" aria-label="([^"]+)"', path.read_text())
    assert all(page.get_by_role("img", name=name).is_visible() for name in names)
    assert page.get_by_role("heading", name="Most suspect tags").is_visible()
