"""The studio's page in a real browser: what is asked, kept, found and told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from rlld.studio.people import person_of
from studio_page_kit import STRANGE, Served, make_data, studio

pytestmark = pytest.mark.browser

VIEWS = ("answer", "correct", "browse", "train", "people", "name")
QUESTION = ".question b"
FAILED = "Failed to load resource"


@pytest.fixture
def visit(aviary_studio: Served, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a view as a person, who is another one for each test that says so."""

    def visiting(person: str, view: str = "answer", **options: Any) -> Any:
        page = open_page(f"{aviary_studio.address}/?person={person}#/{view}", **options)
        page.wait_for_selector(f".{view}-view > *")
        return page

    return visiting


def asked(page: Any) -> str:
    page.wait_for_selector(f"{QUESTION}:not(:empty)")
    return page.inner_text(QUESTION)


def clip_asked(page: Any) -> str:
    return page.get_attribute(".screen:not([hidden]) video", "src")


def stored(page: Any, count: int) -> None:
    page.wait_for_function(
        "n => [...document.querySelectorAll('.sign')].filter(s => s.textContent === 'stored')"
        ".length === n",
        arg=count,
    )


def until(page: Any, there: Callable[[], object]) -> None:
    """Waits while the page goes on, for what one of its requests brings."""
    for _ in range(1500):
        if there():
            return
        page.wait_for_timeout(20)
    raise AssertionError("it did not come within 30 s")


def test_a_name_is_asked_once(aviary_studio, open_page) -> None:
    page = open_page(f"{aviary_studio.address}/")
    page.get_by_label("Your name").fill("  Zoë \u200b  \u0639\u0644\u06cc\u200c <b>  ")
    page.keyboard.press("Enter")
    asked(page)
    page.reload()
    asked(page)
    name = page.inner_text("#person")
    assert name == "Zoë \u0639\u0644\u06cc\u200c <b>" == person_of(name)


@pytest.mark.parametrize("hash", ["toString", "__proto__", "correct/%E0%A4%A"])
def test_a_strange_address_shows_a_view(aviary_studio, open_page, hash: str) -> None:
    page = open_page(f"{aviary_studio.address}/?person=Ada#/{hash}", expected=FAILED)
    page.wait_for_selector("#view h1")


def test_a_strange_name_is_only_a_name(visit) -> None:
    page = visit("Ada")
    number = 0
    while asked(page) != STRANGE:
        number += 1
        page.keyboard.press("n")
        stored(page, min(number, 4))
    page.goto(page.url.replace("#/answer", "#/browse"))
    page.locator(".row:not([hidden])").first.wait_for()
    assert STRANGE in page.inner_text(".rows")
    assert page.title() == "Browse - aviary - rlld studio"
    assert not page.locator("img[src='x']").count()


def test_an_answer_is_shown_as_stored_once_the_server_said_so(visit) -> None:
    page = visit("Bo")
    first = asked(page)
    held: list[Any] = []
    page.route("**/api/answers", lambda route: held.append(route))
    page.keyboard.press("h")
    page.wait_for_function("() => document.querySelector('.trail li')")
    page.wait_for_timeout(200)
    until(page, lambda: held)  # a busy machine takes longer to send it
    assert page.inner_text(".trail li").split() == [*first.split(), "heard"]
    assert len(held) == 1
    assert json.loads(held[0].request.post_data).items() >= {
        "person": "Bo", "audio": True, "visual": False, "unsure": False
    }.items()  # fmt: skip
    held[0].continue_()
    stored(page, 1)
    page.unroute("**/api/answers")


def test_the_next_questions_are_there_without_the_server(visit) -> None:
    page = visit("Cy")
    asked(page)
    page.wait_for_function(
        "() => document.querySelectorAll('video').length === 5"
        " && [...document.querySelectorAll('video')].every(clip => clip.readyState === 4)"
    )
    page.route("**/*", lambda route: None)  # from now on nothing is answered
    shown = [(asked(page), clip_asked(page))]
    for key in "hsbn":
        page.keyboard.press(key)
        shown.append((asked(page), clip_asked(page)))
    assert len(set(shown)) == 5
    assert not page.get_by_text("stored").count()
    page.unroute("**/*")


def test_no_question_comes_twice_however_late_the_next_ones_are(visit) -> None:
    page = visit("Ulf")
    seen = [(asked(page), clip_asked(page))]
    answers: list[Any] = []
    late: list[Any] = []
    page.route("**/api/answers", lambda route: answers.append(route))
    page.route("**/api/questions*", lambda route: late.append(route))
    for _ in range(3):  # the third one asks for more, and nothing is stored yet
        page.keyboard.press("n")
        seen.append((asked(page), clip_asked(page)))
    until(page, lambda: late)
    came = [(route, route.fetch()) for route in late]
    for number in range(1, 4):
        until(page, lambda: answers)
        answers.pop().continue_()
        stored(page, number)
    page.unroute("**/api/answers")
    for route, response in came:
        route.fulfill(response=response)
    page.unroute("**/api/questions*")
    for _ in range(8):
        page.keyboard.press("n")
        seen.append((asked(page), clip_asked(page)))
    assert len(set(seen)) == len(seen) == 12


def test_what_a_clip_lacks_is_not_asked(visit) -> None:
    page = visit("Sy", "people")

    def silent(route: Any) -> None:
        rows = route.fetch().json()
        route.fulfill(json=[{**row, "lacks": "audio"} for row in rows])

    page.route("**/api/questions*", silent)
    page.evaluate("() => { location.hash = '#/answer'; }")
    first = asked(page), clip_asked(page)
    assert "no sound" in page.inner_text(".question")
    choices = page.locator(".choices button")
    assert [each.is_enabled() for each in choices.all()] == [False, True, False, True, True]
    page.keyboard.press("h")
    page.keyboard.press("b")
    assert (asked(page), clip_asked(page)) == first
    page.keyboard.press("s")
    stored(page, 1)
    assert (asked(page), clip_asked(page)) != first
    page.unroute("**/*")


def test_what_is_not_stored_is_told_and_asked_again(visit) -> None:
    page = visit("Di", expected=FAILED)
    first = asked(page), clip_asked(page)
    sentence = "The disk is full: free some space."
    answer = {"status": 507, "json": {"error": sentence}}
    page.route("**/api/answers", lambda route: route.fulfill(**answer), times=1)
    page.keyboard.press("b")
    page.get_by_text("not stored", exact=True).wait_for()
    assert sentence in page.inner_text("[role=status][aria-live=polite]#told")
    assert (asked(page), clip_asked(page)) != first
    page.keyboard.press("b")
    assert (asked(page), clip_asked(page)) == first
    page.keyboard.press("b")
    stored(page, 2)


def test_questions_that_do_not_come_are_said_and_asked_for_again(visit) -> None:
    page = visit("Mary", expected=FAILED)
    page.route("**/api/questions*", lambda route: route.fulfill(status=500, json={"error": "Why."}))
    page.reload()
    page.get_by_role("heading", name="The next questions did not come.").wait_for()
    assert page.get_by_text("Why.").is_visible()
    page.unroute("**/api/questions*")
    page.get_by_role("button", name="Try again").click()
    asked(page)


@pytest.mark.parametrize(
    ("view", "note"), [("answer", ".screen .notes"), ("correct", ".stage > .notes")]
)
def test_a_clip_that_is_back_is_played(visit, view: str, note: str) -> None:
    page = visit("Nan", "browse", expected=FAILED)
    gone = {"status": 404, "json": {"error": "It is gone."}}
    clips = "[...document.querySelectorAll('video')]"
    page.route("**/media/*", lambda route: route.fulfill(**gone))
    page.evaluate("view => { location.hash = `#/${view}`; }", view)
    told = page.locator(f"{note}[role=status]:visible")
    told.get_by_text("It is gone.").wait_for()
    with page.expect_request("**/media/*"):
        page.keyboard.press(" ")
    page.wait_for_function(f"() => {clips}.some((clip) => clip.error)")
    page.unroute("**/media/*")
    page.keyboard.press(" ")
    page.wait_for_function(f"() => {clips}.some((clip) => clip.currentTime > 0)")
    told.wait_for(state="hidden")


def test_letters_are_answers_also_where_a_button_has_the_focus(visit) -> None:
    page = visit("Sophie")
    asked(page)
    page.locator("#theme").focus()
    page.keyboard.press("n")
    page.locator(".trail li", has_text="neither").wait_for()


def test_undo_asks_again_also_after_a_reload(visit) -> None:
    page = visit("Ed")
    first = asked(page), clip_asked(page)
    for number in (1, 2):
        page.keyboard.press("?")
        stored(page, number)
    page.reload()
    asked(page)
    page.keyboard.press("u")
    page.keyboard.press("u")
    page.wait_for_function(
        """([label, clip]) => {
            const shown = document.querySelector('.screen:not([hidden]) video');
            return document.querySelector('.question b').textContent === label
                && shown.getAttribute('src') === clip;
        }""",
        arg=first,
    )
    page.keyboard.press("u")
    page.get_by_text("There is no answer of yours to undo").wait_for()


def test_undo_takes_back_what_this_page_sent_whatever_another_one_did(visit) -> None:
    page, other = visit("Gus"), visit("Gus")
    first = asked(page), clip_asked(page)
    page.keyboard.press("s")
    stored(page, 1)
    asked(other)
    for number, key in enumerate("nb", 1):
        other.keyboard.press(key)
        stored(other, number)
    page.keyboard.press("u")
    page.wait_for_function("() => !document.querySelector('.trail li')")
    assert (asked(page), clip_asked(page)) == first
    other.keyboard.press("u")
    other.wait_for_function("() => document.querySelectorAll('.trail li').length === 1")
    assert "neither" in other.inner_text(".trail li")
    page.keyboard.press("u")  # nothing of this page is left: the last of the person, by its clip
    page.get_by_text(" of a #", exact=False).wait_for()
    page.keyboard.press("u")
    page.get_by_text("There is no answer of yours to undo").wait_for()


def test_undo_whose_reply_was_lost_takes_back_no_second_answer(visit) -> None:
    page = visit("Hal", expected=FAILED)
    given = []
    for number in (1, 2):
        given.append((asked(page), clip_asked(page)))
        page.keyboard.press("s")
        stored(page, number)

    def lost(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/api/answers/undo", lost, times=1)
    page.keyboard.press("u")
    page.get_by_text("The studio does not answer").wait_for()
    for left in (1, 0):
        page.keyboard.press("u")
        page.wait_for_function("n => document.querySelectorAll('.trail li').length === n", arg=left)
        assert (asked(page), clip_asked(page)) == given[left]


def test_a_clip_is_played_at_its_moment_and_again(visit) -> None:
    page = visit("Flo")
    asked(page)
    playing = "() => !document.querySelector('.screen:not([hidden]) video').paused"
    page.wait_for_function(playing)
    page.evaluate("() => document.querySelector('.screen:not([hidden]) video').pause()")
    page.keyboard.press(" ")
    page.wait_for_function(playing)


def test_clips_are_found_by_keyboard(visit) -> None:
    page = visit("Gus", "browse")
    page.locator(".row:not([hidden])").first.wait_for()
    page.get_by_role("searchbox").fill("#13")
    assert page.inner_text(".heads p") == "1 of 14 clips"
    page.get_by_role("combobox", name="State").select_option("corrected")
    assert page.inner_text(".heads p") == "0 of 14 clips"
    page.get_by_role("combobox", name="State").select_option("")
    page.get_by_role("searchbox").fill("")
    page.get_by_role("listbox").focus()
    for key in ("End", "ArrowUp", "Enter"):
        chosen = page.locator("[aria-selected=true] .video").text_content()
        page.keyboard.press(key)
    page.wait_for_function("() => location.hash.startsWith('#/correct/')")
    assert page.evaluate("() => decodeURIComponent(location.hash)") == f"#/correct/{chosen}"


def test_ten_thousand_clips_are_a_few_rows(visit, aviary_studio) -> None:
    page = visit("Hal", "people")
    columns = ["video", "split", "tags", "state", "suspicion", "seconds", "events"]
    rows = [[f"clip {n}", "train", [n % 3], "new", n / 10_000, 10.0, 0] for n in range(10_000)]
    clips = {"columns": columns, "rows": rows}
    page.route("**/api/clips?*", lambda route: route.fulfill(json=clips))
    page.route("**/thumb/*", lambda route: route.fulfill(status=204))
    page.evaluate("() => { location.hash = '#/browse'; }")
    page.locator(".row:not([hidden])").first.wait_for()
    assert page.inner_text("[aria-posinset='1'] .video") == "clip 9999"  # the most doubtful one
    page.get_by_role("listbox").press("End")
    last = page.locator("[aria-posinset='10000']")
    assert last.get_attribute("aria-selected") == "true"
    assert last.locator(".video").text_content() == "clip 0"
    assert page.locator(".row").count() < 50
    page.unroute("**/*")


def test_where_people_disagree_they_are_asked(visit) -> None:
    page = visit("Jo")
    for person, heard in (("Ina", True), ("Jo", False)):
        given = {"person": person, "video": "a #12 & b", "class": "Rain", "unsure": False}
        page.evaluate(
            """given => fetch("/api/answers", {
                method: "POST", headers: {"Content-Type": "application/json"},
                body: JSON.stringify(given),
            })""",
            {**given, "audio": heard, "visual": False, "probability": 0.5},
        )
    page.goto(page.url.replace("#/answer", "#/people"))
    page.get_by_text("Ina, Jo").wait_for()
    while page.inner_text(".said").split("\n") != ["Ina", "heard", "Jo", "not heard"]:
        page.keyboard.press("l")  # other tests disagree too
    count = page.inner_text(".dispute .facts")
    assert page.inner_text(".dispute .question b") == "Rain"
    page.keyboard.press("y")
    page.get_by_text("your answer is stored").wait_for()
    page.reload()
    page.get_by_text("Ina, Jo").wait_for()
    assert page.inner_text(".dispute .facts") != count


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(visit, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit("Kim", scheme=scheme)
    for view in VIEWS:
        page.evaluate("view => { location.hash = `#/${view}`; }", view)
        page.wait_for_selector(f".{view}-view h1")
        found = Axe().run(page).response["violations"]
        assert not found, [(view, each["id"], each["nodes"]) for each in found]


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (320, 640),
        (390, 844),
        pytest.param(768, 1024, marks=pytest.mark.slow),
        (1440, 900),
        pytest.param(3840, 2160, marks=pytest.mark.slow),
    ],
)
def test_every_view_fits(visit, width: int, height: int) -> None:
    page = visit("Lea", width=width, height=height)
    for view in VIEWS:
        page.evaluate("view => { location.hash = `#/${view}`; }", view)
        page.wait_for_selector(f".{view}-view > *")
        wide, high = page.evaluate(
            "() => { const e = document.documentElement; return [e.scrollWidth, e.scrollHeight]; }"
        )
        assert wide <= width, view
        assert view != "answer" or width == 320 or high <= height, "Answer needs no scrolling"


def test_a_studio_that_was_killed_goes_on_where_it_was(aviary, open_page) -> None:
    folder = aviary.parent / "killed"
    make_data(folder)
    with studio(folder) as first:
        page = open_page(f"{first.address}/?person=Moe", expected="net::ERR_")
        for number in range(1, 4):
            asked(page)
            page.keyboard.press("h")
            stored(page, number)
        port = int(first.address.rpartition(":")[2])
    left = asked(page), clip_asked(page)
    page.keyboard.press("s")
    page.locator("#told").get_by_text("The studio does not answer").wait_for()
    with studio(folder, port=port):
        page.reload()
        assert (asked(page), clip_asked(page)) == left
        assert page.inner_text("#left").startswith("3 of 25")


def test_a_real_clip_is_asked_and_corrected(shared_media, tmp_path, open_page) -> None:
    from beside import CLIP

    data = make_data(tmp_path / "data", clip=shared_media / f"{CLIP}.mp4", clips=3)
    with studio(data) as served:
        page = open_page(f"{served.address}/?person=Noa", expected="net::ERR_")
        asked(page)
        page.wait_for_function(
            "() => document.querySelector('.screen:not([hidden]) video').currentTime > 0"
        )
        page.keyboard.press("b")
        stored(page, 1)
        page.evaluate("() => { location.hash = '#/correct'; }")
        page.get_by_role("toolbar").wait_for()
        page.keyboard.press("n")
        page.get_by_text("Stored, version 1").wait_for()


def test_an_export_under_way_is_told(visit) -> None:
    page = visit("Kim", "train")
    held: list[Any] = []
    page.route("**/api/export", lambda route: held.append(route))
    page.get_by_label("Clips").select_option("all")
    start = page.get_by_role("button", name="Export", exact=True)
    start.click()
    said = page.get_by_text("Exporting 14 clips\u2026")
    said.wait_for()
    assert start.is_disabled()
    headers = {"Content-Disposition": 'attachment; filename="events-csv.zip"'}
    with page.expect_download():
        held.pop().fulfill(body=b"", headers=headers)
    said.wait_for(state="detached")
    assert start.is_enabled()
    assert start.evaluate("node => node === document.activeElement")


def test_what_an_export_lacks_is_told(visit) -> None:
    page = visit("Ada", "train")
    lacking = {"Rlld-Lacking": quote("left out: 1 clip (b \u00e9); it lacks features")}
    page.route("**/api/export", lambda route: route.fulfill(body=b"", headers=lacking))
    with page.expect_download():
        page.get_by_role("button", name="Export", exact=True).click()
    page.get_by_text("was saved, left out: 1 clip (b \u00e9); it lacks features.").wait_for()
