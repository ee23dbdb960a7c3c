"""Pure edits of events, run where they live: hand-made cases, and properties of random edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rlld.report

pytestmark = pytest.mark.browser

EDITS = Path(rlld.report.__file__).parent / "assets" / "edits.js"


@pytest.fixture
def edits(chromium: Any) -> Any:
    page = chromium.new_page()
    script = EDITS.read_text(encoding="utf-8") + "\nwindow.ready = true;"
    names = [
        line.split("(")[0].split()[-1] for line in script.splitlines() if "export function" in line
    ]
    names += ["clamp", "sameLane", "sorted", "History"]
    page.add_script_tag(
        content=script + f"\nwindow.edits = {{ {', '.join(names)} }};", type="module"
    )
    page.wait_for_function("() => window.ready")
    yield lambda body, *given: page.evaluate(f"given => {{ {PRELUDE} {body} }}", list(given))
    page.close()


PRELUDE = """
const E = window.edits;
const on = (s, e, c = 0, m = "audio", p = 0.5) => ({ c, m, s, e, p });
const spans = (events) => events.map((x) => [x.c, x.m, x.s, x.e, x.p]);
"""


@pytest.mark.parametrize(
    ("t", "grid", "expected"),
    [(2.4, 1, 2), (2.6, 1, 3), (-1, 1, 0), (10.2, 1, 10.03), (10.01, 1, 10), (10.025, 1, 10.03),
     (2.3456, 0, 2.346), (99, 0, 10.03), (0.74, 0.96, 0.96)],
)  # fmt: skip
def test_times_snap_to_segments_and_the_end_of_the_clip(edits, t, grid, expected) -> None:
    assert edits("return E.snapped(given[0], given[1], 10.03)", t, grid) == expected


def test_edges_stop_at_neighbours_and_keep_a_segment(edits) -> None:
    lane = "const [a, b, c] = [on(0, 2), on(3, 5), on(7, 9)]; const all = [a, b, c];"
    assert edits(lane + "return spans(E.resized(all, b, 'e', 8, 1, 10).events)[1]") == [
        0, "audio", 3, 7, None]  # fmt: skip
    assert edits(lane + "return spans(E.resized(all, b, 's', 0, 1, 10).events)[1].slice(2, 4)") == [
        2, 5]  # fmt: skip
    assert edits(lane + "return spans(E.resized(all, b, 's', 9, 1, 10).events)[1].slice(2, 4)") == [
        4, 5]  # fmt: skip
    assert edits(lane + "return E.resized(all, b, 'e', 5.2, 1, 10).events === all")
    # Another lane is no neighbour.
    body = "const b = on(3, 5); return E.resized([b, on(5, 9, 1)], b, 'e', 9, 1, 10).chosen.e"
    assert edits(body) == 9


def test_events_move_whole_within_their_room(edits) -> None:
    lane = "const b = on(3, 5); const all = [on(0, 2), b, on(7, 9)];"
    for to, expected in ((4, [4, 6]), (9, [5, 7]), (0, [2, 4]), (3.2, [3, 5])):
        body = lane + f"const x = E.moved(all, b, {to}, 1, 10).chosen; return [x.s, x.e]"
        assert edits(body) == expected


def test_split_and_merge_undo_each_other(edits) -> None:
    body = """
        const a = on(2, 8);
        const cut = E.split([a], a, 5.3, 1, 10);
        const whole = E.merged(cut.events, cut.events[0]);
        return [spans(cut.events), cut.chosen.s, spans(whole.events)];
    """
    parts = [[0, "audio", 2, 5, 0.5], [0, "audio", 5, 8, 0.5]]
    assert edits(body) == [parts, 5, [[0, "audio", 2, 8, 0.5]]]
    assert edits("const a = on(2, 8); return E.split([a], a, 8, 1, 10).events.length") == 1


def test_merging_takes_the_next_of_the_lane_else_the_one_before(edits) -> None:
    lane = "const all = [on(0, 1), on(2, 3), on(2, 3, 1), on(6, 8)];"
    assert edits(lane + "return spans(E.merged(all, all[1]).events)") == [
        [0, "audio", 0, 1, 0.5], [1, "audio", 2, 3, 0.5], [0, "audio", 2, 8, None]]  # fmt: skip
    assert edits(lane + "return E.merged(all, all[3]).chosen.s") == 2
    assert edits(lane + "return E.merged(all, all[2]).events === all")


def test_adding_and_assigning_join_what_they_meet(edits) -> None:
    assert edits("return spans(E.added([on(1, 3), on(6, 7)], on(2, 5)).events)") == [
        [0, "audio", 1, 5, None], [0, "audio", 6, 7, 0.5]]  # fmt: skip
    body = """
        const a = on(1, 3);
        const all = [a, on(2, 4, 0, "visual")];
        return spans(E.assigned(all, a, { m: "visual" }).events);
    """
    assert edits(body) == [[0, "visual", 1, 4, None]]


def test_removing_chooses_the_neighbour(edits) -> None:
    lane = "const all = [on(0, 1), on(2, 3), on(4, 5)];"
    assert edits(lane + "return E.removed(all, all[1]).chosen.s") == 4
    assert edits(lane + "return E.removed(all, all[2]).chosen.s") == 2
    assert edits("const a = on(0, 1); return E.removed([a], a).chosen") is None


def test_audio_visual_events_follow_from_the_others(edits) -> None:
    body = """
        const all = [on(0, 4), on(6, 9), on(3, 7, 0, "visual", 0.25), on(0, 9, 1, "visual")];
        return spans(E.joint(all));
    """
    assert edits(body) == [[0, "audio_visual", 3, 4, 0.25], [0, "audio_visual", 6, 7, 0.25]]
    body = """
        const both = on(2, 5, 1, "audio_visual");
        return spans(E.single([on(0, 4), on(1, 2, 0, "audio_visual"), both]));
    """
    assert edits(body) == [
        [0, "audio", 0, 4, 0.5], [1, "audio", 2, 5, 0.5], [1, "visual", 2, 5, 0.5]]  # fmt: skip


def test_doubtful_places_go_round(edits) -> None:
    places = "const places = [on(5, 6), on(1, 2), on(8, 9)];"
    for t, direction, expected in (
        (1, 1, 1),
        (2, 1, 5),
        (9, 1, 1),
        (4, -1, 1),
        (5, -1, 5),
        (0, -1, 8),
    ):
        body = places + f"return E.nextPlace(places, {t}, {direction}).s"
        assert edits(body) == expected
    assert edits("return E.nextPlace([], 0, 1)") is None


@pytest.mark.parametrize("direction", [1, -1])
def test_doubtful_places_that_begin_together_are_all_visited(edits, direction) -> None:
    body = f"""
        const places = [on(0, 1, 2), on(0, 4, 1), on(0, 2, 1, "visual"), on(3, 4), on(3, 5, 1)];
        const seen = new Set();
        let last = null;
        let t = 0;
        for (let n = 0; n < 5; n += 1) {{
            last = E.nextPlace(places, t, {direction}, last);
            t = last.s;
            seen.add(places.indexOf(last));
        }}
        const left = E.nextPlace(places, 1, {direction}, last).s; // the play head was moved
        return [seen.size, left];
    """
    assert edits(body) == [5, 3 if direction == 1 else 0]


def test_what_was_done_is_undone_and_done_again(edits) -> None:
    body = """
        const history = new E.History({ events: [], chosen: null });
        for (const n of [1, 2, 3]) history.push({ events: [n], chosen: null });
        const seen = [history.go(-1), history.now.events[0], history.go(-1), history.now.events[0]];
        history.push({ events: [9], chosen: null });
        return [...seen, history.go(1), history.now.events[0], history.done.length];
    """
    assert edits(body) == [True, 2, True, 1, False, 9, 3]


def test_no_edit_breaks_a_lane(edits) -> None:
    """A thousand random edits: sorted, within the clip, apart in their lanes; nothing mutated."""
    body = """
        let seed = 7;
        const random = () => { seed = (seed * 48271) % 2147483647; return seed / 2147483647; };
        const freeze = (events) => { events.forEach(Object.freeze); return Object.freeze(events); };
        let events = freeze([on(1, 2), on(4, 8)]);
        const counts = {};
        for (let n = 0; n < 1000; n += 1) {
            const grid = random() < 0.5 ? 0 : 0.96;
            const t = random() * 12 - 1;
            const event = events[Math.floor(random() * events.length)];
            const fresh = on(Math.max(0, Math.min(9, t)), 0, Math.floor(random() * 2),
                random() < 0.5 ? "audio" : "visual", null);
            fresh.e = fresh.s + 0.5;
            const kinds = {
                added: () => E.added(events, fresh),
                start: () => event && E.resized(events, event, "s", t, grid, 10.03),
                end: () => event && E.resized(events, event, "e", t, grid, 10.03),
                moved: () => event && E.moved(events, event, t, grid, 10.03),
                split: () => event && E.split(events, event, t, grid, 10.03),
                merged: () => event && E.merged(events, event),
                removed: () => event && random() < 0.5 && E.removed(events, event),
                assigned: () => event && E.assigned(events, event, { m: fresh.m, c: fresh.c }),
            };
            const [name, edit] = Object.entries(kinds)[Math.floor(random() * 8)];
            const edited = edit();
            if (!edited) continue;
            if (edited.events !== events) counts[name] = (counts[name] || 0) + 1;
            events = freeze(edited.events);
            for (const [k, each] of events.entries()) {
                if (!(each.s >= 0 && each.s < each.e && each.e <= 10.03)) return [n, name, each];
                if (k && events[k - 1].s > each.s) return [n, name, "order"];
                for (const other of events) {
                    const apart = other.e <= each.s + 1e-9 || other.s >= each.e - 1e-9;
                    const met = other !== each && E.sameLane(other, each) && !apart;
                    if (met) return [n, name, each, other];
                }
            }
            if (edited.chosen && !events.includes(edited.chosen)) return [n, name, "chosen"];
        }
        return counts;
    """
    counts = edits(body)
    assert isinstance(counts, dict), counts
    assert len(counts) == 8, counts
