// Buttons and lists of the toolbar above a timeline that is edited.

import { button, element } from "./nodes.js";

/** @param {string} label @param {string} key empty for none @param {() => void} action @param {string} [name] its class attribute */
export function press(label, key, action, name = "") {
  const node = button(name, label);
  if (key) {
    node.title = `${label} (${key.replace("Control", "Ctrl")})`;
    node.setAttribute("aria-keyshortcuts", key);
  }
  node.addEventListener("click", action);
  return node;
}

/** @param {string} label @param {string[]} options */
export function list(label, options) {
  const node = element("select", "quiet");
  node.setAttribute("aria-label", label);
  options.forEach((text, k) => node.add(new Option(text, String(k))));
  return node;
}

/**
 * Says when a list was decided on. A mouse takes what it picks. Keys pass over others on the way,
 * which must not be taken, for events that meet there would be joined: Enter takes, or going on;
 * Escape leaves all as it was.
 * @param {HTMLSelectElement} select
 * @param {object} does
 * @param {() => boolean} does.matters whether there is something that would change
 * @param {(text: string) => void} does.passes shows what is not taken yet, nothing where it is empty
 * @param {(focus: boolean) => void} does.takes
 * @param {() => void} does.leaves after Enter and Escape, and where a mouse picked what changes nothing
 * @returns {() => void} takes what is shown, if it is not yet: something else is going to be edited
 */
export function decided(select, { matters, passes, takes, leaves }) {
  let typed = false; // by keys, into the closed list
  let passing = false; // shown, not taken
  /** @param {boolean} now */
  const pass = (now) => {
    passing = now;
    passes(now ? select.selectedOptions[0].text : "");
  };
  select.addEventListener("pointerdown", () => { typed = false; });
  select.addEventListener("change", () => {
    pass(typed && matters());
    if (typed) return;
    if (matters()) takes(true);
    else leaves();
  });
  select.addEventListener("keydown", (event) => {
    const opens = event.key === " " || (event.altKey && event.key.startsWith("Arrow"));
    typed = !opens;
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    const taken = passing && event.key === "Enter";
    pass(false);
    if (taken) takes(true);
    leaves();
  });
  const goesOn = () => {
    if (passing && matters()) takes(false);
    pass(false);
  };
  select.addEventListener("blur", goesOn);
  return goesOn;
}
