// What the timeline is made of: nodes, signs and words. Names from data become text, never markup.

/** @typedef {import("./edits.js").Modality} Modality */

/** @type {Record<Modality, string>} */
export const NAMES = { audio: "audible", visual: "visible", audio_visual: "audio-visual" };
export const MODALITIES = /** @type {Modality[]} */ (Object.keys(NAMES));
export const SVG = "http://www.w3.org/2000/svg";

/** @param {number} x @param {number} [digits] as few as say it */
export const trim = (x, digits = 2) => String(Number(x.toFixed(digits)));

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {string} [name] its class attribute @param {...(Node|string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, name, ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children);
  return node;
}

/**
 * A button that a mouse presses without giving it the focus, so that Space plays on and does not press it again. A field
 * loses the focus all the same: what was typed there counts.
 * @param {string} name its class attribute @param {string} text @returns {HTMLButtonElement}
 */
export function button(name, text) {
  const node = element("button", name, text);
  node.type = "button";
  node.addEventListener("mousedown", (event) => {
    event.preventDefault();
    const held = document.activeElement;
    if (held instanceof HTMLElement && held.matches("input, select")) held.blur();
  });
  return node;
}

/** @param {string} label @param {string} text @param {string} id @returns {HTMLButtonElement} */
export function control(label, text, id) {
  const node = button("", text);
  node.id = id;
  if (label) node.setAttribute("aria-label", label);
  return node;
}

/** Closes a menu by Escape, and by a click elsewhere. @param {HTMLDetailsElement} menu @param {AbortSignal} [signal] */
export function closes(menu, signal) {
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary")?.focus();
  });
  document.addEventListener("click", (event) => {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.open = false;
  }, { signal });
}

/**
 * The sign of a modality, which a word beside it names.
 * @param {string} modality "audio", "visual" or "audio_visual"
 * @returns {SVGElement}
 */
export function sign(modality) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${modality}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${modality}`);
  svg.append(use);
  return svg;
}
