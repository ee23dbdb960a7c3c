// Buttons and lists of the toolbar above a timeline that is edited.

import { element } from "./nodes.js";

/** @param {string} label @param {string} key empty for none @param {() => void} action @param {string} [name] its class attribute */
export function press(label, key, action, name = "") {
  const node = element("button", name, label);
  node.type = "button";
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
 * @param {(text: string) => void} does.passes shows what is not taken yet
 * @param {(focus: boolean) => void} does.takes
 * @param {() => void} does.leaves after Enter and Escape
 * @returns {() => void} takes what is shown, if it is not yet: something else is going to be edited
 */
export function decided(select, { matters, passes, takes, leaves }) {
  let typed = false; // by keys, into the closed list
  let passing = false; // shown, not taken
  select.addEventListener("pointerdown", () => { typed = false; });
  select.addEventListener("change", () => {
    passing = typed && matters();
    if (passing) passes(select.selectedOptions[0].text);
    else if (matters()) takes(true);
  });
  select.addEventListener("keydown", (event) => {
    const opens = event.key === " " || (event.altKey && event.key.startsWith("Arrow"));
    typed = !opens;
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    const taken = passing && event.key === "Enter";
    passing = false;
    if (taken) takes(true);
    leaves();
  });
  const goesOn = () => {
    if (passing && matters()) takes(false);
    passing = false;
  };
  select.addEventListener("blur", goesOn);
  return goesOn;
}
