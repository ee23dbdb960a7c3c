"""The studio's page in a real browser: what is played, told and within reach, on which screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from studio_page_kit import CLASSES, Served

pytestmark = pytest.mark.browser

CLIP = "document.querySelector('.screen:not([hidden]) video')"


@pytest.fixture
def visit(aviary_studio: Served, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a view after the server's answers have been changed as a test wants them."""

    def visiting(person: str, view: str, changed: dict[str, Any], **options: Any) -> Any:
        page = open_page(f"{aviary_studio.address}/?person={person}#/people", **options)
        page.wait_for_selector(".people-view > *")
        for path, change in changed.items():
            page.route(path, changing(change))
        page.evaluate("view => { location.hash = `#/${view}`; }", view)
        page.wait_for_selector(f".{view}-view > *")
        return page

    return visiting


def changing(change: Callable[[Any], Any]) -> Callable[[Any], None]:
    return lambda route: route.fulfill(json=change(route.fetch().json()))


def telling(body: Any) -> Callable[[Any], None]:
    return lambda route: route.fulfill(json=body)


def moment(at: float, end: float | None) -> dict[str, Any]:
    return {
        "**/api/questions*": lambda rows: [{**row, "at": at, "end": end} for row in rows],
    }


def until(page: Any, there: str) -> None:
    """Waits for what is true of the clip in sight and the line that follows it."""
    line = "clip.parentNode.querySelector('.moment i')"
    page.wait_for_function(f"() => {{ const clip = {CLIP}, line = {line}; return {there}; }}")


def test_the_whole_clip_is_played_where_a_moment_is_too_little(visit) -> None:
    page = visit("Ada", "answer", moment(4, 6))
    page.wait_for_selector(".question b:not(:empty)")
    until(page, "clip.currentTime > 4")
    assert page.inner_text(".where").endswith(", 4 s to 6 s")
    page.keyboard.press("w")
    until(page, "clip.currentTime < 4")
    page.evaluate(f"() => {{ {CLIP}.currentTime = 8; }}")  # behind the moment
    until(page, "!clip.paused && parseFloat(line.style.width) > 75")
    page.keyboard.press(" ")
    until(page, "clip.currentTime >= 4 && clip.currentTime < 7")


def test_a_moment_that_is_the_whole_clip_is_called_so(visit) -> None:
    page = visit("Bo", "answer", {})
    page.wait_for_selector(".question b:not(:empty)")
    assert page.inner_text(".where").endswith(", whole clip")
    assert not page.get_by_role("button", name="Whole clip").count()
    page = visit("Bo", "answer", moment(7, None))
    page.wait_for_selector(".question b:not(:empty)")
    assert page.inner_text(".where").endswith(", from 7 s")
    assert page.get_by_role("button", name="Whole clip").is_visible()


@pytest.mark.parametrize(("width", "height"), [(844, 390), (683, 384)])
def test_the_answers_are_on_a_low_screen(visit, width: int, height: int) -> None:
    page = visit("Cy", "answer", moment(4, 6), width=width, height=height)
    page.wait_for_selector(".question b:not(:empty)")
    for node in page.locator(".choices button").all():
        box = node.bounding_box()
        assert 0 <= box["y"] < box["y"] + box["height"] <= height
        assert node.evaluate("node => node.scrollWidth <= node.clientWidth")


def test_no_key_is_named_where_there_are_fingers(aviary_studio, chromium) -> None:
    page = chromium.new_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    page.goto(f"{aviary_studio.address}/?person=Di#/answer")
    page.wait_for_selector(".question b:not(:empty)")
    assert page.locator(".asking kbd").count()
    assert not any(key.is_visible() for key in page.locator(".asking kbd").all())
    page.close()


def test_a_round_that_is_full_is_told_and_leads_to_the_training(visit) -> None:
    answered = {"Ed": 24}
    state = {"**/api/state*": lambda state: {**state, "by_person": answered, "gain": 0.2}}
    page = visit("Ed", "answer", state)
    round_, told = page.locator("#left"), page.locator("#told")
    round_.get_by_text("24 of 25 \u00b7 next 25: +0.2 labels right").wait_for()
    page.wait_for_selector(".question b:not(:empty)")
    for count, link in ((25, 1), (26, 0), (51, 0)):  # the last one before the server had told of 50
        answered["Ed"] = count
        page.keyboard.press("n")
        link_to = round_.get_by_role("link", name=f"Train with {count} answers")
        (link_to if link else round_.get_by_text("1 of 25")).wait_for()
        page.wait_for_function("() => !document.querySelector('.sign:empty')")
        assert round_.get_by_role("link").count() == link
        full = count // 25 * 25
        told.get_by_text(f"{full} answered: train with them, or go on.").wait_for()


def test_who_is_answering_stands_in_the_middle(aviary_studio, open_page) -> None:
    page = open_page(f"{aviary_studio.address}/", width=1280)
    box = page.locator(".hello").bounding_box()
    assert abs(box["x"] + box["width"] / 2 - 640) < 2


@pytest.mark.parametrize("width", [390, 1000])
def test_name_and_theme_stand_at_the_edge(visit, width: int) -> None:
    page = visit("Flo", "answer", {}, width=width)
    box = page.locator(".bar .own").bounding_box()
    assert box["x"] + box["width"] > width - 45


def test_the_next_clip_is_that_of_the_list(visit) -> None:
    page = visit("Gus", "browse", {})
    search = page.get_by_role("searchbox")
    search.fill("#1")  # #1, #10, #11, #12, #13
    assert page.inner_text(".heads p") == "5 of 14 clips"
    search.press("ArrowDown")
    page.keyboard.press("Enter")
    title = page.locator(".clip-top h1")
    title.get_by_text("a #1 & b", exact=True).wait_for()
    assert page.get_by_role("button", name="Previous", exact=True).is_disabled()
    page.keyboard.press(".")
    title.get_by_text("a #10 & b", exact=True).wait_for()
    page.get_by_role("button", name="Accept all").click()
    title.get_by_text("a #11 & b", exact=True).wait_for()
    page.evaluate("() => { location.hash = '#/correct/a%20%235%20%26%20b'; }")
    title.get_by_text("a #5 & b", exact=True).wait_for()  # not in that list
    page.keyboard.press(".")
    title.get_by_text("a #6 & b", exact=True).wait_for()


def test_without_a_run_no_doubt_is_shown(visit) -> None:
    page = visit("Hal", "browse", {})
    page.locator(".row:not([hidden])").first.wait_for()
    order = page.get_by_role("combobox", name="Order")
    assert page.locator(".heads").inner_text().split() == ["14", "clips", "Tags", "State"]
    assert order.locator("option").all_inner_texts() == ["by name", "by state"]
    assert page.inner_text("[aria-posinset='3'] .video") == "a #10 & b"


def test_all_tags_of_a_clip_are_in_sight(visit) -> None:
    page = visit("Ina", "browse", {}, width=1100)
    tags = page.locator("[aria-posinset='1'] .tags")
    assert tags.get_attribute("title") == ", ".join(CLASSES).replace("_", " ")
    around, last = tags.bounding_box(), tags.locator(".tag").last.bounding_box()
    assert last["x"] + last["width"] <= around["x"] + around["width"] + 1
    assert last["y"] + last["height"] <= around["y"] + around["height"] + 1


def job(**fields: Any) -> dict[str, Any]:
    """A training as the server tells of it."""
    nothing = dict.fromkeys(("scored", "before", "after", "gains", "changed", "error"))
    usual = {"state": "running", "run": 2, "progress": 0.5, "text": "training", "on": ""}
    return {**usual, **nothing, **fields}


def test_the_training_is_followed_again_when_the_studio_answers(visit) -> None:
    answers = {"**/api/train": lambda _: job()}
    page = visit("Ada", "train", answers, expected="net::ERR_")
    page.wait_for_selector(".job progress")
    page.unroute("**/api/train")
    page.route("**/api/train", lambda route: route.abort())
    page.locator(".doing", has_text="trying again").wait_for()
    assert page.inner_text("#told") == page.inner_text(".doing")
    page.unroute("**/api/train")
    after = job(
        state="cancelled", text="It goes on.", scored=1, after={"segment_type": 50.0}, changed=[]
    )
    page.route("**/api/train", lambda route: route.fulfill(json=after))
    page.get_by_role("heading", name="The training was cancelled").wait_for()
    assert page.locator(".job progress").count() == 0
    assert page.locator(".job .notes").all_inner_texts() == ["It goes on."]
    page.get_by_role("button", name="Go on", exact=True).wait_for()
    page.get_by_role("heading", name="Training 1, before that").wait_for()
    assert page.locator(".scores tbody tr").count() == 1


def test_only_what_is_clear_is_coloured(visit) -> None:
    names = ("segment_audio", "segment_visual", "segment_type", "event_type")
    ends = ((1.0, 9.0), (-9.0, -1.0), (-1.0, 11.0))  # nothing is known of the last
    gains = {
        name: {"low": low, "high": high, "clear": low * high > 0}
        for name, (low, high) in zip(names, ends, strict=False)
    }
    before, after = (
        dict.fromkeys(names, 50.0),
        dict(zip(names, (55.0, 45.0, 55.0, 55.0), strict=True)),
    )
    done = job(state="done", scored=2, before=before, after=after, gains=gains, on="9 clips")
    page = visit("Ada", "train", {"**/api/train": lambda _: done})
    page.wait_for_selector(".scores tbody")
    cells = page.locator(".scores tbody td:last-child")
    found = cells.evaluate_all("all => all.map((cell) => cell.className.trim())")
    assert found == ["n better", "n worse", "n", "n"]
    assert cells.all_inner_texts()[0] == "+5.0 +1.0\xa0to\xa0+9.0"
    assert cells.all_inner_texts()[3] == "+5.0"


def say(page: Any, person: str, video: str, heard: bool) -> None:
    """Answers whether there is rain in a clip."""
    given = {"person": person, "video": video, "class": "Rain", "audio": heard, "visual": None}
    page.evaluate(
        """given => fetch("/api/answers", {
            method: "POST", headers: {"Content-Type": "application/json"},
            body: JSON.stringify(given),
        })""",
        {**given, "probability": 0.5, "unsure": False},
    )


def disputed(page: Any, *videos: str) -> None:
    """Shows the people to one with whom Lu disagrees about clips, which are asked of nobody."""
    me = page.inner_text("#person")
    for number, video in enumerate(videos):
        say(page, "Lu", video, heard=number % 2 == 1)
        say(page, me, video, heard=number % 2 == 0)
    page.evaluate("() => { location.hash = '#/people'; }")
    page.locator(".dispute .said").wait_for()


def find(page: Any, video: str) -> None:
    facts = page.locator(".dispute .facts")
    for _ in range(20):
        if facts.inner_text().endswith(f": {video}"):
            return
        page.keyboard.press("l")
    raise AssertionError(f"{video} is not asked")


def test_a_disagreement_that_still_stands_is_not_settled(visit) -> None:
    page = visit("Mo", "browse", {})
    disputed(page, "a #12 & b", "a #13 & b")
    find(page, "a #12 & b")
    left = page.inner_text(".dispute .facts").split(":")[0]
    kappa = page.get_by_role("row", name="Lu, Mo").locator("td").nth(1)
    assert kappa.inner_text() == "-1.00"
    page.keyboard.press("y")  # what Mo said before
    page.locator("#told").get_by_text("You and Lu still differ.").wait_for()
    assert page.inner_text(".dispute .facts").startswith(f"{left}:")
    assert not page.inner_text(".dispute .facts").endswith("a #12 & b")
    find(page, "a #12 & b")
    page.keyboard.press("n")
    page.locator("#told").get_by_text("What others said stays as it was.").wait_for()
    page.locator(".dispute .facts").get_by_text("a #13 & b").wait_for()
    assert not page.inner_text(".dispute .facts").startswith(f"{left}:")
    assert kappa.inner_text() == "0.00"


def test_who_looks_closer_comes_back_to_where_they_were(visit) -> None:
    page = visit("Ned", "browse", {})
    disputed(page, "a #12 & b", "a #13 & b")
    for video in ("a #13 & b", "a #12 & b"):  # one of them is not the first one
        find(page, video)
        facts = page.inner_text(".dispute .facts")
        page.get_by_role("link", name="Look closer").click()
        said = page.get_by_role("list", name="Answers").get_by_role("listitem")
        heard = ("not heard", "heard") if video == "a #12 & b" else ("heard", "not heard")
        said.get_by_text(f"Rain {heard[0]} (Lu)").wait_for()
        said.get_by_text(f"Rain {heard[1]} (Ned)").wait_for()
        page.go_back()
        page.locator(".dispute .said").wait_for()
        assert page.inner_text(".dispute .facts") == facts
    assert int(facts.split(" left")[0]) > 1


def test_no_figure_of_those_who_always_said_the_same_is_explained(visit) -> None:
    page = visit("Ola", "browse", {})
    for person in ("Ola", "Pia"):
        say(page, person, "a #12 & b", heard=True)
    page.evaluate("() => { location.hash = '#/people'; }")
    row = page.get_by_role("row", name="Ola, Pia").locator("td")
    row.first.wait_for()
    assert row.all_inner_texts() == ["1 question", "all the same", ""]


def test_the_keyboard_stays_in_a_training_that_changes(visit) -> None:
    page = visit("Ada", "train", {"**/api/train": lambda _: job(state="cancelled")})
    ends = {"failed": "Try again", "done": "Train once more", "cancelled": "Go on"}
    begin = "Go on"
    for state, again in ends.items():
        page.unroute("**/api/train")
        page.route("**/api/train", telling(job()))
        page.get_by_role("button", name=begin, exact=True).press("Enter")
        page.locator("button:focus", has_text="Cancel").wait_for()
        page.unroute("**/api/train")
        page.route("**/api/train", telling(job(state=state, text="It was.", error="It is gone.")))
        page.locator("#told", has_text=f" {state}").wait_for()  # also who sees nothing is told
        assert page.locator("button:focus").inner_text() == again
        begin = again


def test_a_training_that_is_cancelled_says_that_it_is_being_saved(visit) -> None:
    held: list[Any] = []

    def answer(route: Any) -> None:
        if route.request.method == "DELETE":
            held.append(route)
        else:
            route.fulfill(json=job())

    page = visit("Ada", "train", {"**/api/train": lambda _: job()})
    page.unroute("**/api/train")
    page.route("**/api/train", answer)
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.locator(".doing", has_text="Saving where it is").wait_for()
    held[0].fulfill(json=job(state="cancelled", text="It was interrupted."))
    page.get_by_role("heading", name="The training was cancelled").wait_for()


def test_a_training_that_another_window_began_is_followed(visit) -> None:
    before = {"**/api/train": lambda _: job(state="cancelled")}
    page = visit("Ada", "train", before, expected="Failed to load")
    page.get_by_role("heading", name="The training was cancelled").wait_for()
    page.unroute("**/api/train")

    def refuse(route: Any) -> None:
        if route.request.method == "POST":
            route.fulfill(status=400, json={"error": "a training is running"})
        else:
            route.fulfill(json=job())

    page.route("**/api/train", refuse)
    page.get_by_role("button", name="Go on", exact=True).press("Enter")
    page.locator("#told", has_text="a training is running").wait_for()
    page.locator("button:focus", has_text="Cancel").wait_for()


def test_the_keyboard_stays_with_the_disagreements(visit) -> None:
    page = visit("Quin", "browse", {})
    disputed(page, "a #12 & b", "a #13 & b")
    facts = page.inner_text(".dispute .facts")
    page.locator(".dispute").get_by_role("button", name="Later").press("Enter")
    page.wait_for_function(
        "was => document.querySelector('.dispute .facts').innerText !== was", arg=facts
    )
    assert page.locator(".dispute button:focus").get_attribute("aria-keyshortcuts") == "L"
    page.locator(".dispute").get_by_role("button", name="Yes, heard").press("Enter")
    page.locator("#told").get_by_text("your answer is stored").wait_for()
    page.locator(".dispute :focus, .dispute:focus").wait_for()


def test_the_keyboard_goes_on_in_the_view_that_was_chosen(visit) -> None:
    page = visit("Rae", "name", {})
    page.get_by_role("button", name="Begin").press("Enter")
    page.wait_for_selector(".answer-view .question b:not(:empty)")
    assert page.evaluate("() => document.activeElement.id") == "view"
