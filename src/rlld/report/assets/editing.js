// Editing in a timeline, by mouse and by keyboard alone. Emits "change" with the list of events, "play" with one.

import { added, assigned, clamp, History, joint, LEAST, merged, moved, nextPlace, removed, resized, room, single, snapped, sorted, split } from "./edits.js";
import { element, NAMES, trim } from "./nodes.js";
import { spoken } from "./parsed.js";
import { decided, list, press } from "./toolbar.js";

/**
 * @typedef {import("./edits.js").Event} Event
 * @typedef {import("./edits.js").Edited} Edited
 * @typedef {import("./edits.js").Modality} Modality
 * @typedef {import("./lanes.js").Lane} Lane
 * @typedef {{lane: Lane, event: Event|null, part: "s"|"e"|"all"|"new", from: number, x: number, base: Edited, moved: boolean}} Drag
 */

const EDGE = 7; // pixels at the ends of an event by which it is made longer
const FINGER = 20; // the same where a finger presses
const STILL = 4; // pixels below which a press is a click

/** What keys do, as it is shown. */
export const KEYS = [
  ["Tab", "next event"], ["[ ]", "start, end to the play head"], ["Alt+← →", "move"], ["Alt+Shift+← →", "move the end"], ["Alt+, .", "move the start"],
  ["S", "split"], ["M", "merge"], ["Del", "delete"], ["N", "new event"], ["C \u2026 Enter", "class"], ["1 2", "audible, visible"],
  ["G", "snap or free"], ["J K", "next, previous doubt"], ["Ctrl+Z Y", "undo, redo"], ["+ − 0", "zoom"], ["Space", "play"], ["P", "play the event"],
];

export class Editing extends EventTarget {
  /**
   * @param {import("./timeline.js").Timeline} timeline made with `editable`
   * @param {{events: Event[], signal: AbortSignal}} start
   */
  constructor(timeline, { events, signal }) {
    super();
    this.timeline = timeline;
    this.doubts = timeline.clip.doubts ?? [];
    this.free = false;
    /** @type {Drag|null} */ this.drag = null;
    /** @type {Edited|null} */ this.preview = null;
    /** @type {Event|null} */ this.place = null; // the doubt shown last
    /** @type {Array<() => void>} */ this.goOn = [];
    this.history = new History({ events: single(events), chosen: null });
    this.selects = { c: list("Class", timeline.clip.classes), m: list("Track", ["audible", "visible"]) };
    this.buttons = {
      undo: press("Undo", "Control+Z", () => this.go(-1)),
      redo: press("Redo", "Control+Y", () => this.go(1)),
      add: press("Add", "N", () => this.add()),
      split: press("Split", "S", () => this.split()),
      merge: press("Merge", "M", () => this.merge()),
      remove: press("Delete", "Delete", () => this.remove()),
      snap: press("Snap", "G", () => this.setFree(!this.free)),
      back: press("Previous doubt", "K", () => this.doubt(-1)),
      next: press("Next doubt", "J", () => this.doubt(1)),
    };
    this.buttons.snap.setAttribute("aria-pressed", "true");
    this.buttons.snap.title = "Times snap to segments (G)";
    this.bar = this.toolbar();
    timeline.scroller.before(this.bar);
    timeline.lanes.node.classList.add("editable");
    timeline.lanes.node.tabIndex = -1; // holds the keyboard while no event is chosen: Space plays, Tab goes to one
    this.listen(signal);
    this.show(this.history.now);
  }

  // --- what there is to press -----------------------------------------------------------------
  toolbar() {
    const { undo, redo, add, split: cut, merge, remove, snap, back, next } = this.buttons;
    const bar = element("div", "editing controls");
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "Edit events");
    for (const [name, parts] of /** @type {Array<[string, HTMLElement[]]>} */ ([
      ["History", [undo, redo]], ["Event", [cut, merge, remove]], ["Class and track", [this.selects.c, this.selects.m, add]],
      ["Times", [snap]], ...(this.doubts.length ? [["Doubtful places", [back, next]]] : []),
    ])) {
      const group = element("span", "set", ...parts);
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", name);
      bar.append(group);
    }
    return bar;
  }

  // --- state ----------------------------------------------------------------------------------
  get chosen() {
    return this.history.now.chosen;
  }

  get grid() {
    return this.free ? 0 : this.timeline.clip.step;
  }

  /** Seconds of a step by keys. */
  get step() {
    return this.grid || 0.1;
  }

  /** @returns {Event[]} audible and visible events, and those that follow from them */
  get events() {
    const { events } = this.history.now;
    return sorted([...events, ...joint(events)]);
  }

  /** @param {Event[]} events others than those that are edited, such as saved ones; can be undone */
  replace(events) {
    this.do({ events: single(events), chosen: null });
  }

  /** @param {Edited} edited @param {boolean} [focus] whether its event is focused */
  do(edited, focus = false) {
    const changed = edited.events !== this.history.now.events;
    if (changed) this.history.push(edited);
    else this.history.now.chosen = edited.chosen;
    this.show(this.history.now);
    if (focus) this.focus();
    if (changed) this.dispatchEvent(new CustomEvent("change", { detail: this.events }));
  }

  /** @param {1|-1} direction @param {boolean} [focus] whether the event is focused that it is about */
  go(direction, focus = false) {
    if (!this.history.go(direction)) return;
    this.show(this.history.now);
    if (focus) this.focus();
    this.say(direction < 0 ? "Undone" : "Done again");
    this.dispatchEvent(new CustomEvent("change", { detail: this.events }));
  }

  /** @param {Edited} edited */
  show({ events, chosen }) {
    const { timeline } = this;
    for (const event of events) timeline.kept.add(event.c);
    timeline.chosen = chosen;
    timeline.setEvents(sorted([...events, ...joint(events)]));
    this.offer();
  }

  /** Says what can be done now. */
  offer() {
    const { events, chosen } = this.history.now;
    const { undo, redo, split: cut, merge, remove, back, next } = this.buttons;
    undo.disabled = this.history.at === 0;
    redo.disabled = this.history.at === this.history.done.length - 1;
    cut.disabled = remove.disabled = !chosen;
    merge.disabled = !chosen || merged(events, chosen).events === events;
    back.disabled = next.disabled = !this.doubts.length;
    if (chosen) {
      this.selects.c.value = String(chosen.c);
      this.selects.m.value = chosen.m === "audio" ? "0" : "1";
    }
  }

  focus() {
    const { chosen, timeline } = this;
    if (!chosen) {
      timeline.lanes.node.focus({ preventScroll: true });
      return;
    }
    const { from, to } = timeline.view();
    if (chosen.e < from || chosen.s > to) timeline.seek(chosen.s);
    const node = timeline.lanes.nodeOf(chosen);
    node?.focus({ preventScroll: false });
    timeline.tip.hide();
    this.say(spoken(timeline.clip, chosen));
  }

  /** @param {string} text for screen readers */
  say(text) {
    this.timeline.live.textContent = text;
  }

  // --- edits ----------------------------------------------------------------------------------
  /** @param {Event|null} event */
  choose(event) {
    this.history.now.chosen = event;
    this.timeline.chosen = event;
    this.timeline.mark();
    this.offer();
  }

  /** @param {(events: Event[], event: Event) => Edited} edit @param {boolean} [focus] whether what came of it is focused */
  edit(edit, focus = true) {
    const { events, chosen } = this.history.now;
    if (chosen) this.do(edit(events, chosen), focus);
    else this.say("Choose an audible or a visible event first");
  }

  split() {
    const { time, clip } = this.timeline;
    this.edit((events, event) => {
      const inside = time > event.s + LEAST && time < event.e - LEAST;
      const middle = (event.s + event.e) / 2;
      return split(events, event, inside ? time : middle, inside ? this.grid : 0, clip.duration);
    });
  }

  merge() {
    this.edit(merged);
  }

  remove() {
    this.edit(removed);
  }

  add() {
    const { time, clip } = this.timeline;
    const c = Number(this.selects.c.value);
    const m = this.selects.m.value === "0" ? "audio" : "visual";
    const s = this.free ? Math.min(time, clip.duration - LEAST) : Math.min(Math.floor(time / clip.step + 1e-6) * clip.step, clip.duration - LEAST);
    const event = /** @type {Event} */ ({ c, m, s, e: Math.min(clip.duration, s + clip.step), p: null });
    this.timeline.kept.add(c);
    this.do(added(this.history.now.events, event), true);
  }

  /** @param {{c?: number, m?: Modality}} change @param {boolean} [focus] */
  assign(change, focus = true) {
    this.edit((events, event) => assigned(events, event, change), focus);
  }

  /** @param {boolean} free */
  setFree(free) {
    this.free = free;
    this.timeline.stride = this.step;
    this.buttons.snap.setAttribute("aria-pressed", String(!free));
    this.say(free ? "Times are free" : "Times snap to segments");
  }

  /** @param {Event|null} event */
  play(event) {
    if (event) this.dispatchEvent(new CustomEvent("play", { detail: event }));
    else this.say("Choose an event first");
  }

  /** @param {1|-1} direction */
  doubt(direction) {
    const place = nextPlace(this.doubts, this.timeline.time, direction, this.place);
    if (!place) return;
    this.place = place;
    const { timeline } = this;
    timeline.kept.add(place.c);
    this.choose(this.history.now.events.find((event) => event.c === place.c && event.m === place.m && event.s < place.e && event.e > place.s) ?? null);
    timeline.seek(place.s);
    this.selects.c.value = String(place.c);
    this.selects.m.value = place.m === "audio" ? "0" : "1";
    timeline.lanes.groups.get(place.c)?.box.scrollIntoView({ block: "nearest" });
    if (this.chosen) this.focus();
    this.say(`Doubtful: ${timeline.clip.classes[place.c]}, ${NAMES[place.m]}, ${trim(place.s)} to ${trim(place.e)} seconds, probability ${(place.p ?? 0.5).toFixed(2)}`);
  }

  // --- keyboard -------------------------------------------------------------------------------
  /** @param {AbortSignal} signal */
  listen(signal) {
    const { lanes } = this.timeline;
    this.goOn = Object.values(this.selects).map((select) =>
      decided(select, {
        matters: () => this.chosen !== null,
        passes: (text) => {
          const { dataset } = /** @type {HTMLElement} */ (select.parentElement);
          dataset.hint = text && "Enter takes it, Escape does not";
          if (text) this.say(`${text}: ${dataset.hint}`);
        },
        takes: (focus) => this.assign(select === this.selects.c ? { c: Number(select.value) } : { m: select.value === "0" ? "audio" : "visual" }, focus),
        leaves: () => {
          this.offer();
          this.focus();
        },
      }));
    lanes.node.addEventListener("focusin", (event) => {
      const shown = lanes.ofNode.get(/** @type {Element} */ (event.target));
      if (!shown || this.drag || shown === this.chosen) return;
      // What follows from others, or stands for many, is nothing that a key could edit.
      this.choose(this.history.now.events.includes(shown) ? shown : null);
    });
    lanes.node.addEventListener("pointerdown", (event) => this.press(event));
    lanes.node.addEventListener("pointermove", (event) => this.pull(event));
    lanes.node.addEventListener("pointerup", (event) => this.letGo(event));
    lanes.node.addEventListener("pointercancel", () => this.cancel());
    // Enter on an event; a mouse was heard when it was let go.
    lanes.node.addEventListener("click", (event) => {
      const node = /** @type {Element} */ (event.target);
      const shown = event.detail === 0 ? lanes.ofNode.get(node) : null;
      if (shown) this.timeline.open(shown, node);
    });
    document.addEventListener("keydown", (event) => { if (this.pressed(event)) event.preventDefault(); }, { signal, capture: true });
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was ours */
  pressed(event) {
    const target = /** @type {Element} */ (event.target);
    if (target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return false;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      if (key === "z") this.go(event.shiftKey ? 1 : -1, true);
      else if (key === "y") this.go(1, true);
      else return false;
      return true;
    }
    const { time, clip } = this.timeline;
    if (event.altKey) {
      // Where Alt makes other signs of keys, their places are the same.
      const direction = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, Comma: -1, Period: 1 })[event.code];
      if (!direction) return false;
      const side = event.code === "Comma" || event.code === "Period" ? "s" : event.shiftKey ? "e" : null;
      this.edit((events, chosen) => (side
        ? resized(events, chosen, side, chosen[side] + direction * this.step, this.grid, clip.duration)
        : moved(events, chosen, chosen.s + direction * this.step, this.grid, clip.duration)));
      return true;
    }
    /** @type {Record<string, () => void>} */
    const actions = {
      s: () => this.split(),
      m: () => this.merge(),
      n: () => this.add(),
      g: () => this.setFree(!this.free),
      p: () => this.play(this.timeline.lanes.ofNode.get(target) ?? this.chosen),
      j: () => this.doubt(1),
      k: () => this.doubt(-1),
      c: () => this.selects.c.focus(),
      1: () => this.assign({ m: "audio" }),
      2: () => this.assign({ m: "visual" }),
      "[": () => this.edit((events, chosen) => resized(events, chosen, "s", time, this.grid, clip.duration)),
      "]": () => this.edit((events, chosen) => resized(events, chosen, "e", time, this.grid, clip.duration)),
      Delete: () => this.remove(),
      Backspace: () => this.remove(),
      Escape: () => (this.drag ? this.cancel() : this.choose(null)),
    };
    const action = Object.hasOwn(actions, key) ? actions[key] : null;
    if (!action) return false;
    action();
    return key !== "Escape";
  }

  // --- mouse, pen and finger ------------------------------------------------------------------
  /** @param {PointerEvent} event */
  press(event) {
    const track = /** @type {Element} */ (event.target).closest(".track");
    const lane = track && this.timeline.lanes.ofTrack.get(track);
    if (!lane || event.button) return;
    const node = /** @type {Element} */ (event.target).closest(".event");
    const shown = (node && this.timeline.lanes.ofNode.get(node)) ?? null;
    if (node?.classList.contains("cluster") && shown) {
      this.timeline.look({ from: shown.s, to: shown.e });
      return;
    }
    for (const goesOn of this.goOn) goesOn();
    const base = this.history.now;
    /** @type {Drag["part"]} */
    let part = "new";
    if (shown && node) {
      const box = node.getBoundingClientRect();
      const edge = Math.min(event.pointerType === "touch" ? FINGER : EDGE, box.width / 3);
      part = event.clientX < box.left + edge ? "s" : event.clientX > box.right - edge ? "e" : "all";
    }
    const own = shown && base.events.includes(shown) ? shown : null;
    const again = own !== null && own === base.chosen;
    this.drag = { lane, event: shown, part, from: this.timeline.timeAt(event.clientX), x: event.clientX, base, moved: false };
    this.choose(own);
    // A finger scrolls; it drags what was chosen before.
    if (event.pointerType === "touch" && !again) return;
    lane.track.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  pull(event) {
    const { drag } = this;
    if (!drag || (!drag.moved && Math.abs(event.clientX - drag.x) < STILL)) return;
    if (!drag.event && drag.lane.m === "audio_visual") return;
    if (drag.event && !drag.base.events.includes(drag.event)) return;
    if (event.pointerType === "touch" && !drag.lane.track.hasPointerCapture(event.pointerId)) return;
    drag.moved = true;
    this.timeline.tip.hide();
    this.preview = this.dragged(drag, this.timeline.timeAt(event.clientX));
    this.show(this.preview);
  }

  /** @param {Drag} drag @param {number} t seconds @returns {Edited} */
  dragged({ lane, event, part, from, base }, t) {
    const { duration } = this.timeline.clip;
    if (event && part === "all") return moved(base.events, event, event.s + t - from, this.grid, duration);
    if (event && (part === "s" || part === "e")) return resized(base.events, event, part, t, this.grid, duration);
    const [s, e] = this.free ? [Math.min(from, t), Math.max(from, t)] : [this.floor(Math.min(from, t)), this.ceil(Math.max(from, t))];
    const fresh = /** @type {Event} */ ({ c: lane.c, m: lane.m, s: from, e: from, p: null });
    const [low, high] = room(base.events, fresh, duration);
    fresh.s = clamp(snapped(s, 0, duration), low, high - LEAST);
    fresh.e = clamp(snapped(e, 0, duration), fresh.s + LEAST, high);
    return { events: sorted([...base.events, fresh]), chosen: fresh };
  }

  /** @param {number} t seconds */
  floor(t) {
    return Math.floor(t / this.step + 1e-6) * this.step;
  }

  /** @param {number} t seconds */
  ceil(t) {
    return Math.min(this.timeline.clip.duration, Math.ceil(t / this.step - 1e-6) * this.step);
  }

  /** @param {PointerEvent} event */
  letGo(event) {
    const { drag, preview } = this;
    this.drag = null;
    this.preview = null;
    if (!drag) return;
    if (drag.moved && preview) {
      this.do(preview, true);
    } else if (Math.abs(event.clientX - drag.x) < STILL) {
      this.timeline.seek(drag.event ? drag.event.s : this.timeline.timeAt(event.clientX));
      if (this.chosen) this.focus();
    }
  }

  cancel() {
    if (!this.drag) return;
    this.drag = null;
    this.preview = null;
    this.show(this.history.now);
  }
}
