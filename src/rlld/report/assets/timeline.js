// The timeline of a clip: lanes of events and probabilities, axis, play head, zoom from 4 s to hours.
// Only what is in view is in the document, or a little more: hours scroll as smoothly as seconds.

import { clamp } from "./edits.js";
import { Lanes } from "./lanes.js";
import { control, element, MODALITIES, NAMES, sign, trim } from "./nodes.js";
import { segmentAt } from "./parsed.js";
import { Strips } from "./strips.js";
import { Tip } from "./tips.js";

/**
 * @typedef {import("./edits.js").Event} Event
 * @typedef {import("./parsed.js").Parsed} Parsed
 * @typedef {import("./strips.js").Sources} Sources
 * @typedef {import("./strips.js").Span} Span
 */

const CLOSEST = 4; // seconds that fill the view at the deepest zoom

/** Emits "seek" (detail: seconds) and "toggle" (play or pause). */
export class Timeline extends EventTarget {
  filter = element("input");
  all = control("", "All classes", "all");
  out = control("Zoom out", "\u2212", "out");
  fit = control("Show the whole clip", "Fit", "fit");
  in = control("Zoom in", "+", "in");
  controls = element("div", "controls");
  ticks = element("div", "ticks");
  top = element("div", "strips");
  bubble = element("span");
  head = element("div", "head", this.bubble); // in the axis, which stays in sight where lanes scroll
  line = element("div", "head"); // from there down
  sheet = element("div", "sheet");
  scroller = element("div", "scroller", this.sheet);
  empty = element("p", "empty");
  live = element("div", "hidden");

  /**
   * @param {HTMLElement} root
   * @param {Parsed} clip
   * @param {{sources?: Sources, signal?: AbortSignal, editable?: boolean}} [options] with `editable`
   *   clicks in lanes are left to whoever edits
   */
  constructor(root, clip, { sources = {}, signal, editable = false } = {}) {
    super();
    this.clip = clip;
    this.root = root;
    this.time = 0;
    this.stride = clip.step; // seconds of an arrow key
    this.zoom = 1;
    this.deepest = Math.max(1, clip.duration / CLOSEST);
    this.follow = true;
    this.segment = -1;
    this.waiting = 0;
    /** @type {Span} */ this.drawn = { from: 0, to: 0 };
    /** @type {Event|null} */ this.chosen = null;
    /** @type {Set<number>} */ this.kept = new Set(); // classes that are shown without events too
    this.lanes = new Lanes(clip);
    this.tip = new Tip(clip);
    this.build();
    this.strips = new Strips(this.top, clip.duration, sources);
    this.listen(signal);
    if (!editable) this.listenToLanes();
    this.show();
    this.setZoom(1);
  }

  build() {
    const legend = element("ul", "legend");
    legend.setAttribute("aria-label", "Legend");
    for (const m of MODALITIES) legend.append(element("li", "", element("span", `swatch ${m}`), sign(m), NAMES[m]));
    if (this.clip.probabilities) legend.append(element("li", "", element("span", "swatch curve"), "probability"));
    if (this.clip.doubts?.length) legend.append(element("li", "", element("span", "swatch doubtful"), "doubtful"));
    if (this.clip.truth) legend.append(element("li", "", element("span", "swatch truth"), "ground truth"));
    this.filter.type = "search";
    this.filter.placeholder = "Find a class";
    this.filter.setAttribute("aria-label", "Show classes whose name contains");
    this.all.setAttribute("aria-pressed", "false");
    const zoom = element("span", "zoom", this.out, this.fit, this.in);
    zoom.setAttribute("role", "group");
    zoom.setAttribute("aria-label", "Zoom");
    zoom.hidden = this.deepest <= 1;
    this.controls.append(this.filter, this.all, zoom);
    this.head.setAttribute("aria-hidden", "true");
    this.live.setAttribute("aria-live", "polite");
    for (const name of /** @type {const} */ (["filter", "ticks", "head", "bubble", "sheet", "scroller", "empty", "live"])) this[name].id = name;
    this.sheet.append(element("div", "axis", element("div", "corner"), this.ticks, this.head), this.top, this.lanes.node, this.line);
    this.root.prepend(element("div", "tools", legend, this.controls), this.scroller, this.empty);
    this.root.append(this.tip.node, this.live);
  }

  /** @param {AbortSignal} [signal] */
  listen(signal) {
    signal?.addEventListener("abort", () => this.strips.leave());
    this.filter.addEventListener("input", () => this.show());
    this.all.addEventListener("click", () => {
      this.all.setAttribute("aria-pressed", String(this.all.getAttribute("aria-pressed") !== "true"));
      this.show();
    });
    this.in.addEventListener("click", () => this.setZoom(this.zoom * 2));
    this.out.addEventListener("click", () => this.setZoom(this.zoom / 2));
    this.fit.addEventListener("click", () => this.setZoom(1));
    for (const place of [this.ticks, this.top]) place.addEventListener("click", (event) => this.seek(this.timeAt(event.clientX)));
    this.scroller.addEventListener("scroll", () => this.soon(), { passive: true });
    this.scroller.addEventListener("wheel", (event) => {
      this.follow = false;
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.setZoom(this.zoom * 2 ** (-event.deltaY / 120), this.timeAt(event.clientX));
    }, { passive: false });
    this.scroller.addEventListener("pointerdown", () => { this.follow = false; });
    this.lanes.node.addEventListener("pointermove", (event) => {
      const track = /** @type {Element} */ (event.target).closest(".track");
      const lane = track && this.lanes.ofTrack.get(track);
      if (lane && event.pointerType !== "touch" && !event.buttons) this.tip.ofMoment(lane, this.timeAt(event.clientX), event);
      else this.tip.hide();
    });
    this.lanes.node.addEventListener("pointerleave", () => this.tip.hide());
    this.lanes.node.addEventListener("focusin", (event) => {
      const node = /** @type {HTMLElement} */ (event.target);
      const shown = this.lanes.ofNode.get(node);
      if (shown && node.matches(":focus-visible")) this.tip.ofEvent(shown, node);
    });
    this.lanes.node.addEventListener("focusout", () => this.tip.hide());
    document.addEventListener("scroll", () => this.tip.follow(), { capture: true, passive: true, signal });
    addEventListener("resize", () => this.setZoom(this.zoom), { signal });
    document.addEventListener("keydown", (event) => { if (this.pressed(event)) event.preventDefault(); }, { signal });
    // A button acts on Space when the key goes up; on an event Space plays and pauses instead.
    document.addEventListener("keyup", (event) => {
      if (event.key === " " && /** @type {Element} */ (event.target).classList?.contains("event")) event.preventDefault();
    }, { signal });
  }

  listenToLanes() {
    this.lanes.node.addEventListener("click", (event) => {
      const node = /** @type {Element} */ (event.target).closest(".event");
      const shown = node && this.lanes.ofNode.get(node);
      if (node && shown) this.open(shown, node);
      else if (/** @type {Element} */ (event.target).closest(".track")) this.seek(this.timeAt(event.clientX));
    });
  }

  /** Looks closer at what stands for many events; goes to the start of one. @param {Event} shown @param {Element} node */
  open(shown, node) {
    if (node.classList.contains("cluster")) this.look({ from: shown.s, to: shown.e });
    else this.seek(shown.s);
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was ours */
  pressed(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return false;
    const target = /** @type {Element} */ (event.target);
    if (target.closest("input, textarea, select, video, audio")) return false;
    const jump = (event.shiftKey ? 5 : 1) * this.stride;
    const onEvent = target.classList.contains("event");
    if (event.key === " " && (onEvent || !target.closest("button, a, summary"))) this.dispatchEvent(new CustomEvent("toggle"));
    else if (event.key === "ArrowLeft") this.seek(this.time - jump);
    else if (event.key === "ArrowRight") this.seek(this.time + jump);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.clip.duration);
    else if (event.key === "+" || event.key === "=") this.setZoom(this.zoom * 2);
    else if (event.key === "-") this.setZoom(this.zoom / 2);
    else if (event.key === "0") this.setZoom(1);
    else if (event.key === "Escape") this.tip.hide();
    else return false;
    return true;
  }

  // --- time -----------------------------------------------------------------------------------
  /** @param {number} t seconds */
  percent(t) {
    return `${100 * t / this.clip.duration}%`;
  }

  /** @param {number} t @param {number} [digits] of seconds @returns {string} */
  clock(t, digits = this.clip.duration / this.zoom < 60 ? 1 : 0) {
    if (this.clip.duration < 90) return `${trim(t, Math.max(1, digits))} s`;
    const tenths = Math.floor(t * 10 ** digits + 1e-6);
    const whole = Math.floor(tenths / 10 ** digits);
    const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
    const rest = digits ? `.${String(tenths % 10 ** digits).padStart(digits, "0")}` : "";
    return (this.clip.duration < 3600 ? parts.join(":") : `${Math.floor(whole / 3600)}:${parts.join(":")}`) + rest;
  }

  /** @param {number} x pixels of the window @returns {number} seconds */
  timeAt(x) {
    const box = this.ticks.getBoundingClientRect();
    return clamp((x - box.left) / box.width, 0, 1) * this.clip.duration;
  }

  /** @param {number} t seconds @returns {Event[]} */
  active(t) {
    return this.lanes.events.filter((event) => event.s <= t + 1e-6 && t < event.e);
  }

  /** @param {number} t seconds */
  seek(t) {
    const time = clamp(t, 0, this.clip.duration);
    const list = this.active(time).map((event) => `${this.clip.classes[event.c]} ${NAMES[event.m]}`);
    this.live.textContent = `${trim(time, 1)} seconds: ${list.join(", ") || "no event"}`;
    this.follow = true;
    this.dispatchEvent(new CustomEvent("seek", { detail: time }));
    this.draw(time);
  }

  /**
   * Sets the play head.
   * @param {number} t seconds
   */
  draw(t) {
    this.time = t;
    // Set on the head alone: on the sheet it would restyle every event of a long video.
    for (const node of [this.head, this.line]) node.style.setProperty("--at", String(clamp(t / this.clip.duration, 0, 1)));
    this.bubble.textContent = this.clock(t);
    const k = segmentAt(this.clip, t);
    if (k !== this.segment) {
      this.segment = k;
      this.mark();
    }
    if (this.zoom > 1 && this.follow) this.keepInView(t);
  }

  mark() {
    this.lanes.mark(new Set(this.active(this.time)), this.chosen);
  }

  /** @param {Event[]} events that take the place of those before */
  setEvents(events) {
    this.lanes.set(events);
    this.show();
  }

  /** Shows the classes with events, all, or those that were looked for. */
  show() {
    const { classes, truth } = this.clip;
    const text = this.filter.value.trim().toLowerCase();
    const all = this.all.getAttribute("aria-pressed") === "true";
    const busy = new Set([...this.kept, ...[...this.lanes.events, ...(truth ?? [])].map((event) => event.c)]);
    const shown = classes.map((_, c) => c).filter((c) =>
      (text ? classes[c].toLowerCase().includes(text) : all || busy.has(c)));
    this.lanes.show(shown);
    this.empty.hidden = shown.length > 0;
    this.empty.textContent = text
      ? "No class has this in its name."
      : "No event was found. \u201cAll classes\u201d shows every probability.";
    this.mark();
  }

  // --- what is in view ------------------------------------------------------------------------
  room() {
    const names = parseFloat(getComputedStyle(this.sheet).getPropertyValue("--names")) || 0;
    // Not clientWidth, which is rounded: at a deep zoom half a pixel is many.
    return Math.max(50, this.scroller.getBoundingClientRect().width - names);
  }

  /** @returns {Span} */
  view() {
    const from = this.scroller.scrollLeft / (this.room() * this.zoom) * this.clip.duration;
    return { from, to: Math.min(this.clip.duration, from + this.clip.duration / this.zoom) };
  }

  /** @param {number} value @param {number} [anchor] seconds that stay where they are */
  setZoom(value, anchor) {
    const before = this.view();
    const head = this.time >= before.from && this.time <= before.to;
    const t = anchor ?? (head ? this.time : (before.from + before.to) / 2);
    const share = (t - before.from) / Math.max(1e-9, before.to - before.from);
    this.zoom = clamp(value, 1, this.deepest);
    this.sheet.style.width = `calc(var(--names) + (100% - var(--names)) * ${this.zoom})`;
    this.in.disabled = this.zoom >= this.deepest;
    this.out.disabled = this.fit.disabled = this.zoom <= 1;
    this.scroller.scrollLeft = t / this.clip.duration * this.room() * this.zoom - share * this.room();
    this.refresh();
    this.follow = head && anchor === undefined;
    this.draw(this.time);
  }

  /** @param {Span} span seconds that are to fill the view, with some room around */
  look({ from, to }) {
    const length = Math.max(to - from, CLOSEST / 2) * 1.3;
    this.setZoom(this.clip.duration / length, (from + to) / 2);
    this.scroller.scrollLeft = ((from + to - length) / 2) / this.clip.duration * this.room() * this.zoom;
    this.follow = false;
    this.refresh();
  }

  /** @param {number} t seconds */
  keepInView(t) {
    const room = this.room();
    const x = room * this.zoom * t / this.clip.duration;
    const left = this.scroller.scrollLeft;
    if (x < left || x > left + room * 0.95) this.scroller.scrollLeft = x - room * 0.1;
  }

  soon() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      const { from, to } = this.view();
      if (from < this.drawn.from || to > this.drawn.to) this.refresh();
      else this.strips.draw({ from, to }, this.room());
    });
  }

  /** Draws what is in view, and half as much on both sides. */
  refresh() {
    const { from, to } = this.view();
    const { duration } = this.clip;
    const more = (to - from) / 2;
    this.drawn = { from: Math.max(0, from - more), to: Math.min(duration, to + more) };
    this.drawTicks();
    this.lanes.refresh(this.drawn, duration / (this.room() * this.zoom));
    this.strips.draw({ from, to }, this.room());
    this.mark();
  }

  drawTicks() {
    const { duration, step } = this.clip;
    const width = this.room() * this.zoom;
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
    const gap = steps.find((s) => (s / duration) * width >= (this.clip.duration < 90 ? 58 : 76)) ?? 7200;
    const marks = [];
    for (let n = Math.max(0, Math.floor(this.drawn.from / gap)); n * gap <= this.drawn.to; n += 1) {
      const t = n * gap;
      if (n && t >= duration - gap * 0.35) break;
      const mark = element("span", n ? "" : "first", this.clock(t, gap < 1 ? 1 : 0));
      mark.style.left = this.percent(t);
      marks.push(mark);
    }
    if (this.drawn.to >= duration) {
      const end = element("span", "last", this.clock(duration));
      end.style.left = "100%";
      marks.push(end);
    }
    this.ticks.replaceChildren(...marks);
    const share = this.percent((step / duration) * width >= 8 ? step : gap);
    if (this.sheet.style.getPropertyValue("--cell") !== share) this.sheet.style.setProperty("--cell", share);
  }


}
