// A placeholder: the timeline takes this place.

import { make } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {import("./api.js").Context} context
 */
export async function correct(root, { id }) {
  root.replaceChildren(make("h1", "", id || "No clip"));
}
