// A list of any length: only the rows in sight exist, and move with the scrolling.

import { make } from "./dom.js";

const BEYOND = 6; // rows kept on either side of what is seen

/**
 * @template T
 */
export class Rows {
  /**
   * @param {string} label what the list holds, for screen readers
   * @param {() => HTMLElement} empty makes the node of a row
   * @param {(node: HTMLElement, row: T) => void} fill shows a row in a node
   * @param {(row: T) => void} open what Enter and a click do
   */
  constructor(label, empty, fill, open) {
    this.empty = empty;
    this.fill = fill;
    this.open = open;
    /** @type {T[]} */
    this.rows = [];
    this.at = 0;
    /** @type {Array<{node: HTMLElement, index: number}>} */
    this.pool = [];
    this.sheet = make("div", "rows-sheet");
    this.sheet.setAttribute("role", "presentation");
    this.node = make("div", "rows", this.sheet);
    this.node.tabIndex = 0;
    this.node.setAttribute("role", "listbox");
    this.node.setAttribute("aria-label", label);
    this.node.addEventListener("scroll", () => this.draw(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.press(event));
    this.node.addEventListener("click", (event) => this.click(event));
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  /** The height of a row in pixels, which the style sheet sets. */
  get step() {
    return parseFloat(getComputedStyle(this.node).getPropertyValue("--row")) || 72;
  }

  /**
   * @param {T[]} rows
   * @param {number} at the chosen one
   */
  show(rows, at = 0) {
    this.rows = rows;
    this.at = Math.max(0, Math.min(at, rows.length - 1));
    for (const row of this.pool) row.index = -1;
    this.draw();
    this.reach();
  }

  draw() {
    const step = this.step;
    this.sheet.style.height = `${step * this.rows.length}px`;
    const first = Math.max(0, Math.floor(this.node.scrollTop / step) - BEYOND);
    const size = Math.ceil(this.node.clientHeight / step) + 2 * BEYOND + 1;
    while (this.pool.length < size) {
      const node = this.empty();
      node.setAttribute("role", "option");
      this.pool.push({ node, index: -1 });
      this.sheet.append(node);
    }
    for (let index = first; index < first + this.pool.length; index += 1) {
      const row = this.pool[index % this.pool.length];
      row.node.hidden = index >= this.rows.length;
      if (row.node.hidden) continue;
      row.node.style.transform = `translateY(${index * step}px)`;
      if (row.index !== index) {
        row.index = index;
        row.node.id = `row-${index}`;
        row.node.setAttribute("aria-setsize", String(this.rows.length));
        row.node.setAttribute("aria-posinset", String(index + 1));
        this.fill(row.node, this.rows[index]);
      }
      row.node.setAttribute("aria-selected", String(index === this.at));
    }
    if (this.rows.length) this.node.setAttribute("aria-activedescendant", `row-${this.at}`);
    else this.node.removeAttribute("aria-activedescendant");
  }

  /** Brings the chosen row into sight. */
  reach() {
    const step = this.step;
    const { scrollTop, clientHeight } = this.node;
    const top = this.at * step;
    if (top < scrollTop) this.node.scrollTop = top;
    else if (top + step > scrollTop + clientHeight) this.node.scrollTop = top + step - clientHeight;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.rows.length) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.step) - 1);
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter") this.open(this.rows[this.at]);
    else if (event.key in moves) {
      this.at = Math.max(0, Math.min(this.rows.length - 1, this.at + moves[event.key]));
      this.reach();
    } else return;
    event.preventDefault();
  }

  /** @param {MouseEvent} event */
  click(event) {
    const node = /** @type {Element} */ (event.target).closest("[role=option]");
    const row = this.pool.find((each) => each.node === node);
    if (!row) return;
    this.at = row.index;
    this.open(this.rows[row.index]);
  }
}
