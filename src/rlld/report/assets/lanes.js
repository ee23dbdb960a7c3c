// The lanes of the classes: probabilities, events and known events, as far as they are in view.

import { clamp } from "./edits.js";
import { element, MODALITIES, NAMES, sign, SVG, trim } from "./nodes.js";
import { probability, segmentAt, spoken } from "./parsed.js";

/**
 * @typedef {import("./edits.js").Event} Event
 * @typedef {import("./edits.js").Modality} Modality
 * @typedef {import("./parsed.js").Parsed} Parsed
 * @typedef {import("./strips.js").Span} Span
 * @typedef {{m: Modality, c: number, track: HTMLElement, curve: SVGPathElement, events: Event[],
 *   marks: Record<string, Event[]>, nodes: Map<string, HTMLElement>}} Lane
 * @typedef {{box: HTMLElement, lanes: Lane[], near: boolean}} Group
 */

const MANY = 500; // events from which classes below the fold wait until they are near
const THIN = 6; // pixels below which neighbours are drawn as one
const CELL = 24; // pixels of which neighbours are drawn as one, so that a click leads somewhere
const STEPS = 1500; // of a probability curve, at most

export class Lanes {
  /** @param {Parsed} clip */
  constructor(clip) {
    this.clip = clip;
    this.events = clip.events;
    this.node = element("div");
    this.node.id = "lanes";
    this.node.setAttribute("role", "group");
    this.node.setAttribute("aria-label", "Events");
    /** @type {Span} */ this.span = { from: 0, to: clip.duration };
    this.pixel = clip.duration / 1000; // seconds
    /** @type {Map<number, Group>} */ this.groups = new Map();
    /** @type {Map<Element, Group>} */ this.ofBox = new Map();
    /** @type {WeakMap<Element, Event>} */ this.ofNode = new WeakMap();
    /** @type {WeakMap<Element, Lane>} */ this.ofTrack = new WeakMap();
    this.watch = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) {
        const group = this.ofBox.get(target);
        if (group && isIntersecting && !group.near) this.fill(group);
        if (group) group.near = isIntersecting;
      }
    }, { rootMargin: "400px" });
  }

  /** @param {Event[]} events that take the place of those before */
  set(events) {
    this.events = events;
    for (const [c, group] of this.groups) this.take(c, group);
    this.refresh(this.span, this.pixel);
  }

  /** @param {number} c @param {Group} group */
  take(c, group) {
    for (const lane of group.lanes) lane.events = this.events.filter((event) => event.c === c && event.m === lane.m);
  }

  /** @param {number[]} classes that are shown */
  show(classes) {
    const boxes = classes.map((c) => this.group(c).box);
    // Boxes that stay are not touched: what is focused in them stays focused.
    const stay = new Set(boxes);
    for (const { box } of this.groups.values()) if (!stay.has(box)) box.remove();
    boxes.forEach((box, k) => { if (this.node.children[k] !== box) this.node.insertBefore(box, this.node.children[k] ?? null); });
    this.refresh(this.span, this.pixel);
  }

  /**
   * Draws what lies in a span.
   * @param {Span} span
   * @param {number} pixel seconds that it is wide
   */
  refresh(span, pixel) {
    this.span = span;
    this.pixel = pixel;
    for (const group of this.groups.values()) if (group.near && group.box.isConnected) this.fill(group);
  }

  /**
   * Marks the events of a moment, and the one that was chosen.
   * @param {Set<Event>} current
   * @param {Event|null} chosen
   */
  mark(current, chosen) {
    for (const group of this.groups.values()) {
      for (const lane of group.lanes) {
        for (const node of lane.nodes.values()) {
          const event = this.ofNode.get(node);
          node.classList.toggle("on", event !== undefined && current.has(event));
          node.classList.toggle("chosen", event !== undefined && event === chosen);
        }
      }
    }
  }

  /** @param {number} t seconds */
  at(t) {
    return `${100 * t / this.clip.duration}%`;
  }

  /** @param {number} c @returns {Group} */
  group(c) {
    const known = this.groups.get(c);
    if (known) return known;
    const box = element("div", this.clip.truth ? "group truthful" : "group");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", this.clip.classes[c]);
    const lanes = MODALITIES.map((m, k) => this.lane(c, m, k === 0, box));
    const group = { box, lanes, near: this.events.length <= MANY };
    this.take(c, group);
    this.groups.set(c, group);
    this.ofBox.set(box, group);
    if (!group.near) this.watch.observe(box);
    return group;
  }

  /** @param {number} c @param {Modality} m @param {boolean} first @param {HTMLElement} box @returns {Lane} */
  lane(c, m, first, box) {
    const name = element("div", "name");
    if (first) name.append(element("b", "", this.clip.classes[c]));
    name.append(element("span", "", sign(m), element("em", "", NAMES[m])));
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 1000 1");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    const curve = document.createElementNS(SVG, "path");
    svg.append(curve);
    const track = element("div", `track ${m}`, svg);
    track.setAttribute("role", "group");
    track.setAttribute("aria-label", NAMES[m]);
    box.append(element("div", "lane", name, track));
    /** @param {Event[]|null|undefined} events */
    const own = (events) => (events ?? []).filter((event) => event.c === c && event.m === m);
    const marks = { "truth-bar": own(this.clip.truth), doubt: own(this.clip.doubts) };
    const lane = { m, c, track, curve, events: [], marks, nodes: new Map() };
    this.ofTrack.set(track, lane);
    return lane;
  }

  /** @param {Group} group */
  fill(group) {
    for (const lane of group.lanes) {
      this.drawCurve(lane);
      this.drawBars(lane);
    }
  }

  /** @param {Lane} lane */
  drawCurve({ c, m, curve }) {
    if (!this.clip.probabilities) return;
    const { from, to } = this.span;
    const [first, last] = [segmentAt(this.clip, from), segmentAt(this.clip, to - 1e-6)];
    // No more steps than there are pixels: of several segments the likeliest is drawn.
    const together = Math.max(1, Math.floor((last - first + 1) / STEPS));
    /** @param {number} t */
    const x = (t) => trim(1000 * clamp((t - from) / (to - from), 0, 1), 2);
    let d = "M0 1";
    for (let k = first; k <= last; k += together) {
      let most = 0;
      for (let n = k; n <= Math.min(last, k + together - 1); n += 1) most = Math.max(most, probability(this.clip, c, m, n));
      const y = (1 - most).toFixed(3);
      d += `L${x(k * this.clip.step)} ${y}L${x((k + together) * this.clip.step)} ${y}`;
    }
    curve.setAttribute("d", `${d}L1000 1Z`);
    const svg = /** @type {SVGElement} */ (curve.parentNode);
    svg.style.left = this.at(from);
    svg.style.width = this.at(to - from);
  }

  /** @param {Lane} lane */
  drawBars(lane) {
    const thin = THIN * this.pixel;
    /** @type {Map<string, HTMLElement>} */
    const nodes = new Map();
    for (const { event, count } of this.bars(lane.events, thin)) {
      const key = `${event.s} ${event.e} ${event.p} ${count}`;
      const node = lane.nodes.get(key) ?? this.bar(event, count);
      this.ofNode.set(node, event);
      nodes.set(key, node);
    }
    for (const [name, events] of Object.entries(lane.marks)) {
      for (const { event } of this.bars(events, thin)) {
        const key = `${name} ${event.s} ${event.e}`;
        const node = lane.nodes.get(key) ?? element("div", name);
        node.style.left = this.at(event.s);
        node.style.width = this.at(event.e - event.s);
        nodes.set(key, node);
      }
    }
    for (const [key, node] of lane.nodes) if (nodes.get(key) !== node) node.remove();
    // Nodes that are in their place are not moved: moving would take the focus from them.
    let place = /** @type {Element} */ (lane.curve.parentNode).nextSibling;
    for (const node of nodes.values()) {
      if (node === place) place = place.nextSibling;
      else lane.track.insertBefore(node, place);
    }
    lane.nodes = nodes;
  }

  /**
   * The events in view; neighbours too thin to be told apart come as one.
   * @param {Event[]} events
   * @param {number} thin seconds
   * @returns {Array<{event: Event, count: number}>}
   */
  bars(events, thin) {
    const cell = CELL * this.pixel;
    /** @type {Array<{event: Event, count: number}>} */
    const found = [];
    for (const event of events) {
      if (event.e < this.span.from || event.s > this.span.to) continue;
      const last = found.at(-1);
      const close = last && event.e - event.s < thin && event.s - last.event.e < thin
        && (last.count > 1 || last.event.e - last.event.s < thin)
        && Math.floor(event.s / cell) === Math.floor(last.event.s / cell);
      if (!close) found.push({ event, count: 1 });
      else found[found.length - 1] = { event: { ...last.event, e: Math.max(last.event.e, event.e), p: null }, count: last.count + 1 };
    }
    return found;
  }

  /** @param {Event} event @param {number} count @returns {HTMLElement} */
  bar(event, count) {
    const node = element("button", `event ${event.m}${count > 1 ? " cluster" : ""}`);
    node.type = "button";
    node.style.left = this.at(event.s);
    node.style.width = `calc(${this.at(event.e - event.s)} - 1px)`;
    node.setAttribute("aria-label", count > 1
      ? `${this.clip.classes[event.c]}, ${NAMES[event.m]}, ${count} events from ${trim(event.s)} to ${trim(event.e)} seconds: zoom in`
      : spoken(this.clip, event));
    node.append(element("span", "", event.p === null ? "" : event.p.toFixed(2)));
    return node;
  }

  /** @param {Event} event @returns {HTMLElement|undefined} */
  nodeOf(event) {
    const lane = this.groups.get(event.c)?.lanes.find((each) => each.m === event.m);
    return [...lane?.nodes.values() ?? []].find((node) => this.ofNode.get(node) === event);
  }
}
