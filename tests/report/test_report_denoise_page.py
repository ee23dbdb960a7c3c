"""The page of ``rlld denoise``: what it says, and that it fits phones and loads nothing."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from rlld.data.dataset import load_split
from rlld.evaluation.labels import label_report, suspects, verdicts
from rlld.metrics.noise_detection import Removal
from rlld.report.denoise import (
    LabelReport,
    _sentence,
    render_denoise_page,
    write_denoise_page,
    write_report,
)

FACTS = {
    "run": "RUN",
    "recipe": "rlld-labelwise",
    "denoiser": "reinforced",
    "seed": 3,
    "dataset": "tiny",
    "split": "train",
    "videos": 48,
}


@pytest.fixture(scope="module")
def report(tiny_data) -> LabelReport:
    videos = load_split(tiny_data, "train", with_truth=True)
    keep = torch.rand(48, 2, 4, generator=torch.Generator().manual_seed(0))
    found = suspects(verdicts(videos, keep), 12)
    # Long names and markup are what a page has to stand.
    odd = replace(found[0].verdict, video="x" * 80, label="<b>Bell & Drum</b>_" * 4)
    return LabelReport(
        FACTS,
        ["they taught <it>"],
        label_report(videos, keep),
        [replace(found[0], verdict=odd), *found[1:]],
        label_report(videos, keep),
    )


def test_the_page_says_what_the_measures_say(report):
    text = render_denoise_page(report)
    assert "They taught &lt;it&gt;." in text
    assert "<b>Bell" not in text.replace("<b>Bell</b>", "")
    visual = report.measured.visual.removal
    assert f"{visual.removed} of {visual.labels} labels removed" in text
    assert "each judged by a policy that it did not teach" in text
    for name, part in report.measured.audio.classes.items():
        shown = f"<b>{part.removal.removed}</b> of {part.removal.labels}, "
        assert name in text
        assert shown + f'<span class="wrong">{part.removal.noisy} wrong' in text
    assert len(re.findall(r'class="rank"', text)) == 12


def test_sentences_of_every_case():
    assert _sentence(Removal(1000, None, 250, None)) == "250 of 1,000 labels removed (25 %)."
    assert _sentence(Removal(1000, 100, 0, 0)).endswith("; 100 labels are truly wrong.")
    assert _sentence(Removal(10, 0, 5, 0)).endswith("0 % of the removed ones are truly wrong.")
    assert _sentence(Removal(10, 4, 5, 3)) == (
        "5 of 10 labels removed (50 %); 60 % of the removed ones are truly wrong, and 75 % of the "
        "wrong ones were found."
    )


def test_without_truth_nothing_is_called_wrong(report, tiny_data):
    videos = load_split(tiny_data, "train")
    keep = torch.rand(48, 2, 4, generator=torch.Generator().manual_seed(0))
    found = suspects(verdicts(videos, keep), 5)
    text = render_denoise_page(LabelReport(FACTS, [], label_report(videos, keep), found))
    assert "are unknown, so removals are counted" in text
    assert "wrong" not in text.partition("<body")[2]
    assert "AUC" not in text.partition("<body")[2]


def test_the_folder_has_the_page_too(report, tmp_path):
    write_report(tmp_path, report)
    assert (tmp_path / "report.html").read_text() == render_denoise_page(report)


@pytest.mark.browser
def test_no_payload_in_any_name_runs(report, tmp_path, open_page):
    bad = "</script></style>\"'><img src=x onerror=window.hurt=1><script>window.hurt=1</script>"
    odd = [replace(s, verdict=replace(s.verdict, video=bad, label=bad)) for s in report.suspects]
    audio = report.measured.audio
    classes = {bad: next(iter(audio.classes.values())), **audio.classes}
    measured = replace(
        report.measured,
        audio=replace(audio, classes=classes),
        visual=replace(report.measured.visual, classes=classes),
    )
    facts = {name: bad if isinstance(value, str) else value for name, value in FACTS.items()}
    hostile = replace(report, facts=facts, notes=[bad], suspects=odd, measured=measured)
    write_denoise_page(tmp_path / "page.html", hostile)
    page = open_page(f"file://{tmp_path}/page.html")
    assert page.evaluate("() => window.hurt") is None
    assert page.locator("img").count() == 0
    assert page.get_by_text(bad).count() > len(odd)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_overflows(report, tmp_path, open_page, width, scheme):
    write_denoise_page(tmp_path / "page.html", report)
    page = open_page(f"file://{tmp_path}/page.html", width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll('.classes *, .suspects *, .said *')].filter(e =>
             !e.classList.contains('hidden') && !e.classList.contains('mark')
             && e.getBoundingClientRect().right > e.closest('.card').getBoundingClientRect().right
           ).map(e => e.outerHTML)"""
    )
    assert outside == []
