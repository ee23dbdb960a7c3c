// The tooltip of a moment in a lane, and of an event that has the focus.

import { clamp } from "./edits.js";
import { element, MODALITIES, NAMES, trim } from "./nodes.js";
import { probability, segmentAt, spoken, sureness } from "./parsed.js";

/** @typedef {import("./parsed.js").Parsed} Parsed */
/** @typedef {import("./edits.js").Event} Event */

export class Tip {
  /** @param {Parsed} clip */
  constructor(clip) {
    this.clip = clip;
    this.node = element("div", "tip");
    this.node.id = "tip";
    this.node.setAttribute("role", "tooltip");
    this.node.hidden = true;
    /** @type {HTMLElement|null} */ this.described = null;
  }

  hide() {
    if (this.node.hidden) return;
    this.node.hidden = true;
    this.described?.removeAttribute("aria-describedby");
    this.described = null;
  }

  /** Keeps to the event that it describes; of a moment, it is no longer the one under the pointer. */
  follow() {
    const box = this.described?.getBoundingClientRect();
    if (box && box.bottom > 0 && box.top < innerHeight) this.place(box.left, box.bottom - 10);
    else this.hide();
  }

  /** @param {string} label @param {number} value */
  row(label, value) {
    const fill = element("i");
    fill.style.width = `${100 * value}%`;
    return element("tr", "", element("th", "", label), element("td", "", value.toFixed(2)),
      element("td", "", element("span", "gauge", fill)));
  }

  /** @param {number} x @param {number} y pixels of the window */
  place(x, y) {
    this.node.hidden = false;
    const { width, height } = this.node.getBoundingClientRect();
    this.node.style.left = `${clamp(x + 14, 8, Math.max(8, innerWidth - width - 8))}px`;
    this.node.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 14) : y + 18}px`;
  }

  /**
   * @param {{c: number, events: Event[]}} lane
   * @param {number} t seconds
   * @param {PointerEvent} pointer
   */
  ofMoment({ c, events }, t, pointer) {
    const k = segmentAt(this.clip, t);
    const { step, duration, gates, classes } = this.clip;
    const parts = [element("h3", "", `${classes[c]}, ${trim(k * step)} to ${trim(Math.min((k + 1) * step, duration))} s`)];
    if (this.clip.probabilities) parts.push(element("table", "", ...MODALITIES.map((m) => this.row(NAMES[m], probability(this.clip, c, m, k)))));
    if (gates) parts.push(element("p", "", `whole video: audible ${gates[0][c].toFixed(2)}, visible ${gates[1][c].toFixed(2)}`));
    const over = events.find((event) => event.s <= t && t < event.e);
    if (over) parts.push(element("p", "", `event: ${trim(over.s)} to ${trim(over.e)} s${sureness(over)}`));
    this.node.replaceChildren(...parts);
    this.place(pointer.clientX, pointer.clientY);
  }

  /** @param {Event} event @param {HTMLElement} node */
  ofEvent(event, node) {
    const { step } = this.clip;
    const first = segmentAt(this.clip, event.s);
    const last = Math.max(first + 1, Math.min(Math.ceil(event.e / step - 1e-6), segmentAt(this.clip, Infinity) + 1));
    const table = element("table");
    if (this.clip.probabilities) {
      for (let k = first; k < Math.min(last, first + 12); k += 1) {
        table.append(this.row(`${trim(k * step)} s`, probability(this.clip, event.c, event.m, k)));
      }
    }
    this.node.replaceChildren(element("h3", "", spoken(this.clip, event)), table);
    if (last > first + 12) this.node.append(element("p", "", `and ${last - first - 12} more segments`));
    const box = node.getBoundingClientRect();
    this.place(box.left, box.bottom - 10);
    node.setAttribute("aria-describedby", "tip");
    this.described = node;
  }
}
