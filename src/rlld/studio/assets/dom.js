// What all views make their nodes with. Names from data become text nodes, never markup.

import { element as make } from "./nodes.js";

export { element as make, sign as icon } from "./nodes.js";

/**
 * A button that a key presses too; the key stands on it.
 * @param {string} label
 * @param {string} key as it is printed, empty for none
 * @param {() => void} action
 * @param {string} [name] its class attribute
 * @returns {HTMLButtonElement}
 */
export function button(label, key, action, name = "quiet") {
  const node = make("button", name, label);
  node.type = "button";
  if (key) {
    const sign = make("kbd", "", key);
    sign.setAttribute("aria-hidden", "true");
    node.prepend(sign);
    node.setAttribute("aria-keyshortcuts", key);
    // A click leaves the focus where it was, so that Space and Enter keep their meaning in the view.
    node.addEventListener("mousedown", (event) => event.preventDefault());
  }
  node.addEventListener("click", action);
  return node;
}

/**
 * A choice with its name before it.
 * @param {string} label
 * @param {Array<[string, string]>} options value and text
 * @param {string} value the chosen one
 * @param {(value: string) => void} [changed]
 * @returns {HTMLLabelElement}
 */
export function choice(label, options, value, changed = () => {}) {
  const select = make("select", "quiet");
  for (const [key, text] of options) select.add(new Option(text, key, false, key === value));
  select.addEventListener("change", () => changed(select.value));
  return make("label", "choice", make("span", "", label), select);
}

/**
 * A class as people write it.
 * @param {string} name
 * @returns {string}
 */
export const plain = (name) => name.replaceAll("_", " ");

/**
 * A number of things in words.
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 * @returns {string}
 */
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/**
 * Presses keys for a view: `{h: action, " ": action}`, by the name of the key in small letters.
 * Keys that are typed into a field, that Ctrl, Alt or Meta accompany, or that a dialog waits for, are not ours, nor are
 * Space and Enter on a button or link, which they press.
 * @param {Record<string, () => void>} actions
 * @param {AbortSignal} signal fires when the view is left
 */
export function keys(actions, signal) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element} */ (event.target);
    if (target.closest("input, textarea, select, audio, [contenteditable]") || document.querySelector("dialog[open]")) return;
    if ([" ", "Enter"].includes(event.key) && target.closest("button, a[href], summary")) return;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat) action();
  }, { signal });
}
